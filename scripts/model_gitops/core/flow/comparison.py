"""Two runs of one evaluation, made into differences: numbers, intervals, slices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from model_gitops.core.flow import examples, metrics, scores
from model_gitops.core.flow.examples import Examples
from model_gitops.core.flow.measured import Difference, Measured, Slice
from model_gitops.core.flow.promotion import Comparison, Rule
from model_gitops.core.flow.scores import Draw
from model_gitops.core.markdown import escape
from model_gitops.errors import InputError


@dataclass(frozen=True)
class Run:
    """What the evaluation of one model wrote: metric (`file:key`) → number, and its predictions."""

    numbers: Mapping[str, float | None]
    predictions: str | None = None


def differences(
    rules: Sequence[Rule],
    champion: Run,
    candidate: Run,
    compare: Comparison,
    draws: Callable[[], Draw],
) -> tuple[dict[str, Difference], list[str]]:
    """Return each metric's difference, and in words why one has no interval or no slices.

    `draws` gives a source of random numbers that begins anew: each metric's interval is its own.
    """
    notes: list[str] = []
    aligned = _aligned(champion, candidate, compare, notes)
    found = {}
    for rule in rules:
        before, now = (run.numbers.get(rule.metric) for run in (champion, candidate))
        found[rule.metric] = _difference(rule, before, now, aligned, compare, draws, notes)
    return found, list(dict.fromkeys(notes))


def _aligned(
    champion: Run, candidate: Run, compare: Comparison, notes: list[str]
) -> Examples | None:
    if champion.predictions is None or candidate.predictions is None:
        notes.append("without `compare.predictions` in promotion.yaml there are no intervals")
        return None
    source = compare.predictions
    try:
        tables = [
            examples.parse(run.predictions or "", source=source) for run in (champion, candidate)
        ]
        return examples.align(*tables, source=source)
    except InputError as error:
        notes.append(f"no intervals: {error.message}")
        return None


def _difference(
    rule: Rule,
    before: float | None,
    now: float | None,
    aligned: Examples | None,
    compare: Comparison,
    draws: Callable[[], Draw],
    notes: list[str],
) -> Difference:
    plain = Difference(rule.metric, before, now)
    if before is None or now is None or aligned is None:
        return plain
    known = examples.recognise(rule.key, before, now, aligned)
    if known is None:
        notes.append(
            f"{rule.metric} has no interval: no score that is known, of columns that are the same for"
            f" both models and their predictions in {compare.predictions}, gives both numbers"
        )
        return plain
    interval = scores.interval(known.champion, known.candidate, aligned.count, draws())
    if interval is None:
        notes.append(
            f"{rule.metric} has no interval: {aligned.count} examples are too few or too many for it,"
            " or the score is not defined for parts of them"
        )
    parts: tuple[Slice, ...] = ()
    if compare.slices:
        try:
            parts = tuple(Slice(*one) for one in examples.slices(known, aligned, compare.slices))
        except InputError as error:
            notes.append(f"no slices: {error.message}")
    return Difference(rule.metric, before, now, interval, parts)


def table(measured: Measured, rules: Sequence[Rule], notes: Sequence[str]) -> str:
    """Return the comparison as Markdown: a row a metric, and one for its worst slice."""
    rows = [
        "| metric | champion | candidate | difference | 95 % interval |",
        "|---|---:|---:|---:|---:|",
    ]
    number = metrics.format_number
    for rule in rules:
        one = measured.differences.get(rule.metric)
        if one is None:
            continue
        rows.append(
            f"| {escape(one.metric)} | {number(one.champion)} | {number(one.candidate)}"
            f" | {_moved(one.champion, one.candidate, rule)} | {_interval(one.interval)} |"
        )
        if one.slices:
            worst = min if rule.better == "higher" else max
            before = worst(one.slices, key=lambda part: part.champion)
            now = worst(one.slices, key=lambda part: part.candidate)
            names = before.name if before.name == now.name else f"{before.name} → {now.name}"
            rows.append(
                f"| worst of {len(one.slices)} slices: {escape(names)} | {number(before.champion)}"
                f" | {number(now.candidate)} | {_moved(before.champion, now.candidate, rule)} | |"
            )
    said = [f"- {escape(note, longest=1000)}" for note in notes]
    return "\n".join([*rows, *([""] if said else []), *said]) + "\n"


def _moved(before: float | None, now: float | None, rule: Rule) -> str:
    if before is None or now is None:
        return ""
    moved = now - before
    return f"{moved:+.5g} {metrics.direction(moved, rule.better)}".strip()


def _interval(interval: tuple[float, float] | None) -> str:
    return f"{interval[0]:+.5g} to {interval[1]:+.5g}" if interval else "–"
