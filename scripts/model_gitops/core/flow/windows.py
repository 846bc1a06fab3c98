"""When an environment takes promotions: `promote: "Mon-Thu 09:00-16:00 Europe/Berlin"`.

What counts is the clock on the wall of the zone: 09:00 is nine o'clock there, in summer and in winter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from model_gitops.errors import InputError

EXAMPLE = "Mon-Thu 09:00-16:00 Europe/Berlin"
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MINUTES_OF_A_DAY = 24 * 60
# So many days a next opening is looked for: a week, and one that loses its hour to summer time.
_FURTHEST = 15
_ONE = re.compile(
    r"([A-Za-z]+(?:-[A-Za-z]+)?(?:,[A-Za-z]+(?:-[A-Za-z]+)?)*)\s+"
    r"([0-9]{1,2}:[0-9]{2})-([0-9]{1,2}:[0-9]{2})\s+"
    r"([A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+)*)"
)


@dataclass(frozen=True)
class Window:
    """Days (0 is Monday) on which it opens, minutes of the day from `start` to before `end`, and the zone.

    Where `end` is not later than `start` it closes on the day after.
    """

    days: frozenset[int]
    start: int
    end: int
    zone: str

    def is_open(self, local: datetime) -> bool:
        """Whether it is open at a moment as the zone's clock shows it."""
        minute, day = local.hour * 60 + local.minute, local.weekday()
        if self.start < self.end:
            return day in self.days and self.start <= minute < self.end
        before = (day - 1) % 7
        return (day in self.days and minute >= self.start) or (
            before in self.days and minute < self.end
        )


def parse(text: str, source: str) -> tuple[Window, ...]:
    """Parse windows, several of them with `;` between. Raises InputError, naming `source`.

    Whether there is a zone of that name only the tz database knows.
    """
    if not text.strip():
        return ()
    return tuple(_window(" ".join(one.split()), text, source) for one in text.split(";"))


def is_open(windows: Sequence[Window], now: datetime, zones: Mapping[str, tzinfo]) -> bool:
    """Whether one of `windows` is open at `now`; `zones` are theirs by name. Without windows it is."""
    return not windows or any(one.is_open(now.astimezone(zones[one.zone])) for one in windows)


def opens(windows: Sequence[Window], now: datetime, zones: Mapping[str, tzinfo]) -> datetime | None:
    """Return the first whole minute from `now` on at which one is open, in its zone; None for none.

    It looks at each minute, as the clock on the wall does: an hour that summer time leaves out opens
    nothing, and one that comes twice opens twice.
    """
    moment = now.astimezone(UTC).replace(second=0, microsecond=0)
    moment += timedelta(minutes=1) if moment < now else timedelta()
    while moment <= now + timedelta(days=_FURTHEST):
        for one in windows:
            local = moment.astimezone(zones[one.zone])
            if one.is_open(local):
                return local
        moment += timedelta(minutes=1)
    return None


def _window(one: str, text: str, source: str) -> Window:
    found = _ONE.fullmatch(one)
    if found is None:
        problem = (
            "it is not days, times and a zone, several of them with `;` between"
            if one
            else "one of its windows is empty"
        )
        raise InputError.of(source, text, problem, fix=f'promote: "{EXAMPLE}"')
    days = frozenset(day for part in found[1].split(",") for day in _days(part, text, source))
    start, end = (_minute(time, text, source) for time in (found[2], found[3]))
    if start == end:
        problem = f"{found[2]} to {found[3]} is no time at all"
        raise InputError.of(source, text, problem, fix='promote: "Mon-Fri 00:00-24:00 UTC"')
    if start == _MINUTES_OF_A_DAY:
        problem = "no day begins at 24:00"
        raise InputError.of(source, text, problem, fix="write 00:00, of the day after")
    return Window(days, start, end, found[4])


def _days(part: str, text: str, source: str) -> list[int]:
    """Return the days of `Mon-Thu` or `Fri`; over Sunday the week goes on."""
    numbers = []
    for name in part.split("-"):
        if name.title() not in DAYS:
            near = next((day for day in DAYS if day[:2] == name.title()[:2]), DAYS[0])
            problem = f"{name} is no day; these are {', '.join(DAYS)}"
            raise InputError.of(source, text, problem, fix=f"write {near} for {name}")
        numbers.append(DAYS.index(name.title()))
    first, last = numbers[0], numbers[-1]
    return [(first + step) % 7 for step in range((last - first) % 7 + 1)]


def _minute(time: str, text: str, source: str) -> int:
    hour, minute = (int(part) for part in time.split(":"))
    if hour > 24 or minute > 59 or (hour == 24 and minute):
        problem = f"{time} is no time of the day"
        raise InputError.of(source, text, problem, fix=f'promote: "{EXAMPLE}"')
    return hour * 60 + minute
