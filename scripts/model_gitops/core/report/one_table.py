"""One table of a promotion: the gate's verdicts, the other metrics, and what would replace what."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from model_gitops.core.flow import gate
from model_gitops.core.markdown import escape, table
from model_gitops.core.report.comparison import Comparison, Row

# What the table of status says of a deployment; its other rows are metrics.
_OF_A_DEPLOYMENT = ("version", "model", "image", "since", "by", "in sync")


@dataclass(frozen=True)
class Joined:
    """The table and the text of its parts, and which of them it says: the rest has its own place."""

    text: str
    runs: bool = False
    metrics: bool = False


def join(
    gate_table: str,
    runs_table: str,
    environment: str,
    metrics: Comparison | None = None,
    reference: str = "",
) -> Joined:
    """Return the gate's table with a row for all that the other two say of the same two models.

    `runs_table` is of status, and `metrics` compares the candidate with `reference`. What is of
    another model than the gate's champion, or is no table of ours, is left out.
    """
    told = gate.read_table(gate_table)
    if told is None:
        return Joined(gate_table)
    rows, text = [list(row) for row in told.rows], [told.text]
    # The gate may have been given another baseline than what runs.
    name = escape(environment)
    of_environment = told.champion == gate.NOTHING_RUNS or f"{told.champion} ".startswith(
        f"{name} "
    )
    runs, said = table(runs_table) if of_environment else ([], "")
    runs = runs if runs and len(runs[0]) == 3 else []
    same = False
    if metrics and not metrics.others:
        same = metrics.alone or not reference or told.champion == escape(reference)
    if metrics and same:
        judged = [row[1] for row in told.rows]
        rows += [
            ["", one.name, "–" if metrics.alone else one.before, one.now, one.change, ""]
            for one in metrics.rows
            if not _is_in(one, judged)
        ]
    short = {row[1].partition(":")[2] or row[1] for row in rows}
    rows += [
        ["", label, *((_short(now), _short(then)) if label == "model" else (now, then)), "", ""]
        for label, now, then in runs[1:]
        if label in _OF_A_DEPLOYMENT or label not in short
    ]
    head = ["", "", runs[0][1] if runs else told.champion, "candidate", "change", "rule"]
    text += [said] if runs else []
    lines = [_line(head), "|---|---|---:|---:|---:|---|", *map(_line, rows)]
    whole = "\n\n".join(part for part in ("\n".join(lines), *text) if part)
    return Joined(whole, runs=bool(runs), metrics=same)


def _is_in(row: Row, judged: Sequence[str]) -> bool:
    """Whether a rule is of this value: its file is relative to the repository, ours to the project."""
    file, key = row.place
    name = escape(f"{file}:{key}")
    return any(one == name or one.endswith(f"/{name}") for one in judged)


def _short(hashes: str) -> str:
    """Return a model's hash as people know it, like an image's: whole ones would make the table wide."""
    return re.sub(r"`([0-9a-f]{12})[0-9a-f]+(?:\.dir)?`", r"`\1`", hashes)


def _line(cells: Sequence[str]) -> str:
    return "|" + "".join(f" {cell} |" if cell else " |" for cell in cells)
