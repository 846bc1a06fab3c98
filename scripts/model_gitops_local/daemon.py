"""A background process that a later process can find again, and only that one, by its folder."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import random
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from model_gitops.adapters import process
from model_gitops.errors import ExternalError


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path`, so that two processes do one thing once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def try_locked(path: Path) -> Iterator[bool]:
    """Hold the lock file `path` if nobody else does, and say whether we hold it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def free_port(preferred: int = 0) -> int:
    """Return a free TCP port on loopback: `preferred` if nothing has it.

    A new one is below the ports that the system gives to outgoing connections: one of these could
    take it while its server restarts.
    """
    candidates = random.sample(range(20_000, 32_000), 20)
    for port in (*([preferred] if preferred else []), *candidates, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise ExternalError("no free port on 127.0.0.1")


def birth(pid: int) -> str:
    """Return when process `pid` started, or "" if it is gone: the same number may be another's."""
    stat = Path(f"/proc/{pid}/stat")
    if not Path("/proc/self/stat").exists():  # macOS
        return process.run(["ps", "-o", "lstart=", "-p", str(pid)], check=False).stdout.strip()
    try:
        fields = stat.read_text("utf-8", "replace").rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""
    # A process whose first thread has ended holds its files and ports until the last one has.
    has_ended = fields[0] in "ZX" and int(fields[17]) <= 1
    return "" if has_ended else f"{boot} {fields[19]}"


@dataclass(frozen=True)
class Daemon:
    """A background process whose facts are in `folder`/daemon.json, its output in daemon.log."""

    name: str
    folder: Path

    @property
    def log(self) -> Path:
        """The file with all that it wrote."""
        return self.folder / "daemon.log"

    def facts(self) -> dict[str, str]:
        """Return what was noted at the last start, running or not."""
        try:
            facts = json.loads((self.folder / "daemon.json").read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return {str(key): str(value) for key, value in facts.items()}

    def pid(self) -> int | None:
        """Return the id of the running process; None where it is gone or another's."""
        facts = self.facts()
        pid = int(facts.get("pid", "0"))
        if not pid:
            return None
        with contextlib.suppress(OSError):  # if it was our own child, take its status
            os.waitpid(pid, os.WNOHANG)
        return pid if facts["birth"] and birth(pid) == facts["birth"] else None

    def start(
        self,
        args: Sequence[str | Path],
        ready: Callable[[], bool],
        *,
        facts: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = 60,
    ) -> None:
        """Start it and wait (seconds) until `ready`. Raises ExternalError with the log's end."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log.write_bytes(b"")
        pid = process.spawn(args, log=self.log, env=env)
        noted = {**(facts or {}), "pid": str(pid), "birth": birth(pid)}
        temporary = self.folder / "daemon.json.new"
        temporary.write_text(json.dumps(noted, indent=1) + "\n", "utf-8")
        temporary.replace(self.folder / "daemon.json")
        end = time.monotonic() + timeout
        while not ready():
            if self.pid() is None or time.monotonic() > end:
                self.stop(grace=5)
                tail = "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-15:])
                raise ExternalError(
                    f"{self.name} did not become ready. The end of its log:\n{tail}",
                    fix=f"read {self.log}",
                )
            time.sleep(0.1)

    def stop(self, grace: float = 20) -> None:
        """End it: politely, and after `grace` seconds by force. Not running is no error."""
        for number, wait in ((signal.SIGTERM, grace), (signal.SIGKILL, 5.0)):
            if (pid := self.pid()) is None:
                return
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            end = time.monotonic() + wait
            while self.pid() is not None and time.monotonic() < end:
                time.sleep(0.05)
        if (pid := self.pid()) is not None:
            raise ExternalError(f"{self.name} (process {pid}) does not end", fix=f"kill -9 {pid}")


def mounts_under(folder: Path, mountinfo: str) -> list[str]:
    """Return the mount points below (or at) `folder` in /proc/self/mountinfo, deepest first."""
    root = str(folder)
    points = [line.split()[4].encode().decode("unicode_escape") for line in mountinfo.splitlines()]
    return sorted(
        (point for point in points if point == root or point.startswith(f"{root}/")),
        key=len,
        reverse=True,
    )


def remove_tree(folder: Path) -> None:
    """Delete `folder`, after taking off whatever a daemon left mounted below it."""
    mountinfo = Path("/proc/self/mountinfo")
    if mountinfo.exists():
        for point in mounts_under(folder.resolve(), mountinfo.read_text("utf-8")):
            process.run(["umount", "--lazy", "--", point], check=False)
    if folder.exists():
        shutil.rmtree(folder)
