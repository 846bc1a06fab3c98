"""The file of a hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from model_gitops.core.deploy import hold
from model_gitops.core.deploy.hold import Hold
from model_gitops.errors import InputError

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)


@pytest.mark.parametrize("reason", ["p95 too high", 'a "quoted" one: #5\n{x}', "- ü \u2028 x"])
def test_what_is_written_is_read(reason: str) -> None:
    written = Hold(reason, "alice", NOON, NOON + timedelta(hours=2))
    found = hold.read(hold.write(written), source="hold.yaml")
    assert found == Hold(" ".join(reason.split()), "alice", NOON, NOON + timedelta(hours=2))


def test_a_hold_ends_by_itself() -> None:
    held = Hold("x", "alice", NOON, NOON + timedelta(hours=1))
    assert held.is_active(NOON)
    assert not held.is_active(NOON + timedelta(hours=1))
    assert Hold("x", "alice", NOON).is_active(NOON + timedelta(days=999))


@pytest.mark.parametrize("text", ["[", "since: yesterday", "reason: [1]\nsince: 2026-11-30", ""])
def test_what_can_not_be_read_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"overlays/dev/hold\.yaml"):
        hold.read(text, source="overlays/dev/hold.yaml")


def test_where_it_is() -> None:
    assert hold.path_of(".") == "hold.yaml"
    assert hold.path_of("overlays/dev") == "overlays/dev/hold.yaml"
