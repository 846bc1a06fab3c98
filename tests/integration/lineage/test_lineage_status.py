"""status: what each environment runs, if all agrees, and what waits."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
from world import (
    HASHES,
    MODEL,
    READER,
    World,
    api,
    schema,
)

pytestmark = pytest.mark.docker


def test_status_shows_every_environment(whole: World) -> None:
    told, found = whole.status(check="true")
    assert told.code == 0, told.log
    jsonschema.validate(found, schema("status"), format_checker=jsonschema.FormatChecker())
    assert found["in_sync"] is True
    dev, staging, production, empty = found["environments"]
    for one in (dev, staging, production):
        assert (one["version"], one["stage_version"], one["metrics"]) == (
            "v0.0.1",
            "v0.0.1",
            {"metrics.json:r2": 0.455},
        )
        assert one["pull_request"]["approved_by"] == ["grace"]
        assert one["waiting"] == one["problems"] == []
    assert len({one["digest"] for one in (dev, staging, production)}) == 1
    assert (empty["version"], empty["image"], empty["in_sync"]) == (None, None, True)
    assert empty["waiting"] == ["v0.0.1 of production (production → empty)"]
    plain = whole.run("status", token=READER, source_token=READER).answer
    rows = [line.split() for line in plain.splitlines() if line.startswith("✓")]
    assert [row[1:4] for row in rows] == [
        ["dev", "v0.0.1", "0.455"],
        ["staging", "v0.0.1", "0.455"],
        ["production", "v0.0.1", "0.455"],
        ["empty", "–", "–"],
    ]
    assert "approved by grace" in plain


def test_status_says_what_waits(world: World) -> None:
    worse = world.commit(world.work, world.files("worse", 5), "experiment/worse")
    world.assign("", worse)
    title = {"head": "experiment/worse", "base": "main", "title": "x", "body": ""}
    pull = api(MODEL, world).create_pull(**title)
    _, found = world.status()
    dev = found["environments"][0]
    assert dev["waiting"] == [f"pull request #{pull.number} (experiment/worse → main)"]
    api(MODEL, world).get_pull(pull.number).edit(state="closed")


def test_status_shows_the_incumbent_beside_the_candidate(world: World, tmp_path: Path) -> None:
    worse = world.commit(world.work, world.files("worse", 5), "experiment/worse")
    world.assign("", worse)
    summary = tmp_path / "summary"
    world.env.update(GITHUB_STEP_SUMMARY=str(summary), GITHUB_OUTPUT=str(tmp_path / "out"))
    try:
        told = world.run(
            "status", environment="staging", candidate="HEAD", token=READER, source_token=READER,
            candidate_image=f"{world.image}:{worse}@sha256:{'f' * 64}",
        )  # fmt: skip
    finally:
        del world.env["GITHUB_STEP_SUMMARY"], world.env["GITHUB_OUTPUT"]
    assert told.code == 0, told.log
    table = summary.read_text("utf-8")
    assert "| | staging now | candidate |" in table
    assert "| version | v0.0.1 | v0.0.2 |" in table
    assert "| r2 | 0.455 | 0.111 ▼ |" in table
    assert f"`{HASHES['worse']}`" in table
    assert f"| `{'f' * 12}` |" in table
    assert "in-sync<<" in (tmp_path / "out").read_text("utf-8")


def test_status_without_a_registry_says_so(whole: World) -> None:
    whole.env["DOCKER_CONFIG"], before = "/nowhere", whole.env["DOCKER_CONFIG"]
    try:
        told = whole.run("status", token=READER)
    finally:
        whole.env["DOCKER_CONFIG"] = before
    if "has no `buildx`" not in told.answer:
        pytest.skip("this machine's docker has a buildx of its own")
    assert told.code == 0
    assert "? registry: the registry can't be asked" in told.answer


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"environment": "prod"}, "no such environment; it has dev, staging, production, empty"),
        ({"candidate": "HEAD"}, "`environment` is empty"),
        ({"environment": "dev", "candidate": "nope"}, "input `candidate` is 'nope'"),
        ({"deploy_branch": "nope"}, "input `deploy-branch` is 'nope'"),
        ({"config": "nope.yaml"}, "no such file"),
    ],
)
def test_wrong_inputs_of_status(whole: World, inputs: dict[str, str], said: str) -> None:
    told, found = whole.status(**inputs)
    assert (told.code, found) == (2, None), told.log
    assert said in told.log
