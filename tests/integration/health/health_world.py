"""A model's repository with workflows and runs, and a deploy repository with a history."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import started

from model_gitops.adapters import process
from model_gitops.adapters.git import Git
from model_gitops.options import variable
from model_gitops_local.forge import Forge

SCRIPTS = Path(__file__).parents[3] / "scripts"
MODEL, DEPLOY, BOT = "acme/diabetes", "acme/deploy", "bot-secret"
NOW = datetime.now(UTC).replace(microsecond=0)
WORKFLOWS = {
    "audit.yml": "name: audit\non: {schedule: [{cron: '23 4 * * *'}]}\njobs: {a: {steps: []}}\n",
    "deploy.yml": "name: deploy\non: {push: {branches: [main, production]}}\njobs: {a: {steps: []}}\n",
    "called.yml": "on: workflow_call\njobs: {a: {steps: []}}\n",
}
PROMOTION = {
    "model": "diabetes",
    "image": "r.example/diabetes",
    "deploy": {"repository": DEPLOY},
    "environments": [
        {"name": "dev", "branch": "main"},
        {"name": "production", "branch": "production", "deploy": "pull-request"},
    ],
}


def moment(hours: float) -> datetime:
    return NOW - timedelta(hours=hours)


def text(hours: float) -> str:
    return moment(hours).strftime("%Y-%m-%dT%H:%M:%SZ")


def digest(letter: str) -> str:
    return "sha256:" + letter * 64


def at(hours: float) -> dict[str, str]:
    """The variables by which a commit is made so many hours ago."""
    date = f"{int(moment(hours).timestamp())} +0000"
    return {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}


def repository(folder: Path) -> tuple[Path, Git]:
    bare, work = folder.with_suffix(".git"), folder
    process.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", bare])
    process.run(["git", "init", "--quiet", "--initial-branch=main", work])
    git = Git(work)
    git.run("remote", "add", "origin", str(bare))
    git.run("config", "user.name", "Ada")
    git.run("config", "user.email", "ada@example.com")
    return bare, git


@dataclass
class Told:
    code: int
    answer: Any
    log: str
    summary: str
    picture: str
    outputs: str


class World:
    """Both repositories, on a server of either kind."""

    def __init__(self, top: Path, forge: Forge) -> None:
        self.top, self.forge = top, forge
        bare, self.work = repository(top / "model")
        deploy_bare, self.deploy = repository(top / "deploy")
        forge.add_repository(MODEL, bare)
        forge.add_repository(DEPLOY, deploy_bare)
        files = {f".github/workflows/{name}": one for name, one in WORKFLOWS.items()}
        self.commit(files | {"promotion.yaml": json.dumps(PROMOTION)}, 400)
        self.work.run("push", "--quiet", "origin", "main", "main:production")
        for name in WORKFLOWS:
            forge.add_workflow(MODEL, name, created=text(5000))
        for name in ("dev", "production"):
            self.overlay(name, "", 390, "Start")

    def commit(self, files: dict[str, str], hours: float, message: str = "change") -> str:
        for name, content in files.items():
            file = self.work.directory / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content, encoding="utf-8")
        self.work.run("add", "--all")
        self.work.run("commit", "--quiet", "-m", message, env=at(hours))
        self.work.run("push", "--quiet", "origin", "HEAD:main")
        return self.work.run("rev-parse", "HEAD").strip()

    def overlay(self, name: str, letter: str, hours: float, message: str, branch: str = "") -> None:
        """Commit an overlay to the deploy repository's main, or to `branch` of it."""
        if branch:
            self.deploy.run("checkout", "--quiet", "-B", branch, "main")
        file = self.deploy.directory / "overlays" / name / "kustomization.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        pinned = (
            f"  newTag: {letter}\n  digest: {digest(letter)}\n" if letter else "  newTag: none\n"
        )
        file.write_text(f"images:\n- name: diabetes\n  newName: r.example/diabetes\n{pinned}")
        self.deploy.run("add", "--all")
        self.deploy.run("commit", "--quiet", "-m", message, env=at(hours))
        if branch:
            self.deploy.run("checkout", "--quiet", "main")
        self.deploy.run("push", "--quiet", "origin", "main")

    def deployed(
        self, name: str, letter: str, hours: float, source: str, more: str = "", branch: str = ""
    ) -> None:
        """Deploy as our own action does it."""
        message = (
            f"Deploy\n\nModel: diabetes@v0.0.{ord(letter) - 96}\nImage-Digest: {digest(letter)}\n"
            f"Source-Repository: {MODEL}\nSource-Commit: {source}\n{more}"
        )
        self.overlay(name, letter, hours, message, branch)

    def merge(self, branch: str, hours: float) -> None:
        """Merge a branch of the deploy repository, as a server does it."""
        self.deploy.run(
            "merge", "--quiet", "--no-ff", "-m", f"Merge {branch}", branch, env=at(hours)
        )
        self.deploy.run("push", "--quiet", "origin", "main")

    def ran(self, file: str, hours: float, conclusion: str = "success", **more: Any) -> int:
        """Let a workflow have run so many hours ago."""
        given = {"event": "schedule", "branch": "main", "waited": 30, "took": 120} | more
        stem = file.rpartition(".")[0]
        return self.forge.add_workflow_run(
            MODEL, stem, created=text(hours), conclusion=conclusion, **given
        )

    def well(self) -> None:
        """Let all be as it should be."""
        for hours in (5, 29, 53):
            self.ran("audit.yml", hours)
        self.ran("deploy.yml", 100, event="push")

    def run(self, **inputs: str) -> Told:
        """Run the action in the checkout, as a scheduled workflow does it."""
        temp = self.top / "temp"
        temp.mkdir(exist_ok=True)
        event = self.forge.event("schedule", MODEL)
        (temp / "event.json").write_text(json.dumps(event), "utf-8")
        for name in ("out", "summary"):
            (temp / name).write_text("", "utf-8")
        given = {"source_token": BOT, "token": BOT, "json": "true", **inputs}
        env = {
            **{variable(key.replace("_", "-")): value for key, value in given.items()},
            "GITHUB_API_URL": self.forge.api_url,
            "GITHUB_SERVER_URL": self.forge.url,
            "GITHUB_REPOSITORY": MODEL,
            "GITHUB_EVENT_NAME": "schedule",
            "GITHUB_EVENT_PATH": str(temp / "event.json"),
            "GITHUB_REF": "refs/heads/main",
            "GITHUB_RUN_ID": "7",
            "GITHUB_ACTIONS": "true",
            "GITHUB_STEP_SUMMARY": str(temp / "summary"),
            "GITHUB_OUTPUT": str(temp / "out"),
            "RUNNER_TEMP": str(temp),
        }
        done = started.run("pipeline-health", cwd=self.work.directory, env=env)
        outputs = (temp / "out").read_text("utf-8")
        picture = temp / "model-gitops-reports" / "pipeline-health.svg"
        return Told(
            done.returncode,
            _block(outputs, "json"),
            done.stdout + done.stderr,
            (temp / "summary").read_text("utf-8"),
            picture.read_text("utf-8") if picture.exists() else "",
            outputs,
        )


def _block(outputs: str, name: str) -> Any:
    start = outputs.find(f"{name}<<")
    if start < 0:
        return None
    head, _, rest = outputs[start:].partition("\n")
    return json.loads(rest.partition(head.partition("<<")[2])[0])
