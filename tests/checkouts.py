"""Clones of a forge's repositories, as a person's machine has them, for the worlds of the tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from moments import next_moment

from model_gitops.adapters import process
from model_gitops.adapters.git import Git
from model_gitops.adapters.git_credentials import token_credentials


def clone(folder: Path, url: str, server: str, token: str) -> Git:
    """Make an empty checkout whose `origin` is `url`; its git sends `token` to `server` alone."""
    process.run(["git", "init", "--quiet", "--initial-branch=main", folder])
    git = Git(folder)
    git.run("remote", "add", "origin", url)
    header = token_credentials(url, token).settings[1][1]
    git.run("config", f"http.{server}/.extraheader", header)
    git.run("config", "user.name", "Ada")
    git.run("config", "user.email", "ada@example.com")
    return git


def pushed(git: Git, files: Mapping[str, str], branch: str, message: str) -> str:
    """Commit the files and push `branch` to that commit, whatever it was; return the commit."""
    for name, text in files.items():
        file = git.directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    git.run("add", "--all")
    git.run("commit", "--quiet", "--allow-empty", "-m", message, env=next_moment())
    git.run("push", "--quiet", "--force", "origin", f"HEAD:refs/heads/{branch}")
    return git.run("rev-parse", "HEAD").strip()
