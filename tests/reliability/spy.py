"""Runs an action as a process of its own, and looks for canaries in all that it printed, wrote or started.

`git`, `docker` and `ssh` are wrapped: each start writes down its arguments and environment.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

from canaries import forms, unpacked

from model_gitops.adapters import process
from model_gitops.options import variable

ROOT = Path(__file__).parents[2]
# The programs that have a use for a credential, by what it is for.
TALKING = {
    "git": ("fetch", "push", "ls-remote", "cat-file", "remote-http", "remote-https"),
    "docker": ("buildx build",),
}


@dataclass
class Spied:
    """What a run told the world, but for the servers that it talked to."""

    code: int
    log: str
    outputs: str
    summary: str


@dataclass
class Spy:
    """Runs actions, and looks for canaries in everything."""

    top: Path
    canaries: list[str]
    env: dict[str, str] = field(default_factory=dict)
    # The one program that has a use for a canary; nothing has, of one that is not named.
    use: dict[str, str] = field(default_factory=dict)
    started: int = 0

    def __post_init__(self) -> None:
        for name in ("bin", "log", "tmp", "runner", "home"):
            (self.top / name).mkdir()
        for program in ("git", "docker", "ssh"):
            real = shutil.which(program) or "/bin/false"
            self.wrap(program, f'exec {shlex.quote(real)} "$@"')

    def wrap(self, program: str, then: str) -> None:
        log = shlex.quote(str(self.top / "log" / program))
        file = self.top / "bin" / program
        file.write_text(
            "#!/bin/sh\n"
            f"cat /proc/$$/environ > {log}.$$.environ\n"
            f"printf '%s\\0' {program} \"$@\" > {log}.$$.argv\n"
            f"{then}\n"
        )
        file.chmod(0o755)

    def run(self, action: str, cwd: Path, **inputs: str) -> Spied:
        """Run the action; the canaries must be in nothing but what has a use for them."""
        runner = self.top / "runner"
        for name in ("output", "summary"):
            (self.top / name).write_text("")
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("GITHUB_", "MODEL_GITOPS_", "GIT_", "INPUT_"))
        }
        done = process.run(
            [
                "env", "-i",
                *(f"{name}={value}" for name, value in {
                    **kept,
                    **self.env,
                    "PATH": f"{self.top / 'bin'}:{os.environ['PATH']}",
                    "HOME": str(self.top / "home"),
                    "TMPDIR": str(self.top / "tmp"),
                    "RUNNER_TEMP": str(runner),
                    "GITHUB_OUTPUT": str(self.top / "output"),
                    "GITHUB_STEP_SUMMARY": str(self.top / "summary"),
                    "PYTHONDONTWRITEBYTECODE": "1",
                }.items()),
                "sh", "-c", 'set -a; . "$1"; shift; exec "$@"', "sh",
                self._inputs(inputs),
                sys.executable, "-I", ROOT / "scripts", action,
            ],
            cwd=cwd,
            check=False,
        )  # fmt: skip
        (self.top / "inputs.sh").unlink()
        # What a runner would hide it hides by these lines; nothing else may show it.
        masks = [line for line in done.stdout.splitlines() if line.startswith("::add-mask::")]
        log = "\n".join(
            line for line in (done.stdout + done.stderr).splitlines() if line not in masks
        )
        found = Spied(
            done.returncode,
            log,
            (self.top / "output").read_text(),
            (self.top / "summary").read_text(),
        )
        for text in (found.log, found.outputs, found.summary):
            self.search(text.encode(), f"the log, outputs or summary of {action}")
        self.check_children()
        self.search_files(self.top)
        assert list((self.top / "tmp").iterdir()) == []
        assert {path.name for path in runner.iterdir()} <= {"model-gitops-reports"}
        return found

    def _inputs(self, inputs: dict[str, str]) -> Path:
        # Not as arguments of `env`: these could be read while the test runs, as all arguments can.
        file = self.top / "inputs.sh"
        lines = [
            f"{variable(name.replace('_', '-'))}={shlex.quote(v)}" for name, v in inputs.items()
        ]
        file.write_text("\n".join(lines) + "\n")
        return file

    def check_children(self) -> None:
        for file in (self.top / "log").glob("*.argv"):
            words = file.read_bytes().decode().split("\0")[:-1]
            self.started += 1
            self.search(file.read_bytes(), f"the arguments {words}")
            # Of git, options of its own may come first.
            verb = next((word for word in words[1:] if not word.startswith(("-", "/"))), "")
            environ = file.with_suffix(".environ").read_bytes()
            # buildx asks git for the commit, and gives it all that it was given itself.
            of_buildx = words[0] == "git" and b"DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND=" in environ
            program = "docker" if of_buildx else words[0]
            useful = TALKING.get(program, ())
            talks = of_buildx or verb in useful or " ".join(words[1:3]) in useful
            for canary in self.canaries:
                if not (talks and self.use.get(canary) == program):
                    self.search(environ, f"the environment of {words}", canary)
            file.with_suffix(".environ").unlink()
            file.unlink()

    def search_files(self, top: Path) -> None:
        for path in top.rglob("*"):
            if path.is_file() and not path.is_symlink():
                self.search(unpacked(path.read_bytes()), str(path))

    def search(self, content: bytes, where: str, *only: str) -> None:
        for canary in only or self.canaries:
            for form in forms(canary):
                assert form not in content, f"a secret is in {where}"
