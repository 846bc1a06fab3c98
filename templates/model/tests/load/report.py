"""What the load test measures, and whether it will do: nothing here needs locust.

The report is one JSON object. Times are in milliseconds, from the request to the whole answer:

    {"url": "http://…", "users": 20, "rate": 5, "seconds": 60.0, "requests": 5987, "failures": 12,
     "failed": 0.002, "per_second": 99.8, "p50": 8.1, "p95": 21.9, "p99": 43.2, "max": 80.4,
     "errors": [{"error": "status 500", "count": 12}], "broken": []}

`broken` has a sentence for each threshold that was not kept. Times are kept one by one: locust's
own percentiles are of rounded times (204 ms count as 200), and its CSV lacks the last second.
"""

from __future__ import annotations

import json
import math
import time
from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Asked:
    """How much load for how long, in seconds, and what the users must see.

    `failures` is a share from 0 to 1; `p95` and `p99` are milliseconds, None: no threshold.
    """

    users: int
    rate: float
    seconds: float
    warm_up: float
    failures: float
    p95: float | None
    p99: float | None

    @classmethod
    def of(cls, env: Mapping[str, str]) -> Asked:
        """Read the variables LOAD_*; one that is missing or empty has the default."""

        def number(name: str, default: float) -> float:
            return float(env.get(f"LOAD_{name}") or default)

        return cls(
            int(number("USERS", 10)),
            number("RATE", 5),
            number("TIME", 30),
            number("WARM_UP", 5),
            number("FAILURES", 0.01),
            number("P95", 0) or None,
            number("P99", 0) or None,
        )


@dataclass
class Measured:
    """Answers, counted from `start` on; those of the warm-up are not."""

    times: array[float] = field(default_factory=lambda: array("d"))
    errors: Counter[str] = field(default_factory=Counter)
    started: float | None = None
    ended: float | None = None

    def start(self) -> None:
        """The warm-up is over."""
        self.started = time.monotonic()

    def end(self) -> None:
        """The time is over; answers on their way still count."""
        self.ended = time.monotonic()

    def add(self, milliseconds: float, error: str = "") -> None:
        """Count an answer, or what came in its place."""
        if self.started is None:
            return
        self.times.append(milliseconds)
        if error:
            self.errors[error[:200]] += 1

    def percentile(self, share: float) -> float | None:
        """The smallest time that so large a share of the answers took at most (nearest rank)."""
        if not self.times:
            return None
        return sorted(self.times)[max(math.ceil(share * len(self.times)) - 1, 0)]


def judged(asked: Asked, measured: Measured, url: str, problems: list[str]) -> dict[str, Any]:
    """The report. `problems` are of the load test itself, such as an exception in a task."""
    requests, failures = len(measured.times), measured.errors.total()
    ended = measured.ended or time.monotonic()
    seconds = ended - measured.started if measured.started is not None else 0.0
    failed = failures / requests if requests else None
    p50, p95, p99, most = (measured.percentile(share) for share in (0.5, 0.95, 0.99, 1))
    broken = list(problems)
    if not requests:
        broken.append("requests: there was none")
    if failed is not None and failed > asked.failures:
        first = measured.errors.most_common(1)[0][0]
        broken.append(
            f"failures: {failed:.2%} ({failures} of {requests}), and {asked.failures:.2%} are "
            f"allowed; most often: {first}"
        )
    for name, bound, value in (("p95", asked.p95, p95), ("p99", asked.p99, p99)):
        if bound is not None and value is not None and value > bound:
            broken.append(f"{name}: {value:.1f} ms, and {bound:g} ms are allowed")
    return {
        "url": url,
        "users": asked.users,
        "rate": asked.rate,
        "seconds": round(seconds, 3),
        "requests": requests,
        "failures": failures,
        "failed": failed,
        "per_second": round(requests / seconds, 3) if seconds else None,
        "p50": p50,
        "p95": p95,
        "p99": p99,
        "max": most,
        "errors": [{"error": text, "count": n} for text, n in measured.errors.most_common(20)],
        "broken": broken,
    }


def problem(status: int, body: str | None, instances: int, lowest: float, highest: float) -> str:
    """What is wrong with an answer of `/predict`; empty where it is right.

    There must be a prediction an instance, each a number from `lowest` to `highest`.
    """
    if status != 200:
        return f"status {status}" if status else "no answer"
    try:
        predictions = json.loads(body or "")["predictions"]
        numbers = [value for value in predictions if not isinstance(value, bool)]
        if len(predictions) != instances:
            return f"{len(predictions)} predictions for {instances} instances"
        if not all(lowest <= value <= highest for value in numbers) or len(numbers) != instances:
            return f"a prediction that is no number from {lowest:g} to {highest:g}"
    except (ValueError, TypeError, KeyError, RecursionError):
        return "an answer without predictions"
    return ""


def write(report: dict[str, Any], path: str) -> None:
    """Write the report as JSON, where a path is given, and say it in words."""
    print(
        f"load: {report['requests']} requests in {report['seconds']} s, "
        f"{report['failures']} failed; "
        f"p50 {words(report['p50'])}, p95 {words(report['p95'])}, p99 {words(report['p99'])}"
    )
    for text in report["broken"]:
        print(f"load: {text}")
    if path:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(json.dumps(report, indent=2) + "\n")


def words(milliseconds: float | None) -> str:
    """A time for people."""
    return "none" if milliseconds is None else f"{milliseconds:.1f} ms"
