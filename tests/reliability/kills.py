"""Runs one action as a step does, and kills it at a chosen moment: what the tests of faults share."""

from __future__ import annotations

import errno
import gc
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from model_gitops.__main__ import main
from model_gitops.adapters import process
from model_gitops.adapters.git import Git
from model_gitops.options import variable

FULL = os.environ.get("MODEL_GITOPS_RELIABILITY") == "full"
SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
# Counts the commands that it is asked for, and ends the whole step at the chosen one.
SHIM = """\
#!/bin/bash
count=$(($(cat "$KILL_FOLDER/count") + 1))
echo "$count" > "$KILL_FOLDER/count"
echo "${0##*/} $*" >> "$KILL_FOLDER/commands"
end() { kill -9 "$PPID"; kill -9 0; }
[ "$count.before" = "$KILL_AT" ] && end
"$KILL_FOLDER/real/${0##*/}" "$@"
status=$?
[ "$count.after" = "$KILL_AT" ] && end
exit $status
"""
# Counts what changes the files under KILL_TREE, and ends the step just before the chosen change.
AUDIT = """\
import os, runpy, signal, sys
folder, tree, at = (os.environ["KILL_" + name] for name in ("FOLDER", "TREE", "AT"))
changes = {"os.rename", "os.link", "os.symlink", "os.remove", "os.mkdir", "os.rmdir", "os.truncate"}
count = 0
def hook(event, args):
    global count
    if event == "open":
        _, mode, flags = args
        if not (set(mode or "") & set("wxa+") or (flags or 0) & (os.O_WRONLY | os.O_RDWR)):
            return
    elif event not in changes:
        return
    paths = [os.fsdecode(one) for one in args[:2] if isinstance(one, (str, bytes, os.PathLike))]
    if not any(path.startswith(tree) for path in paths):
        return
    count += 1
    with os.fdopen(os.open(folder + "/commands", os.O_WRONLY | os.O_APPEND), "w") as log:
        log.write(" ".join([event, *paths]) + "\\n")
    if f"{count}.before" == at:
        os.kill(0, signal.SIGKILL)
sys.addaudithook(hook)
sys.argv = sys.argv[1:]
sys.path.insert(0, sys.argv[0])
runpy.run_path(sys.argv[0] + "/__main__.py", run_name="__main__")
"""
WRITING = ("commit-tree", "fast-import", "mktag", "pack-objects", "push", "update-ref")
TALKING = ("build", "create")


def repository(folder: Path, name: str, files: Mapping[str, str]) -> Git:
    """Make a bare repository with `files` on main, and a clone of it."""
    bare = folder / f"{name}.git"
    process.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", bare])
    process.run(["git", "clone", "--quiet", bare.as_uri(), folder / name])
    git = Git(folder / name)
    git.run("config", "user.name", "Ada")
    git.run("config", "user.email", "ada@example.com")
    for path, text in files.items():
        (folder / name / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / name / path).write_text(text, encoding="utf-8")
    git.run("add", "--all")
    git.run("commit", "--quiet", "-m", "first")
    git.run("push", "--quiet", "origin", "HEAD:refs/heads/main")
    return git


