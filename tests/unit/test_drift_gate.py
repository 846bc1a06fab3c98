"""gate-drift's decisions: which windows any JSON has, and when so many of them are an alarm."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_gitops.core.drift import judgement, rule, windows
from model_gitops.core.drift.rule import Rule, Threshold
from model_gitops.core.drift.windows import Paths, Window
from model_gitops.errors import InputError

OURS = {
    "windows": [
        {"window": "2026-W47", "rows": 400, "drift": False, "columns": {"age": {"drift": False}}},
        {
            "window": "2026-W48",
            "rows": 90,
            "drift": True,
            "columns": {"age": {"drift": True}, "bmi": {"drift": False}},
            "performance": {"drift": True},
        },
    ],
    "reference": {"rows": 353},
}
NEWER_EVIDENTLY = {
    "metrics": [
        {
            "metric_name": "DriftedColumnsCount(drift_share=0.5)",
            "config": {"drift_share": 0.5},
            "value": {"count": 1.0, "share": 0.33},
        },
        {
            "metric_name": "ValueDrift(column=a,method=K-S p_value,threshold=0.05)",
            "config": {"column": "a", "method": "K-S p_value", "threshold": 0.05},
            "value": 7e-25,
        },
        {
            "metric_name": "ValueDrift(column=b,method=Wasserstein distance (normed),threshold=0.1)",
            "config": {"column": "b", "method": "Wasserstein distance (normed)", "threshold": 0.1},
            "value": 0.01,
        },
    ],
    "tests": [],
}
OLDER_EVIDENTLY = {
    "metrics": [
        {"metric": "DatasetDriftMetric", "result": {"dataset_drift": True}},
        {
            "metric": "DataDriftTable",
            "result": {"drift_by_columns": {"a": {"drift_detected": True}, "b": {"drift_detected": False}}},
        },
    ]
}  # fmt: skip


def read(data: Any, source: str = "w/2026-W48.json", **paths: Any) -> list[Window]:
    return windows.read(json.dumps(data), Paths(**paths), source=source)


def test_our_own_monitor_needs_no_path() -> None:
    assert read(OURS) == [
        Window("2026-W47", False, 400),
        Window("2026-W48", True, 90, ("age", "performance")),
    ]


def test_a_report_of_evidently_is_one_window() -> None:
    assert read(NEWER_EVIDENTLY) == [Window("2026-W48", False, None, ("a",))]
    assert read(OLDER_EVIDENTLY) == [Window("2026-W48", True, None, ("a",))]
    shared = read(NEWER_EVIDENTLY, drift="metrics.0.value.share", threshold=Threshold(">", 0.3))
    assert shared == [Window("2026-W48", True, None, ("a",), 0.33)]


@pytest.mark.parametrize(
    ("data", "paths", "expected"),
    [
        ([True, False], {}, [Window("1", True), Window("2", False)]),
        ([{"week": "a", "violation": True}], {}, [Window("a", True)]),
        (
            [{"week": 7, "violations": [{"column": "x"}, "y"]}, {"week": 8, "violations": []}],
            {},
            [Window("7", True, None, ("x", "y")), Window("8", False)],
        ),
        ({"windows": {"a": True, "b": {"drift": False}}}, {}, [Window("a", True), Window("b", False)]),
        (
            {"r": {"w": [{"t": {"p": 0.2, "c": ["x"]}}, {"t": {"p": 0.001}}, {"t": {}}]}},
            {"windows": "r.w", "drift": "t.p", "columns": "t.c", "threshold": Threshold("<", 0.01)},
            [Window("1", False, None, ("x",), 0.2), Window("2", True, None, (), 0.001), Window("3", None)],
        ),
        ({"x": [{"y": True}]}, {"drift": "x.-1.y"}, [Window("2026-W48", True)]),
        ([{"drift": None}, {"drift": " "}, 3.5, "x", None], {"threshold": Threshold(">=", 3.5)},
         [Window("1", None), Window("2", None), Window("3", True, None, (), 3.5), Window("4", None), Window("5", None)]),
        ([{"drift": True, "rows": -1}, {"drift": True, "rows": 1e300}], {},
         [Window("1", True), Window("2", True, int(1e300))]),
        ([{"drift": True, "columns": [{"column": "x", "drift": False}, {"name": "y", "drifted": True}, 5]}], {},
         [Window("1", True, None, ("y",))]),
        ([], {}, []),
        # As a shell writes it.
        ([{"drift": "true"}, {"drift": "False"}, {"drift": "0.3"}], {"threshold": Threshold(">", 0.1)},
         [Window("1", True), Window("2", False), Window("3", True, None, (), 0.3)]),
        # How many violations there are.
        ([{"violations": 0}, {"violations": 2}, {"violations": None}], {},
         [Window("1", False, None, (), 0), Window("2", True, None, (), 2), Window("3", None)]),
        ([{"violations": 2}], {"threshold": Threshold(">", 2)}, [Window("1", False, None, (), 2)]),
        # A divergence without bound is large, and so is an integer that no float holds. NaN says nothing.
        ([math.inf, 10**400, -(10**400), math.nan], {"threshold": Threshold(">", 0.1)},
         [Window("1", True, None, (), math.inf), Window("2", True, None, (), math.inf),
          Window("3", False, None, (), -math.inf), Window("4", None)]),
    ],
)  # fmt: skip
def test_windows_of_other_shapes(data: Any, paths: dict[str, Any], expected: list[Window]) -> None:
    assert read(data, **paths) == expected


def test_json_lines_are_windows() -> None:
    text = '{"week": "a", "drift": true, "x": "\u2028\x85"}\r\n\n{"week": "b", "drift": false}\n'
    assert windows.read(text, Paths(), source="x.jsonl") == [Window("a", True), Window("b", False)]


@pytest.mark.parametrize(
    ("text", "paths", "says"),
    [
        ("{", {}, "w.json can't be read as JSON"),
        ("[" * 100_000, {}, "w.json can't be read as JSON"),
        ("[" * 60 + "]" * 60, {}, "more than 100000 values or 50 levels"),
        (json.dumps([True] * 1001), {}, "has 1001 windows: more than 1000"),
        ('{"a": 1}', {"windows": "b.c"}, "no list or mapping there"),
        ('[{"drift": 0.3}]', {}, "window '1' of w.json says the number 0.3"),
        ('[{"drift": "some"}]', {}, "window '1' of w.json says 'some' of drift"),
        ('[{"a": "some"}]', {"drift": "a"}, "that is no boolean and no number"),
    ],
)
def test_json_that_can_not_be_used(text: str, paths: dict[str, str], says: str) -> None:
    with pytest.raises(InputError, match=says):
        windows.read(text, Paths(**paths), source="w.json")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2 of 5 windows", Rule(2, 5)), (" 1 of 1 window ", Rule(1, 1)), ("3  of 3", Rule(3, 3))],
)
def test_rules(text: str, expected: Rule) -> None:
    assert rule.parse(text) == expected
    assert rule.parse(str(expected)) == expected


@pytest.mark.parametrize(
    "text", ["", "2", "0 of 5", "6 of 5", "2 of 1001", "2 of 5 weeks", "-1 of 2", "٢ of 5"]
)
def test_what_is_no_rule(text: str) -> None:
    with pytest.raises(InputError, match="input `rule` is"):
        rule.parse(text)


@pytest.mark.parametrize(
    ("text", "drifts", "does_not"),
    [("> 0.1", 0.11, 0.1), (">= 0.1", 0.1, 0.09), ("<5e-2", 0.04, 0.05), ("<= -.5", -0.5, -0.4)],
)
def test_thresholds(text: str, drifts: float, does_not: float) -> None:
    found = rule.threshold(text)
    assert found is not None
    assert (found.holds(drifts), found.holds(does_not), found.holds(float("nan"))) == (True, False, False)  # fmt: skip
    assert rule.threshold(str(found)) == found


@pytest.mark.parametrize("text", ["0.1", "> x", "= 1", "> 1 2", "> 1e9999", "> 1e999", "≥ 1"])
def test_what_is_no_threshold(text: str) -> None:
    with pytest.raises(InputError, match="input `threshold` is"):
        rule.threshold(text)


def weeks(signs: str, rows: int | None = 500) -> list[Window]:
    """`x` drifts, `.` does not, `s` is too small and drifts, `?` says nothing."""
    return [
        Window(
            f"W{number}",
            None if sign == "?" else sign in "xs",
            10 if sign == "s" else rows,
            ("age",) if sign in "xs" else (),
        )
        for number, sign in enumerate(signs, 1)
    ]


@pytest.mark.parametrize(
    ("signs", "alarm", "says"),
    [
        ("", False, "No alarm: there is no window yet."),
        ("x", False, "No alarm: 1 window can be judged, and the rule is 2 of 5 windows."),
        ("....x", False, "No alarm: 1 of the last 5 windows drifts, and the rule is 2 of 5 windows."),
        ("xx", True, "Drift: 2 of the last 2 windows drift (rule: 2 of 5 windows), most in age."),
        ("x...x", True, "Drift: 2 of the last 5 windows drift (rule: 2 of 5 windows), most in age."),
        ("x....x", False, "No alarm: 1 of the last 5 windows drifts, and the rule is 2 of 5 windows."),
        ("xx....", False, "No alarm: 1 of the last 5 windows drifts, and the rule is 2 of 5 windows."),
        ("ss?.", False, "No alarm: 1 window can be judged, and the rule is 2 of 5 windows; 3 windows not judged."),
        ("x.s?..x", True, "Drift: 2 of the last 5 windows drift (rule: 2 of 5 windows), most in age; 2 windows not judged."),
    ],
)  # fmt: skip
def test_so_many_of_the_last_windows_are_an_alarm(signs: str, alarm: bool, says: str) -> None:
    found = judgement.judge(weeks(signs), Rule(2, 5), 100)
    assert found.alarm is alarm
    assert judgement.sentence(found) == says


@given(st.text("x.s?", max_size=12), st.integers(1, 4), st.integers(0, 4))
def test_the_rule_as_a_person_counts_it(signs: str, needed: int, more: int) -> None:
    asked = Rule(needed, needed + more)
    last = [sign for sign in signs if sign in "x."][-asked.of :]
    found = judgement.judge(weeks(signs), asked, 100)
    assert found.alarm is (last.count("x") >= needed)
    assert len(found.judged) == len(last)


def test_a_window_of_unknown_size_is_judged() -> None:
    assert judgement.judge(weeks("xx", rows=None), Rule(2, 5), 100).alarm


def test_columns_are_those_of_the_judged_windows_the_most_frequent_first() -> None:
    read = [
        Window("0", True, columns=("old",)),
        Window("1", True, columns=("a", "b")),
        Window("2", True, columns=("b",)),
    ]
    found = judgement.judge(read, Rule(1, 2))
    assert found.columns == ("b", "a")


def test_the_picture_and_the_table() -> None:
    found = judgement.judge(weeks("x?s.x."), Rule(1, 2), 100)
    assert judgement.picture(found) == "● · · ○ ● ○"
    assert judgement.table(found) == (
        "| window | rows | drift | what drifted |\n"
        "|---|---:|---|---|\n"
        "| W1 | 500 | ● yes (before the last) | age |\n"
        "| W2 | 500 | · says nothing of drift |  |\n"
        "| W3 | 10 | · fewer than 100 rows | age |\n"
        "| W4 | 500 | ○ no (before the last) |  |\n"
        "| W5 | 500 | ● yes | age |\n"
        "| W6 | 500 | ○ no |  |\n"
    )


def test_windows_that_are_alike_are_told_apart() -> None:
    alike = [Window("w", True, 500) for _ in range(4)]
    shown = judgement.table(judgement.judge(alike, Rule(1, 3)))
    assert shown.count("(before the last)") == 1


def test_strangers_names_are_no_markup() -> None:
    odd = "</td>|![x](https://evil.example/x.png)\n@octocat"
    found = judgement.judge([Window(odd, True, columns=(odd,))], Rule(1, 1))
    shown = judgement.markdown(found)
    assert "<" not in shown
    assert "![" not in shown
    assert "@o" not in shown
    assert all(line.count("|") - line.count("\\|") == 5 for line in shown.splitlines() if line.startswith("|"))  # fmt: skip


def test_of_many_windows_the_last_are_shown() -> None:
    found = judgement.judge(weeks("." * 30), Rule(1, 1))
    table = judgement.table(found)
    assert "| W11 |" in table
    assert "| W10 |" not in table
    assert "10 older windows left out." in table
    assert len(judgement.picture(found).split()) == 20
