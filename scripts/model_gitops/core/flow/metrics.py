"""Metrics: numbers by dotted name, compared with a direction."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from model_gitops.core import document
from model_gitops.core.markdown import escape
from model_gitops.errors import InputError

if TYPE_CHECKING:
    from model_gitops.core.flow.promotion import Rule


# A file of metrics has tens of values; aliases of YAML make billions of a few lines.
MOST_VALUES = 100_000
DEEPEST = 50


def load(text: str, *, source: str) -> dict[str, Any]:
    """Parse a metrics or params file (JSON, YAML or TOML, by its name) and flatten it.

    Raises InputError naming `source`.
    """
    try:
        if source.endswith(".toml"):
            data: Any = tomllib.loads(text)
        elif source.endswith(".json"):
            data = json.loads(text)
        else:
            data = document.load_yaml(text, source=source)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{source} can't be parsed: {error}") from error
    try:
        return flatten(data)
    except InputError as error:
        raise InputError(f"{source} can't be used: {error.message}") from error


def flatten(data: Any) -> dict[str, Any]:
    """Return nested mappings and lists as one mapping with dotted keys, in their order.

    Raises InputError for more values, or deeper ones, than any real file has.
    """
    found: dict[str, Any] = {}
    seen = 0

    def walk(node: Any, prefix: str, depth: int) -> None:
        nonlocal seen
        seen += 1
        if seen > MOST_VALUES or depth > DEEPEST:
            raise InputError(f"it holds more than {MOST_VALUES} values or {DEEPEST} levels")
        if isinstance(node, Mapping):
            for key, value in node.items():
                name = format_number(key) if type(key) is int else str(key)
                walk(value, f"{prefix}.{name}" if prefix else name, depth + 1)
        elif isinstance(node, Sequence) and not isinstance(node, str):
            for place, value in enumerate(node):
                walk(value, f"{prefix}.{place}" if prefix else str(place), depth + 1)
        else:
            found[prefix] = node

    walk(data, "", 0)
    return found


def format_number(value: Any) -> str:
    """Write a metric for a person: five significant digits, `–` for nothing."""
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, float):
        return f"{value:.5g}"
    # Python writes no longer integer, and nobody reads one.
    return str(value) if value.bit_length() < 1024 else f"an integer of {value.bit_length()} bits"


def number(value: Any) -> float | None:
    """Return a metric's value as a finite number, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:  # an integer of hundreds of digits
        return None
    return found if math.isfinite(found) else None


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
        reason = f"{format_number(candidate)} is below the minimum {format_number(rule.minimum)}"
    elif rule.maximum is not None and candidate > rule.maximum:
        reason = f"{format_number(candidate)} is above the maximum {format_number(rule.maximum)}"
    elif baseline is not None:
        worse_by = baseline - candidate if rule.better == "higher" else candidate - baseline
        if worse_by > rule.tolerance + slack:
            reason = (
                f"{format_number(candidate)} is worse than {format_number(baseline)} by "
                f"{format_number(worse_by)}, {format_number(rule.tolerance)} is tolerated"
            )
    return Verdict(rule, baseline, candidate, reason)


def direction(change: float, better: Literal["higher", "lower"] | None) -> str:
    """Return ▲ for a change to the better, ▼ to the worse, and nothing where it is not known."""
    if better is None or change == 0:
        return ""
    return "▲" if (change > 0) == (better == "higher") else "▼"


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
            change = f"{moved:+.5g} {direction(moved, one.rule.better)}".strip()
        bounds = [f"{one.rule.better} is better"]
        if one.rule.tolerance:
            bounds.append(f"tolerance {format_number(one.rule.tolerance)}")
        if one.rule.minimum is not None:
            bounds.append(f"at least {format_number(one.rule.minimum)}")
        if one.rule.maximum is not None:
            bounds.append(f"at most {format_number(one.rule.maximum)}")
        rows.append(
            f"| {'✅' if one.passed else '❌'} | {escape(one.rule.metric)} "
            f"| {format_number(one.baseline)} | {format_number(one.candidate)} | {change} "
            f"| {one.reason or ', '.join(bounds)} |"
        )
    return "\n".join(rows) + "\n"
