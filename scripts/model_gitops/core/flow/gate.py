"""The gate: each rule of promotion.yaml, decided for a candidate's metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from model_gitops.core.flow import metrics
from model_gitops.core.flow.promotion import Rule
from model_gitops.core.markdown import escape


@dataclass(frozen=True)
class Verdict:
    """What one rule of the gate says. `reason` is empty when it passed."""

    rule: Rule
    baseline: float | None
    candidate: float | None
    reason: str

    @property
    def passed(self) -> bool:
        """Whether the rule accepts the candidate."""
        return not self.reason


def judge(rule: Rule, baseline: float | None, candidate: float | None) -> Verdict:
    """Decide one rule. No incumbent value is no objection; no candidate value is one.

    The candidate passes when `candidate >= baseline - tolerance` for `better: higher`, mirrored for
    `lower`, and when it is within the rule's own bounds.
    """
    reason = ""
    # Decimal fractions have no exact binary form: 0.45 - 0.44 must not exceed 0.01.
    slack = 1e-9 * max(abs(baseline or 0.0), abs(candidate or 0.0), rule.tolerance)
    if candidate is None:
        reason = "the candidate has no such number"
    elif rule.minimum is not None and candidate < rule.minimum:
        reason = f"{metrics.format_number(candidate)} is below the minimum {metrics.format_number(rule.minimum)}"
    elif rule.maximum is not None and candidate > rule.maximum:
        reason = f"{metrics.format_number(candidate)} is above the maximum {metrics.format_number(rule.maximum)}"
    elif baseline is not None:
        worse_by = baseline - candidate if rule.better == "higher" else candidate - baseline
        if worse_by > rule.tolerance + slack:
            reason = (
                f"{metrics.format_number(candidate)} is worse than {metrics.format_number(baseline)} by "
                f"{metrics.format_number(worse_by)}, {metrics.format_number(rule.tolerance)} is tolerated"
            )
    return Verdict(rule, baseline, candidate, reason)


def verdict_table(verdicts: Sequence[Verdict], baseline_name: str) -> str:
    """Return the verdicts as a Markdown table, with a row a rule."""
    rows = [
        f"| | metric | {escape(baseline_name)} | candidate | change | rule |",
        "|---|---|---:|---:|---:|---|",
    ]
    for one in verdicts:
        change = ""
        if one.baseline is not None and one.candidate is not None:
            moved = one.candidate - one.baseline
            change = f"{moved:+.5g} {metrics.direction(moved, one.rule.better)}".strip()
        bounds = [f"{one.rule.better} is better"]
        if one.rule.tolerance:
            bounds.append(f"tolerance {metrics.format_number(one.rule.tolerance)}")
        if one.rule.minimum is not None:
            bounds.append(f"at least {metrics.format_number(one.rule.minimum)}")
        if one.rule.maximum is not None:
            bounds.append(f"at most {metrics.format_number(one.rule.maximum)}")
        rows.append(
            f"| {'✅' if one.passed else '❌'} | {escape(one.rule.metric)} "
            f"| {metrics.format_number(one.baseline)} | {metrics.format_number(one.candidate)} | {change} "
            f"| {one.reason or ', '.join(bounds)} |"
        )
    return "\n".join(rows) + "\n"
