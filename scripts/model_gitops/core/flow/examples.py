"""The predictions of two models, example by example: read, and held against one another."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from model_gitops.core.flow import scores
from model_gitops.core.flow.scores import FEWEST, Sample, Score
from model_gitops.errors import InputError

MOST_EXAMPLES = 1_000_000
MOST_SLICES = 100
OTHER = "(other)"

# Of a file with many columns so many pairs are tried, the likely names first.
_MOST_COLUMNS = 8
_ACTUAL = re.compile(r"actual|true|truth|target|label|expected|observed|^y$", re.IGNORECASE)
_PREDICTED = re.compile(r"pred|score|prob|y_?hat|estimate|output|forecast", re.IGNORECASE)

Table = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Examples:
    """The same examples under both models: `same` columns, and those that `differ` (champion's,
    candidate's). `count` is their number."""

    count: int
    same: Table
    differ: Mapping[str, tuple[Sequence[str], Sequence[str]]]

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Go through pairs of columns (actual, predicted) that may be scored, likely ones first.

        What is actual is the same under both models; what is predicted need not differ.
        """
        actual = sorted(self.same, key=lambda name: not _ACTUAL.search(name))[:_MOST_COLUMNS]
        alike = [name for name in self.same if _PREDICTED.search(name)]
        differing = sorted(self.differ, key=lambda name: not _PREDICTED.search(name))
        for predicted in [*differing, *alike][:_MOST_COLUMNS]:
            yield from ((one, predicted) for one in actual if one != predicted)

    def predictions(self, column: str) -> tuple[Sequence[str], Sequence[str]]:
        """Return a column's values under the champion and under the candidate."""
        if column in self.differ:
            return self.differ[column]
        return self.same[column], self.same[column]


def parse(text: str, *, source: str) -> Table:
    """Read a file of predictions: CSV, TSV, or JSON (a list, or one object a line), by its name.

    Returns column → the values as text. Raises InputError naming `source`.
    """
    try:
        if source.endswith((".json", ".jsonl", ".ndjson")):
            return _columns(*_from_json(text, source.endswith(".json")), source)
        reader = csv.reader(
            io.StringIO(text, newline=""), dialect="excel-tab" if source.endswith(".tsv") else "excel",
            strict=True,
        )  # fmt: skip
        header = next(reader, [])
        return _columns(header, (row for row in reader if row), source)
    except (csv.Error, ValueError, RecursionError) as error:
        raise InputError(f"{source} can't be read as a table: {error}") from error


def _from_json(text: str, is_list: bool) -> tuple[list[str], Iterator[list[str]]]:
    entries = (
        json.loads(text) if is_list else [json.loads(line) for line in text.split("\n") if line]
    )
    if not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
        raise ValueError("it is no list of objects")
    header = list(entries[0]) if entries else []
    if any(one.keys() != entries[0].keys() for one in entries):
        raise ValueError("its objects have different keys")
    return header, ([_text(one[name]) for name in header] for one in entries)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _columns(header: Sequence[str], rows: Iterator[list[str]], source: str) -> Table:
    if len(set(header)) != len(header) or not header:
        raise InputError(f"{source} has no header, or two columns of one name")
    columns: list[list[str]] = [[] for _ in header]
    for number, row in enumerate(rows, 1):
        if len(row) != len(header):
            raise InputError(
                f"{source}: row {number} has {len(row)} values, and there are {len(header)} columns"
            )
        if number > MOST_EXAMPLES:
            raise InputError(f"{source} has more than {MOST_EXAMPLES} rows")
        for column, value in zip(columns, row, strict=True):
            column.append(value)
    return dict(zip(header, columns, strict=True))


def align(champion: Table, candidate: Table, *, source: str) -> Examples:
    """Hold two tables against each other: the same columns, and as many rows. Raises InputError."""
    if list(champion) != list(candidate):
        raise InputError(f"{source} has other columns for the candidate than for the champion")
    count, other = (len(next(iter(table.values()))) for table in (champion, candidate))
    if count != other:
        raise InputError(
            f"{source} has {count} examples for the champion and {other} for the candidate"
        )
    return Examples(
        count,
        same={name: values for name, values in champion.items() if values == candidate[name]},
        differ={
            name: (values, candidate[name])
            for name, values in champion.items()
            if values != candidate[name]
        },
    )


@dataclass(frozen=True)
class Recognised:
    """The score that a stage wrote, and both models' predictions as far as it needs them."""

    score: Score
    actual: str
    predicted: str
    champion: Sample
    candidate: Sample


def recognise(key: str, champion: float, candidate: float, examples: Examples) -> Recognised | None:
    """Find the score whose values for all examples are the numbers that the stage wrote, or None.

    Both models' numbers must agree with it. Where `key` names a score, only that one counts, and
    numbers may be rounded; without a name to go by they must agree to a millionth.
    """
    named = scores.names(key)
    for actual, predicted in examples.pairs():
        before, now = examples.predictions(predicted)
        for score in named or scores.known():
            one, other = (
                score.sample(examples.same[actual], said) if said else None
                for said in (before, now)
            )
            if one is None or other is None:
                continue
            found = scores.whole(one, examples.count), scores.whole(other, examples.count)
            if _agree(found, (champion, candidate), is_named=bool(named)):
                return Recognised(score, actual, predicted, one, other)
    return None


def _agree(
    found: tuple[float | None, float | None], written: tuple[float, float], *, is_named: bool
) -> bool:
    """Whether the numbers are those that were written, which may be rounded to their last place."""
    last_place = 0.5 * 10.0 ** -max(_decimals(one) for one in written) if is_named else 0.0
    for value, number in zip(found, written, strict=True):
        scale = max(abs(number), 1e-9)
        # What the predictions themselves were rounded by moves a score less than the last place.
        tolerance = max(1e-6 * scale, min(1.1 * last_place, 2e-3 * scale))
        if value is None or abs(value - number) > tolerance:
            return False
    return True


def _decimals(number: float) -> int:
    """Return how many decimals a number was written with, as far as it tells."""
    text = repr(number)
    return 0 if "e" in text else len(text.partition(".")[2].rstrip("0"))


def slices(
    recognised: Recognised, examples: Examples, column: str
) -> tuple[tuple[str, int, float, float], ...]:
    """Return (value of `column`, examples, champion's score, candidate's), the largest slice first.

    Slices of fewer than FEWEST examples are joined, and those beyond MOST_SLICES. One where the score
    has no value (one class only) is left out. Raises InputError for a column that is not there, or
    is not the same under both models.
    """
    if column not in examples.same:
        has = ", ".join(examples.same) or "none"
        raise InputError(
            f"the predictions have no column {column!r} that is the same for both models; they have {has}"
        )
    found: dict[str, list[int]] = {}
    for place, value in enumerate(examples.same[column]):
        found.setdefault(value, []).append(place)
    ordered = sorted(found, key=lambda value: (-len(found[value]), value))
    kept = [value for value in ordered if len(found[value]) >= FEWEST]
    kept = kept[: MOST_SLICES if len(kept) == len(ordered) <= MOST_SLICES else MOST_SLICES - 1]
    groups = {value: found[value] for value in kept}
    if rest := [place for value in ordered if value not in groups for place in found[value]]:
        groups[OTHER] = [*groups.get(OTHER, ()), *rest]
    rows = []
    for name, places in groups.items():
        if len(places) < FEWEST:
            continue
        weights = [0] * examples.count
        for place in places:
            weights[place] = 1
        before, now = recognised.champion.at(weights), recognised.candidate.at(weights)
        if before is not None and now is not None:
            rows.append((name, len(places), before, now))
    return tuple(rows)
