"""The release line's tag: it follows the newest release of main, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from model_gitops.adapters.git import Git

SCRIPT = Path(__file__).parents[2] / ".github/scripts/move_release_line.py"


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Git:
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "ada@example.com")
    top = Git(tmp_path)
    top.run("init", "--quiet", "--bare", "--initial-branch=main", "origin.git")
    top.run("clone", "--quiet", "origin.git", "work")
    git = Git(tmp_path / "work")
    release(git, "v0.1.0", "main")
    return git


def release(git: Git, tag: str, branch: str) -> str:
    git.run("checkout", "--quiet", "-B", branch)
    git.run("commit", "--quiet", "--allow-empty", "--message", tag)
    git.run("tag", "--annotate", "--message", tag, tag)
    git.run("push", "--quiet", "origin", branch, tag)
    return git.run("rev-parse", "HEAD").strip()


def move(git: Git, tag: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", SCRIPT, tag],
        cwd=git.directory,
        check=False,
        capture_output=True,
        text=True,
    )


def line(git: Git) -> str:
    return git.run("ls-remote", "origin", "refs/tags/v0").partition("\t")[0]


def test_the_line_follows_the_newest_release(work: Git) -> None:
    assert move(work, "v0.1.0").returncode == 0
    first = line(work)
    assert first
    newest = release(work, "v0.10.0", "main")
    assert move(work, "v0.10.0").returncode == 0
    assert line(work) == newest
    # A run of an older release that comes late, and a second run, change nothing.
    late = move(work, "v0.1.0")
    assert (late.returncode, line(work)) == (0, newest)
    assert "v0.10.0 is newer" in late.stdout
    assert move(work, "v0.10.0").returncode == 0
    assert line(work) == newest


def test_what_is_no_release_of_main_is_refused(work: Git) -> None:
    release(work, "v0.2.0", "side")
    for tag, told in (
        ("v0.2.0", "not a commit of main"),
        ("v0.9.0", "rev-parse"),
        ("--force", "no release"),
        ("v0", "no release"),
        ("v0.1.0\nx", "no release"),
    ):
        done = move(work, tag)
        assert done.returncode == 1
        assert told in done.stderr
    assert line(work) == ""
