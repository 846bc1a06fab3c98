"""A load test's report, and whether what its users saw will do."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from model_gitops.core.flow.loads import Load
from model_gitops.core.verify.row import Row
from model_gitops.core.verify.running import words
from model_gitops.core.verify.words import milliseconds, share
from model_gitops.errors import InputError

# Bytes of the report. Ours has less than ten thousand.
LARGEST = 1024 * 1024
_ERRORS = 5
# Of the time that was asked for, what must have been measured: a test that was stopped says little.
_ENOUGH = 0.9


@dataclass(frozen=True)
class Measured:
    """What a load test saw: of `requests` answers in `seconds`, so many `failures`; times in seconds.

    Times are None where nothing was asked. `errors` are its own words (a stranger's) and how often, the most
    frequent first.
    """

    requests: int
    failures: int
    seconds: float
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    errors: tuple[tuple[str, int], ...] = ()

    @property
    def failed(self) -> float:
        """The share of requests that failed; all where there were none."""
        return self.failures / self.requests if self.requests else 1.0


@dataclass(frozen=True)
class LoadReport:
    """A judged load test: its `rows`, and what was `measured`; None where it wrote no report."""

    rows: tuple[Row, ...]
    measured: Measured | None = None

    @property
    def passed(self) -> bool:
        """Whether nothing was broken."""
        return all(row.passed is not False for row in self.rows)


def parse(text: str) -> Measured:
    """Read the JSON of a load test: `requests`, `failures`, `seconds`, `p50`, `p95`, `p99` (ms), `errors`.

    Raises InputError with the key that is missing or wrong.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _wrong(f"it is no JSON ({words(error)})") from None
    if not isinstance(data, Mapping):
        raise _wrong("it is no object")
    requests, failures = _count(data, "requests"), _count(data, "failures")
    if failures > requests:
        raise _wrong(f"`failures` is {failures}, and `requests` {requests}")
    times = {key: _time(data, key, needed=bool(requests)) for key in ("p50", "p95", "p99")}
    seconds = _number(data, "seconds")
    return Measured(requests, failures, seconds, **times, errors=tuple(_errors(data.get("errors"))))


def judge(asked: Load, measured: Measured, status: int = 0) -> LoadReport:
    """Compare what was `measured` with what is `asked`; `status` is what the project's command ended with."""
    if not measured.requests:
        row = Row(
            "load: requests",
            "at least 1",
            "0: nobody was answered, and nobody refused",
            passed=False,
        )
        return LoadReport((row,), measured)
    told = "".join(f"; {number} × {text}" for text, number in measured.errors[:1])
    rows = [
        Row(
            "load: failures",
            f"at most {share(asked.failures)}",
            f"{share(measured.failed)} ({measured.failures} of {measured.requests}{told})",
            passed=measured.failed <= asked.failures,
        )
    ]
    for name, bound, time in (
        ("p95", asked.p95, measured.p95),
        ("p99", asked.p99, measured.p99),
    ):
        if bound is not None and time is not None:
            asks, shown, passed = milliseconds(bound), milliseconds(time), time <= bound
            if not passed and shown == asks:
                shown = f"{time * 1000:,.10g} ms"  # 200.04 ms are more than 200
            rows.append(Row(f"load: {name}", f"at most {asks}", shown, passed=passed))
    if measured.seconds < _ENOUGH * asked.seconds:
        told = f"{measured.seconds:.3g} s"
        rows.append(Row("load: time", f"{asked.seconds:g} s", told, passed=False))
    if status and all(row.passed for row in rows):
        # It knows of something that we do not ask: a threshold of its own.
        rows.append(Row("load: command", "status 0", f"status {status}", passed=False))
    return LoadReport(tuple(rows), measured)


def without_report(problem: str) -> LoadReport:
    """Return the report of a load test that measured nothing, for the reason `problem`."""
    return LoadReport(
        (Row("load: report", "what was measured", words(problem, longest=300), passed=False),)
    )


def environment(asked: Load, url: str, report: str) -> dict[str, str]:
    """Return what the project's command is told: lengths of time in seconds, bounds in ms, shares from 0 to 1.

    A bound that is not asked for is empty.
    """
    return {
        "URL": url,
        "LOAD_REPORT": report,
        "LOAD_USERS": str(asked.users),
        "LOAD_RATE": f"{asked.rate:g}",
        "LOAD_TIME": f"{asked.seconds:g}",
        "LOAD_WARM_UP": f"{asked.warm_up:g}",
        "LOAD_FAILURES": f"{asked.failures:.12g}",
        "LOAD_P95": "" if asked.p95 is None else f"{asked.p95 * 1000:g}",
        "LOAD_P99": "" if asked.p99 is None else f"{asked.p99 * 1000:g}",
    }


def _wrong(problem: str) -> InputError:
    return InputError(
        f"the load test's report, which the file LOAD_REPORT names, can't be used: {problem}",
        fix="write an object with requests, failures, seconds, p50, p95 and p99 (in ms) there, as"
        " tests/load/locustfile.py of the template does",
    )


def _number(data: Mapping[str, Any], key: str) -> float:
    value = data.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e15:
        raise _wrong(f"`{key}` is {words(value, longest=60)}, and no number from 0 on")
    return float(value)


def _count(data: Mapping[str, Any], key: str) -> int:
    value = _number(data, key)
    if value != math.floor(value):
        raise _wrong(f"`{key}` is {value}, and no whole number")
    return int(value)


def _time(data: Mapping[str, Any], key: str, *, needed: bool) -> float | None:
    if data.get(key) is None and not needed:
        return None
    return _number(data, key) / 1000


def _errors(found: Any) -> list[tuple[str, int]]:
    """Return its errors with their numbers; what is none is left out."""
    entries = [
        (words(one.get("error", "")), one.get("count"))
        for one in (found if isinstance(found, list) else [])[:1000]
        if isinstance(one, Mapping)
    ]
    counted = [
        (text, number) for text, number in entries
        if text and isinstance(number, int) and not isinstance(number, bool) and number > 0
    ]  # fmt: skip
    return sorted(counted, key=lambda one: -one[1])[:_ERRORS]
