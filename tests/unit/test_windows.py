"""When an environment takes promotions, by the clock on the wall of a zone."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_gitops.core.flow import windows
from model_gitops.errors import InputError

BERLIN = "Europe/Berlin"
ZONES = {name: ZoneInfo(name) for name in (BERLIN, "UTC", "America/New_York", "Asia/Kolkata")}


def at(text: str, zone: str = BERLIN) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZONES[zone])


def is_open(text: str, moment: datetime) -> bool:
    return windows.is_open(windows.parse(text, "promote"), moment, ZONES)


def opens(text: str, moment: datetime) -> datetime | None:
    return windows.opens(windows.parse(text, "promote"), moment, ZONES)


# 2026-11-30 is a Monday.
@pytest.mark.parametrize(
    ("text", "moment", "expected"),
    [
        (f"Mon-Thu 09:00-16:00 {BERLIN}", "2026-11-30T09:00", True),
        (f"Mon-Thu 09:00-16:00 {BERLIN}", "2026-11-30T08:59:59", False),
        (f"Mon-Thu 09:00-16:00 {BERLIN}", "2026-11-30T15:59:59", True),
        (f"Mon-Thu 09:00-16:00 {BERLIN}", "2026-11-30T16:00", False),
        (f"Mon-Thu 09:00-16:00 {BERLIN}", "2026-12-04T10:00", False),
        (f"Mon,Wed 9:00-16:00 {BERLIN}", "2026-12-01T10:00", False),
        (f"mon,WED 9:00-16:00 {BERLIN}", "2026-12-02T10:00", True),
        (f"Mon,Wed-Thu 9:00-16:00 {BERLIN}", "2026-12-03T10:00", True),
        (f"Sat-Mon 09:00-16:00 {BERLIN}", "2026-11-30T10:00", True),
        (f"Sat-Mon 09:00-16:00 {BERLIN}", "2026-12-01T10:00", False),
        (f"Mon-Sun 00:00-24:00 {BERLIN}", "2026-11-30T23:59", True),
        # Over midnight: it is the day that it begins on.
        (f"Fri 22:00-02:00 {BERLIN}", "2026-12-04T22:00", True),
        (f"Fri 22:00-02:00 {BERLIN}", "2026-12-05T01:59", True),
        (f"Fri 22:00-02:00 {BERLIN}", "2026-12-05T02:00", False),
        (f"Fri 22:00-02:00 {BERLIN}", "2026-12-04T01:00", False),
        (f"Sun 22:00-02:00 {BERLIN}", "2026-11-30T01:00", True),
        # Several.
        (f"Mon 09:00-10:00 {BERLIN}; Tue 11:00-12:00 {BERLIN}", "2026-12-01T11:30", True),
        (f"Mon 09:00-10:00 {BERLIN}; Tue 11:00-12:00 {BERLIN}", "2026-12-01T09:30", False),
        (f"Mon 09:00-10:00 {BERLIN}; Mon 09:00-10:00 America/New_York", "2026-11-30T15:30", True),
        # Another zone's clock.
        ("Mon 09:00-16:00 UTC", "2026-11-30T09:30", False),
        ("Mon 09:00-16:00 Asia/Kolkata", "2026-11-30T04:30", True),
    ],
)
def test_it_is_open(text: str, moment: str, expected: bool) -> None:
    assert is_open(text, at(moment)) is expected
    assert is_open(text, at(moment).astimezone(UTC)) is expected


def test_without_a_window_it_is_always_open() -> None:
    assert windows.parse("", "promote") == ()
    assert is_open("", at("2026-11-30T03:00"))


def test_summer_time_does_not_move_the_hours_on_the_wall() -> None:
    text = f"Mon-Fri 09:00-16:00 {BERLIN}"
    winter, summer = datetime(2026, 3, 27, 8, tzinfo=UTC), datetime(2026, 3, 30, 7, tzinfo=UTC)
    assert is_open(text, winter) and is_open(text, summer)
    assert not is_open(text, winter - timedelta(minutes=1))
    assert not is_open(text, summer - timedelta(minutes=1))


@pytest.mark.parametrize(
    ("text", "now", "expected"),
    [
        (f"Mon-Thu 09:00-16:00 {BERLIN}", "2026-12-03T16:00", "2026-12-07T09:00"),
        (f"Mon-Thu 09:00-16:00 {BERLIN}", "2026-11-30T08:59:30", "2026-11-30T09:00"),
        (f"Mon-Thu 09:00-16:00 {BERLIN}", "2026-11-30T12:00", "2026-11-30T12:00"),
        (f"Mon 09:00-09:01 {BERLIN}", "2026-11-30T09:01", "2026-12-07T09:00"),
        # The hour from 2 to 3 is left out on 2026-03-29: what begins in it begins at 3, or a week later.
        (f"Sun 02:30-04:00 {BERLIN}", "2026-03-29T00:00", "2026-03-29T03:00"),
        (f"Sun 02:10-02:50 {BERLIN}", "2026-03-29T00:00", "2026-04-05T02:10"),
        # It comes twice on 2026-10-25.
        (f"Sun 01:00-02:30 {BERLIN}", "2026-10-25T02:45", "2026-10-25T02:00"),
    ],
)  # fmt: skip
def test_when_it_opens_next(text: str, now: str, expected: str) -> None:
    found = opens(text, at(now))
    assert found is not None and f"{found:%Y-%m-%dT%H:%M}" == expected
    assert is_open(text, found)
    assert found.astimezone(UTC) >= at(now).astimezone(UTC)  # in one zone Python compares the wall


DAYS, TIMES = st.sampled_from(windows.DAYS), st.integers(0, 24 * 60 - 1)


@given(DAYS, TIMES, TIMES, st.sampled_from(sorted(ZONES)), st.integers(0, 3 * 365 * 24 * 60))
def test_each_week_it_opens_and_what_is_said_to_be_open_is(
    day: str, start: int, end: int, zone: str, minute: int
) -> None:
    text = f"{day} {start // 60}:{start % 60:02}-{end // 60}:{end % 60:02} {zone}"
    if start == end:
        return
    now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
    found = opens(text, now)
    assert found is not None and is_open(text, found)
    assert found == now or not is_open(text, found - timedelta(minutes=1))


@pytest.mark.parametrize(
    ("text", "problem", "fix"),
    [
        ("always", "it is not days, times and a zone", "Mon-Thu 09:00-16:00"),
        ("Mon-Thu 09:00-16:00", "it is not days, times and a zone", "Europe/Berlin"),
        (f"09:00-16:00 {BERLIN}", "it is not days", "Mon-Thu"),
        (f"Mon 09:00-16:00 {BERLIN};", "one of its windows is empty", "Mon-Thu"),
        (f"Mon-Don 09:00-16:00 {BERLIN}", "Don is no day; these are Mon, Tue", "write Mon for Don"),
        (f"Tuesday 09:00-16:00 {BERLIN}", "Tuesday is no day", "write Tue for Tuesday"),
        (f"Mon 09:00-24:01 {BERLIN}", "24:01 is no time of the day", "Mon-Thu"),
        (f"Mon 25:00-26:00 {BERLIN}", "25:00 is no time of the day", "Mon-Thu"),
        (f"Mon 09:60-10:00 {BERLIN}", "09:60 is no time", "Mon-Thu"),
        (f"Mon 09:00-09:00 {BERLIN}", "no time at all", "00:00-24:00"),
        (f"Mon 24:00-09:00 {BERLIN}", "no day begins at 24:00", "write 00:00"),
        ("Mon 09:00-16:00 ../../etc/passwd", "it is not days", "Europe/Berlin"),
    ],
)
def test_what_is_none_is_refused(text: str, problem: str, fix: str) -> None:
    with pytest.raises(InputError, match=re.escape(problem)) as caught:
        windows.parse(text, "promote (in promotion.yaml)")
    assert "promote (in promotion.yaml)" in caught.value.message
    assert fix in caught.value.fix