class Step:
    """One action with its inputs, run as a step runs it."""

    def __init__(
        self,
        folder: Path,
        cwd: Path,
        action: str,
        inputs: Mapping[str, str],
        runner: Mapping[str, str] | None = None,
    ) -> None:
        self.folder, self.cwd, self.action = folder, cwd, action
        self.inputs = {variable(name): value for name, value in inputs.items()}
        self.runner = dict(runner or {})
        self.running: subprocess.Popen[str] | None = None
        # Where the step keeps what it needs for a moment.
        self.temporary = folder / "temporary"
        self.temporary.mkdir(exist_ok=True)

    def killed_at(self, moment: str, *programs: str) -> list[str]:
        """Run it until `moment` (such as `3.before`) of its commands; return those it came to."""
        tools = self._tools()
        for program in programs or ("git",):
            real = shutil.which(program)
            assert real is not None
            (tools / program).write_text(SHIM)
            (tools / program).chmod(0o755)
            (tools / "real" / program).unlink(missing_ok=True)
            (tools / "real" / program).symlink_to(real)
        self._run_killed([str(SCRIPTS)], moment, {"PATH": f"{tools}:{os.environ['PATH']}"})
        return (tools / "commands").read_text().splitlines()

    def killed_before_change(self, moment: str, tree: Path) -> list[str]:
        """Run it until just before a change of a file in `tree`; return the changes it came to."""
        self._tools()
        self._run_killed(["-c", AUDIT, str(SCRIPTS)], moment, {"KILL_TREE": str(tree)})
        return (self.folder / "shim" / "commands").read_text().splitlines()

    def killed_by(self, arrange: Callable[[Callable[[], None]], None]) -> None:
        """Run it until somebody calls what `arrange` is given."""
        arrange(self._kill)
        self._tools()
        self._run_killed([str(SCRIPTS)], "by a server", {})

    def _kill(self) -> None:
        assert self.running is not None
        os.killpg(self.running.pid, signal.SIGKILL)

    def _tools(self) -> Path:
        tools = self.folder / "shim"
        (tools / "real").mkdir(parents=True, exist_ok=True)
        (tools / "count").write_text("0")
        (tools / "commands").write_text("")
        return tools

    def _run_killed(self, program: Sequence[str], moment: str, more: Mapping[str, str]) -> None:
        environment = process.environment(
            {
                **self.runner,
                **self.inputs,
                "KILL_FOLDER": str(self.folder / "shim"),
                "KILL_AT": moment,
                "TMPDIR": str(self.temporary),
                "RUNNER_TEMP": str(self.temporary),
                "GITHUB_OUTPUT": str(self.folder / "output"),
                **more,
            }
        )
        self.running = subprocess.Popen(
            [sys.executable, "-I", *program, self.action], cwd=self.cwd, env=environment,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip
        with self.running as running:
            told, _ = running.communicate(timeout=120)
        assert running.returncode == (-signal.SIGKILL if moment else 0), (moment, told)

    def run(self, monkeypatch: pytest.MonkeyPatch) -> tuple[int, dict[str, str]]:
        """Run it to its end in this process; return the exit code and the outputs."""
        output = self.folder / "output"
        output.unlink(missing_ok=True)
        with monkeypatch.context() as patch:
            patch.chdir(self.cwd)
            patch.setenv("GITHUB_OUTPUT", str(output))
            patch.setenv("TMPDIR", str(self.temporary))
            patch.setenv("RUNNER_TEMP", str(self.temporary))
            patch.setattr("tempfile.tempdir", None)
            for name, value in {**self.runner, **self.inputs}.items():
                patch.setenv(name, value)
            code = main([self.action])
        text = output.read_text("utf-8") if output.exists() else ""
        found = re.findall(r"^([a-z0-9-]+)<<(\S+)\n(.*?)\n?\2$", text, re.MULTILINE | re.DOTALL)
        return code, {name: value for name, _, value in found}


def left_behind(step: Step) -> set[str]:
    """What is in the place for temporary files after a run, without the random ends."""
    return {re.sub(r"-\w{8}$", "", file.name) for file in step.temporary.iterdir()}


def fill(disk: Path, *, but: int = 0) -> None:
    """Leave no room at all, or only so many bytes, and see that it stays so.

    The kernel counts what was deleted as taken for a moment more, and rubbish of this process may
    hold files that are deleted.
    """
    gc.collect()
    full = 0  # so many times in a row
    with (disk / "filler").open("wb", buffering=0) as file:
        while full < 10:
            try:
                file.write(bytes(4096))
                full = 0
            except OSError as error:
                assert error.errno == errno.ENOSPC
                full += 1
                time.sleep(0.02)
        file.truncate(file.tell() - but)


def moments(commands: Sequence[str], words: Sequence[str] = WRITING) -> list[str]:
    """When to kill: around each command, or in the short form each that writes or talks."""
    chosen = [
        at
        for at, command in enumerate(commands, 1)
        if FULL or any(word in command.split()[1:4] for word in words)
    ]
    return [f"{at}.{side}" for at in chosen for side in ("before", "after")]
