"""Runs commands and times them: two sides in turn, medians, and proof that the work was done."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
RUN = str(ROOT / "scripts/run.sh")
TOOLS = Path(sys.executable).parent
Command = list[str]


@dataclass
class Result:
    """One comparison; times are medians in seconds."""

    name: str
    raw_tool: str
    raw: float
    ours: float
    raw_runs: int
    our_runs: int
    raw_cut_off: bool = False


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


def answer(command: Command, cwd: Path) -> str:
    """Return what `command` says."""
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True).stdout


def expect(held: bool, what: str) -> None:
    """End the benchmark if the actions did not do the work that was timed."""
    if not held:
        sys.exit(f"expected {what}")


def compare(
    name: str,
    raw_tool: str,
    raw: Callable[[int], list[tuple[Command, Path]]],
    ours: Callable[[int], tuple[Command, Path] | list[tuple[Command, Path]]],
    runs: int = 3,
    raw_runs: int = 0,
    limit: float = 600,
) -> Result:
    """Time both in turn (A B A B). The callables prepare a run, untimed, and return its commands."""

    def steps(number: int) -> list[tuple[Command, Path]]:
        found = ours(number)
        return found if isinstance(found, list) else [found]

    times: tuple[list[float], list[float]] = ([], [])
    cut_off = False
    for number in range(runs):
        for side, prepare in ((0, raw), (1, steps)):
            if side == 0 and number >= (raw_runs or runs):
                continue
            commands = prepare(number)
            start = time.perf_counter()
            finished = [run(command, cwd, limit=limit) for command, cwd in commands]
            times[side].append(time.perf_counter() - start)
            cut_off |= not all(finished)
    result = Result(
        name, raw_tool, median(times[0]), median(times[1]), len(times[0]), len(times[1]), cut_off
    )
    print(f"{name}: raw {result.raw:.2f} s, ours {result.ours:.2f} s", file=sys.stderr)
    return result
