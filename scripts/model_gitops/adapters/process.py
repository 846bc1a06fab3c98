"""The only place that starts processes: list arguments, no shell, a clean environment."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
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
# Of these, the ones that say how to reach the network, who the user is, or what the machine's owner
# trusts, may pass.
_KEPT = re.compile(
    r"GIT_SSL_.*|GIT_SSH|GIT_SSH_COMMAND|GIT_(AUTHOR|COMMITTER)_.*|GIT_CONFIG_(GLOBAL|SYSTEM|NOSYSTEM)"
    r"|PIP_(CERT|INDEX_URL|EXTRA_INDEX_URL|FIND_LINKS|CONFIG_FILE|NO_INDEX|DEFAULT_TIMEOUT)"
    r"|UV_(DEFAULT_INDEX|INDEX|INDEX_URL|EXTRA_INDEX_URL|FIND_LINKS|OFFLINE|CACHE_DIR|SYSTEM_CERTS|NATIVE_TLS)"
    r"|MODEL_GITOPS_(STORE|DOCKER_PLUGINS)"
)

# How long a process that is told to stop may take, to remove its lock files and its children.
_GRACE_SECONDS = 5.0
_LOOK_SECONDS = 0.2
_NO_ROOM_BYTES = 64 * 1024


# What runs now, for who gives up on all of it: `stop_all`.
_running: set[subprocess.Popen[str]] = set()


class ProcessError(ExternalError):
    """A process that ended with a status other than 0."""

    def __init__(self, completed: Completed, *, fix: str = "") -> None:
        told = f"status {completed.returncode}"
        if completed.returncode < 0:
            told = f"signal {-completed.returncode} ({_name_of_signal(-completed.returncode)})"
        tail = "\n".join(completed.said.splitlines()[-20:])
        super().__init__(
            f"`{completed.program}` failed with {told}: {tail}"
            if tail
            # Then the whole of it is what there is to tell. Nothing secret is ever an argument.
            else f"`{completed.program}` failed with {told}, and said nothing. It was started as"
            f" {shlex.join([Path(completed.args[0]).name, *completed.args[1:]])[:1000]}",
            fix=fix or completed.fix,
        )
        self.completed = completed


class NoAnswer(Exception):
    """A `Dialogue` has no more answers; says why, as a part of a sentence."""


class TimedOutError(ExternalError):
    """A process that took too long, or was silent for too long, and was stopped."""


@dataclass(frozen=True)
class Completed:
    """A process that ended."""

    args: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str
    fix: str = ""

    @property
    def said(self) -> str:
        """What it said of what went wrong, which may be nothing."""
        return (self.stderr.strip() or self.stdout).strip()

    @property
    def program(self) -> str:
        """The program and its verb, for messages; later arguments may be long."""
        return " ".join([Path(self.args[0]).name, *self.args[1:2]])


def _name_of_signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a child: ours, less what must not leak, plus `extra`."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if _KEPT.fullmatch(name) or not _DROPPED.fullmatch(name)
    }
    # Messages are read by programs: they must be in English.
    kept.pop("LANGUAGE", None)  # it wins over LC_ALL, unless that is plain C
    kept.update({"LC_ALL": "C.UTF-8", "GIT_TERMINAL_PROMPT": "0"})
    kept.update(extra or {})
    return kept


def run(
    args: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    inherit: bool = True,
    input: str | None = None,
    check: bool = True,
    timeout: float | None = 600,
    stream: bool = False,
    on_line: Callable[[str], None] | None = None,
    patience: Callable[[], float | None] | None = None,
    output: IO[bytes] | None = None,
) -> Completed:
    """Run a program to its end.

    `env` is added to the inherited environment (see `environment`), or without `inherit` is all of
    it; `timeout` is in seconds;
    `stream` copies the output to our stderr as it comes, `on_line` gets each line of it instead,
    and `patience` says how many seconds a streamed program may be silent now (None: for ever).
    `output` is a file that takes the standard output, which is empty here then.
    Raises ProcessError for a status other than 0 (unless `check` is false), ExternalError for a
    missing program, TimedOutError for one that takes too long or is silent for too long.
    """
    words = tuple(str(arg) for arg in args)
    if any("\0" in word for word in words):
        raise ExternalError(f"an argument of `{words[0]}` holds a NUL character")
    try:
        process = subprocess.Popen(
            words,
            cwd=cwd,
            env=environment(env) if inherit else dict(env or {}),
            stdin=subprocess.PIPE if input is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE if output is None else output,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            # A session of its own: what it starts (git-remote-https, buildx) can be stopped with
            # it, and nothing of it can wait for an answer from a terminal.
            start_new_session=True,
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
        _running.add(process)
        try:
            if stream or on_line:
                stdout, stderr = _stream(process, input, timeout, on_line or _to_stderr, patience)
            else:
                stdout, stderr = process.communicate(input, timeout)
        except subprocess.TimeoutExpired as error:
            _stop(process)
            shown = " ".join([Path(words[0]).name, *words[1:2]])
            problem = "did not end within" if error.timeout == timeout else "said nothing for"
            raise TimedOutError(
                f"`{shown}` {problem} {error.timeout:.0f} seconds and was stopped"
            ) from error
        except BaseException:
            _stop(process)
            raise
        finally:
            _running.discard(process)
    fix = _fix_for_disk(cwd) if process.returncode != 0 else ""
    completed = Completed(words, process.returncode, stdout or "", stderr, fix)
    if check and completed.returncode != 0:
        raise ProcessError(completed)
    return completed


def hand_over(args: Sequence[str | Path], *, cwd: Path, env: Mapping[str, str]) -> int:
    """Run a program on our own outputs, as a step of a workflow runs it, and return its status.

    `env` is all of its environment. Where we are told to stop, so is it, with all that it started.
    Raises ExternalError for a missing program.
    """
    words = [str(arg) for arg in args]
    try:
        process = subprocess.Popen(
            words,
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            encoding="utf-8",
            start_new_session=True,
        )
    except OSError as error:
        raise ExternalError(
            f"the program `{words[0]}` is not on this machine"
            if isinstance(error, FileNotFoundError)
            else f"`{words[0]}` can't be started: {error.strerror}",
            fix=f"install `{words[0]}` on the runner and put it on PATH",
        ) from error
    with process:
        try:
            return process.wait()
        except BaseException:
            _stop(process)
            raise


class Dialogue:
    """A program that answers each line that it is given with one of its own, until it is ended.

    `env` is all of its environment; its standard error is not heard. Raises NoAnswer where it can't
    be started.
    """

    def __init__(self, args: Sequence[str | Path], *, env: Mapping[str, str]) -> None:
        words = [str(arg) for arg in args]
        try:
            self._process = subprocess.Popen(
                words,
                env=dict(env),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                encoding="utf-8",
                start_new_session=True,
            )
        except OSError as error:
            raise NoAnswer(f"its process can't be started: {error.strerror}") from error
        if self._process.stdin is None or self._process.stdout is None:
            raise AssertionError("both are pipes")
        self._to, self._from = self._process.stdin, self._process.stdout

    def ask(self, line: str, *, timeout: float) -> None:
        """Give it a line. Raises NoAnswer where it takes none in time: it is stopped then."""
        # Where it has ended there will be no answer either, which tells how.
        with self._within(timeout), suppress(BrokenPipeError):
            self._to.write(f"{line}\n")
            self._to.flush()

    def answer(self, *, timeout: float) -> str:
        """Return its next line. Raises NoAnswer where it ended instead, and as `ask`."""
        with self._within(timeout):
            line = self._from.readline()
        if line.endswith("\n"):
            return line
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE_SECONDS)
        self.end()
        status = self._process.returncode
        told = (
            f"signal {-status} ({_name_of_signal(-status)})" if status < 0 else f"status {status}"
        )
        raise NoAnswer(f"its process ended with {told}")

    def end(self) -> None:
        """Stop it, with all that it started."""
        _stop(self._process)
        for one in (self._to, self._from):
            with suppress(BrokenPipeError):  # a line that it never took
                one.close()

    @contextmanager
    def _within(self, seconds: float) -> Iterator[None]:
        start = time.monotonic()
        timer = threading.Timer(seconds, _stop, (self._process,))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
        if time.monotonic() - start >= seconds:
            self.end()
            raise NoAnswer(f"its process said nothing for {seconds:.0f} seconds")


def _fix_for_disk(cwd: Path | None) -> str:
    """Name a disk without room: many programs say only that a file can't be written."""
    with suppress(OSError):
        for folder in (cwd or Path.cwd(), Path(tempfile.gettempdir())):
            if shutil.disk_usage(folder).free < _NO_ROOM_BYTES:
                return f"the disk of {folder} is full: make room, then run the job again"
    return ""


