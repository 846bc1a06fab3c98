"""A stage is assigned when the deployment is: after the merge of its deploy pull request."""

from __future__ import annotations

import json

import pytest
from world import DEPLOY, HASHES, World, links, merge, push_image

pytestmark = pytest.mark.docker


def unassigned(world: World) -> list[dict[str, str]]:
    """What the action puts out for stages.yml."""
    file = world.top / "outputs"
    file.unlink(missing_ok=True)
    world.env["GITHUB_OUTPUT"] = str(file)
    told, _ = world.status()
    del world.env["GITHUB_OUTPUT"]
    assert told.code == 0, told.log
    _, _, rest = file.read_text("utf-8").partition("unassigned<<")
    found: list[dict[str, str]] = json.loads(rest.splitlines()[1])
    return found


def test_the_stage_waits_for_the_merge_of_the_deploy_pull_request(world: World) -> None:
    assert unassigned(world) == []
    world.work.run("checkout", "--quiet", "-B", "edit", "origin/production")
    commit = world.commit(world.work, world.files("worse", 5), "production")
    name = world.image.partition("/")[2]
    digest = push_image(world.registry, name, commit, world.labels(commit, "worse"))
    assert world.run("gto-register-stage", model="diabetes").code == 0
    # As a promotion leaves it: staging ran this image first.
    new = {"model_hash": HASHES["worse"], "version": "v0.0.2"}
    world.deploy("staging", commit, digest, **new)
    world.deploy("production", commit, digest, merged=False, **new)
    # The pull request is open: production runs what it ran, and its stage says so.
    told, found = world.trace("production")
    assert links(found)["stage → version"] == "verified"
    assert [one["stage"] for one in unassigned(world)] == ["staging"]

    (pull,) = world.waiting()
    merge(world, DEPLOY, pull.head_ref, "main", approve=True)
    told, found = world.trace("production")
    assert links(found)["stage → version"] == "pending"
    assert links(found)["overlay → environment before"] == "verified"
    (link,) = (one for one in found["links"] if (one["from"], one["to"]) == ("stage", "version"))
    assert "gh workflow run stages.yml" in link["fix"]
    waits = unassigned(world)
    held = {"model": "diabetes", "stage": "production", "version": "v0.0.2"}
    assert waits[-1] == {**held, "environment": "production"}

    for one in waits:
        told = world.run("gto-register-stage", **{key: one[key] for key in held})
        assert told.code == 0, told.log
    told, found = world.trace("production")
    assert links(found)["stage → version"] == "verified"
    assert unassigned(world) == []


def test_an_image_that_the_environment_before_never_ran_is_found(world: World) -> None:
    commit = world.work.commit_of("origin/production") or ""
    name = world.image.partition("/")[2]
    digest = push_image(
        world.registry, name, commit, world.labels(commit, "better"), salt="planted"
    )
    world.deploy("production", commit, digest)
    told, found = world.trace("production")
    assert told.code == 3
    broken = {name for name, state in links(found).items() if state == "broken"}
    assert broken == {"overlay → environment before"}
