"""What the gate says, word for word."""

from __future__ import annotations

from dataclasses import replace

import pytest

from model_gitops.core.flow import gate
from model_gitops.core.flow.measured import Difference, Slice
from model_gitops.core.flow.promotion import Rule

RULE = Rule("m.json", "r2", "higher", tolerance=0.25)
LOWER = replace(RULE, better="lower")
MEASURED = replace(RULE, measured=True, significant=True)


@pytest.mark.parametrize(
    ("rule", "champion", "candidate", "reason"),
    [
        (RULE, 1.0, None, "the candidate has no such number: m.json has a, b"),
        (replace(RULE, minimum=2.0), 1.0, 1.0, "1 is below the minimum 2"),
        (replace(RULE, maximum=0.5), 1.0, 1.0, "1 is above the maximum 0.5"),
        (RULE, None, 1.0, "what runs now has no such number, so there is nothing to compare with"),
        (RULE, 1.0, 0.5, "0.5 is worse than 1 by 0.5, 0.25 is tolerated"),
        (LOWER, 0.5, 1.0, "1 is worse than 0.5 by 0.5, 0.25 is tolerated"),
        (replace(RULE, is_relative=True), 2.0, 1.0, "1 is worse than 2 by 1, 0.5 (25 %) is tolerated"),
        (RULE, 1.0, 0.75, ""),
        (LOWER, 1.0, 1.25, ""),
        (replace(RULE, minimum=1.0, maximum=1.0), 1.0, 1.0, ""),
    ],
)  # fmt: skip
def test_the_reason_of_a_refusal(
    rule: Rule, champion: float | None, candidate: float | None, reason: str
) -> None:
    found = gate.judge(rule, champion, candidate, must_compare=True, keys=("b", "a"))
    assert found == gate.Verdict(rule, champion, candidate, reason)


@pytest.mark.parametrize(("count", "end"), [(20, "k19"), (21, "k19, …")])
def test_of_many_keys_the_first_are_shown(count: int, end: str) -> None:
    keys = [f"k{number:02}" for number in range(count)]
    assert gate.judge(RULE, None, None, keys=keys).reason.endswith(end)


def test_rounding_decides_nothing() -> None:
    rule = replace(RULE, tolerance=0.01)
    assert gate.judge(rule, 0.45, 0.44).passed
    # A billionth of the greatest of the three numbers, and no more.
    assert gate.judge(replace(RULE, tolerance=0.0), 1000.0, 1000.0 - 9e-7).passed
    assert not gate.judge(replace(RULE, tolerance=0.0), 1000.0, 1000.0 - 1.1e-6).passed
    assert gate.judge(replace(LOWER, tolerance=0.0), -1000.0, -1000.0 + 9e-7).passed


@pytest.mark.parametrize(
    ("rule", "interval", "reason"),
    [
        (MEASURED, None, "the rule asks for a significant comparison, and there is no interval: name"
         " the stage's file of predictions in `compare:`"),
        (MEASURED, (-0.5, 1.0), "the 95 % interval of the difference, -0.5 to +1, does not exclude a"
         " loss of more than 0.25"),
        (MEASURED, (-0.25, 1.0), ""),
        (replace(MEASURED, better="lower"), (-1.0, 0.5), "the 95 % interval of the difference, -1 to"
         " +0.5, does not exclude a loss of more than 0.25"),
        (replace(MEASURED, better="lower"), (-1.0, 0.25), ""),
        (replace(MEASURED, significant=False), (-0.5, 1.0), ""),
    ],
)  # fmt: skip
def test_the_reason_of_an_insignificance(
    rule: Rule, interval: tuple[float, float] | None, reason: str
) -> None:
    difference = Difference(RULE.metric, 1.0, 1.0, interval)
    found = gate.judge_measured(rule, difference)
    assert found == gate.Verdict(rule, 1.0, 1.0, reason, difference)


def test_no_measurement_is_refused_in_words() -> None:
    assert gate.judge_measured(MEASURED, None) == gate.Verdict(
        MEASURED, None, None,
        "the rule asks for a measured comparison, and compare-models measured no such metric",
    )  # fmt: skip


