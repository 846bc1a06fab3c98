"""What each event is about: shapes of GitHub's and Gitea's own payloads, cut to what is looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from model_gitops import events, runner
from model_gitops.errors import InputError
from model_gitops.events import Kind

ROOT = Path(__file__).parents[2]
MAIN, HEAD, MERGED, OTHER = "a" * 40, "b" * 40, "c" * 40, "d" * 40
OURS = {"id": 7, "full_name": "acme/m"}


def pull(**more: Any) -> dict[str, Any]:
    sides = {
        "head": {"ref": "experiment/x", "sha": HEAD, "repo": OURS},
        "base": {"ref": "staging", "sha": MAIN, "repo": OURS},
    }
    return {"number": 5, "state": "open", "merged": False, **sides, **more}


def of_run(repository: int = 7) -> dict[str, Any]:
    """A pull request as a run or a check lists it."""
    return {
        "number": 5,
        "head": {"ref": "experiment/x", "sha": HEAD, "repo": {"id": 7, "name": "m"}},
        "base": {"ref": "staging", "sha": MAIN, "repo": {"id": repository, "name": "m"}},
    }


PROPOSED = (HEAD, "staging", "experiment/x", 5, Kind.PROPOSED)
ON_MAIN = (MAIN, "main", "", 0, Kind.THERE)
CASES: list[tuple[str, str, dict[str, Any], tuple[str, str, str, int, Kind]]] = [
    ("pull_request", "refs/pull/5/merge", {"pull_request": pull()}, PROPOSED),
    ("pull_request_review", "refs/pull/5/merge", {"pull_request": pull()}, PROPOSED),
    ("pull_request_review_comment", "refs/pull/5/merge", {"pull_request": pull()}, PROPOSED),
    ("pull_request_target", "refs/heads/main", {"pull_request": pull()}, PROPOSED),
    # GitHub names its test merge in an open pull request too: nobody has merged that.
    ("pull_request", "refs/pull/5/merge", {"pull_request": pull(merge_commit_sha=OTHER)}, PROPOSED),
    (
        "pull_request",
        "refs/heads/staging",
        {"action": "closed", "pull_request": pull(state="closed", merged=True, merge_commit_sha=MERGED)},
        (MERGED, "staging", "experiment/x", 5, Kind.MERGED),
    ),
    # Gitea: the same names, with the pull request's own ref.
    (
        "pull_request",
        "refs/pull/5/head",
        {
            "action": "closed",
            "pull_request": pull(
                state="closed", merged=True, merge_commit_sha=MERGED, merge_base=MAIN
            ),
        },
        (MERGED, "staging", "experiment/x", 5, Kind.MERGED),
    ),
    (
        "pull_request_target",
        "refs/heads/main",
        {"pull_request": pull(state="closed", merged=True, merge_commit_sha=MERGED)},
        (MERGED, "staging", "experiment/x", 5, Kind.MERGED),
    ),
    (
        "pull_request",
        "refs/pull/5/merge",
        {"pull_request": pull(state="closed", merge_commit_sha=OTHER)},
        (HEAD, "staging", "experiment/x", 5, Kind.DROPPED),
    ),
    ("pull_request_sync", "refs/pull/5/head", {"pull_request": pull()}, PROPOSED),
    (
        "merge_group",
        "refs/heads/gh-readonly-queue/staging/pr-5-x",
        {
            "merge_group": {
                "head_sha": OTHER,
                "head_ref": "refs/heads/gh-readonly-queue/staging/pr-5-x",
                "base_sha": MAIN,
                "base_ref": "refs/heads/staging",
            }
        },
        (OTHER, "staging", "", 0, Kind.QUEUED),
    ),
    (
        "issue_comment",
        "refs/heads/main",
        {"issue": {"number": 5, "pull_request": {"url": "https://x/pulls/5"}}},
        ("", "", "", 5, Kind.PROPOSED),
    ),
    (
        "issue_comment",
        "refs/heads/main",
        {"issue": {"number": 5, "pull_request": {"merged": False}}, "pull_request": pull()},
        PROPOSED,
    ),
    ("issue_comment", "refs/heads/main", {"issue": {"number": 5}}, ON_MAIN),
    # Gitea says it with a null.
    ("issue_comment", "refs/heads/main", {"issue": {"number": 5, "pull_request": None}}, ON_MAIN),
    (
        "workflow_run",
        "refs/heads/main",
        {"repository": OURS, "workflow_run": {"event": "pull_request", "head_sha": HEAD, "head_branch": "experiment/x", "pull_requests": [of_run()]}},
        PROPOSED,
    ),
    # A fork's branch may be named as ours are, and its run has no pull request.
    (
        "workflow_run",
        "refs/heads/main",
        {"repository": OURS, "workflow_run": {"event": "pull_request", "head_sha": HEAD, "head_branch": "production", "pull_requests": []}},
        (HEAD, "", "", 0, Kind.PROPOSED),
    ),
    (
        "workflow_run",
        "refs/heads/main",
        {"repository": OURS, "workflow_run": {"event": "pull_request_target", "head_sha": HEAD, "head_branch": "production", "pull_requests": []}},
        (HEAD, "", "", 0, Kind.PROPOSED),
    ),
    # Another repository's pull request of the same commit.
    (
        "workflow_run",
        "refs/heads/main",
        {"repository": OURS, "workflow_run": {"event": "push", "head_sha": HEAD, "head_branch": "staging", "pull_requests": [of_run(8)]}},
        (HEAD, "staging", "", 0, Kind.THERE),
    ),
    # What was pushed is the branch, whatever is proposed from it.
    (
        "workflow_run",
        "refs/heads/main",
        {"repository": OURS, "workflow_run": {"event": "push", "head_sha": HEAD, "head_branch": "main", "pull_requests": [of_run()]}},
        (HEAD, "main", "", 0, Kind.THERE),
    ),
    # Two pull requests of one branch, of which somebody may have made the second for its lax base.
    (
        "workflow_run",
        "refs/heads/main",
        {"repository": OURS, "workflow_run": {"event": "pull_request", "head_sha": HEAD, "head_branch": "x", "pull_requests": [of_run(), of_run() | {"base": {"ref": "lax", "repo": {"id": 7}}}]}},
        (HEAD, "", "", 0, Kind.PROPOSED),
    ),
    (
        "check_suite",
        "refs/heads/main",
        {"repository": OURS, "check_suite": {"head_sha": HEAD, "pull_requests": [of_run() | {"base": {"ref": "lax", "repo": {"id": 8}}}, of_run()]}},
        (HEAD, "", "", 0, Kind.PROPOSED),
    ),
    # Gitea's has no list.
    (
        "workflow_run",
        "refs/heads/main",
        {"workflow_run": {"event": "push", "head_sha": HEAD, "head_branch": "staging", "pull_requests": None}},
        (HEAD, "staging", "", 0, Kind.THERE),
    ),
    (
        "check_run",
        "refs/heads/main",
        {"check_run": {"head_sha": HEAD, "pull_requests": [of_run()]}},
        PROPOSED,
    ),
    ("check_suite", "refs/heads/main", {"check_suite": {"head_sha": HEAD, "head_branch": "production", "pull_requests": []}}, (HEAD, "", "", 0, Kind.PROPOSED)),
    ("status", "refs/heads/main", {"sha": HEAD, "branches": [{"name": "x"}]}, (HEAD, "", "", 0, Kind.PROPOSED)),
    ("push", "refs/heads/main", {"before": OTHER, "after": MAIN, "deleted": False}, ON_MAIN),
    ("push", "refs/heads/a/b", {}, (MAIN, "a/b", "", 0, Kind.THERE)),
    ("push", "refs/tags/main", {"deleted": False}, (MAIN, "", "", 0, Kind.THERE)),
    ("push", "refs/heads/x", {"deleted": True, "after": "0" * 40}, ("", "", "", 0, Kind.GONE)),
    ("delete", "refs/heads/main", {"ref": "x", "ref_type": "branch"}, ("", "", "", 0, Kind.GONE)),
    ("create", "refs/heads/x", {"ref": "x", "ref_type": "branch"}, (MAIN, "x", "", 0, Kind.THERE)),
    ("release", "refs/tags/v1", {"release": {"tag_name": "v1", "target_commitish": "main"}}, (MAIN, "", "", 0, Kind.THERE)),
    ("deployment_status", "refs/heads/main", {"deployment": {"sha": HEAD, "ref": "main"}}, (HEAD, "main", "", 0, Kind.THERE)),
    ("deployment_status", "", {"deployment": {"sha": HEAD, "ref": HEAD}}, (HEAD, "", "", 0, Kind.THERE)),
    ("workflow_dispatch", "refs/heads/main", {"inputs": {"ref": "x"}}, ON_MAIN),
    ("repository_dispatch", "refs/heads/main", {"client_payload": {"pull_request": pull(), "sha": HEAD}}, ON_MAIN),
    ("schedule", "refs/heads/main", {"schedule": "0 0 * * *"}, ON_MAIN),
    ("discussion", "refs/heads/main", {}, ON_MAIN),
    ("", "", {}, (MAIN, "", "", 0, Kind.THERE)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "ref", "event", "expected"), CASES)
def test_an_event_is_about(
    name: str, ref: str, event: dict[str, Any], expected: tuple[str, str, str, int, Kind]
) -> None:
    found = events.read(name, event, sha=MAIN, ref=ref, repository="acme/m")
    kind = found.source.kind
    assert (found.commit, found.base, found.head, found.number, kind) == expected
    assert found.fork == ""


@pytest.mark.parametrize("odd", [None, 5, "x", [], {}, [None], {"head": None}, {"base": []}])
@pytest.mark.parametrize("name", sorted({name for one in events.EVENTS for name in one.names}))
def test_odd_payloads_are_no_fault(name: str, odd: Any) -> None:
    keys = ("pull_request", "issue", "workflow_run", "check_run", "deployment", "merge_group")
    for event in (dict.fromkeys(keys, odd), {key: {"pull_requests": odd} for key in keys}):
        found = events.read(name, event, sha=MAIN, ref="refs/heads/main")
        assert found.commit in ("", MAIN)
        assert found.head == ""


@pytest.mark.parametrize("commit", ["", "main", "B" * 40, "b" * 39, "--upload-pack=x", None, 5])
def test_what_is_no_hash_is_no_commit(commit: Any) -> None:
    event = {"pull_request": pull(state="closed", merged=True, merge_commit_sha=commit)}
    assert events.read("pull_request", event, sha=MAIN).commit == ""


def test_a_missing_event_file_is_named_where_nothing_else_says_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_EVENT_PATH", str(tmp_path / "gone.json"))
    monkeypatch.setenv("GITHUB_SHA", MAIN)
    monkeypatch.setenv("GITHUB_REF", "refs/heads/main")
    monkeypatch.setenv("GITHUB_EVENT_NAME", "push")
    assert runner.context().base_ref == "main"
    monkeypatch.setenv("GITHUB_EVENT_NAME", "pull_request")
    with pytest.raises(InputError, match=r"GITHUB_EVENT_PATH=.*gone\.json.*what a pull_request is"):
        runner.context()


@pytest.mark.parametrize("text", ["[]", "5", '"x"', "{", "\x00"])
def test_an_event_file_that_is_no_event_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    (tmp_path / "event.json").write_text(text, "utf-8")
    monkeypatch.setenv("GITHUB_EVENT_PATH", str(tmp_path / "event.json"))
    with pytest.raises(InputError, match=r"GITHUB_EVENT_PATH"):
        runner.context()
    monkeypatch.setenv("GITHUB_EVENT_PATH", str(tmp_path))
    with pytest.raises(InputError, match="Is a directory"):
        runner.context()


def test_the_workflows_of_the_templates_use_events_that_are_listed() -> None:
    known = {name for one in events.EVENTS for name in one.names}
    for file in ROOT.glob("templates/*/.github/workflows/*.yml"):
        triggers = yaml.load(file.read_text("utf-8"), yaml.BaseLoader)["on"]
        names = {triggers} if isinstance(triggers, str) else set(triggers)
        assert names - {"workflow_call"} <= known, file
