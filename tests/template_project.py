"""The model template as its team has it: copied, put under Git, with its environment and a DVC remote."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

TEMPLATE = Path(__file__).resolve().parents[1] / "templates" / "model"


class Project:
    """A copy of the template under Git, with a local DVC remote."""

    def __init__(self, folder: Path, remote: Path) -> None:
        self.folder = folder
        shutil.copytree(
            TEMPLATE, folder, ignore=shutil.ignore_patterns(".venv", "__pycache__", ".ruff_cache")
        )
        self.environment = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("GIT_", "VIRTUAL_ENV", "PYTHON"))
        } | {
            # As `source .venv/bin/activate` does it, for commands typed by hand.
            "PATH": f"{folder / '.venv/bin'}{os.pathsep}{os.environ['PATH']}",
            "GIT_AUTHOR_NAME": "A",
            "GIT_AUTHOR_EMAIL": "a@example.org",
            "GIT_COMMITTER_NAME": "A",
            "GIT_COMMITTER_EMAIL": "a@example.org",
        }
        self.run("git", "init", "--quiet", "--initial-branch=main")
        self.make("env")
        self.run("dvc", "remote", "add", "--default", "storage", str(remote))
        self.commit("Start")

    def run(self, *args: str, check: bool = True) -> str:
        done = subprocess.run(
            args,
            check=False,
            cwd=self.folder,
            env=self.environment,
            text=True,
            capture_output=True,
        )
        assert not check or done.returncode == 0, f"{args}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def clone(self, name: str) -> Project:
        """A clone as a job has it: the remote's data, no cache. It shares the environment."""
        made = copy.copy(self)
        made.folder = self.folder.parent / name
        made.environment = self.environment | {
            "PATH": self.environment["PATH"].replace(str(self.folder), str(made.folder))
        }
        self.run("git", "clone", "--quiet", str(self.folder), str(made.folder))
        (made.folder / ".venv").symlink_to(self.folder / ".venv")
        (made.folder / ".git" / "info" / "exclude").write_text(".venv\n")
        (self.folder / ".venv" / ".ready").touch()
        return made

    def make(self, *targets: str) -> str:
        return self.run("make", *targets)

    def commit(self, message: str) -> None:
        self.run("git", "add", ".")
        self.run("git", "commit", "--quiet", "--message", message)

    def changed(self) -> list[str]:
        return self.run("git", "status", "--porcelain", "--untracked-files=all").split("\n")[:-1]

    def train(self, **params: float) -> dict[str, float]:
        """Edit params.yaml alone and reproduce; the metrics."""
        path = self.folder / "params.yaml"
        text = path.read_text()
        for name, value in params.items():
            text, count = re.subn(rf"(?m)^(  {name}:) \S+", rf"\1 {value}", text)
            assert count == 1
        path.write_text(text)
        self.make("reproduce")
        metrics: dict[str, float] = json.loads((self.folder / "eval/metrics.json").read_text())
        return metrics

    def model_hash(self) -> str:
        return hashlib.md5((self.folder / "models/diabetes.onnx").read_bytes()).hexdigest()
