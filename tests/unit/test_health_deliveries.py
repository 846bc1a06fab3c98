"""DORA's measures, from what landed in an overlay."""

from __future__ import annotations

from dataclasses import replace

from model_gitops.core.deploy.history import Change
from model_gitops.core.deploy.kustomization import Image
from model_gitops.core.health import deliveries
from model_gitops.core.health.deliveries import Deployment, Landing

HOUR = 3600


def digest(letter: str) -> str:
    return "sha256:" + letter * 64


def landed(hour: int, letter: str, message: str = "", *, version: str = "") -> Landing:
    """An entry that has the image `letter` from `hour` on; deployed by us where it has a version."""
    image = Image("m", "r.example/m", letter, digest(letter)) if letter else Image("m")
    if version:
        message += (
            f"\n\nModel: m@{version}\nImage-Digest: {digest(letter)}\nSource-Repository: acme/m\n"
            f"Source-Commit: {letter * 40}\n"
        )
    return Landing(Change.of(f"{hour:040x}", image, message, "ada"), hour * HOUR)


def played(*landings: Landing) -> list[Deployment]:
    return deliveries.deployments(landings, "m")


A, B = landed(1, "a", version="v1"), landed(3, "b", version="v2")
START = landed(0, "")
BACK = landed(5, "a", "Roll back\n\nRollback: true", version="v1")


def test_deployments_are_told_from_what_was_there() -> None:
    found = played(START, A, B)
    assert [(one.version, one.at, one.taken_back) for one in found] == [
        ("v1", HOUR, None),
        ("v2", 3 * HOUR, None),
    ]
    assert found[1].origin is not None
    assert found[1].origin.commit == "b" * 40


def test_a_rollback_takes_back_what_ran() -> None:
    found = played(START, A, B, BACK)
    assert [(one.version, one.taken_back, one.restored) for one in found] == [
        ("v1", None, None),
        ("v2", 5 * HOUR, 5 * HOUR),
    ]


def test_a_revert_by_hand_does_the_same() -> None:
    assert played(START, A, B, landed(5, "a", 'Revert "Deploy"')) == played(START, A, B, BACK)


def test_a_revert_of_the_rollback_is_neither() -> None:
    again = landed(7, "b", 'Revert "Roll back"')
    found = played(START, A, B, BACK, again)
    assert len(found) == 2
    # What then is taken back once more is the same one.
    third = landed(9, "a", 'Revert "Revert"')
    (_, second) = played(START, A, B, BACK, again, third)
    assert second.taken_back == 9 * HOUR


def test_the_same_image_deployed_again_is_a_deployment() -> None:
    found = played(START, A, B, BACK, landed(8, "b", version="v2"))
    assert [one.version for one in found] == ["v1", "v2", "v2"]
    assert [one.taken_back for one in found] == [None, 5 * HOUR, None]


def test_what_was_emptied_is_restored_by_what_comes_next() -> None:
    empty = landed(2, "", 'Revert "Deploy"')
    (only,) = played(START, A, empty)
    assert (only.taken_back, only.restored) == (2 * HOUR, None)
    first, second = played(START, A, empty, B)
    assert (first.taken_back, first.restored) == (2 * HOUR, 3 * HOUR)
    assert second.taken_back is None


def test_an_image_by_hand_or_by_a_squash_merge_counts_too() -> None:
    (first,) = played(START, landed(1, "a", "Deploy (#3)"))
    assert (first.version, first.origin) == ("", None)


def test_measures_of_the_time_asked_for() -> None:
    found = [
        replace(one, changed=made)
        for one, made in zip(
            played(START, A, B, BACK, landed(30, "c", version="v3")),
            [(0,), (2 * HOUR, HOUR), (29 * HOUR,)],
            strict=True,
        )
    ]
    one = deliveries.measure("dev", found, since=2 * HOUR, now=(2 + 48) * HOUR)
    assert len(one.deployments) == 2
    assert one.a_week == 7
    assert one.lead_time == HOUR  # of 1, 1 and 2 hours
    assert (one.failed, one.failure_rate) == (1, 0.5)
    assert one.restore_time == 2 * HOUR
    nothing = deliveries.measure("dev", found, since=40 * HOUR, now=50 * HOUR)
    assert (nothing.failure_rate, nothing.lead_time, nothing.restore_time) == (None, None, None)


def test_what_each_deployment_brought() -> None:
    found = played(START, A, B, BACK, landed(8, "c", version="v3"))
    commits = [one.commit for one in found]
    assert deliveries.ranges(found, "Acme/M") == {
        commits[0]: ("", "a" * 40),
        commits[1]: ("a" * 40, "b" * 40),
        commits[2]: ("b" * 40, "c" * 40),
    }
    assert deliveries.ranges(found, "acme/other") == {}
