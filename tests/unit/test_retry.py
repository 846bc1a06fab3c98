from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_gitops.core import retry


@pytest.mark.parametrize(
    "message",
    [
        " ! [rejected]        main -> main (non-fast-forward)",
        " ! [rejected]        main -> main (fetch first)",
        " ! [rejected]        main -> main (stale info)",
        " ! [rejected]        m@v0.0.1 -> m@v0.0.1 (already exists)",
        " ! [remote rejected] main -> main (failed to update ref)",
        " ! [remote rejected] main -> main (incorrect old value provided)",
        "remote: error: cannot lock ref 'refs/heads/main': is at 1 but expected 2",
        "fatal: Unable to create '/srv/x.git/refs/heads/main.lock': File exists.",
        "fatal: update_ref failed: reference already exists",
    ],
)
def test_a_lost_race_in_any_wording(message: str) -> None:
    assert retry.is_lost_race(message)


@pytest.mark.parametrize(
    "message",
    [
        " ! [remote rejected] main -> main (pre-receive hook declined)",
        " ! [remote rejected] block-lock -> block-lock (protected branch hook declined)",
        " ! [remote rejected] m#dev#1 -> m#dev#1 (atomic push failed)",
        "fatal: Authentication failed for 'https://example.org/'",
        "fatal: repository 'https://example.org/x.git/' not found",
    ],
)
def test_a_refusal_is_neither_a_race_nor_a_passing_fault(message: str) -> None:
    assert not retry.is_lost_race(message)
    assert not retry.is_transient(message)


@pytest.mark.parametrize(
    "message",
    [
        "fatal: unable to access 'https://example.org/': The requested URL returned error: 502",
        "error: RPC failed; HTTP 429 curl 22",
        "fatal: unable to access 'https://example.org/': Could not resolve host: example.org",
        "fatal: the remote end hung up unexpectedly",
        "fatal: unable to access 'https://example.org/': Empty reply from server",
        "error: RPC failed; curl 56 Recv failure: Connection reset by peer",
    ],
)
def test_a_fault_that_may_pass(message: str) -> None:
    assert retry.is_transient(message)


@given(attempt=st.integers(0, 40), jitter=st.floats(0, 1, exclude_max=True))
def test_pauses_are_bounded_and_never_nothing(attempt: int, jitter: float) -> None:
    assert 0 < retry.pause(attempt, jitter) <= 20
    assert retry.pause(attempt, jitter) <= retry.pause(attempt + 1, jitter)


def test_a_lock_file_is_this_machines_only_where_git_itself_complains() -> None:
    told = "Unable to create '/src/.git/refs/tags/m@v1.lock': File exists."
    assert retry.lock_file(f"error: cannot lock ref 'x': {told}") == "/src/.git/refs/tags/m@v1.lock"
    assert retry.lock_file(f"remote: error: cannot lock ref 'x': {told}") == ""
    assert retry.lock_file("fatal: the remote end hung up unexpectedly") == ""
