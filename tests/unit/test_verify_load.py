"""A load test's report: what it must hold, and what it is judged by."""

from __future__ import annotations

import json
from typing import Any

import pytest

from model_gitops.core.flow.loads import Load
from model_gitops.core.flow.loads import parse as parse_load
from model_gitops.core.verify import load
from model_gitops.errors import InputError

ASKED = Load(users=20, rate=5, seconds=60, failures=0.01, p95=0.2, p99=0.5)
REPORT: dict[str, Any] = {
    "requests": 1000, "failures": 10, "seconds": 60.1, "p50": 8.1, "p95": 200, "p99": 499.9,
    "errors": [{"error": "status 500", "count": 10}], "users": 20, "what": "else",
}  # fmt: skip


def judged(status: int = 0, **changes: Any) -> load.LoadReport:
    return load.judge(ASKED, load.parse(json.dumps(REPORT | changes)), status)


def broken(report: load.LoadReport) -> list[tuple[str, str, str]]:
    return [(one.check, one.asked, one.measured) for one in report.rows if one.passed is False]


def test_what_keeps_every_bound_passes() -> None:
    report = judged()
    assert report.passed
    assert [one.check for one in report.rows] == ["load: failures", "load: p95", "load: p99"]
    assert report.rows[0].measured == "1 % (10 of 1000; 10 × status 500)"


@pytest.mark.parametrize(
    ("changes", "row"),
    [
        (
            {"failures": 20, "errors": [{"error": "status 500", "count": 20}]},
            ("load: failures", "at most 1 %", "2 % (20 of 1000; 20 × status 500)"),
        ),
        ({"failures": 11, "errors": None}, ("load: failures", "at most 1 %", "1.1 % (11 of 1000)")),
        ({"p95": 200.04}, ("load: p95", "at most 200 ms", "200.04 ms")),
        ({"p95": 312.44}, ("load: p95", "at most 200 ms", "312.4 ms")),
        ({"p99": 12345}, ("load: p99", "at most 500 ms", "12,345 ms")),
        ({"seconds": 12}, ("load: time", "60 s", "12 s")),
        (
            {"requests": 0, "failures": 0, "p50": None, "p95": None, "p99": None},
            ("load: requests", "at least 1", "0: nobody was answered, and nobody refused"),
        ),
    ],
)
def test_a_broken_bound_is_told_with_its_number(
    changes: dict[str, Any], row: tuple[str, str, str]
) -> None:
    assert broken(judged(**changes)) == [row]
    # What the command itself thought of it adds nothing.
    assert broken(judged(1, **changes)) == [row]


def test_a_command_that_fails_is_a_failure_of_its_own() -> None:
    assert broken(judged(2)) == [("load: command", "status 0", "status 2")]


def test_a_bound_that_is_not_asked_for_is_not_judged() -> None:
    report = load.judge(Load(seconds=60, failures=1), load.parse(json.dumps(REPORT | {"p95": 9e9})))
    assert [one.check for one in report.rows] == ["load: failures"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[]", "no object"),
        (json.dumps(REPORT | {"requests": True}), "`requests` is True"),
        (json.dumps(REPORT | {"requests": 1.5}), "`requests` is 1.5, and no whole number"),
        (json.dumps(REPORT | {"requests": float("inf")}), "`requests` is inf"),
        (json.dumps(REPORT | {"p95": float("nan")}), "`p95` is nan"),
        (json.dumps(REPORT | {"p95": None}), "`p95` is None"),
        (json.dumps(REPORT | {"p99": -1}), "`p99` is -1"),
        (json.dumps(REPORT | {"p99": "1\u001b[31m" + "x" * 1000}), "`p99` is 1"),
        (json.dumps(REPORT | {"failures": 1001}), "`failures` is 1001, and `requests` 1000"),
        ('{"requests": 1}', "`failures` is None"),
    ],
)
def test_a_report_that_can_not_be_used(text: str, told: str) -> None:
    with pytest.raises(InputError, match="the load test's report") as raised:
        load.parse(text)
    assert told in str(raised.value)
    problem, _ = str(raised.value).split("\nFix: ")
    assert problem.isprintable()
    assert len(problem) < 300


def test_errors_of_strangers_are_words_of_one_line() -> None:
    found = load.parse(
        json.dumps(
            REPORT
            | {
                "errors": [
                    {"error": "b\n::error::x\u001b[0m", "count": 3}, {"error": "a" * 5000, "count": 9},
                    {"error": "no number", "count": True}, {"error": ["x"]}, "text", None,
                    *({"error": f"e{n}", "count": 1} for n in range(9)),
                ]
            }
        )
    )  # fmt: skip
    assert len(found.errors) == 5
    assert found.errors[0] == ("a" * 199 + "…", 9)
    assert found.errors[1] == ("b ::error::x[0m", 3)


def test_what_the_command_is_told() -> None:
    told = load.environment(ASKED, "http://x", "/r.json")
    assert told == {
        "URL": "http://x", "LOAD_REPORT": "/r.json", "LOAD_USERS": "20", "LOAD_RATE": "5", "LOAD_TIME": "60",
        "LOAD_WARM_UP": "5", "LOAD_FAILURES": "0.01", "LOAD_P95": "200", "LOAD_P99": "500",
    }  # fmt: skip
    assert load.environment(Load(), "u", "r")["LOAD_P95"] == ""


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"time": "0s"}, "nothing is measured in it"),
        ({"time": "2h"}, "1 h is the most"),
        ({"users": 10_000, "rate": 1}, "2 h 47 min"),
    ],
)
def test_a_load_test_that_measures_nothing_or_has_no_end_is_refused(
    entry: dict[str, Any], told: str
) -> None:
    with pytest.raises(InputError, match=told):
        parse_load(entry, "load of verify")


def test_defaults_and_values_of_promotion_yaml() -> None:
    assert parse_load({}, "x") == Load()
    said = {
        "users": 3,
        "rate": 0.5,
        "time": "90s",
        "warm-up": "2s",
        "failures": "2.5%",
        "p95": "1s",
    }
    assert parse_load(said, "x") == Load(3, 0.5, 90, 2, 0.025, 1.0, None)
    assert parse_load(said, "x").longest == 98
