"""Which commit a deployment comes from: of each event, and of a person's own checkout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from bump_step import DEPLOY, SOURCE, A, B, Step, Work

from model_gitops.adapters.git import Git


class Events:
    """Sets the event that the next run is started by."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self._file = folder / "event.json"
        self._patch = patch

    def set(self, name: str, ref: str = "refs/heads/main", **event: Any) -> None:
        self._file.write_text(json.dumps(event), "utf-8")
        self._patch.setenv("GITHUB_EVENT_NAME", name)
        self._patch.setenv("GITHUB_EVENT_PATH", str(self._file))
        self._patch.setenv("GITHUB_REF", ref)

    def closed(self, head: str, commit: str | None) -> None:
        """A pull request that was closed; `commit` is what became of it on main."""
        sides = {"head": {"ref": "x", "sha": head}, "base": {"ref": "main", "sha": head}}
        merge = {"merged": commit is not None, "merge_commit_sha": commit, "state": "closed"}
        self.set("pull_request", action="closed", pull_request={"number": 3, **sides, **merge})


@pytest.fixture
def events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Events:
    return Events(tmp_path, monkeypatch)


def message(deploy: Work, commit: str) -> str:
    return Git(deploy.remote).run("log", "-1", "--format=%B", commit)


def branch(source: Work, name: str, text: str) -> str:
    """Commit on a branch that starts at main; return its head."""
    source.git.run("switch", "--quiet", "-c", name, "main")
    return source.commit({f"{name}.py": text})


def merged(source: Work, name: str, how: str) -> str:
    """Merge a branch into main as the server's buttons do; return the commit on main."""
    source.git.run("switch", "--quiet", "main")
    if how == "squash":
        source.git.run("merge", "--quiet", "--squash", name)
        source.git.run("commit", "--quiet", "-m", f"{name} (#1)")
    elif how == "rebase":
        source.git.run("cherry-pick", name)
    else:
        source.git.run("merge", "--quiet", "--no-ff", "-m", f"Merge {name}", name)
    source.git.run("push", "--quiet", "origin", "main")
    return source.git.run("rev-parse", "HEAD").strip()


@pytest.mark.parametrize("how", ["squash", "rebase", "merge"])
def test_an_older_merged_pull_request_does_not_replace_a_newer_one(
    deploy: Work, source: Work, step: Step, events: Events, how: str
) -> None:
    """W1: the run of the newer pull request is first, and the older's comes after it."""
    first, second = branch(source, "first", "1\n"), branch(source, "second", "2\n")
    older, newer = merged(source, "first", how), merged(source, "second", how)
    events.closed(second, newer)
    done = step.run(f"diabetes=:new@{A}", sha=newer)
    assert done["operation"] == "pushed"
    assert f"\nSource-Commit: {newer}\n" in message(deploy, done["commit"])
    events.closed(first, older)
    again = step.run(f"diabetes=:old@{B}", sha=older)
    assert (again["operation"], again["commit"]) == ("superseded", done["commit"])


def test_a_pull_request_that_was_given_up_is_not_deployed(
    deploy: Work, source: Work, step: Step, events: Events, capfd: pytest.CaptureFixture[str]
) -> None:
    head = branch(source, "idea", "1\n")
    before = deploy.state()
    events.closed(head, None)
    step.run(f"diabetes=:idea@{A}", sha=head, code=3)
    told = capfd.readouterr()
    assert "pull request 3 was closed without a merge" in told.out + told.err
    assert "Fix: if: github.event.pull_request.merged == true" in told.out + told.err
    assert deploy.state() == before
    # On purpose, and as it is said: what the person says counts.
    done = step.run(f"diabetes=:idea@{A}", sha=head, trailers=f"Source-Commit: {head}")
    assert done["operation"] == "pushed"


def test_a_command_in_a_comment_deploys_what_is_checked_out(
    deploy: Work,
    source: Work,
    step: Step,
    events: Events,
    capfd: pytest.CaptureFixture[str],
) -> None:
    main = source.pull()
    head = branch(source, "idea", "1\n")
    events.set("issue_comment", issue={"number": 4, "pull_request": {"url": "x"}})
    done = step.run(f"diabetes=:idea@{A}", sha=main)
    assert f"\nSource-Commit: {head}\n" in message(deploy, done["commit"])
    # The default branch, as actions/checkout has it: nobody knows the pull request's commit.
    source.git.run("switch", "--quiet", "--detach", main)
    step.run(f"diabetes=:other@{B}", sha=main, code=2)
    assert "names no commit that the image could be of" in "".join(capfd.readouterr())


