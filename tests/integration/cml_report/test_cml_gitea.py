"""cml-report on Gitea, at the top of a server and below a path: one comment, and the summary in the log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from report_flow import EVE, NAME, PNG, Flow, pictures_in, project
from world import gitea

from model_gitops.adapters import process
from model_gitops.adapters.git import Git
from model_gitops.adapters.github import GitHub
from model_gitops_local.forge.gitea import GiteaForge, strict_gitea

# A personal token of Gitea's: its scopes are write:repository and write:issue, not read:user.
PERSONAL, JOB = "personal-secret-token", "job-secret-token"
SCOPES = {"contents": "write", "pull_requests": "write", "issues": "write"}


@pytest.fixture(params=["", "/git"])
def flow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Flow]:
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "ada@example.com")
    bare, temporary = tmp_path / "model.git", tmp_path / "runner"
    temporary.mkdir()
    process.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", bare])
    process.run(["git", "clone", "--quiet", bare, tmp_path / "work"])
    with strict_gitea(tmp_path / "forge", base=request.param) as forge:
        forge.add_repository(NAME, bare)
        forge.add_token(PERSONAL, "ada", SCOPES)
        forge.add_token(JOB, "gitea-actions")
        forge.add_token(EVE, "eve")
        made = Flow(forge, Git(tmp_path / "work"), bare, temporary, 0, monkeypatch.setenv)
        made.commit("main", project(0.05))
        made.commit("better", project(0.1))
        api = GitHub(NAME, EVE, api_url=forge.api_url)
        made.number = api.open_pull_request(head="better", base="main", title="B", body="").number
        monkeypatch.chdir(tmp_path / "work")
        monkeypatch.setenv("GITHUB_ACTIONS", "true")
        monkeypatch.setenv("GITEA_ACTIONS", "true")
        monkeypatch.setenv("RUNNER_TEMP", str(temporary))
        monkeypatch.setenv("GITHUB_REPOSITORY", NAME)
        monkeypatch.setenv("GITHUB_SERVER_URL", f"{forge.url}/")
        monkeypatch.setenv("GITHUB_API_URL", forge.api_url)
        monkeypatch.setenv("GITHUB_RUN_ID", "41")
        made.on_pull_request()
        yield made


def comments(flow: Flow) -> list[dict[str, object]]:
    found = gitea(flow.forge, "GET", f"/repos/{NAME}/issues/{flow.number}/comments", token=PERSONAL)
    return [{"author": one["user"]["login"], "body": one["body"]} for one in found]


@pytest.mark.parametrize("token", [PERSONAL, JOB])
def test_two_runs_make_one_comment_whatever_the_token_may_read(flow: Flow, token: str) -> None:
    first = flow.run(token=token)
    assert first["operation"] == "created"
    assert first["url"].startswith(f"{flow.forge.url}/{NAME}/pulls/{flow.number}#issuecomment-")
    (one,) = comments(flow)
    shown = pictures_in(str(one["body"]))
    assert len(shown) == 2
    assert all(f"{flow.forge.url}/{NAME}/raw/commit/" in address for address in shown)
    assert all(flow.get(address, token).startswith(PNG) for address in shown)
    assert f"({flow.forge.url}/{NAME}/actions/runs/41)" in str(one["body"])
    assert flow.run(token=token)["operation"] == "none"
    flow.commit("better", project(0.2))
    flow.on_pull_request()
    last = flow.run(token=token)
    assert (last["operation"], last["url"]) == ("updated", first["url"])
    (one,) = comments(flow)
    assert "| r2 | 0.45 | 0.6 | +0.15 ▲ |" in str(one["body"])
    assert isinstance(flow.forge, GiteaForge)
    assert flow.forge.reactions == set()


@pytest.mark.parametrize("reactions", [True, False])
def test_a_copy_of_the_mark_in_anothers_comment_is_left_alone(flow: Flow, reactions: bool) -> None:
    """On Gitea whoever may write may edit any comment: that a token may edit says nothing."""
    flow.run(token=PERSONAL, plots="false")
    (ours,) = comments(flow)
    before = str(ours["body"]).replace("candidate", "trap")
    path = f"/repos/{NAME}/issues/{flow.number}/comments"
    gitea(flow.forge, "POST", path, {"body": before}, token=EVE)
    if not reactions:
        flow.forge.fail_next("POST", "/reactions$", 403, times=9)
    flow.commit("better", project(0.2))
    flow.on_pull_request()
    assert flow.run(token=PERSONAL, plots="false")["operation"] == "updated"
    assert flow.run(token=PERSONAL, plots="false")["operation"] == "none"
    found = comments(flow)
    assert [one["author"] for one in found] == ["ada", "eve"]
    assert found[1]["body"] == before
    assert "| 0.6 | +0.15 ▲ |" in str(found[0]["body"])


def test_a_reaction_that_can_not_be_taken_back_makes_no_second_comment(flow: Flow) -> None:
    flow.run(token=PERSONAL, plots="false")
    (ours,) = comments(flow)
    flow.forge.fail_next("DELETE", "/reactions$", 403, times=9)
    flow.forge.fail_next("POST", "/comments$", 403, times=9)
    flow.commit("better", project(0.2))
    flow.on_pull_request()
    done = flow.run(token=PERSONAL, plots="false")
    assert done["operation"] == "updated"
    (one,) = comments(flow)
    assert one["author"] == ours["author"]


def test_a_push_without_a_pull_request_reports_into_the_log(
    flow: Flow, capfd: pytest.CaptureFixture[str]
) -> None:
    flow.commit("lonely", project(0.07))
    flow.on_push("lonely")
    done = flow.run(token=PERSONAL, plots="false")
    assert (done["operation"], done["url"]) == ("none", "")
    said = capfd.readouterr()
    assert "::group::Summary" in said.out
    assert "| metric | main | candidate | change |" in said.err
    told = (
        "No comment was written: this server has no comments on commits. The report is in the log"
    )
    assert told in said.out
    assert "GitHub" not in said.out + said.err


def test_a_target_that_is_not_there_is_bad_input_at_once(flow: Flow) -> None:
    flow.run(token=PERSONAL, target="pr/99", plots="false", expect=2)


def test_a_token_that_may_not_comment_is_told_which_scope_it_lacks(
    flow: Flow, capfd: pytest.CaptureFixture[str]
) -> None:
    flow.forge.add_token("reader", "ada", {"contents": "read", "pull_requests": "read"})
    assert flow.run(token="reader", plots="false")["operation"] == "none"
    said = capfd.readouterr()
    assert "The token needs `write:issue`" in said.out
    assert "Gitea's API refused to comment on" in said.out
