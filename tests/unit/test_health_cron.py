"""When a schedule is due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_gitops.core.health import cron

MONDAY = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)


def due(text: str, number: int = 3, before: datetime = MONDAY) -> list[str]:
    schedule = cron.parse(text)
    assert schedule is not None, text
    return [f"{one:%m-%d %H:%M}" for one in islice(schedule.due(before), number)]


@pytest.mark.parametrize(
    ("text", "moments"),
    [
        ("23 4 * * *", ["11-30 04:23", "11-29 04:23", "11-28 04:23"]),
        ("0 12 * * *", ["11-30 12:00", "11-29 12:00", "11-28 12:00"]),
        ("17 * * * *", ["11-30 11:17", "11-30 10:17", "11-30 09:17"]),
        ("*/20 * * * *", ["11-30 12:00", "11-30 11:40", "11-30 11:20"]),
        ("5/25 8 * * *", ["11-30 08:55", "11-30 08:30", "11-30 08:05"]),
        ("0 6 * * 1", ["11-30 06:00", "11-23 06:00", "11-16 06:00"]),
        ("0 6 * * mon", ["11-30 06:00", "11-23 06:00", "11-16 06:00"]),
        ("0 6 * * 1-5", ["11-30 06:00", "11-27 06:00", "11-26 06:00"]),
        ("0 6 * * 7", ["11-29 06:00", "11-22 06:00", "11-15 06:00"]),
        ("0 6 1 * *", ["11-01 06:00", "10-01 06:00", "09-01 06:00"]),
        ("0 6 1 1,7 *", ["07-01 06:00", "01-01 06:00", "07-01 06:00"]),
        # Both days given: one of them is enough.
        ("0 6 28 * mon", ["11-30 06:00", "11-28 06:00", "11-23 06:00"]),
        ("0 6 */2 * *", ["11-29 06:00", "11-27 06:00", "11-25 06:00"]),
        ("0 0 29 2 *", []),
    ],
)  # fmt: skip
def test_moments(text: str, moments: list[str]) -> None:
    assert due(text) == moments


@pytest.mark.parametrize(
    "text",
    ["", "* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "a * * * *",
     "5-1 * * * *", "*/0 * * * *", "@daily", "* * * * * *", "²  * * * *", ", * * * *", "-1 * * * *"],
)  # fmt: skip
def test_what_is_no_schedule(text: str) -> None:
    assert cron.parse(text) is None


@given(st.text(alphabet="0123456789*/,- monjan", max_size=30))
def test_any_text_is_a_schedule_or_none(text: str) -> None:
    schedule = cron.parse(text)
    if schedule:
        found = list(islice(schedule.due(MONDAY), 5))
        assert found == sorted(found, reverse=True)
        assert all(one <= MONDAY and one > MONDAY - timedelta(days=801) for one in found)
