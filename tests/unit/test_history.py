"""By which deployment an entry of an overlay is what it is, and what somebody took back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from model_gitops.core.deploy import history
from model_gitops.core.deploy.history import Change, said, standing
from model_gitops.core.deploy.kustomization import Image
from model_gitops.core.deploy.trailers import Origin
from model_gitops.core.lineage.facts import Deployed, WentBack

BASE = Image("m", "r/m", "not-deployed-yet")


def image(number: int) -> Image:
    """The image of the source commit `number`."""
    return Image("m", "r/m", str(number) * 40, f"sha256:{str(number) * 64}")


def deploys(number: int, *more: str) -> str:
    lines = [
        f"Deploy m v{number}", "",
        f"Model: m@v{number}", "Source-Repository: acme/m", f"Source-Commit: {str(number) * 40}",
        f"Image-Digest: {image(number).digest}", *more,
    ]  # fmt: skip
    return "\n".join(lines)


def told(*steps: tuple[str, Image | None, str]) -> list[Change]:
    """The changes of a file, given oldest first: (commit, what it leaves, message)."""
    return [Change.of(commit, one, message, "Ada") for commit, one, message in reversed(steps)]


START = ("start", BASE, "Start")
ONE, TWO, THREE = (
    (f"d{number}", image(number), deploys(number)) for number in (1, 2, 3)
)  # fmt: skip
REVERT = 'Revert "Deploy m v2"\n\nThis reverts commit d2.'


def shown(changes: Sequence[Change], **more: object) -> tuple[str, str, str, bool]:
    found = standing(changes, "m", **more)  # type: ignore[arg-type]
    commits = [one.commit if one else "" for one in (found.arrival, found.deployment, found.taken_back)]  # fmt: skip
    return commits[0], commits[1], commits[2], found.is_new


CASES: dict[str, tuple[list[Change], tuple[str, str, str, bool]]] = {
    "nothing": ([], ("", "", "", True)),
    "a new overlay": (told(START), ("start", "", "", True)),
    "a new overlay whose name was corrected": (
        told(START, ("fix", Image("m", "r/x", "none"), "Our registry")), ("fix", "", "", True),
    ),
    "no entry yet": (told(("start", None, "Start")), ("start", "", "", True)),
    "a deployment": (told(START, ONE), ("d1", "d1", "", False)),
    "two": (told(START, ONE, TWO), ("d2", "d2", "", False)),
    "another line of the file": (
        told(START, ONE, ("c", image(1), "A comment")), ("d1", "d1", "", False),
    ),
    "the same, said once more": (
        told(START, ONE, ("again", image(1), deploys(1, "X: y"))), ("again", "again", "", False),
    ),
    "another model with the same digest": (
        told(START, ONE, ("other", image(1), deploys(1).replace("m@", "other@"))),
        ("d1", "d1", "", False),
    ),
    "an edit by hand": (told(START, ONE, ("e", image(9), "x")), ("e", "", "", False)),
    "an edit that looks like a new overlay": (
        told(START, ONE, ("e", Image("m", "r/m", "none"), "x")), ("e", "", "", False),
    ),
    "an edit taken back": (
        told(START, ONE, ("e", Image("m", "r/m", "x"), "x"), ("b", image(1), "back")),
        ("b", "d1", "", False),
    ),
    "an edit of the digest taken back": (
        told(START, ONE, ("e", image(9), "x"), ("b", image(1), "back")), ("b", "d1", "e", False),
    ),
    "a revert": (told(START, ONE, TWO, ("r", image(1), REVERT)), ("r", "d1", "d2", False)),
    "a revert of that": (
        told(START, ONE, TWO, ("r", image(1), REVERT), ("rr", image(2), "Reapply")),
        ("rr", "d2", "", False),
    ),
    "a revert of two": (
        told(START, ONE, TWO, THREE, ("r3", image(2), "r"), ("r2", image(1), "r")),
        ("r2", "d1", "d3", False),
    ),
    "a revert of two, one of them taken back": (
        told(START, ONE, TWO, THREE, ("r3", image(2), "r"), ("r2", image(1), "r"), ("rr", image(2), "r")),
        ("rr", "d2", "d3", False),
    ),
    "a deployment after a revert": (
        told(START, ONE, TWO, ("r", image(1), REVERT), THREE), ("d3", "d3", "", False),
    ),
    "a revert of the first": (
        told(START, ONE, ("r", BASE, REVERT)), ("r", "", "d1", True),
    ),
    "a rollback by our action": (
        told(START, ONE, TWO, ("back", image(1), deploys(1, "Rollback: true"))),
        ("back", "d1", "d2", False),
    ),
    "a rollback to what is not in this file's history": (
        told(START, TWO, ("back", image(1), deploys(1, "Rollback: true"))),
        ("back", "back", "d2", False),
    ),
    "a revert of a rollback": (
        told(START, ONE, TWO, ("back", image(1), deploys(1, "Rollback: true")), ("rr", image(2), "r")),
        ("rr", "d2", "", False),
    ),
    "a rollback forward again": (
        told(START, ONE, TWO, ("r", image(1), "r"), ("back", image(2), deploys(2, "Rollback: true"))),
        ("back", "d2", "", False),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_how_an_entry_came_to_be_what_it_is(case: str) -> None:
    changes, expected = CASES[case]
    assert shown(changes) == expected


def origin(
    changes: Sequence[Change], brought: history.Brought = lambda change: {}
) -> Origin | None:
    found = standing(changes, "m", brought)
    trailers = found.deployment.trailers if found.deployment else {}
    back = WentBack.of(found, "m")
    return Deployed("acme/deploy", "main", "k", BASE, trailers=trailers, back=back).origin


SQUASHED = ("s2", image(2), "Deploy m v2 (#8)")


def brought(change: Change) -> Mapping[str, Sequence[str]]:
    """What the pull request of `s2` says."""
    return Change.of("", None, deploys(2), "").trailers if change.commit == "s2" else {}


def test_a_squash_merge_that_lost_the_trailers_is_a_deployment() -> None:
    changes = told(START, ONE, SQUASHED)
    assert shown(changes) == ("s2", "", "", False)
    assert shown(changes, brought=brought) == ("s2", "s2", "", False)
    # What the pull request says of another digest is not said of this one.
    other = told(START, ONE, ("s2", image(7), "Deploy m v2 (#8)"))
    assert shown(other, brought=brought) == ("s2", "", "", False)
    # Taken back; also where nobody can say what it deployed, and its tag does.
    back = told(START, ONE, SQUASHED, ("r", image(1), "r"))
    assert shown(back, brought=brought) == ("r", "d1", "s2", False)
    assert shown(back) == ("r", "d1", "s2", False)
    assert origin(back) == origin(back, brought) == Origin("acme/m", "1" * 40, "2" * 40)


def test_only_the_pull_request_of_what_is_new_is_asked_for() -> None:
    asked: list[str] = []

    def ask(change: Change) -> Mapping[str, Sequence[str]]:
        asked.append(change.commit)
        return {}

    changes = told(START, ONE, TWO, ("r", image(1), REVERT), ("rr", image(2), "r"))
    assert shown(changes, brought=ask) == ("rr", "d2", "", False)
    assert shown(told(START, ONE), brought=ask) == ("d1", "d1", "", False)
    assert asked == []


def test_no_more_history_is_read_than_tells() -> None:
    def history_of() -> object:
        yield from told(ONE)
        raise AssertionError("read on")

    assert standing(history_of(), "m").deployment  # type: ignore[arg-type]


def test_what_was_taken_back_is_the_newest() -> None:
    changes = told(START, ONE, TWO, THREE, ("r3", image(2), "r"), ("r2", image(1), "r"))
    assert origin(changes) == Origin("acme/m", "1" * 40, "3" * 40)
    assert origin(told(START, ONE)) == Origin("acme/m", "1" * 40)
    assert origin(told(START)) is None


TWO_MODELS = {
    "model": ["a@v1", "m@v2"],
    "model-hash": ["1", "2"],
    "image-digest": ["sha256:m", "sha256:a"],
    "image-fingerprint": ["fm", "fa"],
    "source-commit": ["c"],
}


def test_each_model_has_what_is_said_of_it() -> None:
    def of(key: str, model: str, digest: str = "", **more: list[str]) -> str:
        return said({**TWO_MODELS, **more}, key, model=model, digest=digest)

    assert [of("model", one) for one in ("a", "m", "x")] == ["a@v1", "m@v2", ""]
    assert [of("model-hash", one) for one in ("a", "m", "x")] == ["1", "2", ""]
    # A hash that may be of either is of none.
    assert of("model-hash", "m", **{"model-hash": ["1"]}) == ""
    # Images are told by their digest, whatever the order of the models is.
    assert of("image-fingerprint", "a", "sha256:a") == "fa"
    assert of("image-fingerprint", "m", "sha256:m") == "fm"
    assert of("image-fingerprint", "m", "sha256:m", **{"image-fingerprint": ["f"]}) == ""
    assert of("source-commit", "m") == "c"
    assert of("none", "m") == ""
    # Two entries with one digest, which is said once.
    assert of("image-fingerprint", "m", "x", **{"image-digest": ["x"]}) == "fa"
    # Of another model alone, with both digests.
    alone = {**TWO_MODELS, "model": ["a@v1"], "model-hash": ["1"]}
    assert said(alone, "model-hash", model="m", digest="sha256:m") == ""


def test_several_images_of_one_model_share_what_is_said_of_it() -> None:
    trailers = {
        "model": ["m@v2"], "model-hash": ["2"], "image-digest": ["d1", "d2"],
        "image-fingerprint": ["f1", "f2"],
    }  # fmt: skip
    for digest, fingerprint in (("d1", "f1"), ("d2", "f2")):
        found = [
            said(trailers, key, model="m", digest=digest)
            for key in ("model", "model-hash", "image-fingerprint")
        ]
        assert found == ["m@v2", "2", fingerprint]


def test_a_squash_of_two_deployments_says_both() -> None:
    trailers = {
        "model": ["m@v1", "m@v2"], "model-hash": ["1", "2"], "image-digest": ["d1", "d2"],
    }  # fmt: skip
    assert [said(trailers, "model", model="m", digest=one) for one in ("d1", "d2", "")] == [
        "m@v1", "m@v2", "m@v2"
    ]  # fmt: skip
    assert said(trailers, "model-hash", model="m", digest="d1") == "1"


def test_one_deployment_says_it_of_whatever_model() -> None:
    # The link of the version then names both.
    trailers = {"model": ["other@v1"], "model-hash": ["1"], "image-digest": ["d"]}
    assert said(trailers, "model", model="m", digest="d") == "other@v1"
    assert said({"model-hash": ["1", "2"]}, "model-hash", model="m", digest="d") == "2"


REASONS = {
    'Revert "Deploy m v2 to dev"\n\nThis reverts commit 1234567890123456789012345678901234567890.\n': "",
    'Revert "Deploy m v2 to dev" (#9)\n\nReverts acme/deploy#8': "",
    'Revert "Deploy m v2 to dev"\n\nThis reverts commit 12345678, reversing\nchanges made to 12345679.\n\n'
    "Predictions are too high.\nSee the dashboard.\n\nSigned-off-by: Ada <ada@example.com>": "Predictions are too high. See the dashboard.",
    'Revert "Deploy m v2"\n\nThis reverts commit 1234567 (Deploy m v2, 2026-11-29).': "",
    "Too slow: back to v1\n\nThis reverts commit 1234567 (Deploy m v2, 2026-11-29).": "Too slow: back to v1",
    "Go back to v1": "Go back to v1",
    deploys(1, "Rollback: true"): "",
    "Roll back m: too slow\n\nModel: m@v1\nRollback: true": "Roll back m: too slow",
    "Merge pull request #9 from acme/revert-8-x\n\nRevert \"Deploy m v2\"": "",
    'Reapply "Deploy m v2"\n\nThis reverts commit 1234567.': "",
    "": "",
    'Revert "Deploy m v2 to dev" (#9)\n\n* Revert "Deploy m v2 to dev"\n\nThis reverts commit 1234567.\n\n* Wrong units': "Wrong units",
}  # fmt: skip


@pytest.mark.parametrize("message", REASONS)
def test_the_reason_is_what_a_person_wrote(message: str) -> None:
    assert history.reason(message) == REASONS[message]


def test_each_model_comes_from_its_own_repository() -> None:
    two = {
        **TWO_MODELS,
        "source-repository": ["acme/a", "bob/m"],
        "source-commit": ["a" * 40, "b" * 40],
    }
    assert history.origin(two, model="a", digest="sha256:a") == Origin("acme/a", "a" * 40)
    assert history.origin(two, model="m", digest="sha256:m") == Origin("bob/m", "b" * 40)
    one = {**two, "source-repository": ["acme/all"]}
    assert history.origin(one, model="a", digest="sha256:a") == Origin("acme/all", "a" * 40)
    # Where it can't be told whose a commit is, it is nobody's.
    many = {**two, "source-commit": ["a" * 40, "b" * 40, "c" * 40]}
    assert history.origin(many, model="m", digest="sha256:m") is None
    # A squash of two deployments of one model.
    again = {**two, "model": ["m@v1", "m@v2"], "image-digest": ["sha256:m", "sha256:n"]}
    assert history.origin(again, model="m", digest="sha256:n") == Origin("bob/m", "b" * 40)
