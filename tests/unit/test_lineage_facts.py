"""Who approved, what a deploy commit says, and what a later environment may take over."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from chain import (
    COMMIT,
    DEPLOYED,
    DIGEST,
    FINGERPRINT,
    HASH,
    HEAD,
    IMAGE,
    LABELS,
    OTHER,
    SHA256,
    TIP,
)

from model_gitops.core.deploy.history import Standing
from model_gitops.core.deploy.kustomization import Image
from model_gitops.core.deploy.trailers import Origin
from model_gitops.core.lineage import facts, hop, reviews
from model_gitops.core.lineage.facts import Stored
from model_gitops.core.lineage.reviews import Approvals, Review
from model_gitops.errors import InputError, RefusedError

NAMED = f"r.example/m:{COMMIT}@{DIGEST}"


def approved(*found: Review) -> Approvals:
    return reviews.approvals(found, author="Ada", head=HEAD)


def test_the_last_verdict_of_each_person_counts() -> None:
    yes = Review("grace", "APPROVED", HEAD)
    assert approved(Review("zoe", "APPROVED", HEAD), yes).by == ("grace", "zoe")
    for verdict in ("CHANGES_REQUESTED", "REQUEST_CHANGES", "DISMISSED"):
        assert approved(yes, replace(yes, verdict=verdict)) == Approvals()
        assert approved(replace(yes, verdict=verdict), yes) == Approvals(("grace",))
    for verdict in ("COMMENTED", "PENDING", "COMMENT"):
        assert approved(yes, replace(yes, verdict=verdict)) == Approvals(("grace",))


def test_neither_the_author_nor_a_bot_approves() -> None:
    assert approved(Review("ada", "APPROVED", HEAD)) == Approvals()
    assert approved(Review("b", "APPROVED", HEAD, is_person=False)) == Approvals()


def test_an_older_commit_is_not_what_was_merged() -> None:
    old = Review("grace", "APPROVED", TIP)
    assert approved(old, Review("eve", "APPROVED")) == Approvals(
        older=(("eve", ""), ("grace", TIP))
    )
    assert approved(old, replace(old, commit=HEAD)) == Approvals(("grace",))


def test_what_a_deploy_commit_says_of_several_models() -> None:
    two = replace(
        DEPLOYED,
        trailers={"model": ["a@v1", "m@v2", "m"], "model-hash": ["1", "2", "3"], "x": ["4", "5"]},
    )
    assert [two.says("model-hash", name) for name in ("a", "m", "b")] == ["1", "3", ""]
    assert (two.says("x", "a"), two.says("y", "a")) == ("5", "")
    assert replace(two, trailers={"model-hash": ["1", "2"]}).says("model-hash", "m") == "2"


def test_what_a_pull_request_proposes() -> None:
    waits = {"source-commit": [COMMIT], "model": ["a@v1", "m@v2"]}
    assert replace(DEPLOYED, waiting=waits).proposal == "m@v2 in the deploy pull request"
    waits.pop("model")
    assert replace(DEPLOYED, waiting=waits).proposal == "111111111111 in the deploy pull request"
    assert replace(DEPLOYED, waiting={"x": ["y"]}).proposal == "an image in the deploy pull request"
    assert DEPLOYED.proposal == ""
    assert DEPLOYED.proposes("model") == ""
    assert DEPLOYED.name == "r.example/m"
    assert replace(DEPLOYED, image=Image("m")).name == "m"


@pytest.mark.parametrize(
    ("image", "nothing"),
    [
        (Image("m"), True),
        (Image("m", "r/other", "none"), True),
        (Image("m", "", "v1"), True),
        (Image("m", "", "", "sha256:" + "0" * 64), True),
        (Image("m", "", "", "sha256:none"), True),
        (Image("m", "", "", "sha256:b" + "a" * 63), False),
    ],
)
def test_nothing_runs_where_nothing_was_deployed_and_no_image_is_pinned(
    image: Image, nothing: bool
) -> None:
    assert replace(DEPLOYED, image=image, is_new=True).runs_nothing is nothing
    assert not replace(DEPLOYED, image=image).runs_nothing


def test_what_was_taken_back_is_said_in_a_sentence() -> None:
    taken = Image("m", "r/m", COMMIT, DIGEST)
    back = facts.WentBack(taken, "v2", Origin("acme/m", TIP), "Ada", "too slow", "e" * 40)
    assert back.sentence == "rolled back from v2 by Ada: too slow"
    assert replace(back, version="", reason="").sentence == (
        f"rolled back from {taken.reference} by Ada"
    )
    assert replace(back, is_same=True).sentence == (
        f"rolled back from v2 with the code of {TIP[:12]} by Ada: too slow"
    )
    assert replace(DEPLOYED, back=back).origin == Origin("acme/m", COMMIT, TIP)
    # A tag may be the commit, where nobody says more.
    unsaid = replace(back, origin=None, image=replace(taken, tag=HEAD))
    assert replace(DEPLOYED, back=unsaid).origin == Origin("acme/m", COMMIT, HEAD)
    assert replace(DEPLOYED, back=replace(unsaid, image=IMAGE)).origin == Origin(
        "acme/m", COMMIT, COMMIT
    )
    assert facts.WentBack.of(Standing(), "m") is None


def test_what_the_registry_has() -> None:
    found = Stored("r", "t", DIGEST, OTHER, {**LABELS, "io.model-gitops.model.name": "m"})
    assert (found.reference, found.model_hash) == (f"r:t@{DIGEST}", HASH)
    assert (found.model_name, found.revision) == ("m", HEAD)
    bare = Stored("r", "t", DIGEST, OTHER)
    assert (bare.model_hash, bare.model_name, bare.revision) == ("", "", "")


def test_no_one_entry_is_refused_in_words() -> None:
    with pytest.raises(InputError) as caught:
        facts.pick([Image("a"), Image("b")], "m", "r/m", source="k")
    assert caught.value.message == (
        "k has no one image for the model 'm': neither an entry of that name nor one with"
        " `newName: r/m`; its entries: a, b"
    )
    assert caught.value.fix == "add to k:\nimages:\n- name: m\n  newName: r/m\n  newTag: none"
    with pytest.raises(InputError, match="its entries: none\n"):
        facts.pick([], "m", "r/m", source="k")
    # Of two with our name none is ours, but the one with our image may be.
    twice = [Image("m", "x"), Image("m", "r/m")]
    assert facts.pick(twice, "m", "r/m", source="k") == twice[1]
    assert facts.pick([Image("r/m")], "m", "r/m", source="k") == Image("r/m")


def test_nothing_is_deployed_yet() -> None:
    nothing = facts.NothingDeployed("m", fix="f", waiting="w", said=["s"])
    assert (nothing.message, nothing.fix, nothing.waiting, nothing.said) == ("m", "f", "w", ("s",))
    assert facts.NothingDeployed("m").waiting == ""


def running(**changes: Any) -> hop.Promoted:
    return hop.running(replace(DEPLOYED, **changes), "dev", model="m", image="r.example/m")


def refused(**changes: Any) -> tuple[str, str]:
    with pytest.raises(RefusedError) as caught:
        running(**changes)
    return caught.value.message, caught.value.fix


def test_a_later_environment_takes_what_runs() -> None:
    commit = "1" * 40
    assert running() == hop.Promoted(NAMED, HASH, "v1.0.0", FINGERPRINT, SHA256, commit)
    untagged = replace(IMAGE, tag="")
    assert running(image=untagged, recorded=untagged).image == f"r.example/m@{DIGEST}"
    trailers = {**DEPLOYED.trailers, "model": ["m"], "model-version": ["v3"]}
    assert running(trailers=trailers).version == "v3"
    bare = running(trailers={"image-digest": [DIGEST]})
    assert bare == hop.Promoted(NAMED, "", "", "")


def test_of_two_models_in_one_commit_ours_is_taken() -> None:
    both = {
        "image-digest": [DIGEST],
        "model": ["m@v1", "other@v9"],
        "model-hash": ["1" * 32, "2" * 32],
        "image-fingerprint": ["3" * 64, "4" * 64],
        "model-sha256": ["5" * 64, "6" * 64],
    }
    assert running(trailers=both) == hop.Promoted(NAMED, "1" * 32, "v1", "3" * 64, "5" * 64)
    unversioned = {**both, "model": ["m", "other"], "model-version": ["v1", "v9"]}
    assert running(trailers=unversioned).version == "v1"


WHERE = "overlays/staging/kustomization.yaml of acme/deploy"
BY_HAND = "undo the edit of overlays/staging/kustomization.yaml, or deploy to dev again"


def test_what_was_not_deployed_is_not_taken() -> None:
    assert refused(image=Image("m", tag="none"), is_new=True) == (
        f"dev runs nothing yet, so there is nothing to promote: {WHERE} sets m:none",
        "deploy to dev first; if its deployment is on its way, run this job again after it",
    )
    message = f"what dev runs was set by no deployment: {WHERE} sets {{}}, and no commit of it says this digest"
    moved = replace(IMAGE, tag=HEAD)
    assert refused(image=moved) == (message.format(moved.reference), BY_HAND)
    assert refused(trailers={}) == (message.format(NAMED), BY_HAND)
    assert refused(trailers={"image-digest": [OTHER]}) == (message.format(NAMED), BY_HAND)
    loose = replace(IMAGE, digest="")
    assert refused(image=loose, recorded=loose) == (message.format(loose.reference), BY_HAND)
    odd = replace(IMAGE, digest="x")
    assert refused(image=odd, recorded=odd, trailers={"image-digest": ["x"]}) == (
        message.format(odd.reference), BY_HAND
    )  # fmt: skip


def test_another_image_is_not_taken() -> None:
    fix = "correct overlays/staging/kustomization.yaml, or `image:` in promotion.yaml"
    message = "dev does not run the image of promotion.yaml, r.example/m, but {}: " + WHERE
    other = replace(IMAGE, new_name="evil/m")
    assert refused(image=other, recorded=other) == (message.format("evil/m"), fix)
    later = Image("m", "evil/x", "v1")
    assert refused(overruled=later) == (message.format("evil/x:v1"), fix)


def test_another_model_is_not_taken() -> None:
    def check(promoted: hop.Promoted) -> None:
        hop.check(promoted, model="m", model_hash=HASH, source="dev", target="staging")

    check(hop.Promoted(NAMED, HASH))
    fix = (
        "merge into dev's branch first, wait for its deployment, and run this job again; or revert the"
        " commit"
    )
    for promoted, says in (
        (hop.Promoted(NAMED, "1" * 32, "v1"), f"m v1 with the hash {'1' * 32}"),
        (hop.Promoted(NAMED, ""), "m with the hash that no deploy commit says"),
    ):
        with pytest.raises(RefusedError) as caught:
            check(promoted)
        assert caught.value.message == (
            f"this commit's m has the hash {HASH}, and dev runs {says}: staging takes only what dev"
            " runs"
        )
        assert caught.value.fix == fix
