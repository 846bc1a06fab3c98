"""Each link in words: what a chain says where one fact is another, beside lineage_links.txt.

A case is the whole chain of staging with some facts changed. The file has the links that differ from
the whole chain's, and `gone:` for those that are no longer there.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from chain import (
    COMMIT,
    DEPLOY_PULL,
    DEPLOYED,
    DIGEST,
    FINGERPRINT,
    HASH,
    HEAD,
    IMAGE,
    OTHER,
    PULL,
    SHA256,
    SOURCE,
    STAGED,
    STORED,
    TIP,
    VERSION,
    WHOLE,
)

from model_gitops.core.deploy.kustomization import Image
from model_gitops.core.dvc.pipeline import Recipe
from model_gitops.core.lineage import links, pulls, stages
from model_gitops.core.lineage.facts import Before, ModelArtifact, Registered, Signed, Source, Trace
from model_gitops.core.lineage.link import Link, broken
from model_gitops.core.lineage.report import MARKS

GOLDEN = Path(__file__).with_name("lineage_links.txt")
RECIPE = WHOLE.recipe or Recipe()


def deployed(**changes: Any) -> Trace:
    return replace(WHOLE, deployed=replace(DEPLOYED, **changes))


def says(**trailers: list[str]) -> Trace:
    found = {**DEPLOYED.trailers, **{key.replace("_", "-"): one for key, one in trailers.items()}}
    return deployed(trailers={key: values for key, values in found.items() if values})


def stored(**changes: Any) -> Trace:
    return replace(WHOLE, stored=replace(STORED, **changes))


def labelled(**labels: str) -> Trace:
    keys = {"hash": "io.model-gitops.model.hash", "name": "io.model-gitops.model.name",
            "fingerprint": "io.model-gitops.fingerprint", "revision": "org.opencontainers.image.revision"}  # fmt: skip
    found = {**STORED.labels, **{keys[key]: value for key, value in labels.items()}}
    return stored(labels={key: value for key, value in found.items() if value})


def source(**changes: Any) -> Trace:
    return replace(WHOLE, source=replace(STAGED, **changes))


def pull(**changes: Any) -> Trace:
    return replace(WHOLE, pull=replace(PULL, **changes))


RELEASE = replace(IMAGE, tag="v1")
UNPINNED = replace(IMAGE, digest="")
NAMELESS = replace(WHOLE, version=None)
WAITS = {"source-commit": [TIP], "model": ["m@v2.0.0"]}
NEWER = {"tip": TIP, "tip_hash": "f" * 32}
PINNED = Image("m-model", "r.example/m-model", "", OTHER)
ARTIFACT = ModelArtifact(f"r.example/m-model@{OTHER}", True, SHA256)
SIGNED = Signed("the key sha256:1", "a=b")
CASES: dict[str, Trace] = {
    "model artifact": replace(deployed(artifact=PINNED), artifact=ARTIFACT),
    "model artifact, not in the overlay": replace(WHOLE, artifact=ARTIFACT),
    "model artifact of an edited overlay": replace(
        deployed(artifact=replace(PINNED, digest=DIGEST)), artifact=ARTIFACT
    ),
    "model artifact by a tag": replace(
        deployed(artifact=replace(PINNED, tag="v9", digest="")), artifact=ARTIFACT
    ),
    "model artifact of the overlay alone": deployed(artifact=PINNED),
    "model artifact is gone": replace(WHOLE, artifact=replace(ARTIFACT, found=False)),
    "model artifact with another model": replace(WHOLE, artifact=replace(ARTIFACT, sha256="6" * 64)),
    "model artifact is none": replace(WHOLE, artifact=replace(ARTIFACT, sha256="")),
    "model artifact, and no Model-SHA256": replace(says(model_sha256=[]), artifact=ARTIFACT),
    "model artifact not asked": replace(WHOLE, artifact=replace(ARTIFACT, found=None, problem="no docker")),
    "model artifact signed": replace(WHOLE, artifact=replace(ARTIFACT, signature=SIGNED)),
    "model artifact not signed": replace(
        WHOLE, artifact=replace(ARTIFACT, signature=replace(SIGNED, problem="it has none"))
    ),
    "no deploy commit": deployed(recorded=None, commit=""),
    "no digest in the overlay": deployed(image=UNPINNED, recorded=UNPINNED),
    "edited overlay": deployed(image=replace(IMAGE, tag=HEAD)),
    "deploy commit of another digest": says(image_digest=[OTHER]),
    "deploy commit of two digests": says(image_digest=[OTHER, DIGEST]),
    "deploy commit without a digest": says(image_digest=[]),
    "deploy commit of two models": says(
        model=["m@v1.0.0", "other@v9"],
        model_hash=[HASH, "f" * 32],
        image_fingerprint=[FINGERPRINT, "0" * 64],
        model_sha256=[SHA256, "6" * 64],
    ),
    "overruled entry": deployed(overruled=Image("r.example/m", "evil.example/m", "", OTHER)),
    "another image": deployed(
        image=replace(IMAGE, new_name="evil.example/m"),
        recorded=replace(IMAGE, new_name="evil.example/m"),
    ),
    "promotion.yaml without an image": replace(
        deployed(image=Image("x", "", COMMIT, DIGEST), recorded=Image("x", "", COMMIT, DIGEST)),
        image="",
    ),
    "environment before never ran it": replace(WHOLE, before=Before("dev", "o/k.yaml")),
    "environment before is not known": replace(WHOLE, before=Before("dev", problem="no overlay")),
    "registry not asked": replace(WHOLE, stored=None),
    "registry can't be asked": replace(WHOLE, stored=None, unasked={"registry": "no docker"}),
    "image alone, registry not asked": replace(WHOLE, deployed=None, stored=None, environment=""),
    "signed": replace(WHOLE, signature=Signed("the key sha256:1", "a=b")),
    "signed, and nothing said": replace(WHOLE, signature=Signed("the key sha256:1")),
    "not signed": replace(WHOLE, signature=Signed("the key sha256:1", "a=b", "it has none")),
    "signature not asked": replace(WHOLE, unasked={"signature": "no cosign"}),
    "taken over with its tag": replace(
        deployed(image=replace(IMAGE, tag=HEAD), recorded=replace(IMAGE, tag=HEAD)),
        before=Before("dev", "o/k.yaml", "9" * 40, image=replace(IMAGE, tag=HEAD)),
    ),
    "image is gone": stored(digest="", tag_digest=""),
    "tag moved": stored(tag_digest=OTHER),
    "tag is gone": stored(tag_digest=""),
    "image without a tag": stored(tag="", tag_digest=""),
    "image of another digest": stored(digest=OTHER, tag_digest=OTHER),
    "image alone": replace(WHOLE, deployed=None, environment=""),
    "image alone by its tag": replace(stored(digest=""), deployed=None, environment=""),
    "label of another model's name": labelled(name="other"),
    "label of our model's name": labelled(name="m"),
    "label of another hash": labelled(hash="f" * 32),
    "no label of a model": labelled(hash=""),
    "no label, and no model": replace(
        labelled(hash=""), source=replace(STAGED, model_hash=""), built=replace(SOURCE, model_hash="")
    ),
    "label of another fingerprint": labelled(fingerprint="0" * 64),
    "no label of a fingerprint": labelled(fingerprint=""),
    "no fingerprint in the deploy commit": says(image_fingerprint=[]),
    "no revision": replace(labelled(revision=""), built=None),
    "a branch as revision": replace(labelled(revision="main"), built=None),
    "build commit is gone": replace(WHOLE, built=Source(HEAD, known=False)),
    "build commit of another model": replace(WHOLE, built=replace(SOURCE, model_hash="f" * 32)),
    "no source in the deploy commit": replace(says(source_commit=[]), source=None, recipe=None),
    "source commit is gone": replace(WHOLE, source=Source(COMMIT, known=False, branch="staging")),
    "branch is gone": source(tip="", on_branch=False),
    "branch is gone, nobody knows": source(tip="", on_branch=None),
    "not on the branch": source(on_branch=False),
    "not known whether on the branch": source(on_branch=None),
    "another repository": says(source_repository=["acme/old"]),
    "repository in capitals": says(source_repository=["Acme/M"]),
    "repository not known": replace(says(source_repository=["acme/old"]), repository=""),
    "tag of another commit": deployed(
        image=replace(IMAGE, tag=HEAD), recorded=replace(IMAGE, tag=HEAD)
    ),
    "release tag": replace(deployed(image=RELEASE, recorded=RELEASE), tagged=DIGEST),
    "release tag of another digest": replace(deployed(image=RELEASE, recorded=RELEASE), tagged=OTHER),
    "release tag of none": deployed(image=RELEASE, recorded=RELEASE),
    "release tag, registry not asked": replace(
        deployed(image=RELEASE, recorded=RELEASE), unasked={"registry": "no docker"}
    ),
    "release tag without a digest": replace(
        deployed(image=replace(RELEASE, digest=""), recorded=RELEASE), tagged=OTHER
    ),
    "tag of another commit, branch not known": replace(
        deployed(image=replace(IMAGE, tag=HEAD), recorded=replace(IMAGE, tag=HEAD)),
        source=replace(STAGED, branch="", on_branch=None),
    ),
    "no model hash in the deploy commit": says(model_hash=[]),
    "another model hash in the deploy commit": says(model_hash=["f" * 32]),
    "no model, and no hash in the deploy commit": replace(
        says(model_hash=[]), source=replace(STAGED, model_hash="")
    ),
    "model can't be read": source(model_hash="", problem="at 111111111111, no dvc.lock"),
    "branch is newer": source(**NEWER),
    "branch is newer, of an unknown model": source(tip=TIP, tip_hash=""),
    "neither model is known": source(tip=TIP, tip_hash="", model_hash=""),
    "branch is newer, of the same model": source(tip=TIP),
    "branch is as old as may wait": source(tip=TIP, tip_age=24 * 3600 - 1),
    "branch is too old to wait": source(tip=TIP, tip_age=24 * 3600),
    "branch is of the future": source(tip=TIP, tip_age=-1),
    "branch is newer, taken back": source(**NEWER, tip_taken_back=True),
    "branch is newer, proposed": replace(
        source(**NEWER), deployed=replace(DEPLOYED, waiting=WAITS), held="v2.0.0"
    ),
    "edited checkout": source(edited=("dvc.lock", "dvc.yaml")),
    "version of another model": replace(
        WHOLE, version=Registered("other", "v1.0.0", "other@v1.0.0", HEAD, HASH, SHA256)
    ),
    "no such version": replace(WHOLE, version=Registered("m", "v1.0.0")),
    "version's tag is here only": replace(WHOLE, version=Registered("m", "v1.0.0", "m@v1.0.0")),
    "version of another hash": replace(WHOLE, version=replace(VERSION, model_hash="f" * 32)),
    "version without a model": replace(WHOLE, version=replace(VERSION, model_hash="")),
    "neither version nor commit has a model": replace(
        source(model_hash=""), version=replace(VERSION, model_hash="")
    ),
    "another file": replace(WHOLE, version=replace(VERSION, sha256="6" * 64)),
    "version recorded no file": replace(WHOLE, version=replace(VERSION, sha256="")),
    "deploy commit recorded no file": says(model_sha256=[]),
    "nobody recorded a file": replace(
        says(model_sha256=[]), version=replace(VERSION, sha256="")
    ),
    "stage not asked": replace(WHOLE, held=None),
    "stage of no environment": replace(WHOLE, environment=""),
    "stage holds nothing": replace(WHOLE, held="", held_hash=""),
    "stage holds another": replace(WHOLE, held="v2.0.0"),
    "stage may wait for its tag": replace(deployed(age=24 * 3600 - 1), held="v0.9.0"),
    "stage waited too long": replace(deployed(age=24 * 3600), held="v0.9.0"),
    "stage of a push waits for no tag": replace(deployed(age=0), held="v0.9.0", by_pull=False),
    "stage was spoken of since": replace(
        deployed(age=0), held="v0.9.0", held_since=DEPLOYED.since + 1
    ),
    "stage can't be told": replace(WHOLE, held_problem="two versions at commit abc"),
    "stage moves early": replace(WHOLE, held="v2.0.0", moves_early=True),
    "stage does not move early": replace(WHOLE, held="v2.0.0", moves_early=False),
    "stage moves early, nobody knows": replace(
        WHOLE, held="v2.0.0", unasked={"open pull requests": "no token"}
    ),
    "no version in the deploy commit": NAMELESS,
    "no version, stage of another model": replace(NAMELESS, held_hash="f" * 32),
    "no version, stage without a model": replace(NAMELESS, held_hash=""),
    "no version, and no model": replace(NAMELESS, source=replace(STAGED, model_hash="")),
    "no version, and no source": replace(
        says(source_commit=[]), version=None, source=None, recipe=None
    ),
    "no recipe": replace(WHOLE, recipe=None),
    "recipe that lies": replace(
        WHOLE, recipe=replace(RECIPE, problems=("a says 1, and b says 2", "c is torn"))
    ),
    "nothing made it": replace(WHOLE, recipe=Recipe()),
    "nothing to compare": replace(WHOLE, recipe=replace(Recipe(), unchecked=("a", "b"))),
    "ten to compare": replace(WHOLE, recipe=replace(RECIPE, unchecked=tuple("abcdefghij"))),
    "eleven to compare": replace(WHOLE, recipe=replace(RECIPE, unchecked=tuple("abcdefghijk"))),
    "recipe without a model": source(model_hash=""),
    "no pull request": replace(WHOLE, pull=None),
    "no pull request, and no environment": replace(WHOLE, pull=None, environment=""),
    "no pull request of no commit": replace(
        says(source_commit=[]), pull=None, source=None, recipe=None
    ),
    "pull requests not asked": replace(
        WHOLE, pull=None, deploy_pull=None,
        unasked={"pull request": "no token", "deploy pull request": "no deploy token"},
    ),
    "no deploy pull request": replace(WHOLE, deploy_pull=None),
    "no deploy pull request is needed": replace(WHOLE, deploy_pull=None, by_pull=False),
    "no deploy commit, no deploy pull request": replace(
        deployed(commit="", recorded=None), deploy_pull=None
    ),
    "nobody approved the deployment": replace(WHOLE, deploy_pull=replace(DEPLOY_PULL, approved_by=())),
    "version alone": replace(
        WHOLE, deployed=None, stored=None, environment="", before=None, deploy_pull=None,
        by_pull=False, source=replace(STAGED, branch=""),
    ),
    "from another branch": pull(head="experiment/x"),
    "from a later environment": pull(head="production"),
    "from a fork": pull(fork="eve/m"),
    "into the first, from an experiment": pull(base="main", head="experiment/x"),
    "into the first, from an environment": pull(base="main", head="production"),
    "into the first, from a fork's main": pull(base="main", head="main", fork="eve/m"),
    "into production, by too few": pull(base="production", head="staging"),
    "into production, by enough": pull(base="production", head="staging", approved_by=("a", "b")),
    "into no environment": pull(base="other"),
    "approved by nobody": pull(approved_by=()),
    "approved by nobody, nobody asked": pull(approved_by=(), base="main", head="x"),
    "approved before": pull(approved_by=(), approved_older=(("ada", TIP), ("eve", ""))),
    "approved now and before": pull(approved_older=(("ada", TIP),)),
    "flow not known": replace(WHOLE, flow=None),
}  # fmt: skip


def line_of(link: Link) -> str:
    fix = f" | Fix: {link.fix}" if link.fix else ""
    return f"{MARKS[link.state]} {link.name} | {link.left} | {link.right}{fix}"


def told(trace: Trace) -> str:
    """The links that the whole chain has not, and those that it has and this has not."""
    whole, found = links.check(WHOLE), links.check(trace)
    names = [one.name for one in found]
    lines = [line_of(one) for one in found if one not in whole]
    lines += [f"gone: {one.name}" for one in whole if one.name not in names]
    return "\n".join(lines)


def golden() -> dict[str, str]:
    parts = GOLDEN.read_text(encoding="utf-8").split("\n== ")[1:]
    pairs = (part.partition("\n") for part in parts)
    return {name: text.strip("\n") for name, _, text in pairs}


def test_the_whole_chain_holds() -> None:
    assert {one.state for one in links.check(WHOLE)} == {"verified"}
    assert broken(links.check(WHOLE)) == ()
    whole = "\n".join(line_of(one) for one in links.check(WHOLE))
    assert whole == golden()["the whole chain"]


@pytest.mark.parametrize("case", CASES)
def test_each_link_in_words(case: str) -> None:
    assert told(CASES[case]) == golden()[case]


def test_the_file_has_no_case_that_is_gone() -> None:
    assert set(golden()) == {"the whole chain", *CASES}


def test_only_what_is_broken_has_a_fix() -> None:
    for trace in CASES.values():
        for link in links.check(trace):
            assert bool(link.fix) is (link.state == "broken") or link.state == "pending", link


def test_the_links_of_a_pull_request_are_one_after_another() -> None:
    assert [one.name for one in pulls.links(WHOLE)] == [
        "source commit → pull request",
        "pull request → hop",
        "pull request → approvals",
        "deploy commit → deploy pull request",
    ]


def test_the_stages_link_waits_as_long_as_any() -> None:
    assert stages.link_of(WHOLE, links.PATIENCE) in links.check(WHOLE)


def test_a_sentence_has_both_sides() -> None:
    link = Link(("a", "b"), "one", "other", "broken", "do")
    assert (link.name, link.sentence) == ("a → b", "a → b: one, and other")
    assert broken([link, replace(link, state="pending")]) == (link,)