def test_the_whole_table() -> None:
    slices = (
        Slice("f", 4, 0.5, 0.2),
        Slice("m", 6, 0.4, 0.6),
    )
    measured = replace(MEASURED, tolerance=0.02, is_relative=True, minimum=0.1, maximum=0.9)
    verdicts = [
        gate.judge(RULE, 0.5, 0.75),
        gate.judge(LOWER, None, 1.0),
        gate.judge(replace(RULE, tolerance=0.0), 0.5, 0.5),
        gate.judge(RULE, 1.0, 0.5),
        gate.judge_measured(
            measured, Difference(RULE.metric, 0.4, 0.45, (0.01, 0.11), slices)
        ),
        gate.judge_measured(
            replace(MEASURED, better="lower", significant=False, tolerance=1.0),
            Difference(RULE.metric, 0.4, 0.45, None, slices[:1]),
        ),
    ]  # fmt: skip
    assert gate.verdict_table(verdicts, "dev <b>").splitlines() == [
        "| | metric | dev &lt;b&gt; | candidate | change | rule |",
        "|---|---|---:|---:|---:|---|",
        "| ✅ | m.json:r2 | 0.5 | 0.75 | +0.25 ▲ | higher is better, tolerance 0.25 |",
        "| | m.json:r2 | – | 1 |  | lower is better, tolerance 0.25, nothing to compare with, no bounds"
        " set |",
        "| ✅ | m.json:r2 | 0.5 | 0.5 | +0 | higher is better |",
        "| ❌ | m.json:r2 | 1 | 0.5 | -0.5 ▼ | 0.5 is worse than 1 by 0.5, 0.25 is tolerated |",
        "| ✅ | m.json:r2 | 0.4 | 0.45 | +0.05 ▲ (+0.01 to +0.11) | higher is better, tolerance 2 %,"
        " at least 0.1, at most 0.9, measured on the same data, significant |",
        "| | worst slice: m → f | 0.4 | 0.2 | -0.2 ▼ | of 2 slices |",
        "| ✅ | m.json:r2 | 0.4 | 0.45 | +0.05 ▼ | lower is better, tolerance 1, measured on the same"
        " data |",
        "| | worst slice: f | 0.5 | 0.2 | -0.3 ▲ | of 1 slices |",
    ]
    assert gate.verdict_table([], "x").endswith("---|\n")


REFUSED = [
    (RULE, None, "no r2"),
    (replace(RULE, minimum=2.0), 1.0, "r2 is below its minimum"),
    (replace(RULE, maximum=0.5), 1.0, "r2 is above its maximum"),
    (RULE, 0.5, "r2 is worse"),
    (LOWER, 2.0, "r2 is worse"),
]


@pytest.mark.parametrize(("rule", "candidate", "told"), REFUSED)
def test_a_refusal_in_short_is_read_from_the_table(
    rule: Rule, candidate: float | None, told: str
) -> None:
    table = gate.verdict_table([gate.judge(rule, 1.0, candidate)], "dev v0.0.1")
    found = gate.read_table(f"{table}\nMore.\n")
    assert found is not None
    assert (found.champion, found.refused, found.text) == ("dev v0.0.1", [told], "More.")


@pytest.mark.parametrize(
    ("verdict", "told"),
    [
        (gate.judge(RULE, None, 1.0, must_compare=True), "r2 has nothing to compare with"),
        (gate.judge_measured(MEASURED, None), "r2 was not measured"),
        (gate.judge_measured(MEASURED, Difference(RULE.metric, 1.0, 1.0)), "r2 has no interval"),
        (gate.judge_measured(MEASURED, Difference(RULE.metric, 1.0, 1.0, (-1.0, 1.0))), "r2 may be worse"),
        (gate.Verdict(RULE, 1.0, 1.0, "another reason"), "r2 is refused"),
    ],
)  # fmt: skip
def test_other_refusals_in_short(verdict: gate.Verdict, told: str) -> None:
    found = gate.read_table(gate.verdict_table([verdict], "dev"))
    assert found is not None
    assert found.refused == [told]


@pytest.mark.parametrize(
    ("verdicts", "compared", "outcome"),
    [
        ([gate.judge(RULE, None, 1.0)], False, "nothing to compare with, no bounds set"),
        ([gate.judge(RULE, None, 1.0), gate.judge(replace(RULE, minimum=0.0), None, 1.0)], True, "passed"),
        ([gate.judge(RULE, 1.0, 1.0)], True, "passed"),
        ([gate.judge(RULE, None, 1.0), gate.judge(RULE, 1.0, 0.0)], True, "refused"),
        ([], False, "no rules set"),
    ],
)  # fmt: skip
def test_a_gate_that_compared_nothing_does_not_say_that_all_is_well(
    verdicts: list[gate.Verdict], compared: bool, outcome: str
) -> None:
    table = gate.verdict_table(verdicts, gate.NOTHING_RUNS)
    found = gate.read_table(table)
    assert found is not None
    assert found.compared is compared
    assert gate.outcome(verdicts) == outcome
    assert ("✅" in table) == (outcome == "passed")


@pytest.mark.parametrize(
    "text",
    ["", "| |", "| | metric |\n|---|---|\n| ✅ | r2 |\n", "| a |\n|---|\n| b | c |", "x\n|---|\n"],
)
def test_what_is_no_table_of_verdicts_is_not_read(text: str) -> None:
    assert gate.read_table(text) is None
