"""bump-kustomize-tag by pull requests on Gitea, at the top of a server and below a path."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bump_step import BOT, DEPLOY, PROPOSE, A, B, C, Step, Work
from world import gitea

from model_gitops.adapters.github import AlreadyExistsError, GitHub
from model_gitops_local.forge.gitea import GiteaForge, strict_gitea


@pytest.fixture(params=["", "/git"])
def forge(
    tmp_path: Path, deploy: Work, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[GiteaForge]:
    with strict_gitea(tmp_path / "forge", base=request.param) as made:
        made.add_repository(DEPLOY, deploy.remote)
        scopes = {"contents": "write", "pull_requests": "write"}
        made.add_token(BOT, "deployer", scopes)
        monkeypatch.setenv("GITHUB_SERVER_URL", made.url)
        monkeypatch.setenv("GITHUB_API_URL", made.api_url)
        yield made


def test_two_runs_make_one_pull_request_and_a_newer_image_updates_it(
    deploy: Work, source: Work, step: Step, forge: GiteaForge
) -> None:
    sha = source.pull()
    first = step.run(f"diabetes=:v2@{A}", sha=sha, **PROPOSE)
    assert first["operation"] == "opened"
    assert first["pull-request"] == f"{forge.url}/{DEPLOY}/pulls/1"
    again = step.run(f"diabetes=:v2@{A}", sha=sha, **PROPOSE)
    assert again == {**first, "operation": "none"}
    newer = source.commit({"model.py": "2\n"})
    updated = step.run(f"diabetes=:v3@{B}", sha=newer, **PROPOSE)
    assert updated["operation"] == "updated"
    assert updated["pull-request"] == first["pull-request"]
    older = step.run(f"diabetes=:v2@{A}", sha=sha, **PROPOSE)
    assert older["operation"] == "superseded"
    (pull,) = gitea(forge, "GET", f"/repos/{DEPLOY}/pulls", token=BOT)
    assert "v3" in pull["title"]
    gitea(forge, "POST", f"/repos/{DEPLOY}/pulls/1/merge", {"Do": "squash"}, token=BOT)
    deploy.pull()
    assert f"digest: {B}" in deploy.text()
    last = source.commit({"model.py": "3\n"})
    assert step.run(f"diabetes=:v4@{C}", sha=last, **PROPOSE)["pull-request"] == (
        f"{forge.url}/{DEPLOY}/pulls/3"
        if forge.state.find(DEPLOY).issue(3)  # type: ignore[union-attr]
        else f"{forge.url}/{DEPLOY}/pulls/2"
    )


def test_a_second_pull_request_of_a_branch_exists_already(
    deploy: Work, step: Step, forge: GiteaForge
) -> None:
    opened = step.run("diabetes=:v2", **PROPOSE)
    api = GitHub(DEPLOY, BOT, api_url=forge.api_url)
    head = api.pull_request(int(opened["pull-request"].rpartition("/")[2])).head_ref
    with pytest.raises(AlreadyExistsError, match=r"\(409\)"):
        api.open_pull_request(head=head, base="main", title="x", body="")


def test_a_lost_race_for_the_pull_request_is_decided_again(
    deploy: Work, step: Step, forge: GiteaForge
) -> None:
    """Another run opens the same pull request between our question and our answer."""
    forge.fail_next(
        "POST", "/pulls$", 409, body={"message": "pull request already exists for these"}
    )
    assert step.run("diabetes=:v2", **PROPOSE)["operation"] == "opened"


def test_a_push_knows_by_giteas_api_which_commit_is_later(
    deploy: Work, source: Work, step: Step, forge: GiteaForge, monkeypatch: pytest.MonkeyPatch
) -> None:
    forge.add_repository("acme/diabetes", source.remote)
    old = source.pull()
    new = source.commit({"model.py": "2\n"})
    push = {"repository": DEPLOY, "token": BOT}
    assert step.run(f"diabetes=:new@{A}", sha=new, **push)["operation"] == "pushed"
    monkeypatch.chdir(deploy.git.directory)  # where neither commit is known
    assert step.run(f"diabetes=:old@{B}", sha=old, **push)["operation"] == "superseded"


def test_a_repository_on_another_path_of_the_host_gets_no_pull_request(
    step: Step, forge: GiteaForge
) -> None:
    elsewhere = forge.url.removesuffix(forge.base) + "/other/acme/deploy.git"
    step.run("diabetes=:v2", code=2, **{**PROPOSE, "repository": elsewhere})
