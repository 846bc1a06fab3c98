"""What looks like tampering and is none: what waits, a rollback, what only this clone has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from world import (
    DEPLOY,
    HASHES,
    MODEL,
    World,
    api,
    links,
    merge,
    push_image,
    retag,
    rewrite,
)

pytestmark = pytest.mark.docker


def test_a_merge_that_is_not_deployed_yet_is_pending_in_its_pull_request(world: World) -> None:
    world.work.run("checkout", "--quiet", "-B", "edit", "origin/production")
    commit = world.commit(world.work, world.files("worse", 5), "production")
    name = world.image.partition("/")[2]
    digest = push_image(world.registry, name, commit, world.labels(commit, "worse"))
    told, found = world.trace("production")
    assert told.code == 3
    assert links(found)["branch → source commit"] == "broken"
    assert "gh run list" in told.log
    world.deploy(
        "production", commit, digest, merged=False, model_hash=HASHES["worse"], version="v0.0.2"
    )
    world.assign("production", commit)
    told, found = world.trace("production")
    assert told.code == 0, told.log
    pending = {name for name, state in links(found).items() if state == "pending"}
    assert pending == {"branch → source commit", "stage → version"}
    _, view = world.status()
    production = next(one for one in view["environments"] if one["name"] == "production")
    assert production["waiting"] == ["diabetes@v0.0.2 in the deploy pull request"]
    # Who closes it refuses the deployment: the branch is left, and nothing waits any more.
    (pull,) = world.waiting()
    api(DEPLOY, world).get_pull(pull.number).edit(state="closed")
    told, found = world.trace("production")
    broken = {name for name, state in links(found).items() if state == "broken"}
    assert broken == {"branch → source commit", "stage → version"}


def test_the_first_deployment_waits_in_its_pull_request(world: World, tmp_path: Path) -> None:
    commit = world.work.commit_of("origin/production") or ""
    world.work.run("push", "--quiet", "origin", f"{commit}:refs/heads/empty")
    _, found = world.trace("production")
    world.deploy("empty", commit, found["image"]["digest"], merged=False)
    world.assign("empty", commit)
    told, _ = world.trace("empty")
    assert told.code == 2
    assert "runs nothing yet: its first deployment waits in a pull request" in told.log
    told, view = world.status(check="true")
    assert told.code == 0, told.log
    assert view["environments"][-1]["waiting"][-1] == "diabetes@v0.0.1 in the deploy pull request"
    (pull,) = world.waiting()
    # The summary of one environment ends with one line, and the pull request is a link in it.
    summary = tmp_path / "summary"
    world.env["GITHUB_STEP_SUMMARY"] = str(summary)
    try:
        world.status(environment="empty")
        world.status(environment="production")
    finally:
        del world.env["GITHUB_STEP_SUMMARY"]
    _, waits, runs = summary.read_text("utf-8").split("what runs where")
    proposed = "diabetes@\u2060v0.0.1 in the deploy pull request"
    assert f"\n\nempty waits for [{proposed}]({pull.url}), and runs nothing yet.\n" in waits
    assert re.search(
        r"\n\nproduction now runs diabetes v0\.0\.1, r2 0\.455, deploy commit `\w{12}`\.\s*$", runs
    )
    merge(world, DEPLOY, pull.head_ref, "main", approve=False)
    told, found = world.trace("empty")
    assert (told.code, set(links(found).values()) - {"verified"}) == (3, {"broken"})
    assert links(found)["source commit → pull request"] == "broken", "the branch was pushed"


def test_a_pull_request_may_set_other_images_too(world: World) -> None:
    rewrite(world, lambda text: text + "- name: sidecar\n  newTag: v1\n")
    world.work.run("checkout", "--quiet", "-B", "edit", "origin/production")
    commit = world.commit(world.work, world.files("worse", 5), "production")
    name = world.image.partition("/")[2]
    digest = push_image(world.registry, name, commit, world.labels(commit, "worse"))
    world.deploy(
        "production", commit, digest, merged=False, model_hash=HASHES["worse"], version="v0.0.2",
        images=f"diabetes={world.image}:{commit}@{digest}\nsidecar=:v2",
    )  # fmt: skip
    told, found = world.trace("production")
    assert told.code == 0, told.log
    assert links(found)["branch → source commit"] == "pending"


def test_one_overlay_that_nobody_can_ask_for_hides_no_other(world: World) -> None:
    retag(world)
    rewrite(world, lambda text: re.sub("digest: .*", "digest: sha256:123", text), "dev")
    told, view = world.status(check="true")
    assert told.code == 3
    dev, staging, production, _ = view["environments"]
    assert (dev["in_sync"], staging["in_sync"], production["in_sync"]) == (False, True, False)
    assert "overlay → registry" in production["problems"][0]["problem"]
    told, found = world.trace("dev")
    assert (told.code, links(found)["overlay → registry"]) == (3, "broken")


def test_dates_in_params_are_no_bug(world: World) -> None:
    files = world.files("worse", 60)
    key = '"train.epochs": 60'
    files["dvc.lock"] = files["dvc.lock"].replace(key, f'{key}, "until": 2024-01-31')
    files["params.yaml"] += "until: 2024-01-31\n"
    files["dvc.yaml"] = files["dvc.yaml"].replace("[train.epochs]", "[train.epochs, until]")
    commit = world.commit(world.work, files, "dated")
    world.assign("", commit)
    version = world.work.run("tag", "--points-at", commit).strip()
    told, found = world.trace(version)
    assert told.code == 0, told.log
    assert found["params"]["params.yaml"]["until"] == "2024-01-31"


def test_what_only_this_clone_has_says_nothing(world: World) -> None:
    worse = world.commit(world.work, world.files("worse", 5), "experiment/worse")
    told = world.run(
        "gto-register-stage", model="diabetes", stage="production", push="false", revision=worse
    )
    assert told.code == 0, told.log
    assert "diabetes#production#" in world.work.run("tag", "--points-at", worse)
    told, found = world.trace("production")
    assert told.code == 0, told.log
    assert found["stage"]["version"] == "v0.0.1"


def test_a_rollback_is_on_purpose(world: World) -> None:
    older = world.work.commit_of("origin/production") or ""
    _, found = world.trace("production")
    old = found["image"]["digest"]
    world.work.run("checkout", "--quiet", "-B", "edit", "origin/production")
    commit = world.commit(world.work, world.files("worse", 5), "production")
    name = world.image.partition("/")[2]
    digest = push_image(world.registry, name, commit, world.labels(commit, "worse"))
    world.assign("production", commit)
    world.deploy("production", commit, digest, model_hash=HASHES["worse"], version="v0.0.2")
    world.deploy(
        "production", older, old,
        trailers=f"Model: diabetes@v0.0.1\nModel-Hash: {HASHES['better']}\n"
        f"Source-Repository: {MODEL}\nSource-Commit: {older}\nRollback: true",
    )  # fmt: skip
    world.assign("production", older)
    told, found = world.trace("production")
    assert told.code == 0, told.log
    assert links(found)["branch → source commit"] == "pending"
    assert found["version"]["name"] == "v0.0.1"
    # What was merged after it and is not deployed has not been taken back.
    world.work.run("checkout", "--quiet", "-B", "edit", "origin/production")
    world.commit(world.work, {"model.txt": "x", **world.files("worse", 6)}, "production")
    told, found = world.trace("production")
    assert links(found)["branch → source commit"] == "broken"
