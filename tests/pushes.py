"""push-model as a step runs it, for tests: the program with its inputs, and what it puts out."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from model_gitops.core.dvc.hashes import manifest_hash
from model_gitops.options import variable
from model_gitops_local import toolchain

SCRIPTS = Path(__file__).parents[1] / "scripts"


def tool(name: str, *words: str | Path) -> bytes:
    """Return what a real tool answers."""
    done = subprocess.run([toolchain.ensure(name), *words], check=True, capture_output=True)
    return done.stdout


def hash_of(model: Path) -> str:
    """Return DVC's hash of a file or folder."""

    def md5(file: Path) -> str:
        return hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()

    if model.is_file():
        return md5(model)
    files = (one for one in model.rglob("*") if one.is_file())
    return manifest_hash({one.relative_to(model).as_posix(): md5(one) for one in files})


@dataclass
class Told:
    """A run of the action."""

    code: int
    outputs: dict[str, str]
    log: str


@dataclass
class Pusher:
    """Pushes what is in `folder` to `artifact`; `env` is added to the step's environment."""

    folder: Path
    artifact: str
    env: dict[str, str] = field(default_factory=dict)

    def start(self, model: Path, outputs: Path, **inputs: str) -> subprocess.Popen[str]:
        """Start the action for a model; underscores of `inputs` are hyphens."""
        given = {
            "artifact": self.artifact,
            "path": str(model),
            "model": "diabetes",
            "model-hash": "",
        }
        given["model-hash"] = hash_of(model) if model.exists() else "a" * 32
        given |= {key.replace("_", "-"): value for key, value in inputs.items()}
        outputs.write_text("")
        temp = self.folder / "runner-temp"
        temp.mkdir(exist_ok=True)
        env = {
            "PATH": os.pathsep.join([str(toolchain.ensure("oras").parent), os.environ["PATH"]]),
            "HOME": str(self.folder),
            "RUNNER_TEMP": str(temp),
            "GITHUB_ACTIONS": "true",
            "GITHUB_OUTPUT": str(outputs),
            "GITHUB_ACTOR": "ada",
            **{variable(key): value for key, value in given.items()},
            **self.env,
        }
        return subprocess.Popen(
            [sys.executable, "-I", SCRIPTS, "push-model"], env=env, cwd=self.folder, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def run(self, model: Path, **inputs: str) -> Told:
        """Run the action to its end."""
        outputs = self.folder / "outputs"
        process = self.start(model, outputs, **inputs)
        log = process.communicate(timeout=300)[0]
        said = re.findall(r"(?ms)^(\S+)<<(\S+)\n(.*?)\n\2$", outputs.read_text("utf-8"))
        return Told(process.returncode, {key: value for key, _, value in said}, log)
