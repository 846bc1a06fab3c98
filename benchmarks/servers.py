"""Servers that both sides of a comparison ask: what they do is no CPU time of a side's."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

_STARTED_WITHIN = 30.0


@contextmanager
def listening(
    command: Callable[[int], list[str]], env: Mapping[str, str] | None = None
) -> Iterator[int]:
    """Run `command` of a free port of this machine, and return the port once it is listened at.

    `env` is added to the environment. Raises TimeoutError where nobody listens.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    server = subprocess.Popen(
        command(port), env={**os.environ, **(env or {})}, stdout=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + _STARTED_WITHIN
        while time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
                break
            time.sleep(0.05)
        else:
            raise TimeoutError(f"{command(port)[0]} does not listen")
        yield port
    finally:
        server.terminate()
        server.wait(timeout=30)
