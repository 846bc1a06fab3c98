"""The findings as a person reads them: lines of a terminal, and a table in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from model_gitops.core.doctor.finding import Finding
from model_gitops.core.markdown import code, escape

_MARKS = {True: "✓", False: "✗", None: "–"}
_COLOURS = {True: "\x1b[32m", False: "\x1b[31m", None: "\x1b[33m"}
_END = "\x1b[0m"
_LONGEST = 2000


def line(one: Finding, *, colour: bool = False, width: int = 0) -> str:
    """Return a finding as one line, and what mends it; a fix of several lines is indented below."""
    mark = f"{_COLOURS[one.ok]}{_MARKS[one.ok]}{_END}" if colour else _MARKS[one.ok]
    told = f"{mark} {one.check.ljust(width)}  {' '.join(one.found.split())}"
    if not one.fix:
        return told
    first, *more = one.fix.splitlines()
    if not more:
        return f"{told}. Fix: {first}"
    return "\n".join([f"{told}. Fix:", *(f"    {text}" for text in (first, *more))])


def width(names: Sequence[str]) -> int:
    """Return the width of the column of names."""
    return max(map(len, names), default=0)


def summary(findings: Sequence[Finding]) -> str:
    """Return the last line: how many there are of each."""
    counts = {ok: sum(one.ok is ok for one in findings) for ok in _MARKS}
    told = f"{counts[True]} in order, {counts[False]} to mend"
    return f"{told}, {counts[None]} not asked" if counts[None] else told


def markdown(findings: Sequence[Finding]) -> str:
    """Return the findings as a table, what must be mended first."""
    order = sorted(findings, key=lambda one: {False: 0, None: 1, True: 2}[one.ok])
    rows = [
        f"| {_MARKS[one.ok]} | {code(one.check)} | {escape(one.found, longest=_LONGEST)} | {_fix(one.fix)} |"
        for one in order
    ]
    head = [
        "### Doctor: " + summary(findings),
        "",
        "| | check | found | fix |",
        "|---|---|---|---|",
    ]
    return "\n".join([*head, *rows, ""])


def _fix(fix: str) -> str:
    return "<br>".join(code(one, longest=_LONGEST) for one in fix.splitlines())
