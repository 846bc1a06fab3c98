"""One row of a verification's table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One thing that was checked: what was asked of it, what was measured, and whether it passed.

    `passed` is None for what is only told. `check` starts with the kind: integration, load or champion.
    """

    check: str
    asked: str
    measured: str
    passed: bool | None
