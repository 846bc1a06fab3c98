from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from model_gitops.core.flow import gate, measured
from model_gitops.core.flow.measured import Difference, Measured, Slice
from model_gitops.core.flow.promotion import Rule
from model_gitops.errors import InputError

RULE = Rule("eval/metrics.json", "r2", "higher")
MEASURED = replace(RULE, measured=True)
SIGNIFICANT = replace(MEASURED, significant=True)


def test_a_number_that_only_the_candidate_has_is_refused_where_something_runs() -> None:
    assert gate.judge(RULE, None, 0.5).passed
    refused = gate.judge(RULE, None, 0.5, must_compare=True)
    assert "nothing to compare with" in refused.reason
    assert gate.judge(RULE, 0.5, 0.5, must_compare=True).passed


def test_bounds_exactly_reached_pass() -> None:
    rule = replace(RULE, minimum=0.25, maximum=0.75)
    assert gate.judge(rule, None, 0.25).passed
    assert gate.judge(rule, None, 0.75).passed
    assert "below the minimum 0.25" in gate.judge(rule, None, 0.2499).reason
    assert "above the maximum 0.75" in gate.judge(rule, None, 0.7501).reason


def test_a_key_that_is_missing_is_told_beside_those_that_there_are() -> None:
    reason = gate.judge(RULE, None, None, keys=["rmse", "mae"]).reason
    assert reason == "the candidate has no such number: eval/metrics.json has mae, rmse"
    many = gate.judge(RULE, None, None, keys=[f"k{n:03}" for n in range(21)]).reason
    assert many.endswith("k019, …")
    assert gate.judge(RULE, None, None).reason == "the candidate has no such number"


@pytest.mark.parametrize(
    ("better", "champion", "candidate", "passes"),
    [
        ("higher", 200.0, 196.0, True),
        ("higher", 200.0, 195.9, False),
        ("lower", 200.0, 204.0, True),
        ("lower", 200.0, 204.1, False),
        ("higher", -200.0, -204.0, True),
        ("higher", -200.0, -204.1, False),
        ("higher", 0.0, 0.0, True),
        ("higher", 0.0, -0.1, False),
    ],
)
def test_a_relative_tolerance_is_a_share_of_what_runs(
    better: Any, champion: float, candidate: float, passes: bool
) -> None:
    rule = replace(RULE, better=better, tolerance=0.02, is_relative=True)
    verdict = gate.judge(rule, champion, candidate)
    assert verdict.passed is passes
    if not passes:
        assert "(2 %) is tolerated" in verdict.reason
    assert "tolerance 2 %" in gate.verdict_table([gate.judge(rule, champion, champion)], "dev")


def test_a_measured_rule_takes_the_measured_numbers() -> None:
    difference = Difference(RULE.metric, 0.4, 0.3)
    verdict = gate.judge_measured(MEASURED, difference)
    assert (verdict.champion, verdict.candidate, verdict.measured) == (0.4, 0.3, difference)
    assert "is worse than 0.4" in verdict.reason
    assert gate.judge_measured(MEASURED, replace(difference, candidate=0.5)).passed
    assert "measured no such metric" in gate.judge_measured(MEASURED, None).reason
    assert (
        "no such number"
        in gate.judge_measured(MEASURED, replace(difference, candidate=None)).reason
    )
    assert (
        "nothing to compare"
        in gate.judge_measured(MEASURED, replace(difference, champion=None)).reason
    )


@pytest.mark.parametrize(
    ("better", "tolerance", "interval", "passes"),
    [
        ("higher", 0.0, (0.01, 0.2), True),
        ("higher", 0.0, (0.0, 0.2), True),
        ("higher", 0.0, (-0.01, 0.2), False),
        ("higher", 0.05, (-0.05, 0.2), True),
        ("higher", 0.05, (-0.06, 0.2), False),
        ("lower", 0.0, (-0.2, -0.01), True),
        ("lower", 0.0, (-0.2, 0.01), False),
        ("lower", 0.05, (-0.2, 0.05), True),
        ("lower", 0.05, (-0.2, 0.06), False),
    ],
)
def test_significant_means_that_the_worse_end_of_the_interval_is_tolerated(
    better: Any, tolerance: float, interval: tuple[float, float], passes: bool
) -> None:
    rule = replace(SIGNIFICANT, better=better, tolerance=tolerance)
    difference = Difference(RULE.metric, 1.0, 1.0, interval)
    verdict = gate.judge_measured(rule, difference)
    assert verdict.passed is passes
    assert gate.judge_measured(replace(rule, significant=False), difference).passed
    if not passes:
        assert "does not exclude a loss of more than" in verdict.reason


def test_significance_without_an_interval_is_refused() -> None:
    verdict = gate.judge_measured(SIGNIFICANT, Difference(RULE.metric, 1.0, 1.0))
    assert "there is no interval" in verdict.reason


def test_the_table_shows_the_interval_and_the_worst_slices() -> None:
    slices = (Slice("sex=f", 40, 0.5, 0.2), Slice("sex=m", 60, 0.4, 0.6))
    difference = Difference(RULE.metric, 0.4, 0.45, (-0.01, 0.11), slices)
    table = gate.verdict_table([gate.judge_measured(MEASURED, difference)], "dev v0.0.1")
    assert "| +0.05 ▲ (-0.01 to +0.11) |" in table
    assert "| | worst slice: sex=m → sex=f | 0.4 | 0.2 | -0.2 ▼ | of 2 slices |" in table
    assert "measured on the same data" in table
    lower = replace(MEASURED, better="lower")
    table = gate.verdict_table([gate.judge_measured(lower, difference)], "dev v0.0.1")
    assert "worst slice: sex=f → sex=m | 0.5 | 0.6 | +0.1 ▼" in table


def test_what_was_measured_is_read_as_it_was_written() -> None:
    whole = Measured(
        "a" * 32, "b" * 32, "1" * 40, "2" * 40, "3" * 40, "evaluate",
        {RULE.metric: Difference(RULE.metric, 0.5, None, (-0.1, 0.2), (Slice("x", 3, 0.1, 0.2),))},
    )  # fmt: skip
    assert measured.parse(measured.dump(whole)) == whole
    assert "\n" not in measured.dump(whole)


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{", '{"format": 2}', '{"format": 1}', "[" * 100_000,
        '{"format": 1, "champion": {"commit": "", "model-hash": ""}, "candidate": {"commit": "",'
        ' "model-hash": ""}, "evaluation": {"commit": "", "stage": ""}, "metrics": [{"metric": "m",'
        ' "champion": 1, "candidate": 1, "interval": [NaN, 1]}]}',
    ],
)  # fmt: skip
def test_what_is_no_measurement_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="no result of compare-models"):
        measured.parse(text)
