"""An OCI runtime for the private engine: runc, with no capability that this machine withholds.

In a sandbox even root lacks some capabilities. A privileged container asks for all of them, and runc
then refuses to start it. The engine starts this file by itself, so it imports nothing of the package.
The names are in the kernel's order: https://man7.org/linux/man-pages/man7/capabilities.7.html.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

_NAMES = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
]


def withheld(status: str) -> set[str]:
    """Return the capabilities that are not in the bounding set of `/proc/PID/status`."""
    bounds = next(line for line in status.splitlines() if line.startswith("CapBnd:"))
    mask = int(bounds.split()[1], 16)
    return {f"CAP_{name}" for bit, name in enumerate(_NAMES) if not mask >> bit & 1}


def settings() -> dict[str, object]:
    """Return what the engine's configuration needs to use this runtime; nothing where it need not."""
    status = Path("/proc/self/status")
    if not status.exists() or not withheld(status.read_text("utf-8")):
        return {}
    runtime = {"path": sys.executable, "runtimeArgs": ["-I", str(Path(__file__).resolve())]}
    return {"runtimes": {"bounded": runtime}, "default-runtime": "bounded"}


def _documents(arguments: Sequence[str]) -> Iterator[Path]:
    """Yield the files in which the engine says what a process may do."""
    for option, value in itertools.pairwise(arguments):
        if option in ("--bundle", "-b"):
            yield Path(value) / "config.json"
        if option in ("--process", "-p"):
            yield Path(value)


def _main(arguments: Sequence[str]) -> None:
    lacking = withheld(Path("/proc/self/status").read_text("utf-8"))
    for file in _documents(arguments):
        document = json.loads(file.read_text("utf-8"))
        asked = document.get("process", document).get("capabilities") or {}
        for kind, names in asked.items():
            asked[kind] = [name for name in names if name not in lacking]
        file.write_text(json.dumps(document), "utf-8")
    program = shutil.which("runc") or "/usr/sbin/runc"
    os.execv(program, ["runc", *arguments])  # noqa: S606 - it becomes the runtime


if __name__ == "__main__":
    _main(sys.argv[1:])
