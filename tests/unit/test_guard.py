"""Whether an image was overtaken, by what the history of its entry says and shows."""

from __future__ import annotations

import pytest

from model_gitops.core.deploy.guard import Change, overtaken_by
from model_gitops.core.deploy.kustomization import Image
from model_gitops.core.deploy.trailers import Origin, origin_of, trailers_of

A, B, C = (f"sha256:{letter * 64}" for letter in "abc")
REPOSITORY = "acme/d"


def sha(number: int) -> str:
    return f"{number:040x}"


def change(number: int | None, digest: str, tag: str = "t", *, more: str = "") -> Change:
    """A change that comes from commit `number` of the model repository; None says nothing."""
    text = (
        "" if number is None else f"Source-Repository: {REPOSITORY}\nSource-Commit: {sha(number)}\n"
    )
    made = trailers_of(text + more, digest)
    return Change(f"deploy of {digest or tag}", Image("app", "x/app", tag, digest), made, "x")


def overtaken(ours: int, digest: str, *past: Change, tag: str = "new") -> Change | None:
    """Later commits have larger numbers."""
    return overtaken_by(
        past,
        Origin(REPOSITORY, sha(ours)),
        Image("app", "x/app", tag, digest),
        lambda origin: int(origin.reached, 16) > ours,
    )


def test_a_later_origin_overtakes() -> None:
    newer, older = change(5, B), change(3, A)
    assert overtaken(4, C, newer) == newer
    assert overtaken(4, C, older) is None
    assert overtaken(4, C) is None
    # Whichever of the changes says it.
    by_hand = change(None, C)
    assert overtaken(4, A, by_hand, newer) == newer


def test_what_ran_here_and_was_replaced_is_no_deployment_again() -> None:
    lost, ours = change(None, B), change(3, A)
    assert overtaken(3, A, lost, ours) == lost
    assert overtaken(3, C, lost, ours) == lost  # built again: another digest of the same commit
    assert overtaken(4, C, lost, ours) is None  # a later commit is one
    # A change by hand that keeps the image has not replaced it.
    assert overtaken(3, A, change(None, A, "other"), ours) is None
    # Without a digest the tag tells.
    assert overtaken(3, "", change(None, "", "v2"), change(3, "", "v1"), tag="v1") is not None
    assert overtaken(3, "", change(None, "", "v1"), change(3, "", "v1"), tag="v1") is None


def test_of_messages_that_were_lost_the_digests_tell() -> None:
    last, between, said = change(None, C), change(None, B), change(1, A)
    assert overtaken(2, B, last, between, said) == last
    assert overtaken(2, "", last, between, said, tag="t") is None  # a tag may be moved
    assert overtaken(2, C, last, between, said) is None


@pytest.mark.parametrize("tag", ["", "none", "not-deployed-yet"])
def test_an_overlay_that_was_emptied_is_deployed_to_again(tag: str) -> None:
    assert overtaken(3, A, change(None, "", tag), change(3, A)) is None
    assert overtaken(2, A, change(None, "", tag), change(3, A)) is not None


@pytest.mark.parametrize("tag", ["", "none", "not-deployed-yet"])
def test_a_revert_of_all_deployments_brings_the_placeholder_back(tag: str) -> None:
    new, back = change(None, "", tag), change(None, "", tag, more="This reverts commit 1.\n")
    assert overtaken(3, A, back, change(3, A), new) == back
    assert overtaken(4, B, back, change(3, A), new) is None  # a later commit is a deployment
    assert overtaken(4, B, back, change(4, B), change(3, A), new) == back
    assert overtaken(3, A, back, change(3, A, ""), new) == back  # a digest, and no tag
    # Nothing was deployed from our commit yet.
    assert overtaken(3, A, back, change(None, "", "tbd"), new) is None


def test_what_runs_from_our_own_commit_is_set_again() -> None:
    assert overtaken(3, C, change(3, B), change(3, A)) is None


def test_another_repository_is_no_rerun() -> None:
    other = Change("x", Image("app", tag="t", digest=A), {
        "source-repository": ["acme/other"], "source-commit": [sha(3)]}, "x")  # fmt: skip
    past = [change(None, B), other]
    found = overtaken_by(
        past, Origin(REPOSITORY, sha(3)), Image("app", digest=C), lambda one: False
    )
    assert found is None


SQUASHED = f"""Deploy (#3)

* Deploy a

Source-Repository: acme/d
Source-Commit: {sha(1)}
Image-Digest: {A}

* Deploy b

Source-Repository: acme/d
Source-Commit: {sha(2)}
Source-Commit: {sha(3)}
Image-Digest: {B}
Image-Digest: {C}

Signed-off-by: Ada
"""


@pytest.mark.parametrize(("digest", "number"), [(A, 1), (B, 2), (C, 3), ("sha256:d", 3), ("", 3)])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_each_image_has_the_trailers_of_its_own_paragraph_and_place(
    digest: str, number: int, ending: str
) -> None:
    found = trailers_of(SQUASHED.replace("\n", ending), digest)
    assert origin_of(found) == Origin("acme/d", sha(number))