def _stop(process: subprocess.Popen[str]) -> None:
    """End a process and all that it started: politely, so that lock files go, then by force."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_SECONDS)


def stop_all() -> None:
    """End every program that other threads wait for, and all that it started."""
    for one in list(_running):
        _stop(one)


def _to_stderr(line: str) -> None:
    # A build's output is a stranger's: it must not act as a workflow command.
    runner.say(line.rstrip("\n"))


def _stream(
    process: subprocess.Popen[str],
    input: str | None,
    timeout: float | None,
    on_line: Callable[[str], None],
    patience: Callable[[], float | None] | None,
) -> tuple[str, str]:
    """Collect both outputs, and hand them on line by line as they come."""
    collected: tuple[list[str], list[str]] = ([], [])
    start = heard = time.monotonic()

    def copy(source: IO[str], lines: list[str]) -> None:
        nonlocal heard
        for line in source:
            heard = time.monotonic()
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
    while process.poll() is None:
        with suppress(subprocess.TimeoutExpired):
            process.wait(_LOOK_SECONDS)
            break
        now = time.monotonic()
        silent = patience() if patience else None
        for limit, since in ((timeout, start), (silent, heard)):
            if limit is not None and now - since > limit:
                raise subprocess.TimeoutExpired(process.args, limit)
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
    """Run a program on two binary files (such as a CGI program's) and return its status.

    Raises ExternalError where it does not end.
    """
    words = [str(arg) for arg in args]
    try:
        return subprocess.run(
            words,
            env=environment(env),
            stdin=stdin,
            stdout=stdout,
            # Read, so that its end is noticed at once: Python looks for an end only from time to time.
            stderr=subprocess.PIPE,
            timeout=timeout,
            check=False,
        ).returncode
    except subprocess.TimeoutExpired as error:
        raise ExternalError(
            f"`{words[0]}` did not end within {timeout:.0f} seconds and was stopped"
        ) from error
