"""`verify.load` of promotion.yaml: the users, the rate and the time of a load test, and its thresholds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from model_gitops.core import duration


@dataclass(frozen=True)
class Load:
    """So many `users`, of whom `rate` start a second, for `seconds`; and what they must see.

    `failures` is the largest share of failed requests (0.01 for `1%`). `p95` and `p99` are the longest
    times in seconds that 95 and 99 % of the answers may take; None: no threshold.
    """

    users: int = 10
    rate: float = 1.0
    seconds: float = 60.0
    failures: float = 0.0
    p95: float | None = None
    p99: float | None = None


def parse(entry: Any, what: str) -> Load:
    """Build a Load from the schema-checked `entry`; `what` names it. Raises InputError."""
    return Load(
        users=entry.get("users", 10),
        rate=float(entry.get("rate", 1)),
        seconds=duration.seconds(entry.get("time", "60s"), f"time of {what}"),
        failures=float(entry.get("failures", "0%").rstrip("% ")) / 100,
        p95=duration.seconds(entry["p95"], f"p95 of {what}") if "p95" in entry else None,
        p99=duration.seconds(entry["p99"], f"p99 of {what}") if "p99" in entry else None,
    )
