"""`verify.load` of promotion.yaml: the users, the rate and the time of a load test, and its thresholds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from model_gitops.core import duration
from model_gitops.errors import InputError

# The job `check` of verify.yml has 90 minutes: for the set-up, the other checks and this.
LONGEST_SECONDS = 3600.0


@dataclass(frozen=True)
class Load:
    """So many `users`, of whom `rate` start a second, for `seconds`; and what they must see.

    Measured is from `warm_up` seconds after the last user has started. `failures` is the largest share of
    failed requests (0.01 for `1%`). `p95` and `p99` are the longest times in seconds that 95 and 99 % of
    the answers may take; None: no threshold.
    """

    users: int = 10
    rate: float = 5.0
    seconds: float = 60.0
    warm_up: float = 5.0
    failures: float = 0.0
    p95: float | None = None
    p99: float | None = None

    @property
    def longest(self) -> float:
        """How many seconds the users ask at most, those before the measurement included."""
        return self.users / self.rate + self.warm_up + self.seconds


def parse(entry: Any, what: str) -> Load:
    """Build a Load from the schema-checked `entry`; `what` names it. Raises InputError."""
    found = Load(
        users=entry.get("users", Load.users),
        rate=float(entry.get("rate", Load.rate)),
        seconds=_seconds(entry, "time", what, Load.seconds),
        warm_up=_seconds(entry, "warm-up", what, Load.warm_up),
        failures=float(entry.get("failures", "0%").rstrip("% ")) / 100,
        p95=_seconds(entry, "p95", what, 0.0) if "p95" in entry else None,
        p99=_seconds(entry, "p99", what, 0.0) if "p99" in entry else None,
    )
    if not found.seconds:
        raise InputError.of(
            f"time of {what}", entry["time"], "nothing is measured in it", fix="time: 60s"
        )
    if found.longest > LONGEST_SECONDS:
        raise InputError.of(
            f"time of {what}",
            entry.get("time", "60s"),
            f"with the start of the users and the warm-up it is {duration.words(found.longest)}, and"
            f" {duration.words(LONGEST_SECONDS)} is the most that the job of verify.yml has for it",
            fix="time: 60s",
        )
    return found


def _seconds(entry: Any, key: str, what: str, default: float) -> float:
    """Return a length of time of `entry` in seconds. Raises InputError."""
    return duration.seconds(entry[key], f"{key} of {what}") if key in entry else default
