"""The file of a hold, and what becomes of it when two hold at once, or one twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from model_gitops.core.deploy import hold
from model_gitops.core.deploy.hold import Decision, Hold
from model_gitops.errors import InputError

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SOURCE = "overlays/dev/hold.yaml"


@pytest.mark.parametrize("reason", ["p95 too high", 'a "quoted" one: #5\n{x}', "- ü x", "-", "~"])
def test_what_is_written_is_read(reason: str) -> None:
    written = Hold(reason, "alice", NOON, NOON + 2 * HOUR, "https://github.com/a/b/actions/runs/1")
    found = hold.read(hold.write(written), source="hold.yaml")
    assert found == replace(written, reason=" ".join(reason.split()))
    assert hold.read(hold.write(Hold("x", "alice", NOON)), source="") == Hold("x", "alice", NOON)


def test_a_hold_ends_by_itself() -> None:
    held = Hold("x", "alice", NOON, NOON + HOUR)
    assert held.is_active(NOON)
    assert not held.is_active(NOON + HOUR)
    assert Hold("x", "alice", NOON).is_active(NOON + timedelta(days=999))


HOSTILE = [
    "[", "[a]", "a", "5", "since: yesterday", "reason: [1]", "by: 5", "run: {a: b}", "until: 2026-13-01",
    "until: [2026-12-01]", 'until: "2h"', 'until: "0001-01-01T00:00:00+14:00"', 'until: "9999-12-31T23:59:59-12:00"',
    "reason: &a [*a]", "a: b\n---\nc: d", "reason: !!python/object/apply:os.system [x]", "until: !!timestamp x",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_what_can_not_be_read_holds(text: str) -> None:
    with pytest.raises(InputError, match=r"overlays/dev/hold\.yaml"):
        hold.read(text, source=SOURCE)
    found = hold.read_closed(text, source=SOURCE)
    assert found.is_active(NOON + timedelta(days=9999))
    assert SOURCE in found.sentence and "can't be read" in found.sentence


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "held, until somebody releases it: no reason is given"),
        ("reason: x\n", "held, until somebody releases it: x"),
        (
            "reason: x\nby: eve\nsince: 2026-11-30\nuntil: 2026-12-01 09:00:00+01:00\n",
            "held by eve since 2026-11-30 00:00 UTC, until 2026-12-01 08:00 UTC: x",
        ),
        (
            'reason: "a\\r::error::b \\u202e\\u200bc \\u001b[2J"\n',
            "held, until somebody releases it: a ::error::b c [2J",
        ),
    ],
)
def test_what_a_person_writes_by_hand_is_told_on_one_plain_line(text: str, sentence: str) -> None:
    assert hold.read(text, source=SOURCE).sentence == sentence


def test_a_long_reason_is_cut() -> None:
    assert len(hold.read(f"reason: {'x' * 100_000}", source=SOURCE).sentence) < 1100


def test_where_it_is() -> None:
    assert hold.path_of(".") == "hold.yaml"
    assert hold.path_of("overlays/dev") == SOURCE


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        (" 2h ", NOON + 2 * HOUR),
        ("90s", NOON + timedelta(seconds=90)),
        ("7d", NOON + timedelta(days=7)),
        ("2026-12-24T18:00:00+01:00", datetime(2026, 12, 24, 17, tzinfo=UTC)),
        ("2026-12-24 18:00Z", datetime(2026, 12, 24, 18, tzinfo=UTC)),
    ],
)
def test_when_it_ends(text: str, expected: datetime | None) -> None:
    assert hold.parse_until(text, NOON) == expected


@pytest.mark.parametrize(
    ("text", "problem", "fix"),
    [
        ("tomorrow", "neither a length of time nor", "until: 2h"),
        ("2026-12-24T18:00", "in which zone", "until: 2026-12-24T18:00Z"),
        ("2026-12-24", "in which zone", "until: 2026-12-24T00:00Z"),
        ("2026-11-30T12:00Z", "it is past: it is 2026-11-30 12:00 UTC now", "until: 2h"),
        ("0h", "it is past", "until: 2h"),
        ("-2h", "neither a length of time nor", "until: 2h"),
        ("0001-01-01T00:00+14:00", "neither a length", "until: 2h"),
    ],
)
def test_an_end_that_is_none_is_refused(text: str, problem: str, fix: str) -> None:
    with pytest.raises(InputError, match=problem) as caught:
        hold.parse_until(text, NOON)
    assert caught.value.fix.startswith(fix)


@pytest.mark.parametrize("text", ["", " \n ", "\u200b"])
def test_a_hold_says_why(text: str) -> None:
    with pytest.raises(InputError, match="`reason` is empty"):
        hold.reason(text)
    with pytest.raises(InputError, match="longer than 500"):
        hold.reason("x" * 501)
    assert hold.reason(" a\n b ") == "a b"


ALICE = Hold("p95 too high", "alice", NOON, None, "run/1")
BOB = Hold("freeze", "bob", NOON + HOUR, NOON + 9 * HOUR, "run/2")


class TestWhatBecomesOfIt:
    def test_none_was_there_or_it_ran_out(self) -> None:
        assert hold.set_to(None, ALICE, NOON) == Decision("held", ALICE)
        ended = replace(BOB, until=NOON)
        assert hold.set_to(ended, ALICE, NOON) == Decision("held", ALICE)

    def test_a_rerun_changes_nothing(self) -> None:
        later = replace(ALICE, since=NOON + HOUR)
        assert hold.set_to(ALICE, later, NOON + HOUR) == Decision("none", ALICE)
        by_hand = replace(ALICE, run="")
        assert hold.set_to(by_hand, replace(later, run=""), NOON + HOUR).operation == "none"

    def test_a_rerun_of_a_length_of_time_means_the_same_end(self) -> None:
        again = replace(BOB, since=NOON + 2 * HOUR, until=NOON + 10 * HOUR)
        assert hold.set_to(BOB, again, NOON + 2 * HOUR, is_length=True) == Decision("none", BOB)
        # Another run, or a moment, means what it says.
        other = replace(again, run="run/3")
        for found in (
            hold.set_to(BOB, other, NOON + 2 * HOUR, is_length=True),
            hold.set_to(BOB, again, NOON + 2 * HOUR),
        ):
            assert found.operation == "updated"
            assert found.hold and found.hold.until == NOON + 10 * HOUR
            assert found.hold.since == BOB.since

    def test_one_can_end_ones_own_earlier(self) -> None:
        found = hold.set_to(BOB, replace(BOB, until=NOON + 2 * HOUR), NOON + HOUR)
        assert (found.operation, found.kept) == ("updated", "")
        assert found.hold and found.hold.until == NOON + 2 * HOUR

    def test_two_who_hold_at_once_both_do(self) -> None:
        one = hold.set_to(ALICE, BOB, NOON + HOUR)
        other = hold.set_to(BOB, ALICE, NOON + HOUR)
        assert one.hold and other.hold
        assert one.hold.reason == "freeze; and alice: p95 too high"
        assert other.hold.reason == "p95 too high; and bob: freeze"
        assert one.hold.until is None and other.hold.until is None
        assert one.kept == "it stays held until somebody releases it"
        assert other.kept == ""
        for done in (one.hold, other.hold):  # and each of them again
            for again in (ALICE, BOB):
                assert hold.set_to(done, again, NOON + HOUR).operation == "none"

    def test_nobody_ends_anothers_earlier(self) -> None:
        short = replace(ALICE, until=NOON + 2 * HOUR)
        found = hold.set_to(BOB, short, NOON + HOUR)
        assert found.hold and found.hold.until == BOB.until
        assert found.kept == "it stays held until 2026-11-30 21:00 UTC"

    def test_another_reason_of_ones_own_keeps_what_the_other_said(self) -> None:
        both = hold.set_to(ALICE, BOB, NOON + HOUR).hold
        assert both is not None
        other = replace(BOB, reason="long freeze", until=NOON + 2 * HOUR, run="run/3")
        found = hold.set_to(both, other, NOON + HOUR)
        assert found.hold and found.hold.reason == "long freeze; and alice: p95 too high"
        assert found.hold.until is None
        assert found.kept == "it stays held until somebody releases it"
        # A reason that another's begins with is another reason.
        short = replace(ALICE, reason="p95")
        told = hold.set_to(found.hold, short, NOON + HOUR).hold
        assert told and told.reason == "p95; and bob: long freeze; and alice: p95 too high"

    def test_no_reason_of_one_looks_like_two(self) -> None:
        assert hold.reason("slow; and  eve: wrong") == "slow, and eve: wrong"

    def test_what_can_not_be_read_is_replaced(self) -> None:
        found = hold.set_to(hold.read_closed("[", source=SOURCE), ALICE, NOON)
        assert found == Decision("updated", ALICE)
