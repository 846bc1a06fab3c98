"""The comparison of a report: a row a value, and what a reader in a hurry is told of all of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from model_gitops.core.flow import metrics
from model_gitops.core.flow.directions import Better
from model_gitops.core.markdown import escape

MOST_ROWS = 100

# A value's place: the file (POSIX, relative to the project) and the dotted key in it.
Place = tuple[str, str]


@dataclass(frozen=True)
class Column:
    """The values of one revision, under the name that the table's head shows.

    `unread` are the files of which nobody could read the values.
    """

    name: str
    values: Mapping[Place, Any]
    unread: Collection[str] = ()


@dataclass(frozen=True)
class Row:
    """One value of the two that are compared: its place, and the cells of a table."""

    place: Place
    name: str
    before: str
    now: str
    change: str


@dataclass(frozen=True)
class Comparison:
    """A table, and how many of its values are better, worse, and changed at all.

    Of those that `changed`, some are `better`, some `worse`, `new` or `gone`, and the rest changed in a
    way that nobody can judge. `unread` are values that one side may have, in a file that can't be read.
    `missing` says that the candidate has no value, and others do; `alone` that only it has one.
    `rows` are the table's, `others` says that it shows values of more than the two that are compared.
    """

    table: str = ""
    total: int = 0
    better: int = 0
    worse: int = 0
    changed: int = 0
    new: int = 0
    gone: int = 0
    unread: int = 0
    missing: bool = False
    alone: bool = False
    rows: Sequence[Row] = ()
    others: bool = False

    @property
    def unjudged(self) -> int:
        """How many changed in a way that nobody can judge."""
        return self.changed - self.better - self.worse - self.new - self.gone


def compare_metrics(
    columns: Sequence[Column],
    better_of: Callable[[Place], Better | None],
    *,
    reference: int = -2,
) -> Comparison:
    """Compare the last column, the candidate, with `columns[reference]`; show all columns.

    ▲ is a change to the better, ▼ to the worse; a metric whose direction is not known has neither.
    Where a number became none (NaN, an infinity, null), that is worse, whatever the direction.
    """
    places = _places(columns)
    rows, kinds, found = [], [], []
    for place in places:
        kind, change = _changed(columns[reference], columns[-1], place, better_of(place))
        values = [_value(column, place) for column in columns]
        kinds.append(kind)
        rows.append([_name(place, places), *values, change])
        found.append(Row(place, rows[-1][0], values[reference], values[-1], change))
    head = ["metric", *(column.name for column in columns), "change"]
    count = kinds.count
    return Comparison(
        _table(head, rows, "metrics") if rows else "",
        total=len(rows),
        better=count("better"),
        worse=count("worse"),
        changed=len(kinds) - count("same") - count("unread"),
        new=count("new"),
        gone=count("gone"),
        unread=count("unread"),
        missing=bool(rows) and not columns[-1].values,
        alone=not columns[reference].values,
        rows=tuple(found),
        others=any(
            row[1 + at] != row[reference - 1] for row in rows for at in range(len(columns) - 1)
        ),
    )


def _changed(before: Column, now: Column, place: Place, better: Better | None) -> tuple[str, str]:
    """Return the kind of a change, as `Comparison` counts them, and what the table says of it."""
    if before is now or not before.values:
        return "same", ""
    for column in (before, now):
        if place not in column.values and place[0] in column.unread:
            return "unread", "can't be compared"
    if place not in before.values:
        return "new", "new"
    if place not in now.values:
        return "gone", "gone"
    old, new = before.values[place], now.values[place]
    if _alike(old, new):
        return "same", "=" if metrics.is_number(new) else ""
    old_number, new_number = metrics.number(old), metrics.number(new)
    if old_number is None or new_number is None:
        # A model that ran away has NaN where a number was. The way back is no score to be proud of.
        ran_away = old_number is not None and (new is None or metrics.is_number(new))
        return ("worse", "no number ▼") if ran_away else ("changed", "changed")
    moved = new_number - old_number
    if not moved:
        return "same", "="  # 1 and 1.0
    sign = metrics.direction(moved, better)
    kind = {"▲": "better", "▼": "worse"}.get(sign, "changed")
    return kind, f"{moved:+.5g} {sign}".strip()


def compare_params(columns: Sequence[Column]) -> Comparison:
    """Show the params whose value in the last column, the candidate, is not that of all others."""
    candidate = columns[-1].values
    if not candidate:
        return Comparison()
    every = _places(columns)
    places = [
        place
        for place in every
        if any(
            not _same(column.values, candidate, place) for column in columns[:-1] if column.values
        )
    ]
    rows = [
        [_name(place, every), *(_value(column, place) for column in columns)] for place in places
    ]
    table = _table(["param", *(column.name for column in columns)], rows, "params") if rows else ""
    return Comparison(table, len(every), changed=len(rows))


def verdict(compared: Comparison, reference: str) -> str:
    """Return one line for a reader in a hurry: how many metrics are better and worse than what."""
    if not compared.total:
        return "No metrics were found."
    if compared.missing:
        return "**The candidate has no metrics.**"
    count = f"{compared.total} metric{'s' if compared.total != 1 else ''}"
    if not reference:
        return f"{count}, and nothing to compare with yet."
    against = escape(reference)
    if compared.alone:
        return f"{count}; {against} has none to compare with."
    if told := _told(compared):
        judged, others = told
        first = (
            f"**{' '.join(judged)}** of {count}" if judged else f"**{others.pop(0)}** of {count}"
        )
        return f"{', '.join([first, *others])}, compared with {against}."
    return f"{count}, none of them changed, compared with {against}."


def headline(compared: Comparison) -> str:
    """Return the verdict in some words, for the title; empty where there is nothing to say of it."""
    if compared.missing:
        return "no metrics"
    if compared.alone or not compared.total:
        return ""
    told = _told(compared)
    if not told:
        return "no change"
    judged, others = told
    said = " ".join(judged) or others[0]
    # What vanished is no good news, however well the rest did.
    gone = f"{compared.gone} gone"
    return f"{said}, {gone}" if compared.gone and said != gone else said


def _told(compared: Comparison) -> tuple[list[str], list[str]] | None:
    """Return the counts in words: those that are judged, and the others; None where nothing changed."""
    pairs = (
        (compared.better, f"▲ {compared.better} better"),
        (compared.worse, f"▼ {compared.worse} worse"),
    )
    others = (
        (compared.unjudged, f"{compared.unjudged} changed, not judged"),
        (compared.new, f"{compared.new} new"),
        (compared.gone, f"{compared.gone} gone"),
        (compared.unread, f"{compared.unread} can't be compared"),
    )
    judged, rest = ([text for number, text in some if number] for some in (pairs, others))
    return (judged, rest) if judged or rest else None


def _same(one: Mapping[Place, Any], other: Mapping[Place, Any], place: Place) -> bool:
    if place not in one or place not in other:
        return (place in one) == (place in other)
    return _alike(one[place], other[place])


def _alike(old: Any, new: Any) -> bool:
    """Whether two values are one, and of one type. NaN, which is not equal to itself, is."""
    if type(old) is not type(new) or old == new:
        return type(old) is type(new)
    try:
        return repr(old) == repr(new)
    except ValueError:  # an integer of more digits than Python writes
        return False


def _places(columns: Sequence[Column]) -> list[Place]:
    """Return every place once: the candidate's in their order, then those that only others have."""
    return list(dict.fromkeys(place for column in reversed(columns) for place in column.values))


def _name(place: Place, places: Sequence[Place]) -> str:
    """Name a value by its key, and by its file too where there is more than one."""
    several = len({file for file, _ in places}) > 1
    file, key = place
    return escape(f"{file}:{key}" if several else key or file)


def _value(column: Column, place: Place) -> str:
    if place not in column.values:
        return "?" if place[0] in column.unread else "–"
    value = column.values[place]
    return "null" if value is None else escape(metrics.format_number(value), longest=60)


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]], what: str) -> str:
    lines = [
        f"| {' | '.join(escape(title, longest=60) for title in titles)} |",
        f"|---{'|---:' * (len(titles) - 1)}|",
        *(f"| {' | '.join(row)} |" for row in rows[:MOST_ROWS]),
    ]
    if len(rows) > MOST_ROWS:
        lines += ["", f"… and {len(rows) - MOST_ROWS} more {what}."]
    return "\n".join(lines)
