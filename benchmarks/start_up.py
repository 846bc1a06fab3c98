"""The start of an action: what every step pays."""

from __future__ import annotations

import sys
from pathlib import Path

from timing import RUN, Result, compare


def measure(work: Path) -> list[Result]:
    """An action's help against an empty Python."""
    return [
        compare(
            "start-up of an action (`--help`)",
            "`python -c pass`",
            lambda n: [([sys.executable, "-c", "pass"], work)],
            lambda n: ([RUN, "check-promotion", "--help"], work),
            runs=11,
        )
    ]
