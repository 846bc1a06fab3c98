"""The gate: each rule of promotion.yaml, decided for a candidate's metrics."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from model_gitops.core.flow import metrics
from model_gitops.core.flow.measured import Difference
from model_gitops.core.flow.promotion import Rule
from model_gitops.core.markdown import escape, table

NOTHING_RUNS = "nothing runs yet"
NOTHING_COMPARED = "nothing to compare with, no bounds set"
_PASSED, _REFUSED = "✅", "❌"
# A reason's words → what a title says of the metric.
_IN_SHORT = {
    "the candidate has no such number": "no {}",
    "is below the minimum": "{} is below its minimum",
    "is above the maximum": "{} is above its maximum",
    "nothing to compare with": "{} has nothing to compare with",
    "is worse than": "{} is worse",
    "measured no such metric": "{} was not measured",
    "there is no interval": "{} has no interval",
    "does not exclude a loss": "{} may be worse",
}
_MOST_KEYS = 20
_LONGEST = 1000


@dataclass(frozen=True)
class Verdict:
    """What one rule of the gate says. `reason` is empty when it passed.

    `measured` is the comparison that it was decided by, None for the numbers that the commits have.
    """

    rule: Rule
    champion: float | None
    candidate: float | None
    reason: str
    measured: Difference | None = None

    @property
    def passed(self) -> bool:
        """Whether the rule accepts the candidate."""
        return not self.reason

    @property
    def judged(self) -> bool:
        """Whether anything was: False where nothing is there to compare with, and no bound is set."""
        bounds = (self.rule.minimum, self.rule.maximum)
        return bool(self.reason) or self.champion is not None or bounds != (None, None)


@dataclass(frozen=True)
class Told:
    """What a table of verdicts says, read again: its rows of six cells, and the text after it."""

    champion: str
    rows: Sequence[Sequence[str]]
    text: str

    @property
    def refused(self) -> list[str]:
        """What is wrong with each metric that is refused, in some words."""
        return [_in_short(row[1], row[5]) for row in self.rows if row[0] == _REFUSED]

    @property
    def compared(self) -> bool:
        """Whether any rule compared the candidate with anything."""
        return any(row[0] for row in self.rows)


def judge(
    rule: Rule,
    champion: float | None,
    candidate: float | None,
    *,
    must_compare: bool = False,
    keys: Collection[str] | None = None,
) -> Verdict:
    """Decide one rule by the numbers of two commits.

    The candidate passes when `candidate >= champion - tolerated` for `better: higher`, mirrored for
    `lower`, and when it is within the rule's own bounds. No number of the candidate is refused; no
    number of the champion only where `must_compare` says that something runs. `keys` are the numbers
    that the candidate's file has, for the message: none where there is no such file either.
    """
    return Verdict(
        rule, champion, candidate, _reason(rule, champion, candidate, must_compare, keys)
    )


def judge_measured(rule: Rule, difference: Difference | None) -> Verdict:
    """Decide one rule by what compare-models measured; no such measurement is refused.

    With `significant` the worse end of the 95 % interval must be within the tolerance
    (non-inferiority), not the difference itself.
    """
    if difference is None:
        reason = (
            "the rule asks for a measured comparison, and compare-models measured no such metric"
        )
        return Verdict(rule, None, None, reason)
    champion, candidate = difference.champion, difference.candidate
    reason = _reason(rule, champion, candidate, True, None)
    if not reason and rule.significant and champion is not None:
        reason = _insignificance(rule, champion, difference.interval)
    return Verdict(rule, champion, candidate, reason, difference)


def _reason(
    rule: Rule,
    champion: float | None,
    candidate: float | None,
    must_compare: bool,
    keys: Collection[str] | None,
) -> str:
    number = metrics.format_number
    if candidate is None:
        return f"the candidate has no such number{_known(rule, keys)}"
    if rule.minimum is not None and candidate < rule.minimum:
        return f"{number(candidate)} is below the minimum {number(rule.minimum)}"
    if rule.maximum is not None and candidate > rule.maximum:
        return f"{number(candidate)} is above the maximum {number(rule.maximum)}"
    if champion is None:
        if must_compare:
            return "what runs now has no such number, so there is nothing to compare with"
        return ""
    worse_by = champion - candidate if rule.better == "higher" else candidate - champion
    if worse_by > rule.tolerated(champion) + _slack(rule, champion, candidate):
        return (
            f"{number(candidate)} is worse than {number(champion)} by {number(worse_by)}, "
            f"{_tolerance(rule, champion)} is tolerated"
        )
    return ""


def _insignificance(rule: Rule, champion: float, interval: tuple[float, float] | None) -> str:
    """Return why the interval of the difference does not let the candidate pass, or nothing."""
    if interval is None:
        return (
            "the rule asks for a significant comparison, and there is no interval: name the stage's"
            " file of predictions in `compare:`"
        )
    low, high = interval
    worse_by = -low if rule.better == "higher" else high
    if worse_by > rule.tolerated(champion) + _slack(rule, champion, worse_by):
        return (
            f"the 95 % interval of the difference, {low:+.5g} to {high:+.5g}, does not exclude a loss"
            f" of more than {_tolerance(rule, champion)}"
        )
    return ""


def _slack(rule: Rule, *values: float) -> float:
    """Decimal fractions have no exact binary form: 0.45 - 0.44 must not exceed 0.01."""
    return 1e-9 * max(rule.tolerance, *map(abs, values))


def _tolerance(rule: Rule, champion: float) -> str:
    tolerated = metrics.format_number(rule.tolerated(champion))
    return f"{tolerated} ({_share(rule)})" if rule.is_relative else tolerated


def _share(rule: Rule) -> str:
    return f"{rule.tolerance * 100:.5g} %"


def _known(rule: Rule, keys: Collection[str] | None) -> str:
    if keys is None:
        return ""
    if not keys:
        return f": there is no file {rule.file}, or it holds none"
    shown = ", ".join(sorted(keys)[:_MOST_KEYS]) + (", …" if len(keys) > _MOST_KEYS else "")
    return f": {rule.file} has {shown}"


def verdict_table(verdicts: Sequence[Verdict], champion_name: str) -> str:
    """Return the verdicts as a Markdown table, with a row a rule and a row a measured worst slice."""
    rows = [
        f"| | metric | {escape(champion_name)} | candidate | change | rule |",
        "|---|---|---:|---:|---:|---|",
    ]
    for one in verdicts:
        mark = (f" {_PASSED}" if one.passed else f" {_REFUSED}") if one.judged else ""
        bounds = _bounds(one.rule) + ([] if one.judged else [NOTHING_COMPARED])
        rows.append(
            f"|{mark} | {escape(one.rule.metric)} "
            f"| {metrics.format_number(one.champion)} | {metrics.format_number(one.candidate)} "
            f"| {_change(one)} | {escape(one.reason, longest=_LONGEST) or ', '.join(bounds)} |"
        )
        rows += _worst_slices(one)
    return "\n".join(rows) + "\n"


def read_table(markdown: str) -> Told | None:
    """Read what `verdict_table` wrote, and the text after it; None where that is no such table."""
    rows, text = table(markdown)
    if not rows or len(rows[0]) != 6 or rows[0][:2] != ["", "metric"]:
        return None
    return Told(rows[0][2], rows[1:], text)


def outcome(verdicts: Sequence[Verdict]) -> str:
    """Return what the gate says of all its rules: passed, refused, or that it compared nothing."""
    if any(not one.passed for one in verdicts):
        return "refused"
    if not verdicts:
        return "no rules set"
    return "passed" if any(one.judged for one in verdicts) else NOTHING_COMPARED


def _in_short(metric: str, reason: str) -> str:
    name = metric.partition(":")[2] or metric
    known = next((told for words, told in _IN_SHORT.items() if words in reason), "{} is refused")
    return known.replace("{}", name)


def _change(verdict: Verdict) -> str:
    if verdict.champion is None or verdict.candidate is None:
        return ""
    moved = verdict.candidate - verdict.champion
    change = f"{moved:+.5g} {metrics.direction(moved, verdict.rule.better)}".strip()
    if verdict.measured and verdict.measured.interval:
        low, high = verdict.measured.interval
        change += f" ({low:+.5g} to {high:+.5g})"
    return change


def _bounds(rule: Rule) -> list[str]:
    said = [f"{rule.better} is better"]
    if rule.tolerance:
        tolerance = _share(rule) if rule.is_relative else metrics.format_number(rule.tolerance)
        said.append(f"tolerance {tolerance}")
    if rule.minimum is not None:
        said.append(f"at least {metrics.format_number(rule.minimum)}")
    if rule.maximum is not None:
        said.append(f"at most {metrics.format_number(rule.maximum)}")
    if rule.measured:
        said.append("measured on the same data" + (", significant" if rule.significant else ""))
    return said


def _worst_slices(verdict: Verdict) -> list[str]:
    """Worst slice against worst slice: a model that is better on average may fail some people."""
    if not verdict.measured or not verdict.measured.slices:
        return []
    worst = min if verdict.rule.better == "higher" else max
    slices = verdict.measured.slices
    before = worst(slices, key=lambda one: one.champion)
    now = worst(slices, key=lambda one: one.candidate)
    moved = now.candidate - before.champion
    shown = f"{moved:+.5g} {metrics.direction(moved, verdict.rule.better)}".strip()
    names = escape(before.name if before.name == now.name else f"{before.name} → {now.name}")
    return [
        f"| | worst slice: {names} | {metrics.format_number(before.champion)} "
        f"| {metrics.format_number(now.candidate)} | {shown} | of {len(slices)} slices |"
    ]
