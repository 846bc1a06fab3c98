"""The start of an action: what every step pays."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.rows import Point, Row
from benchmarks.timing import RUN, point

START_UP = Row(
    name="start-up",
    work="start-up of an action (`--help`), its environment ready",
    size="",
    peer="`python -c pass`",
    tools=("python",),
    targets=(),
    means="What each step of a workflow pays before it does anything.",
    floor="One shell and one Python; we add the imports of the command line, and the checks of run.sh.",
    slower="An empty Python is always faster: this row says by how much.",
)


def measure(work: Path, sizes: Sequence[int]) -> dict[str, list[Point]]:
    """An action's help against an empty Python."""
    return {
        START_UP.name: [
            point(
                size,
                ours=lambda n: [([RUN, "check-promotion", "--help"], work)],
                peer=lambda n: [([sys.executable, "-c", "pass"], work)],
                runs=11,
            )
            for size in sizes
        ]
    }
