"""Who approved a deployment: the reviewers of the run's environment, of the deploy pull request; and what they saw."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from world import MODEL, READER, TOKEN, World, push_image, schema

from model_gitops.adapters import commit_statuses
from model_gitops.adapters.github_client import Client

pytestmark = pytest.mark.docker
LINK = ("deploy commit", "approval")


def name_rules(world: World, **keys: object) -> None:
    """Write keys of the environments `staging` and `production` into promotion.yaml of the checkout."""
    file = world.work.directory / "promotion.yaml"
    rules = json.loads(file.read_text())
    for one in rules["environments"]:
        if one["name"] in ("staging", "production"):
            one.update(keys)
    file.write_text(json.dumps(rules))


def approval(world: World, environment: str, **inputs: str) -> tuple[str, str, Any]:
    _, found = world.trace(environment, **inputs)
    jsonschema.validate(found, schema("trace"))
    said = [one for one in found["links"] if (one["from"], one["to"]) == LINK]
    made = (said[0]["state"], said[0]["from_says"]) if said else ("", "")
    return (*made, found["deployment"]["approval"])


def test_the_reviewers_of_the_run_are_recorded(world: World) -> None:
    commit = world.work.commit_of("origin/staging") or ""
    name = world.image.partition("/")[2]
    digest = push_image(world.registry, name, commit, world.labels(commit, "better"), salt="run")
    before = dict(world.env)
    try:
        world.env |= {"GITHUB_REPOSITORY": MODEL, "GITHUB_RUN_ID": "41", "GITHUB_SHA": commit}
        world.deploy("staging", commit, digest)
    finally:
        world.env.clear()
        world.env |= before
    run = f"{world.forge.url}/{MODEL}/actions/runs/41"
    _, found = world.trace("staging")
    assert found["deployment"]["trailers"]["deploy-run"] == [run]
    # READER may not read runs: that is nobody's matter where no reviewers are named.
    assert approval(world, "staging") == ("", "", None)
    name_rules(world, reviewers=["grace"])
    state, said, _ = approval(world, "staging")
    assert state == "unknown"
    assert "403" in said
    nobody = {"where": "run 41", "url": run, "approved_by": []}
    full = {"source_token": TOKEN}
    assert approval(world, "staging", **full) == ("broken", "run 41 was approved by nobody", nobody)
    world.forge.review_run(MODEL, 41, "production", "grace")
    world.forge.review_run(MODEL, 41, "staging", "ada", "rejected")
    assert approval(world, "staging", **full)[0] == "broken"
    world.forge.review_run(MODEL, 41, "staging", "grace")
    said = {**nobody, "approved_by": ["grace"]}
    assert approval(world, "staging", **full) == ("verified", "run 41 was approved by grace", said)
    # Of a deployment without a run nobody can say it.
    state, said, _ = approval(world, "dev", **full)
    assert (state, said) == ("", "")


def test_of_a_deploy_pull_request_its_own_approval_counts(world: World) -> None:
    assert approval(world, "production")[0] == ""
    name_rules(world, reviewers=["grace"])
    state, said, found = approval(world, "production")
    assert (state, said) == ("broken", "deploy pull request #1 was approved by nobody")
    assert found["approved_by"] == []


def test_who_decides_sees_the_verification_before_and_the_way_back(
    world: World, tmp_path: Path
) -> None:
    name_rules(world, verify={"url": "https://{environment}.example.com"})
    asked = {"environment": "production", "candidate": "origin/staging", "source_token": TOKEN}

    def table() -> str:
        summary = tmp_path / "summary"
        summary.write_text("")
        world.env.update(GITHUB_STEP_SUMMARY=str(summary), GITHUB_OUTPUT=str(tmp_path / "out"))
        try:
            told = world.run("status", token=READER, **asked)
        finally:
            del world.env["GITHUB_STEP_SUMMARY"], world.env["GITHUB_OUTPUT"]
        assert told.code == 0, told.log
        return summary.read_text("utf-8")

    assert "| verified in staging | – | ❔ no result yet |" in table()
    commit = world.work.commit_of("origin/staging") or ""
    api = Client(MODEL, TOKEN, api_url=world.forge.api_url)
    page = f"{world.forge.url}/{MODEL}/actions/runs/42"
    broken = "load p95: 312 ms; asked: 200 ms"
    commit_statuses.write(api, commit, "model-gitops/staging", "failure", broken, page)
    shown = table()
    assert f"| verified in staging | – | ❌ failed: {broken} ([report]({page})) |" in shown
    assert (
        "`gh workflow run rollback.yml -f environment=production -f version=v0.0.1 -f reason=WHY`"
        in shown
    )
