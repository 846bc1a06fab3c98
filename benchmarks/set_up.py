"""The set-up of actions on an empty machine: time, and bytes from the package index."""

from __future__ import annotations

import os
import re
import shutil
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.rows import Kind, Point, Row, Target
from benchmarks.timing import ROOT, RUN, Steps, older, point

# Another commit to compare with: BENCH_BEFORE=REVISION run.sh dev python -m benchmarks.run set-up
BEFORE = os.environ.get("BENCH_BEFORE") or "f73caf0"
_SHARED = {
    "tools": ("python",),
    "size": "",
    "peer": f"the same of {BEFORE}, which fetches uv by pip first",
    "floor": "One Python, a few small files at once over one network, and the imports of the command line.",
}
ACTIONS = ("check-promotion", "gto-register-stage", "bump-kustomize-tag")
ROWS = tuple(
    Row(
        name=f"set-up-{action}",
        work=f"set-up and start of {action} on an empty machine",
        targets=(Target(Kind.SHARE, 0.5), Target(Kind.MOST, 6e6, "bytes")),
        means="What the first step of a job pays, before it does anything. Bytes are all that came from the network.",
        slower="With uv on PATH and its cache filled, both take a part of a second.",
        **_SHARED,  # type: ignore[arg-type]
    )
    for action in ACTIONS
)
JOB = Row(
    name="set-up-job",
    work="set-up and start of all actions of the job `candidate` of promote.yml, one after another",
    targets=(Target(Kind.SHARE, 0.5),),
    means="The steps share one environment: each adds what the ones before it lack.",
    slower="Ours has no DVC then, which the older one has. Where a pull needs it, because the remote is no folder and not"
    " on S3 for example, it is added at the first pull.",
    **_SHARED,  # type: ignore[arg-type]
)


def measure(work: Path, sizes: Sequence[int]) -> dict[str, list[Point]]:
    """Each action alone, from nothing."""
    return _measured(
        work, sizes, {row.name: [name] for row, name in zip(ROWS, ACTIONS, strict=True)}
    )


def measure_job(work: Path, sizes: Sequence[int]) -> dict[str, list[Point]]:
    """All actions of one job, in the order of its steps."""
    return _measured(work, sizes, {JOB.name: steps_of_job()})


def steps_of_job() -> list[str]:
    """Return the actions that the job `candidate` of the template uses."""
    text = (ROOT / "templates/model/.github/workflows/promote.yml").read_text("utf-8")
    job = re.split(r"^  [a-z]+:$", text.partition("\n  candidate:\n")[2], maxsplit=1, flags=re.M)[0]
    return re.findall(r"uses: \S+/actions/([a-z-]+)@", job)


def _measured(work: Path, sizes: Sequence[int], of: dict[str, list[str]]) -> dict[str, list[Point]]:
    with older(BEFORE) as before, counting_proxy() as proxy:

        def steps(script: str, actions: list[str], number: int) -> Steps:
            machine = work / "machine"
            shutil.rmtree(machine, ignore_errors=True)
            for name in ("home", "temporary", "job"):
                (machine / name).mkdir(parents=True)
            proxy.bytes = 0
            variables = {
                "HOME": machine / "home",
                "TMPDIR": machine / "temporary",
                "RUNNER_TEMP": machine / "job",
                # This Python, and no uv.
                "PATH": f"{sys.base_prefix}/bin:/usr/bin:/bin",
                "HTTPS_PROXY": proxy.address,
                "https_proxy": proxy.address,
            }
            words = ["env", *(f"-u{name}" for name in os.environ if name.startswith("XDG_"))]
            words += [f"{name}={value}" for name, value in variables.items()]
            return [([*words, "bash", script, one, "--help"], work) for one in actions]

        return {
            name: [
                point(
                    size,
                    ours=lambda n, actions=actions: steps(RUN, actions, n),  # type: ignore[misc]
                    peer=lambda n, actions=actions: steps(before, actions, n),  # type: ignore[misc]
                    runs=5,
                    counted=lambda side: proxy.bytes,
                )
                for size in sizes
            ]
            for name, actions in of.items()
        }


class _Proxy:
    """A proxy for https that counts what comes back, TLS included."""

    def __init__(self, server: socket.socket) -> None:
        self.bytes = 0
        self.address = f"http://127.0.0.1:{server.getsockname()[1]}"
        self._server = server
        self._lock = threading.Lock()

    def serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                threading.Thread(target=self._tunnel, args=(client,), daemon=True).start()

    def _tunnel(self, client: socket.socket) -> None:
        with suppress(OSError, ValueError), client:
            head = b""
            while b"\r\n\r\n" not in head:
                if not (more := client.recv(4096)):
                    return
                head += more
            host, _, port = head.split()[1].decode().rpartition(":")
            with socket.create_connection((host, int(port)), timeout=60) as server:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                threading.Thread(target=_copy, args=(client, server), daemon=True).start()
                while data := server.recv(1 << 16):
                    with self._lock:
                        self.bytes += len(data)
                    client.sendall(data)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@contextmanager
def counting_proxy() -> Iterator[_Proxy]:
    """Serve a counting proxy on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        proxy = _Proxy(server)
        threading.Thread(target=proxy.serve, daemon=True).start()
        yield proxy
