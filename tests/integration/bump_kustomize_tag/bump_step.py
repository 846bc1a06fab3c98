"""The action as a step, and the repositories that it works on."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from github import Auth, Github
from github.Repository import Repository
from moments import next_moment

from model_gitops.__main__ import main
from model_gitops.adapters import process
from model_gitops.adapters.git import Git
from model_gitops.options import variable
from model_gitops_local.forge import Forge

A, B, C = (f"sha256:{letter * 64}" for letter in "abc")
BOT, READER, CANARY = "bot-secret-token", "reader-secret-token", "canary-secret-token"
SOURCE = "acme/diabetes"
DEPLOY = "acme/diabetes-deploy"
OVERLAY = "overlays/dev"
KUSTOMIZATION = """\
# The team's overlay.
resources:
  - ../../base

images:
  # Set by CI.
  - name: diabetes
    newName: ghcr.io/acme/diabetes   # the registry
    newTag: v1
  - name: sidecar
    newTag: "1.10"
namePrefix: dev-
"""
POD = """\
apiVersion: v1
kind: Pod
metadata: {name: pod}
spec:
  containers:
    - {name: model, image: diabetes}
    - {name: side, image: sidecar}
"""
PROPOSE = {"repository": DEPLOY, "mode": "pull-request", "token": BOT}


@dataclass
class Work:
    """A clone that a person works in."""

    git: Git
    remote: Path

    def commit(self, files: dict[str, str], message: str = "change") -> str:
        for name, text in files.items():
            path = self.git.directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
        self.git.run("add", "--all")
        self.git.run("commit", "--quiet", "--allow-empty", "-m", message, env=next_moment())
        self.git.run("push", "--quiet", "origin", "HEAD")
        return self.git.run("rev-parse", "HEAD").strip()

    def pull(self) -> str:
        self.git.run("pull", "--quiet", "--ff-only")
        return self.git.run("rev-parse", "HEAD").strip()

    def text(self, name: str = f"{OVERLAY}/kustomization.yaml") -> str:
        return (self.git.directory / name).read_bytes().decode()

    def state(self) -> str:
        """Every ref of the remote: what must not change on an error."""
        return Git(self.remote).run("for-each-ref")


def repository(folder: Path, name: str) -> Work:
    bare = folder / f"{name}.git"
    process.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", bare])
    process.run(["git", "clone", "--quiet", bare, folder / name])
    git = Git(folder / name)
    git.run("config", "user.name", "Ada")
    git.run("config", "user.email", "ada@example.com")
    git.run("config", "core.autocrlf", "false")
    git.run("switch", "--quiet", "--orphan", "main")
    return Work(git, bare)


def as_person(forge: Forge) -> Repository:
    """The deploy repository for PyGithub: to merge and close, which our actions never do."""
    return Github(base_url=forge.api_url, auth=Auth.Token(BOT)).get_repo(DEPLOY)


class Step:
    """Runs the action as a runner does, and reads its outputs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, deploy: Work) -> None:
        self.monkeypatch = monkeypatch
        self.deploy = deploy
        self.output = Path(os.environ["GITHUB_OUTPUT"])

    def run(self, images: str, *, sha: str = "", code: int = 0, **inputs: str) -> dict[str, str]:
        self.output.write_text("")
        values = {"repository": str(self.deploy.remote), "path": OVERLAY, "images": images}
        values |= {name.replace("_", "-"): value for name, value in inputs.items()}
        with self.monkeypatch.context() as patch:
            patch.setenv("GITHUB_REPOSITORY", SOURCE if sha else "")
            patch.setenv("GITHUB_SHA", sha)
            for name, value in values.items():
                patch.setenv(variable(name), value)
            assert main(["bump-kustomize-tag"]) == code
        return dict(
            re.findall(r"^(.+)<<(?:.+)\n((?:.|\n)*?)\nend-", self.output.read_text(), re.MULTILINE)
        )
