"""The lineage of an image that others build, and of a stage that is not called as its environment is."""

from __future__ import annotations

from dataclasses import replace

from chain import COMMIT, DIGEST, FLOW, TRACE, WHOLE

from model_gitops.core.flow.building import Build
from model_gitops.core.lineage import report, status
from model_gitops.core.lineage.facts import Stored, Trace
from model_gitops.core.lineage.link import broken
from model_gitops.core.lineage.links import check
from model_gitops.core.report.promotion import Opening

ELSEWHERE = replace(FLOW, build=Build(elsewhere=f"r.example/m:v7@{DIGEST}"))


def states(trace: Trace) -> dict[tuple[str, str], str]:
    return {link.ends: link.state for link in check(trace)}


def built_elsewhere(labels: dict[str, str], *, flow: bool = True) -> Trace:
    assert WHOLE.deployed
    image = replace(WHOLE.deployed.image, tag="v7")
    trailers = {k: v for k, v in WHOLE.deployed.trailers.items() if k != "image-fingerprint"}
    return replace(
        WHOLE,
        deployed=replace(WHOLE.deployed, image=image, recorded=image, trailers=trailers),
        stored=Stored("r.example/m", "v7", DIGEST, DIGEST, labels),
        built=None,
        flow=ELSEWHERE if flow else FLOW,
    )


def test_what_an_image_from_elsewhere_is_made_of_is_not_known_and_not_wrong() -> None:
    trace = built_elsewhere({})
    found = states(trace)
    for ends in (("image", "model"), ("image", "build commit"), ("image", "source commit")):
        assert found[ends] == "unknown", ends
    assert not broken(check(trace))
    assert found["overlay", "registry"] == "verified"
    # Of one that we build the same says that it is none of ours.
    ours = built_elsewhere({}, flow=False)
    assert ("image", "build commit") in [link.ends for link in broken(check(ours))]


def test_an_image_is_what_promotion_yaml_of_its_own_commit_says() -> None:
    # The project builds its images itself since then.
    assert not broken(check(replace(built_elsewhere({}, flow=False), built_by=ELSEWHERE)))
    # It builds none any more: what it built is held to its labels as before.
    assert broken(check(replace(built_elsewhere({}), built_by=FLOW)))


def test_a_label_of_another_model_is_wrong_wherever_it_was_built() -> None:
    other = built_elsewhere({"io.model-gitops.model.hash": "9" * 32})
    assert [link.ends for link in broken(check(other))] == [("image", "model")]
    named = built_elsewhere({"org.opencontainers.image.revision": COMMIT})
    assert states(named)["image", "build commit"] == "unknown"


def test_a_stage_is_named_as_promotion_yaml_names_it() -> None:
    trace = replace(TRACE, stage_name="eu/dev", held="", held_hash="")
    link = next(one for one in check(trace) if one.ends == ("stage", "version"))
    assert link.left == "m#eu/dev holds no version"
    assert "--stage eu/dev," in link.fix
    assert report.document(trace, check(trace))["stage"]["name"] == "eu/dev"
    shown = status.Status("dev", "main", trace=trace, links=check(trace))
    assert status.unassigned("m", [shown]) == [
        {"model": "m", "stage": "eu/dev", "environment": "dev", "version": "v1.0.0"}
    ]


def test_a_report_says_that_the_image_is_built_elsewhere() -> None:
    opening = Opening(
        environment="dev", build="elsewhere", promote_image=f"r.example/m:v7@{DIGEST}"
    )
    text = opening.checked().text()
    assert f"Image, built elsewhere: `r.example/m:v7@{DIGEST}`." in text
    assert "environment before" not in text
