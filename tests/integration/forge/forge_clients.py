"""Real clients of the stand-in for GitHub: PyGithub, git, and plain HTTP."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import github
from moments import next_moment

from model_gitops.adapters import git_settings, process
from model_gitops.adapters.git import Git
from model_gitops.adapters.git_credentials import token_credentials
from model_gitops_local.forge import Forge

BOT, USER, READER, OTHER = "bot-secret", "user-secret", "reader-secret", "other-secret"
SECRETS = {BOT, USER, READER, OTHER}
NAME = "acme/diabetes"
IDENTITY = {
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.com",
}


class Work:
    """A clone that commits and pushes straight to the bare repository."""

    def __init__(self, bare: Path, folder: Path) -> None:
        self.bare = bare
        self.folder = folder
        process.run(["git", "clone", "--quiet", bare, folder])
        self.git = Git(folder)

    def commit(self, branch: str, files: dict[str, str], message: str = "change") -> str:
        """Commit on a branch, made from where the clone stands if new, and push."""
        if self.git.completed("switch", "--quiet", branch, check=False).returncode:
            self.git.run("switch", "--quiet", "-c", branch)
        for name, text in files.items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_text(text, encoding="utf-8")
        self.git.run("add", "--all")
        self.git.run(
            "commit", "--quiet", "--allow-empty", "-m", message, env=IDENTITY | next_moment()
        )
        self.git.run("push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")
        return self.git.run("rev-parse", "HEAD").strip()


def client(forge: Forge, secret: str = BOT) -> github.Github:
    return github.Github(
        base_url=forge.api_url,
        auth=github.Auth.Token(secret),
        retry=None,
        seconds_between_requests=None,
        seconds_between_writes=None,
    )


def repo(forge: Forge, secret: str = BOT) -> Any:
    return client(forge, secret).get_repo(NAME)


def ask(
    forge: Forge, method: str, path: str, body: Any = None, secret: str | None = BOT
) -> tuple[int, Any, Any]:
    """Return status, JSON and headers of one request to the API."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(forge.api_url + path, data, method=method)
    if secret:
        request.add_header("Authorization", f"Bearer {secret}")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
            return answer.status, json.loads(text) if text else None, answer.headers
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read()), error.headers


def open_pull(forge: Forge, head: str = "lr", base: str = "main", secret: str = BOT) -> Any:
    return repo(forge, secret).create_pull(base=base, head=head, title="Better", body="See below")


def git(forge: Forge, secret: str, *args: str, cwd: Path) -> process.Completed:
    env = {**git_settings.environment(token_credentials(forge.url, secret).settings), **IDENTITY}
    return process.run(["git", *args], cwd=cwd, env=env, check=False)
