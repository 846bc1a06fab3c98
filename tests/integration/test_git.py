"""Git's adapter, with real repositories."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from model_gitops.adapters import git, process
from model_gitops.core import retry
from model_gitops.errors import RaceError


@pytest.fixture
def upstream(tmp_path: Path) -> Path:
    folder = tmp_path / "upstream"
    process.run(["git", "init", "--quiet", "-b", "main", folder])
    repository = git.Git(folder)
    for number in range(5):
        repository.run("commit", "--quiet", "--allow-empty", "-m", str(number), env=_who())
        repository.run("tag", "-a", "-m", "one", f"model@v0.0.{number}", env=_who())
    return folder


@pytest.mark.parametrize("depth", [1, 3])
def test_refreshing_tags_keeps_the_history_that_there_is(
    upstream: Path, tmp_path: Path, depth: int
) -> None:
    checkout = tmp_path / "checkout"
    process.run(
        ["git", "clone", "--quiet", "--no-tags", f"--depth={depth}", upstream.as_uri(), checkout]
    )
    repository = git.Git(checkout)

    repository.refresh_tags()

    assert len(repository.tags()) == 5
    assert int(repository.run("rev-list", "--count", "HEAD")) >= depth
    assert depth > 1 or repository.is_shallow()


@pytest.mark.parametrize("depth", [[], ["--depth=1"]])
def test_a_branch_that_only_the_remote_has_is_found(
    upstream: Path, tmp_path: Path, depth: list[str]
) -> None:
    git.Git(upstream).run("branch", "staging", "HEAD~2")
    wanted = git.Git(upstream).commit_of("staging")
    checkout = tmp_path / "checkout"
    process.run(["git", "clone", "--quiet", *depth, upstream.as_uri(), checkout])
    repository = git.Git(checkout)

    assert repository.find_commit("staging") == wanted
    assert repository.find_commit("nowhere") is None
    assert repository.find_commit("--upload-pack=touch pwned") is None


def test_a_server_that_is_not_there_is_no_missing_revision(
    upstream: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[int] = []
    monkeypatch.setattr(retry, "pause", lambda attempt, jitter: pauses.append(attempt) or 0.0)
    process.run(["git", "clone", "--quiet", upstream.as_uri(), tmp_path / "checkout"])
    repository = git.Git(tmp_path / "checkout")
    # Nobody listens at port 1.
    repository.run("remote", "set-url", "origin", "http://127.0.0.1:1/x.git")
    with pytest.raises(process.ProcessError, match=r"127\.0\.0\.1 port 1"):
        repository.find_commit("staging")
    assert len(pauses) == retry.ATTEMPTS - 1


def test_only_git_s_own_old_locks_are_removed(upstream: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    git.Git(upstream).run("worktree", "add", "--quiet", "--detach", str(work))
    (upstream / "link.lock").symlink_to(upstream / ".git/HEAD")
    own = [upstream / ".git/refs/x.lock", upstream / ".git/worktrees/work/index.lock"]
    others = [upstream / "dvc.lock", work / "dvc.lock", tmp_path / "x.lock"]
    for file in (*own, *others):
        file.touch()
        os.utime(file, (time.time() - 600,) * 2)
    for file in (*own, *others, Path(".git/../dvc.lock"), Path("link.lock")):
        for place in (upstream, work):
            told = f"fatal: Unable to create '{file}': File exists."
            git.Git(place)._remove_stale_lock(told)
    assert [file for file in own if file.exists()] == []
    assert [file for file in others if not file.exists()] == []
    assert (upstream / ".git/HEAD").exists()


def test_a_lost_race_is_told_by_the_line_that_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "RACE_SECONDS", 0.0)
    monkeypatch.setattr(retry, "pause", lambda attempt, jitter: 0.0)

    def lose() -> None:
        raise git.LostRace("To x\n!\ta:a\t[rejected] (fetch first)\nDone\n")

    with pytest.raises(RaceError, match=r"git said: !\sa:a\s\[rejected\] \(fetch first\)"):
        git.until_won(lose, "a push")


def _who() -> dict[str, str]:
    return {
        f"GIT_{role}_{part}": "tester@example.org"
        for role in ("AUTHOR", "COMMITTER")
        for part in ("NAME", "EMAIL")
    }
