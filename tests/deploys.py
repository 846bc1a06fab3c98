"""A deploy repository in a folder: our own action deploys to it, and people commit to it by hand."""

from __future__ import annotations

import json
import os
from pathlib import Path

import started
from moments import next_moment

from model_gitops.adapters import process
from model_gitops.adapters.git import Git
from model_gitops.options import variable

ENVIRONMENTS = ("dev", "staging")
MODEL = "diabetes"


class Deploys:
    """A bare repository with an overlay for each environment, which sets no image yet."""

    def __init__(self, folder: Path, image: str) -> None:
        self.bare, self.image = folder / "deploy.git", image
        process.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", self.bare])
        process.run(["git", "init", "--quiet", "--initial-branch=main", folder / "clone"])
        self.clone = Git(folder / "clone")
        self.clone.run("remote", "add", "origin", self.bare.as_uri())
        self.clone.run("config", "user.name", "Ada")
        self.clone.run("config", "user.email", "ada@example.com")
        self.commit({one: overlay(image) for one in ENVIRONMENTS}, "Start")

    @property
    def promotion(self) -> str:
        """The text of a promotion.yaml whose overlays are here."""
        return json.dumps(
            {
                "model": MODEL,
                "image": self.image,
                "deploy": {"repository": str(self.bare)},
                "environments": [{"name": one, "branch": one} for one in ENVIRONMENTS],
            }
        )

    def commit(self, overlays: dict[str, str], message: str, branch: str = "main") -> str:
        """Commit overlays by hand, environment → text, on what is checked out; return the commit."""
        for name, text in overlays.items():
            file = self.clone.directory / "overlays" / name / "kustomization.yaml"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        self.clone.run("add", "--all")
        self.clone.run("commit", "--quiet", "--allow-empty", "-m", message, env=next_moment())
        self.clone.run("push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")
        return self.clone.run("rev-parse", "HEAD").strip()

    def pull(self) -> None:
        """Check out what main has now."""
        self.clone.run("fetch", "--quiet", "origin")
        self.clone.run("checkout", "--quiet", "--detach", "origin/main")

    def deploy(self, image: str, fingerprint: str, environment: str = "dev") -> None:
        """What deploy.yml does: set `image`, a name:tag@digest, with the trailers of a deployment."""
        inputs = {
            "repository": str(self.bare),
            "path": f"overlays/{environment}",
            "images": f"{MODEL}={image}",
            "trailers": f"Model: {MODEL}@v0.0.1\nImage-Fingerprint: {fingerprint}",
        }
        env = {name: "" for name in os.environ if name.startswith("GITHUB_")}
        env |= {variable(name): value for name, value in inputs.items()}
        done = started.run("bump-kustomize-tag", cwd=self.clone.directory, env=env)
        assert done.returncode == 0, done.stderr


def overlay(name: str, tag: str = "not-deployed-yet", digest: str = "", entry: str = MODEL) -> str:
    """Return an overlay that sets one image."""
    lines = ["images:", f"- name: {entry}", f"  newName: {name}", f"  newTag: {tag}"]
    return "\n".join([*lines, *([f"  digest: {digest}"] if digest else []), ""])


def message(fingerprint: str, *digests: str) -> str:
    """Return the message of a deploy commit that somebody writes by hand."""
    said = [f"Image-Digest: {digest}" for digest in digests]
    return "\n".join(["Deploy", "", f"Image-Fingerprint: {fingerprint}", *said])
