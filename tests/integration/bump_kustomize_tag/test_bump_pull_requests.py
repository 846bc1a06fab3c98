"""bump-kustomize-tag by pull request, over HTTP and ssh, with the stand-in for GitHub."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bump_step import (
    BOT,
    CANARY,
    DEPLOY,
    PROPOSE,
    READER,
    SOURCE,
    A,
    B,
    C,
    Step,
    Work,
    as_person,
)

from model_gitops.adapters.git import Git
from model_gitops.adapters.github import GitHub
from model_gitops.core.deploy.trailers import read_trailers
from model_gitops_local.forge import Forge


def test_one_pull_request_is_opened_and_kept_up_to_date(
    deploy: Work, source: Work, step: Step, forge: Forge
) -> None:
    api = GitHub(DEPLOY, BOT, api_url=forge.api_url)
    sha = source.pull()
    main_before = deploy.pull()
    decided = (
        "| | dev now | candidate |\n|---|---|---|\n| version | v0.0.1 | v0.0.2 |\nRollback: true"
    )
    model = {"trailers": "Model: diabetes@v0.0.2", "body": decided}
    first = step.run(f"diabetes=:v2@{A}", sha=sha, **PROPOSE, **model)
    assert first["operation"] == "opened"
    assert first["previous"] == "ghcr.io/acme/diabetes:v1"
    number = int(first["pull-request"].rpartition("/")[2])
    pull = api.pull_request(number)
    assert pull.title == "Deploy diabetes v0.0.2 to dev"
    assert f"`ghcr.io/acme/diabetes:v2@{A}`" in pull.body
    assert f"{forge.url}/{SOURCE}/commit/{sha}" in pull.body
    assert "### What is decided" in pull.body
    assert "| version | v0.0.1 | v0.0.2 |" in pull.body
    # A squash merge makes the text a commit's message: no line of it is a trailer.
    assert "rollback" not in read_trailers(pull.body)
    assert pull.head_sha == first["commit"]
    assert pull.head_ref.startswith("model-gitops/bump-overlays-dev-diabetes-")
    assert deploy.pull() == main_before

    refs = deploy.state()
    again = step.run(f"diabetes=:v2@{A}", sha=sha, **PROPOSE, **model)
    assert again == first | {"operation": "none"}
    assert deploy.state() == refs

    newer_sha = source.commit({"model.py": "2\n"})
    newer = step.run(f"diabetes=:v3@{B}", sha=newer_sha, **PROPOSE)
    assert newer["operation"] == "updated"
    assert newer["pull-request"] == first["pull-request"]
    assert api.pull_request(number).title == "Bump diabetes to v3 in overlays/dev"
    parents = Git(deploy.remote).run("rev-list", "--parents", "-1", newer["commit"]).split()
    assert parents == [newer["commit"], main_before]

    # An older commit leaves the newer proposal alone.
    older = step.run(f"diabetes=:v2@{A}", sha=sha, **PROPOSE, **model)
    assert older["operation"] == "superseded"
    assert api.pull_request(number).head_sha == newer["commit"]

    # The base moves: the proposal is made anew on top of it.
    moved = deploy.commit({"other": "x"})
    rebased = step.run(f"diabetes=:v3@{B}", sha=newer_sha, **PROPOSE)
    assert rebased["operation"] == "updated"
    assert Git(deploy.remote).run("rev-parse", f"{rebased['commit']}~1").strip() == moved


def test_after_a_merge_there_is_a_new_pull_request(
    deploy: Work, source: Work, step: Step, forge: Forge
) -> None:
    sha = source.pull()
    first = step.run(f"diabetes=:v2@{A}", sha=sha, **PROPOSE)
    number = int(first["pull-request"].rpartition("/")[2])
    as_person(forge).get_pull(number).merge(merge_method="squash")
    merged = deploy.pull()
    assert f"digest: {A}" in deploy.text()

    same = step.run(f"diabetes=:v2@{A}", sha=sha, **PROPOSE)
    assert (same["operation"], same["commit"], same["pull-request"]) == ("none", merged, "")
    new = source.commit({"model.py": "2\n"})
    second = step.run(f"diabetes=:v3@{B}", sha=new, **PROPOSE)
    assert second["operation"] == "opened"
    assert second["pull-request"] != first["pull-request"]
    # Closed without a merge, and asked for again.
    as_person(forge).get_pull(int(second["pull-request"].rpartition("/")[2])).edit(state="closed")
    third = step.run(f"diabetes=:v3@{B}", sha=new, **PROPOSE)
    assert third["operation"] == "opened"
    assert third["commit"] == second["commit"]
    # What a squash merge brought in guards too.
    as_person(forge).get_pull(int(third["pull-request"].rpartition("/")[2])).merge(
        merge_method="merge"
    )
    assert step.run(f"diabetes=:old@{C}", sha=sha, **PROPOSE)["operation"] == "superseded"


def test_a_rerun_of_what_runs_sees_that_a_newer_one_waits(
    deploy: Work, source: Work, step: Step, forge: Forge
) -> None:
    old = source.pull()
    step.run(f"diabetes=:old@{A}", sha=old)
    assert step.run(f"diabetes=:old@{A}", sha=old, **PROPOSE)["operation"] == "none"
    new = source.commit({"model.py": "2\n"})
    waiting = step.run(f"diabetes=:new@{B}", sha=new, **PROPOSE)
    assert waiting["operation"] == "opened"
    again = step.run(f"diabetes=:old@{A}", sha=old, **PROPOSE)
    assert again == waiting | {
        "operation": "superseded",
        "previous": f"ghcr.io/acme/diabetes:old@{A}",
    }
    # A rollback to what runs is no change, and a proposal that was closed is none.
    back = step.run(f"diabetes=:old@{A}", sha=old, trailers="Rollback: true", **PROPOSE)
    assert back["operation"] == "none"
    as_person(forge).get_pull(int(waiting["pull-request"].rpartition("/")[2])).edit(state="closed")
    assert step.run(f"diabetes=:old@{A}", sha=old, **PROPOSE)["operation"] == "none"


def test_two_images_have_two_pull_requests(deploy: Work, step: Step, forge: Forge) -> None:
    one = step.run("diabetes=:v2", **PROPOSE)
    other = step.run("sidecar=:v2", **PROPOSE)
    assert one["pull-request"] != other["pull-request"]
    assert step.run("diabetes=:v2", **PROPOSE)["operation"] == "none"


def test_push_over_http_with_a_token_that_is_seen_nowhere(
    deploy: Work, step: Step, forge: Forge, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    outputs = step.run("diabetes=:v2", repository=DEPLOY, token=CANARY)
    assert outputs["operation"] == "pushed"
    assert outputs["commit"] == deploy.pull()
    written = capfd.readouterr()
    assert CANARY not in written.out + written.err
    found = [
        path
        for path in tmp_path.rglob("*")
        if path.is_file() and path.name != "forge.json" and CANARY.encode() in path.read_bytes()
    ]
    assert found == []


def test_push_over_ssh_with_a_key_that_is_left_nowhere(
    deploy: Work, step: Step, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program in the place of ssh writes down what it got, and runs the command here."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    log, fake = tmp_path / "log", tmp_path / "fake-ssh"
    fake.write_text(
        f"""#!/bin/sh
