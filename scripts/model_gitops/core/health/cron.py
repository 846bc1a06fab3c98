"""When a workflow's `schedule` is due: POSIX cron in five fields, in UTC.

Source: https://docs.github.com/actions/reference/workflows-and-actions/events-that-trigger-workflows#schedule
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

# A schedule that is not due once in so many days, as of the 29th of February alone, is not watched.
_LONGEST_DAYS = 800
_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_NAMES: tuple[Sequence[str], ...] = (
    (), (), (),
    ("", "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"),
    ("sun", "mon", "tue", "wed", "thu", "fri", "sat"),
)  # fmt: skip


@dataclass(frozen=True)
class Cron:
    """One schedule: of each field the values at which it is due; a day of the week is 0 for Sunday.

    `either` says that day of the month and of the week are both given: then one of them is enough.
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either: bool = False

    def due(self, before: datetime) -> Iterator[datetime]:
        """Yield the moments at which it was due, the newest first, from `before` back."""
        for back in range(_LONGEST_DAYS):
            day = (before - timedelta(days=back)).date()
            if not self._is_on(day):
                continue
            for hour in sorted(self.hours, reverse=True):
                for minute in sorted(self.minutes, reverse=True):
                    moment = datetime.combine(day, time(hour, minute), UTC)
                    if moment <= before:
                        yield moment

    def _is_on(self, day: date) -> bool:
        in_month = day.day in self.days
        in_week = day.isoweekday() % 7 in self.weekdays
        fits = (in_month or in_week) if self.either else (in_month and in_week)
        return day.month in self.months and fits


def parse(text: str) -> Cron | None:
    """Return the schedule that `text` means, or None for a text that is none."""
    fields = text.lower().split()
    if len(fields) != len(_RANGES):
        return None
    found = [
        _values(field, *limits, names)
        for field, limits, names in zip(fields, _RANGES, _NAMES, strict=True)
    ]
    if not all(found):
        return None
    minutes, hours, days, months, weekdays = found
    either = not fields[2].startswith("*") and not fields[4].startswith("*")
    return Cron(minutes, hours, days, months, weekdays, either)


def _values(field: str, least: int, most: int, names: Sequence[str]) -> frozenset[int]:
    """Return what one field means; nothing where it is none."""
    found: set[int] = set()
    for part in field.split(","):
        match = re.fullmatch(r"(?:(\*)|(\w{1,3})(?:-(\w{1,3}))?)(?:/(\d{1,2}))?", part)
        if match is None:
            return frozenset()
        every, first, last, step = match.groups()
        low = least if every else _number(first, names)
        # As `5/15`: from 5 on.
        high = most if every or (step and not last) else _number(last or first, names)
        sunday = most == 6 and high == 7  # as cron itself has it
        if not (least <= low <= high <= (7 if sunday else most)) or step in ("0", "00"):
            return frozenset()
        found |= {value % 7 if sunday else value for value in range(low, high + 1, int(step or 1))}
    return frozenset(found)


def _number(text: str, names: Sequence[str]) -> int:
    if text in names and text:
        return names.index(text)
    return int(text) if text.isascii() and text.isdecimal() else -1
