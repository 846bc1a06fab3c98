"""The only place that starts processes: list arguments, no shell, a clean environment."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from model_gitops import runner
from model_gitops.errors import ExternalError

# What a user's shell or an earlier step sets must not steer a child (GIT_DIR, PYTHONPATH, …), and
# what is secret must not reach a child that has no use for it (MODEL_GITOPS_TOKEN, …).
_DROPPED = re.compile(
    r"GIT_.*|UV_.*|PIP_.*|PYTHON.*|VIRTUAL_ENV|MODEL_GITOPS_.*|INPUT_.*"
    r"|GITHUB_TOKEN|GH_TOKEN|REPO_TOKEN|ACTIONS_RUNTIME_TOKEN|ACTIONS_ID_TOKEN_REQUEST_TOKEN"
)
# Of these, the ones that say how to reach the network, or who the user is, may pass.
_KEPT = re.compile(
    r"GIT_SSL_.*|GIT_SSH|GIT_SSH_COMMAND|GIT_(AUTHOR|COMMITTER)_.*|GIT_CONFIG_(GLOBAL|SYSTEM|NOSYSTEM)"
    r"|PIP_(CERT|INDEX_URL|EXTRA_INDEX_URL|FIND_LINKS|CONFIG_FILE|NO_INDEX|DEFAULT_TIMEOUT)"
    r"|UV_(DEFAULT_INDEX|INDEX|INDEX_URL|EXTRA_INDEX_URL|FIND_LINKS|OFFLINE|CACHE_DIR|SYSTEM_CERTS|NATIVE_TLS)"
)


class ProcessError(ExternalError):
    """A process that ended with a status other than 0."""

    def __init__(self, completed: Completed, *, fix: str = "") -> None:
        tail = "\n".join((completed.stderr or completed.stdout).strip().splitlines()[-20:])
        super().__init__(
            f"`{completed.program}` failed with status {completed.returncode}: {tail}", fix=fix
        )
        self.completed = completed


@dataclass(frozen=True)
class Completed:
    """A process that ended."""

    args: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str

    @property
    def program(self) -> str:
        """The program and its verb, for messages; later arguments may be long."""
        return " ".join([Path(self.args[0]).name, *self.args[1:2]])


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a child: ours, less what must not leak, plus `extra`."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if _KEPT.fullmatch(name) or not _DROPPED.fullmatch(name)
    }
    # Messages are read by programs: they must be in English.
    kept.update({"LC_ALL": "C.UTF-8", "GIT_TERMINAL_PROMPT": "0"})
    kept.update(extra or {})
    return kept


def run(
    args: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    input: str | None = None,
    check: bool = True,
    timeout: float | None = 600,
    stream: bool = False,
    on_line: Callable[[str], None] | None = None,
) -> Completed:
    """Run a program to its end.

    `env` is added to the inherited environment (see `environment`); `timeout` is in seconds;
    `stream` copies the output to our stderr as it comes, `on_line` gets each line of it instead. Raises ProcessError for a status other
    than 0 (unless `check` is false), ExternalError for a missing program or a timeout.
    """
    words = tuple(str(arg) for arg in args)
    if any("\0" in word for word in words):
        raise ExternalError(f"an argument of `{words[0]}` holds a NUL character")
    try:
        process = subprocess.Popen(
            words,
            cwd=cwd,
            env=environment(env),
            stdin=subprocess.PIPE if input is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        )
    except FileNotFoundError as error:
        if cwd is not None and not cwd.is_dir():
            raise ExternalError(f"the folder {str(cwd)!r} does not exist") from error
        raise ExternalError(
            f"the program `{words[0]}` is not on this machine",
            fix=f"install `{words[0]}` on the runner and put it on PATH",
        ) from error
    except OSError as error:
        raise ExternalError(f"`{words[0]}` can't be started: {error.strerror}") from error
    with process:
        try:
            if stream or on_line:
                stdout, stderr = _stream(process, input, timeout, on_line or _to_stderr)
            else:
                stdout, stderr = process.communicate(input, timeout)
        except subprocess.TimeoutExpired as error:
            process.kill()
            raise ExternalError(
                f"`{words[0]}` did not end within {timeout:.0f} seconds and was stopped"
            ) from error
        except BaseException:
            process.kill()
            raise
    completed = Completed(words, process.returncode, stdout, stderr)
    if check and completed.returncode != 0:
        raise ProcessError(completed)
    return completed


def _to_stderr(line: str) -> None:
    # A build's output is a stranger's: it must not act as a workflow command.
    runner.say(line.rstrip("\n"))


def _stream(
    process: subprocess.Popen[str],
    input: str | None,
    timeout: float | None,
    on_line: Callable[[str], None],
) -> tuple[str, str]:
    """Collect both outputs, and hand them on line by line as they come."""
    collected: tuple[list[str], list[str]] = ([], [])

    def copy(source: IO[str], lines: list[str]) -> None:
        for line in source:
            lines.append(line)
            on_line(line)

    if process.stdout is None or process.stderr is None:
        raise AssertionError("both outputs are pipes")
    threads = [
        threading.Thread(target=copy, args=(source, lines), daemon=True)
        for source, lines in zip((process.stdout, process.stderr), collected, strict=True)
    ]
    for thread in threads:
        thread.start()
    if input is not None and process.stdin is not None:
        process.stdin.write(input)
        process.stdin.close()
    process.wait(timeout)
    for thread in threads:
        thread.join()
    return "".join(collected[0]), "".join(collected[1])


def spawn(args: Sequence[str | Path], *, log: Path, env: Mapping[str, str] | None = None) -> int:
    """Start a program that outlives us (a daemon), its output in `log`; return its process id."""
    words = [str(arg) for arg in args]
    with log.open("ab") as output:
        try:
            process = subprocess.Popen(
                words,
                env=environment(env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise ExternalError(f"`{words[0]}` can't be started: {error.strerror}") from error
    return process.pid


def pipe(
    args: Sequence[str | Path],
    *,
    stdin: IO[bytes],
    stdout: IO[bytes],
    env: Mapping[str, str] | None = None,
    timeout: float | None = 600,
) -> int:
    """Run a program on two binary files (such as a CGI program's) and return its status."""
    return subprocess.run(
        [str(arg) for arg in args],
        env=environment(env),
        stdin=stdin,
        stdout=stdout,
        stderr=subprocess.DEVNULL,
        timeout=timeout,
        check=False,
    ).returncode
