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
        "fatal: unable to access 'https://e/': The requested URL returned error: 403",
        "fatal: unable to access 'https://e/': The requested URL returned error: 404 Not Found",
        "fatal: unable to access 'https://e/': server certificate verification failed. CAfile: none",
        "fatal: unable to access 'https://e/': SSL certificate problem: self-signed certificate",
        "fatal: unable to access 'gopher://e/': Protocol \"gopher\" not supported or disabled",
        "fatal: unable to access '/root/.config/git/config': Permission denied",
        # The words of a race, and a reason that stays.
        "error: cannot lock ref 'refs/tags/m': Unable to create '/m.lock': Permission denied",
        "fatal: Unable to create '/x.git/index.lock': No space left on device",
        "error: cannot lock ref 'refs/tags/m': Unable to create '/m.lock': File name too long",
        "fatal: Unable to create '/x.git/packed-refs.lock': Read-only file system",
        "error: cannot lock ref 'refs/tags/m/x@v1': 'refs/tags/m' exists; cannot create"
        " 'refs/tags/m/x@v1'\n ! [remote rejected] m/x@v1 (failed to update ref)",
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
        "fatal: unable to access 'http://127.0.0.1:1/x/': Failed to connect to 127.0.0.1 port 1"
        " after 0 ms: Couldn't connect to server",
        "fatal: unable to access 'https://e/': OpenSSL SSL_read: unexpected eof while reading",
        "fatal: unable to access 'https://e/': gnutls_handshake() failed: Error in the pull function",
        "fatal: unable to access 'https://e/': OpenSSL SSL_connect: SSL_ERROR_SYSCALL",
        "error: curl 18 transfer closed with 12 bytes remaining to read",
        "error: HTTP/2 stream 1 was not closed cleanly: INTERNAL_ERROR",
        "error: curl 55 Send failure: Broken pipe",
        "fatal: expected flush after ref listing",
        "ssh: connect to host e port 22: No route to host",
        "ssh: Could not resolve hostname e: Name or service not known",
        "remote: fatal error in commit_refs\n ! [remote rejected] main -> main (failure)",
        " ! [remote rejected] main -> main (Internal Server Error)",
    ],
)
def test_a_fault_that_may_pass(message: str) -> None:
    assert retry.is_transient(message)


@given(attempt=st.integers(0, 40), jitter=st.floats(0, 1, exclude_max=True))
def test_pauses_are_bounded_and_never_nothing(attempt: int, jitter: float) -> None:
    assert 0 < retry.pause(attempt, jitter) <= 20
    assert retry.pause(attempt, jitter) <= retry.pause(attempt + 1, jitter)


@pytest.mark.parametrize(
    ("attempt", "jitter", "seconds"),
    [(0, 0.0, 0.02), (0, 1.0, 0.2), (1, 1.0, 0.4), (3, 0.5, 0.88), (7, 1.0, 20.0), (30, 0.0, 2.0)],
)
def test_a_pause_doubles_up_to_twenty_seconds(attempt: int, jitter: float, seconds: float) -> None:
    assert retry.pause(attempt, jitter) == pytest.approx(seconds)


@given(attempts=st.lists(st.floats(0, 1e6), min_size=1, max_size=60), jitter=st.floats(0, 0.999))
def test_who_loses_a_race_waits_a_bounded_time_and_longer_where_attempts_are_slow(
    attempts: list[float], jitter: float
) -> None:
    race, slower = retry.Race(), retry.Race()
    for took in attempts:
        pause = race.pause(took, jitter)
        assert 0 < pause <= slower.pause(took * 2, jitter) <= 120


def test_a_race_that_is_lost_often_spreads_its_writers() -> None:
    race = retry.Race()
    longest = [race.pause(2.0, 1.0) for _ in range(12)]
    assert longest[0] == pytest.approx(5.0)
    assert longest == sorted(longest)
    assert longest[-1] == pytest.approx(20.0)


def test_one_slow_attempt_counts_on_and_is_forgotten() -> None:
    race = retry.Race()
    longest = [race.pause(took, 1.0) for took in (40.0, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1)]
    assert longest[0] == pytest.approx(100.0)
    assert longest[1] == pytest.approx(60.0)
    assert longest[-1] == pytest.approx(40.0 / 2**8 * 10.0)


def test_a_lock_file_is_this_machines_only_where_git_itself_complains() -> None:
    told = "Unable to create '/src/.git/refs/tags/m@v1.lock': File exists."
    assert retry.lock_file(f"error: cannot lock ref 'x': {told}") == "/src/.git/refs/tags/m@v1.lock"
    assert retry.lock_file(f"remote: error: cannot lock ref 'x': {told}") == ""
    assert retry.lock_file("fatal: the remote end hung up unexpectedly") == ""
    both = f"remote: error: {told.replace('m@v1', 'theirs')}\nerror: {told}\n"
    assert retry.lock_file(both) == "/src/.git/refs/tags/m@v1.lock"
    for server in (
        f"fatal: remote error: {told}",
        f"fatal: remote error: no\nfatal: {told}",
        f"remote: no\u2028fatal: {told}",
        f"!\trefs/tags/m:refs/tags/m\t[remote rejected] ({told})",
    ):
        assert retry.lock_file(server) == ""


def test_the_reason_is_the_refused_ref_and_not_the_last_line() -> None:
    said = "error: failed to push some refs to 'x'\nTo x\n!\ta:a\t[rejected] (fetch first)\nDone\n"
    assert retry.reason(said) == "!\ta:a\t[rejected] (fetch first)"
    assert retry.reason("hint: x\nerror: cannot lock ref 'a'\nDone") == "error: cannot lock ref 'a'"
    assert retry.reason("the tags moved") == "the tags moved"
    assert retry.reason("") == ""