echo "$*" >> '{log}'
while [ $# -gt 1 ]; do [ "$1" = -i ] && cat "$2" >> '{log}' && stat -c %a "$2" >> '{log}'; shift; done
exec sh -c "$1"
"""
    )
    fake.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(fake))
    url = f"ssh://git@git.example{deploy.remote}"
    outputs = step.run("diabetes=:v2", repository=url, ssh_key="KEY one\nKEY two")
    assert outputs["commit"] == deploy.pull()
    said = log.read_text()
    assert "KEY one\nKEY two\n600\n" in said
    assert "git-receive-pack" in said
    assert "IdentitiesOnly=yes" in said
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("inputs", "code", "problem"),
    [
        ({"token": ""}, 2, "inputs `token` and `ssh-key` are both empty"),
        ({"token": READER}, 4, "GitHub App token"),
        ({"token": "wrong"}, 4, ""),
        ({"token": "", "mode": "pull-request"}, 2, "input `token` is empty"),
        ({"token": CANARY, "mode": "pull-request"}, 4, "pull-requests: write"),
        ({"token": READER, "mode": "pull-request"}, 4, "contents: write"),
    ],
)
def test_refusals_say_what_is_missing(
    deploy: Work, step: Step, forge: Forge, capsys: pytest.CaptureFixture[str],
    inputs: dict[str, str], code: int, problem: str,
) -> None:  # fmt: skip
    before = deploy.state()
    step.run("diabetes=:v2", repository=DEPLOY, code=code, **inputs)
    assert problem in capsys.readouterr().err
    assert deploy.state() == before


def test_the_api_is_asked_again_after_faults(step: Step, forge: Forge) -> None:
    forge.fail_next("GET", "/pulls", 502, times=2)
    forge.fail_next(
        "POST", "/pulls", 403, headers={"Retry-After": "1"},
        body={"message": "You have exceeded a secondary rate limit.", "documentation_url": "https://x"},
    )  # fmt: skip
    assert step.run("diabetes=:v2", **PROPOSE)["operation"] == "opened"


# --- the adapter's comments, which cml-report uses -----------------------------------------------------


def test_comments_on_pull_requests_and_commits(deploy: Work, step: Step, forge: Forge) -> None:
    outputs = step.run("diabetes=:v2", **PROPOSE)
    number = int(outputs["pull-request"].rpartition("/")[2])
    api = GitHub(DEPLOY, BOT, api_url=forge.api_url)
    for target in (number, outputs["commit"]):
        assert api.list_comments(target) == []
        made = api.create_comment(target, "one")
        changed = api.update_comment(made, "two")
        assert api.list_comments(target) == [changed]
        assert (changed.body, changed.author, changed.id) == ("two", "deployer[bot]", made.id)
        assert changed.on_commit == (target != number)
    assert [pull.number for pull in api.pull_requests_of_commit(outputs["commit"])] == [number]
    assert api.find_pull_request("no-such-branch") is None
    forge.add_token("ada-secret-token", "ada")
    assert GitHub(DEPLOY, "ada-secret-token", api_url=forge.api_url).login() == "ada"
    assert GitHub(DEPLOY, READER, api_url=forge.api_url).login() == "github-actions[bot]"
    log = json.dumps(forge.requests())
    assert BOT not in log
