from __future__ import annotations

import math
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_gitops.core.flow import gate, metrics
from model_gitops.core.flow.promotion import Rule
from model_gitops.errors import InputError

FINITE = st.floats(allow_nan=False, allow_infinity=False, width=32)


def rule(better: Literal["higher", "lower"] = "higher", **more: Any) -> Rule:
    return Rule("eval/metrics.json", "r2", better, **more)


@pytest.mark.parametrize(
    ("judged", "baseline", "candidate", "passed"),
    [
        (rule(), 0.45, 0.45, True),
        (rule(), 0.45, 0.44, False),
        (rule(tolerance=0.01), 0.45, 0.44, True),
        (rule(tolerance=0.01), 0.45, 0.4399, False),
        (rule("lower"), 10.0, 9.0, True),
        (rule("lower"), 10.0, 11.0, False),
        (rule("lower", tolerance=1.0), 10.0, 11.0, True),
        (rule("lower"), 1e-12, 9e-10, False),
        (rule("lower", tolerance=1e-10), 1e-12, 1.01e-10, True),
        (rule(), None, -5.0, True),
        (rule(minimum=0.3), None, 0.2, False),
        (rule(maximum=0.3), 0.1, 0.4, False),
        (rule(), 0.45, None, False),
        (rule(), None, None, False),
    ],
)
def test_judgement(
    judged: Rule, baseline: float | None, candidate: float | None, passed: bool
) -> None:
    verdict = gate.judge(judged, baseline, candidate)
    assert verdict.passed is passed
    assert bool(verdict.reason) is not passed


@given(baseline=FINITE, candidate=FINITE, tolerance=st.floats(0, 100))
def test_lower_is_the_mirror_of_higher(baseline: float, candidate: float, tolerance: float) -> None:
    higher = gate.judge(rule(tolerance=tolerance), baseline, candidate)
    lower = gate.judge(rule("lower", tolerance=tolerance), -baseline, -candidate)
    assert higher.passed == lower.passed


@given(st.floats(0.001, 1000), st.floats(0.0001, 0.1))
def test_exactly_the_tolerated_loss_passes_in_spite_of_rounding(
    base: float, tolerance: float
) -> None:
    assert gate.judge(rule(tolerance=tolerance), base, base - tolerance).passed


def test_an_integer_that_python_does_not_write_is_told_by_its_length() -> None:
    assert metrics.format_number(0x10**6000) == "an integer of 24001 bits"
    assert metrics.format_number(-(2**64)) == "-18446744073709551616"
    assert metrics.load(f"? 0x1{'0' * 6000}\n: 1\n", source="params.yaml") == {
        "an integer of 24001 bits": 1
    }


def test_flatten_names_nested_values_with_dots() -> None:
    data = {"test": {"r2": 0.5, "bins": [1, {"a": 2}]}, "ok": True}
    assert metrics.flatten(data) == {
        "test.r2": 0.5,
        "test.bins.0": 1,
        "test.bins.1.a": 2,
        "ok": True,
    }


@pytest.mark.parametrize(
    ("name", "text"),
    [("m.json", '{"a": {"b": 1.5}}'), ("m.yaml", "a:\n  b: 1.5\n"), ("m.toml", "[a]\nb = 1.5\n")],
)
def test_load_reads_by_the_files_name(name: str, text: str) -> None:
    assert metrics.load(text, source=name) == {"a.b": 1.5}


@pytest.mark.parametrize(("name", "text"), [("m.json", "{"), ("m.toml", "a ="), ("m.yaml", "a: [")])
def test_a_broken_file_is_named(name: str, text: str) -> None:
    with pytest.raises(InputError, match=name):
        metrics.load(text, source=name)


@pytest.mark.parametrize("value", [True, "0.5", None, math.nan, math.inf, [1]])
def test_what_is_no_number_is_none(value: object) -> None:
    assert metrics.number(value) is None


def test_the_table_shows_direction_and_stops_markup_from_outside() -> None:
    verdict = gate.judge(Rule("a|b.json", "<img>@ada", "lower"), 2.0, 1.0)
    table = gate.verdict_table([verdict], "dev v0.0.1")
    assert "▲" in table
    assert "a\\|b.json" in table
    assert "<img>" not in table.replace("\\<img\\>", "")
    assert "@ada" not in table


def test_no_file_is_too_deep_or_too_large_to_be_refused() -> None:
    for text in ('{"a":' * 900 + "1" + "}" * 900, "[" + "1," * 200_000 + "1]"):
        with pytest.raises(InputError, match=r"metrics\.json can't be used"):
            metrics.load(text, source="metrics.json")


def test_an_integer_that_no_float_can_hold_is_no_number() -> None:
    assert metrics.number(10**400) is None
