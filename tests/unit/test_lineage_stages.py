"""The stage of what is deployed: waits to be assigned, is to be assigned, or is somebody's own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from test_lineage_links import TRACE

from model_gitops.adapters.promotion_file import parse_text
from model_gitops.core.deploy.kustomization import Image
from model_gitops.core.gto import tags
from model_gitops.core.gto.tags import Registry, Tag
from model_gitops.core.lineage import links as links_of
from model_gitops.core.lineage import stages, status
from model_gitops.core.lineage.facts import Before, Deployed, Trace
from model_gitops.core.lineage.link import Link
from model_gitops.core.lineage.status import Status

DEPLOYED = TRACE.deployed
assert DEPLOYED is not None
SINCE = DEPLOYED.since
# Its deploy pull request was merged a minute ago; the stage has what ran before.
MERGED = replace(
    TRACE,
    by_pull=True,
    deployed=replace(DEPLOYED, age=60),
    held="v0.9.0",
    held_hash="e" * 32,
    held_since=SINCE - 3600,
)


def stage(trace: Trace) -> Link:
    (found,) = (link for link in links_of.check(trace) if link.ends == ("stage", "version"))
    return found


def unassigned(trace: Trace) -> str:
    return stages.unassigned(trace, links_of.check(trace))


def deployed(**changes: Any) -> Deployed:
    assert MERGED.deployed is not None
    return replace(MERGED.deployed, **changes)


@pytest.mark.parametrize(("held", "held_since"), [("v0.9.0", SINCE - 3600), ("", 0)])
def test_after_the_merge_of_its_deploy_pull_request_a_stage_waits(
    held: str, held_since: int
) -> None:
    trace = replace(MERGED, held=held, held_since=held_since)
    link = stage(trace)
    assert link.state == "pending"
    assert "since its pull request was merged" in link.right
    assert "gh workflow run stages.yml" in link.fix
    assert unassigned(trace) == "v1.0.0"
    assert status.unassigned(
        "m", [Status("dev", "main", trace=trace, links=links_of.check(trace))]
    ) == [{"model": "m", "stage": "dev", "environment": "dev", "version": "v1.0.0"}]


def test_it_does_not_wait_for_ever() -> None:
    late = replace(MERGED, deployed=deployed(age=links_of.PATIENCE))
    assert stage(late).state == "broken"
    # And is assigned all the same.
    assert unassigned(late) == "v1.0.0"


def test_where_a_push_deploys_the_stage_comes_with_it() -> None:
    trace = replace(MERGED, by_pull=False)
    assert stage(trace).state == "broken"
    assert unassigned(trace) == "v1.0.0"


@pytest.mark.parametrize(
    "changes",
    [
        {"held": "v1.0.0"},
        {"held": None},
        {"held_problem": "two versions"},
        # The version's tag was moved away from the stage's commit.
        {"held": "a" * 40},
        # A tag says that it holds nothing.
        {"held": ""},
        # A tag that is newer than the deployment is somebody's own.
        {"held_since": SINCE + 1},
        {"moves_early": True},
        {"unasked": {"open pull requests": "no token"}},
        {"version": None},
        {"deployed": None},
        # An edit by hand, an image that no deployment set.
        {"deployed": deployed(recorded=None)},
        {"deployed": deployed(trailers={**deployed().trailers, "image-digest": ["sha256:0"]})},
        # The deploy pull request has the stage's version already.
        {"deployed": deployed(waiting={"model": ["m@v0.9.0"]})},
    ],
)
def test_what_is_not_assigned_by_itself(changes: dict[str, Any]) -> None:
    trace = replace(MERGED, **changes)
    assert unassigned(trace) == ""
    assert (
        status.unassigned("m", [Status("dev", "main", trace=trace, links=links_of.check(trace))])
        == []
    )


@pytest.mark.parametrize(
    "version",
    [{"model_hash": "f" * 32}, {"commit": "", "model_hash": ""}, {"model": "other"}],
)
def test_a_version_that_is_not_the_one_that_runs_is_assigned_nowhere(
    version: dict[str, str],
) -> None:
    assert MERGED.version is not None
    trace = replace(MERGED, version=replace(MERGED.version, **version))
    assert unassigned(trace) == ""
    assert stage(trace).state == "broken"


def test_a_newer_tag_is_no_waiting() -> None:
    assert stage(replace(MERGED, held_since=SINCE + 1)).state == "broken"
    assert stage(replace(MERGED, held_since=SINCE)).state == "pending"
    assert stage(replace(MERGED, held="a" * 40)).state == "broken"


def test_an_environment_that_runs_nothing_has_no_stage_to_assign() -> None:
    assert status.unassigned("m", [Status("dev", "main"), Status("prod", "p", problem="x")]) == []


def test_when_a_stage_was_last_spoken_of() -> None:
    commit = "a" * 40
    registry = Registry.read(
        [
            Tag("m@v0.0.1", commit, 10),
            Tag("m#dev#1", commit, 20),
            Tag("m#prod#2", commit, 30),
            Tag("m#dev!#3", commit, 40),
            Tag("other#dev#1", commit, 99),
        ]
    )
    assert [registry.spoken("m", one) for one in ("dev", "prod", "none")] == [40, 30, 0]
    assert tags.parse("m@deprecated") is not None
    registry = Registry.read([Tag("m#dev#1", commit, 20), Tag("m@deprecated#2", commit, 50)])
    assert registry.spoken("m", "prod") == 50


PATH = "overlays/dev/kustomization.yaml"


def of(trace: Trace, start: str, end: str) -> Link:
    (found,) = (link for link in links_of.check(trace) if link.ends == (start, end))
    return found


def test_a_later_environment_takes_over_what_the_one_before_it_ran() -> None:
    image = deployed().image
    # Its tag is the commit of the first environment's merge, its source commit a later merge.
    taken = Image("m", image.new_name, "9" * 40, image.digest)
    later = replace(MERGED, deployed=deployed(image=taken, recorded=taken))
    assert of(later, "image", "source commit").state == "broken"
    before = Before("dev", PATH, "b" * 40, image=taken)
    link = of(replace(later, before=before), "overlay", "environment before")
    assert (link.state, link.right) == ("verified", f"commit {'b' * 12} set it in {PATH}")
    assert of(replace(later, before=before), "image", "source commit").state == "verified"
    # The same digest under another tag is the same image, and nobody's tag of this commit.
    other = replace(later, before=replace(before, image=replace(taken, tag="8" * 40)))
    assert of(other, "overlay", "environment before").state == "verified"
    assert of(other, "image", "source commit").state == "broken"


def test_what_the_environment_before_never_ran_is_broken() -> None:
    link = of(replace(MERGED, before=Before("dev", PATH)), "overlay", "environment before")
    assert link.state == "broken"
    assert f"no deploy commit ever set that digest in {PATH}: dev never ran it" in link.right
    assert "deploy to dev first" in link.fix


def test_an_environment_before_that_can_not_be_read_is_unknown() -> None:
    trace = replace(MERGED, before=Before("dev", problem="no such folder"))
    assert of(trace, "overlay", "environment before").state == "unknown"
    assert not [one for one in links_of.check(MERGED) if one.ends[1] == "environment before"]


def test_what_runs_and_is_to_be_verified_is_listed_with_its_own_branch() -> None:
    promotion = parse_text(
        "model: m\ndeploy: {repository: acme/deploy, path: 'o/{environment}'}\nimage: ghcr.io/acme/m\n"
        "environments:\n- {name: dev, branch: main}\n- {name: test, branch: test, verify: false}\n"
        "- {name: live, branch: production}\n- {name: new, branch: new}\n"
        "verify: {url: 'https://{environment}.example.com'}\n",
        source="promotion.yaml",
    )
    statuses = [
        Status(one.name, one.branch, trace=None if one.name == "new" else TRACE)
        for one in promotion.environments
    ]
    assert status.to_verify(promotion, statuses, "models/m") == [
        {"environment": "dev", "branch": "main", "config": "models/m"},
        {"environment": "live", "branch": "production", "config": "models/m"},
    ]
