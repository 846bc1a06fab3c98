"""Runs commands and measures them: all sides in turn, medians, and proof that the work was done."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.rows import Figures, Point

ROOT = Path(__file__).resolve().parents[1]
RUN = str(ROOT / "scripts/run.sh")
TOOLS = Path(sys.executable).parent
Command = list[str]
Steps = list[tuple[Command, Path]]


def run(command: Command, cwd: Path, input: bytes | None = None, limit: float = 600) -> bool:
    """Run `command`; False if it took longer than `limit` seconds. A failure ends the benchmark."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GITHUB_", "MODEL_GITOPS_"))}
    try:
        done = subprocess.run(
            command, cwd=cwd, input=input, env=kept, capture_output=True, timeout=limit, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    if done.returncode:
        sys.exit(f"{command} failed:\n{(done.stdout + done.stderr).decode()[-2000:]}")
    return True


def folders(work: Path, sizes: Sequence[int]) -> Iterator[tuple[int, Path]]:
    """Yield each size with a new folder of its own in `work`."""
    for size in sizes:
        folder = work / str(size)
        folder.mkdir()
        yield size, folder


def answer(command: Command, cwd: Path) -> str:
    """Return what `command` says."""
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True).stdout


def expect(held: bool, what: str) -> None:
    """End the benchmark if the actions did not do the work that was timed."""
    if not held:
        sys.exit(f"expected {what}")


@dataclass(frozen=True)
class Sample:
    """One run of one side: seconds, the peak of its largest process in bytes, and whether it ended."""

    wall: float
    cpu: float
    memory: int
    ended: bool


def sample(steps: Steps, *, limit: float = 600, together: bool = False) -> Sample:
    """Run `steps` one after another, or all `together`; a failure ends the benchmark."""
    start = time.perf_counter()
    with ThreadPoolExecutor(len(steps) if together else 1) as pool:
        done = list(pool.map(lambda one: _one(one[0], one[1], limit), steps))
    wall = time.perf_counter() - start if together else sum(one.wall for one in done)
    return Sample(
        wall,
        sum(one.cpu for one in done),
        max(one.memory for one in done),
        all(one.ended for one in done),
    )


def figures(samples: list[Sample], counted: list[int] | None = None) -> Figures:
    """Return the medians of some runs; `counted` are the bytes of each, where they count."""
    return Figures(
        median(one.wall for one in samples),
        median(one.cpu for one in samples),
        int(median(one.memory for one in samples)),
        len(samples),
        int(median(counted)) if counted else None,
        not all(one.ended for one in samples),
    )


def point(
    size: int,
    *,
    ours: Callable[[int], Steps],
    peer: Callable[[int], Steps] | None = None,
    floor: Callable[[int], Steps] | None = None,
    runs: int = 3,
    peer_runs: int = 0,
    limit: float = 600,
    counted: Callable[[str], int] | None = None,
) -> Point:
    """Measure all sides in turn (peer, ours, floor, peer, …) at one size.

    Each side is a function that prepares run number n, which is not timed, and returns its commands.
    `counted` is asked for the bytes of the run of a side ("ours", "peer", "floor") that just ended.
    """
    sides = {"peer": peer, "ours": ours, "floor": floor}
    samples: dict[str, list[Sample]] = {name: [] for name in sides}
    bytes_: dict[str, list[int]] = {name: [] for name in sides}
    for number in range(runs):
        for name, prepare in sides.items():
            if prepare is None or (name == "peer" and peer_runs and number >= peer_runs):
                continue
            samples[name].append(sample(prepare(number), limit=limit))
            if counted is not None:
                bytes_[name].append(counted(name))
    done = {name: figures(some, bytes_[name]) for name, some in samples.items() if some}
    told = ", ".join(f"{name} {one.wall:.2f} s" for name, one in done.items())
    print(f"  size {size:,}: {told}", file=sys.stderr)
    return Point(size, done["ours"], done.get("peer"), done.get("floor"))


@contextmanager
def older(revision: str, *actions: str) -> Iterator[str]:
    """Check out an older commit, make its environments for `actions`, and give its run.sh."""
    with tempfile.TemporaryDirectory(prefix="bench-older-") as folder:
        tree = Path(folder) / revision
        run(["git", "worktree", "add", "--quiet", "--detach", str(tree), revision], ROOT)
        try:
            for one in actions:
                run([str(tree / "scripts/run.sh"), one, "--help"], tree)
            yield str(tree / "scripts/run.sh")
        finally:
            run(["git", "worktree", "remove", "--force", str(tree)], ROOT)


def _one(command: Command, cwd: Path, limit: float) -> Sample:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GITHUB_", "MODEL_GITOPS_"))}
    with tempfile.TemporaryDirectory(prefix="spent-") as folder:
        result = Path(folder) / "result.json"
        spent = [sys.executable, "-I", "-S", str(ROOT / "benchmarks/spent.py"), str(result)]
        done = subprocess.run(
            [*spent, str(limit), *command], cwd=cwd, env=kept, capture_output=True, check=False
        )
        if done.returncode:
            sys.exit(f"{command} can't be started:\n{done.stderr.decode()[-2000:]}")
        said = json.loads(result.read_text("utf-8"))
    if said["code"] and not said["late"]:
        sys.exit(f"{command} failed:\n{(done.stdout + done.stderr).decode()[-2000:]}")
    return Sample(said["wall"], said["cpu"], said["memory"], not said["late"])
