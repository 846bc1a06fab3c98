"""A DVC project with a remote in a folder: made by DVC itself, read by our own code."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import started
from moments import next_moment

from model_gitops.adapters import git_tree, process, project_files
from model_gitops.adapters.git import Git
from model_gitops.core.dvc import artifacts, pipeline
from model_gitops.options import variable


@dataclass
class Ran:
    """One run of an action: exit code, what it printed, and its outputs."""

    code: int
    said: str
    outputs: dict[str, str]


class Project:
    """The checkout, its remote beside it, and a cache of its own."""

    def __init__(self, base: Path, name: str = "work") -> None:
        self.base, self.top, self.git = base, base / name, Git(base / name)
        self.env = {"DVC_SITE_CACHE_DIR": str(base / "site"), "DVC_NO_ANALYTICS": "1"}

    @classmethod
    def start(cls, base: Path) -> Project:
        process.run(["git", "init", "--quiet", "--initial-branch=main", base / "work"])
        made = cls(base)
        made.git.run("config", "user.name", "Ada")
        made.git.run("config", "user.email", "ada@example.org")
        made.dvc("init")
        made.dvc("remote", "add", "--default", "store", str(base / "store"))
        return made

    def write(self, files: Mapping[str, str | bytes]) -> None:
        for name, content in files.items():
            file = self.top / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content if isinstance(content, bytes) else content.encode())

    def dvc(self, *words: str, check: bool = True, cwd: str = ".") -> process.Completed:
        program = Path(sys.executable).with_name("dvc")
        return process.run([program, *words], cwd=self.top / cwd, env=self.env, check=check)

    def commit(self, message: str = "Change") -> str:
        self.git.run("add", "--all")
        self.git.run("commit", "--quiet", "--message", message, env=next_moment())
        return self.git.run("rev-parse", "HEAD").strip()

    def clone(self, name: str = "clone") -> Project:
        """A checkout of somebody else: no cache, no file that DVC tracks."""
        process.run(["git", "clone", "--quiet", self.top, self.base / name])
        return Project(self.base, name)

    def recipe(self, model: str, commit: str = "HEAD") -> pipeline.Recipe:
        files, tree = project_files.at(self.git, commit), git_tree.Tree(self.git, commit)
        return pipeline.read(artifacts.find(model, files), files, tree.content, tree.attributes)

    def run(self, action: str, *, cwd: str = ".", **inputs: str) -> Ran:
        output = self.base / "output"
        output.unlink(missing_ok=True)
        given = {variable(name.replace("_", "-")): value for name, value in inputs.items()}
        env = {**self.env, **given, "GITHUB_OUTPUT": str(output), "PATH": os.environ["PATH"]}
        done = started.run(action, cwd=self.top / cwd, env=env)
        text = output.read_text() if output.exists() else ""
        found = re.findall(r"^([a-z0-9-]+)<<(\S+)\n(.*?)\n\2$", text, re.MULTILINE | re.DOTALL)
        return Ran(
            done.returncode, done.stdout + done.stderr, {name: value for name, _, value in found}
        )