@pytest.mark.parametrize("checked_out", ["main", "its own"])
def test_after_another_workflow_its_commit_counts(
    deploy: Work, source: Work, step: Step, events: Events, checked_out: str
) -> None:
    ran = source.pull()
    main = source.commit({"model.py": "2\n"})
    source.git.run("switch", "--quiet", "--detach", main if checked_out == "main" else ran)
    run = {"event": "push", "head_sha": ran, "head_branch": "main", "pull_requests": []}
    events.set("workflow_run", workflow_run=run)
    done = step.run(f"diabetes=:new@{A}", sha=main)
    assert f"\nSource-Commit: {ran}\n" in message(deploy, done["commit"])


@pytest.mark.parametrize("name", ["workflow_dispatch", "repository_dispatch", "schedule"])
def test_by_a_button_or_the_clock_what_is_checked_out_counts(
    deploy: Work, source: Work, step: Step, events: Events, name: str
) -> None:
    old = source.pull()
    main = source.commit({"model.py": "2\n"})
    events.set(name)
    done = step.run(f"diabetes=:new@{A}", sha=main)
    assert f"\nSource-Commit: {main}\n" in message(deploy, done["commit"])
    source.git.run("switch", "--quiet", "--detach", old)
    done = step.run(f"diabetes=:old@{B}", sha=main, trailers="Rollback: true")
    assert f"\nSource-Commit: {old}\n" in message(deploy, done["commit"])


def test_another_repository_s_checkout_says_nothing(
    deploy: Work, source: Work, step: Step, events: Events
) -> None:
    """The deploy repository is often the only one that a job checks out."""
    source.git.run("remote", "set-url", "origin", f"https://github.com/{DEPLOY}")
    events.set("workflow_dispatch")
    done = step.run(f"diabetes=:new@{A}", sha="d" * 40)
    assert f"\nSource-Commit: {'d' * 40}\n" in message(deploy, done["commit"])


class TestByHand:
    """F22: no workflow says where the image comes from; the checkout does."""

    @pytest.mark.parametrize(
        "origin",
        [
            f"https://github.com/{SOURCE}.git",
            f"git@github.com:{SOURCE}.git",
            f"ssh://git@git.example:2222/{SOURCE}",
        ],
    )
    def test_head_and_origin_say_where_it_comes_from(
        self,
        deploy: Work,
        source: Work,
        step: Step,
        origin: str,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        commit = source.pull()
        source.git.run("remote", "set-url", "origin", origin)
        done = step.run(f"diabetes=:new@{A}")
        told = message(deploy, done["commit"])
        assert f"\nSource-Repository: {SOURCE}\nSource-Commit: {commit}\n" in told
        assert "not pushed" not in "".join(capfd.readouterr())

    def test_the_commit_that_a_tag_names_says_more_than_head(
        self, deploy: Work, source: Work, step: Step
    ) -> None:
        built = source.pull()
        head = source.commit({"model.py": "2\n"})
        source.git.run("remote", "set-url", "origin", f"https://github.com/{SOURCE}")
        done = step.run(f"diabetes=:{built}@{A}")
        assert f"\nSource-Commit: {built}\n" in message(deploy, done["commit"])
        done = step.run(f"diabetes=:{'0' * 40}@{B}")  # no commit of this repository
        assert f"\nSource-Commit: {head}\n" in message(deploy, done["commit"])

    def test_a_commit_that_is_not_pushed_is_warned_of(
        self, deploy: Work, source: Work, step: Step, capfd: pytest.CaptureFixture[str]
    ) -> None:
        source.git.run("remote", "set-url", "origin", f"https://github.com/{SOURCE}")
        source.git.run("commit", "--quiet", "--allow-empty", "-m", "mine")
        done = step.run(f"diabetes=:new@{A}")
        assert "Source-Commit: " in message(deploy, done["commit"])
        assert "of this checkout is not pushed" in "".join(capfd.readouterr())

    @pytest.mark.parametrize("where", ["nowhere", "no remote", "the deploy repository"])
    def test_where_nobody_knows_nothing_is_said(
        self,
        deploy: Work,
        source: Work,
        step: Step,
        where: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        if where == "nowhere":
            monkeypatch.chdir(tmp_path)
        elif where == "no remote":
            source.git.run("remote", "remove", "origin")
        else:
            monkeypatch.chdir(deploy.git.directory)
        done = step.run(f"diabetes=:new@{A}")
        assert "Source-" not in message(deploy, done["commit"])

    def test_an_older_image_is_held_back_there_too(
        self, deploy: Work, source: Work, step: Step
    ) -> None:
        old = source.pull()
        source.commit({"model.py": "2\n"})
        source.git.run("remote", "set-url", "origin", f"https://github.com/{SOURCE}")
        step.run(f"diabetes=:new@{A}")
        source.git.run("switch", "--quiet", "--detach", old)
        assert step.run(f"diabetes=:old@{B}")["operation"] == "superseded"
