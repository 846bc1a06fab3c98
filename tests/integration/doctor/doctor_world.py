"""A set-up in which all is in order, and `doctor` asked in it: in this process, as a person starts it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from public_projects import dvc
from world import DEPLOY, ENVIRONMENTS, MODEL, READER, TOKEN, World

from model_gitops.__main__ import main
from model_gitops.adapters import process
from model_gitops.adapters.git import Git
from model_gitops.options import variable

TEMPLATES = Path(__file__).parents[3] / "templates"
IMAGE = "ghcr.io/acme/diabetes"
# What this machine, and no token, can't tell.
MACHINE = {"buildx", "base-image"}
SERVER = {
    "token", "branch-protection", "tag-rule", "merge-methods", "environments", "reviewers", "secrets",
    "secrets-scope", "actions-permissions", "deploy-branch-protection",
}  # fmt: skip
PIPELINE = """stages:
  train:
    cmd: mkdir -p models eval && cp data/train.csv models/diabetes.onnx && echo '{"r2":0.5}' >eval/metrics.json
    deps: [data/train.csv]
    outs: [models/diabetes.onnx]
    metrics:
      - eval/metrics.json: {cache: false}
artifacts:
  diabetes: {path: models/diabetes.onnx, type: model}
"""


@dataclass
class Place:
    """A clone of the model repository, and one of the deploy repository beside it."""

    model: Path
    deploy: Path

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace a text in a file of the one that has it."""
        path = next(one for one in (self.model / file, self.deploy / file) if one.exists())
        text = path.read_text("utf-8")
        assert old in text, (file, old)
        path.write_text(text.replace(old, new), "utf-8")

    def commit(self) -> None:
        for folder in (self.model, self.deploy):
            git = Git(folder)
            git.run("add", "--all")
            git.run("commit", "--quiet", "--allow-empty", "-m", "Change")

    def sh(self, line: str, folder: Path | None = None) -> None:
        env = {"PATH": os.environ["PATH"], "DVC_NO_ANALYTICS": "1"}
        process.run(["bash", "-euc", line], cwd=folder or self.model, env=env)

    def doctor(
        self, *words: str, deploy: bool = True, **env: str
    ) -> tuple[int, list[dict[str, Any]]]:
        """Start `doctor --json`; return its exit code and the findings."""
        given = ["--deploy", str(self.deploy)] if deploy else []
        code, out = told(self.model, ["doctor", "--json", *given, *words], env)
        return code, json.loads(out)

    def marks(self, *words: str, **more: Any) -> dict[str, bool | None]:
        return {one["check"]: one["ok"] for one in self.doctor(*words, **more)[1]}

    def mend(self, fix: str) -> None:
        """Do what a fix says, to the letter."""
        if fix.startswith("add to "):
            first, *rest = fix.splitlines()
            file = self._file(first.removeprefix("add to ").removesuffix(":"))
            file.write_text(file.read_text("utf-8") + "\n".join(rest) + "\n", "utf-8")
            return
        for line in fix.splitlines():
            if line.startswith("in the deploy repository: "):
                self.sh(line.partition(": ")[2], self.deploy)
            elif found := re.fullmatch(r"in (?:the )?([^ ,:]+)(.*?): ([\w-]+: .+|- .+)", line):
                file, where, entry = found.groups()
                job = re.search(r", job (\w+)", where)
                keys = re.search(r", under ([\w.-]+)", where)
                self._set(self._file(file), job and job[1], keys[1] if keys else "", entry)
            else:
                self.sh(line)

    def _file(self, name: str) -> Path:
        return next(one for one in (self.model / name, self.deploy / name) if one.exists())

    @staticmethod
    def _set(file: Path, job: str | None, keys: str, entry: str) -> None:
        """Set an entry below keys: in the place of what is there under its key, else as a new line."""
        text, key = file.read_text("utf-8"), entry.partition(":")[0]
        start = text.index(f"\n  {job}:\n") + len(f"\n  {job}:\n") if job else 0
        for one in filter(None, keys.split(".")):
            found = re.compile(rf"(?m)^ *{one}:.*\n").search(text, start)
            assert found, (file, one)
            start = found.end()
        old = re.compile(rf"(?m)(?<![\w-]){key}: (?:\[.*?\]|[^,}}\n]+)").search(text, start)
        if entry.startswith("- ") or job or not old:
            space = re.match(r" *", text[start:])
            new = f"{text[:start]}{space[0] if space else ''}{entry}\n{text[start:]}"
        else:
            new = text[: old.start()] + entry + text[old.end() :]
        file.write_text(new, "utf-8")


def told(folder: Path, words: list[str], env: Mapping[str, str]) -> tuple[int, str]:
    """Start a command in a folder; return its exit code and its standard output."""
    before, output = dict(os.environ), io.StringIO()
    kept = {
        key: one for key, one in before.items() if not key.startswith(("GITHUB_", "MODEL_GITOPS_"))
    }
    os.environ.clear()
    os.environ.update({**kept, **env})
    try:
        with contextlib.chdir(folder), contextlib.redirect_stdout(output):
            code = main(words)
    finally:
        os.environ.clear()
        os.environ.update(before)
    return code, output.getvalue()


def set_up(world: World) -> None:
    """Put the templates into both repositories, train a model, push it, and deploy it to dev."""
    deploy = world.clone(DEPLOY, "deploy")
    shutil.copytree(TEMPLATES / "deploy", deploy.directory, dirs_exist_ok=True)
    address = f"{world.forge.url}/{DEPLOY}.git"
    for file in (deploy.directory / "argocd").rglob("*.yaml"):
        text = file.read_text("utf-8")
        file.write_text(
            text.replace("https://github.com/acme/diabetes-deploy.git", address), "utf-8"
        )
    world.commit(deploy, {}, "main")
    work = world.clone(MODEL, "work")
    for name in ("promotion.yaml", "Dockerfile", ".github", "tests/smoke.yaml", ".dvcignore"):
        source, target = TEMPLATES / "model" / name, work.directory / name
        target.parent.mkdir(exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    rules = work.directory / "promotion.yaml"
    rules.write_text(rules.read_text("utf-8").replace("acme/diabetes-deploy", DEPLOY), "utf-8")
    dvc(work.directory, "init")
    dvc(work.directory, "remote", "add", "--default", "storage", str(world.top / "storage"))
    (work.directory / "data").mkdir()
    (work.directory / "data/train.csv").write_text("1\n", "utf-8")
    (work.directory / "dvc.yaml").write_text(PIPELINE, "utf-8")
    dvc(work.directory, "add", "data/train.csv")
    dvc(work.directory, "repro")
    dvc(work.directory, "push")
    commit = world.commit(work, {}, "main")
    for branch in ("staging", "production"):
        work.run("push", "--quiet", "origin", f"{commit}:refs/heads/{branch}")
    told = world.run(
        "bump-kustomize-tag", repository=DEPLOY, path="overlays/dev", token=TOKEN,
        images=f"diabetes={IMAGE}:{commit}@sha256:{'a' * 64}",
        trailers=f"Model: diabetes@v0.0.1\nSource-Repository: {MODEL}\nSource-Commit: {commit}",
    )  # fmt: skip
    assert told.code == 0, told.log
    deploy.run("pull", "--quiet", "origin", "main")


__all__ = ["ENVIRONMENTS", "MACHINE", "READER", "SERVER", "Place", "set_up", "told", "variable"]
