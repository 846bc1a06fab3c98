"""A Git repository with one commit, and an action as a step in it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from model_gitops.__main__ import main
from model_gitops.adapters import process
from model_gitops.adapters.git import Git
from model_gitops.options import variable

# GTO asks a commit's own date now and then: none is later than the tags that a test writes.
LONG_AGO = {f"GIT_{who}_DATE": "1600000000 +0000" for who in ("AUTHOR", "COMMITTER")}


def made_repository(folder: Path) -> Git:
    """Make a Git repository with one commit."""
    process.run(["git", "init", "--quiet", "--initial-branch=main", folder])
    git = Git(folder)
    git.run("config", "user.name", "Ada")
    git.run("config", "user.email", "ada@example.com")
    commit(git)
    return git


def commit(git: Git) -> str:
    """Commit what there is; return the commit."""
    git.run("add", "--all")
    git.run("commit", "--quiet", "--allow-empty", "-m", "More", env=LONG_AGO)
    return git.run("rev-parse", "HEAD").strip()


def tag(git: Git, name: str, moment: int, where: str = "HEAD") -> None:
    """Write an annotated tag, and say when (Unix seconds)."""
    env = {"GIT_COMMITTER_DATE": f"{moment} +0000"}
    git.run("tag", "--annotate", "-m", "x", name, where, env=env)


def run(action: str, folder: Path, inputs: Mapping[str, str]) -> int:
    """Run an action in this process; return its exit code."""
    given = {variable(name): value for name, value in inputs.items()}
    before, where = dict(os.environ), Path.cwd()
    os.environ.update(given)
    os.chdir(folder)
    try:
        return main([action])
    finally:
        os.chdir(where)
        os.environ.clear()
        os.environ.update(before)
