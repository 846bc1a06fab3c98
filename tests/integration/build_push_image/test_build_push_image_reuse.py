"""What was deployed with the same content is not built again, and its digest stays."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any

import pytest
from deploys import Deploys
from image_project import CANARY, DOCKERFILE, SERVER, SMOKE, Project, fingerprint_of

from model_gitops.adapters import process
from model_gitops_local.forge.openapi import strict_forge

pytestmark = pytest.mark.docker


def test_an_unchanged_models_second_merge_builds_nothing(project: Project) -> None:
    first_commit = project.commit()
    first = project.deployed()
    assert first.outputs["operation"] == "built"

    again = project.run()
    assert again.outputs["operation"] == "reused"
    assert again.outputs["image"] == first.outputs["image"]
    assert "exporting" not in again.log

    # The merge commit: another hash, the same content.
    merge = project.commit()
    merged = project.run(extra_tags="staging", smoke_test=SMOKE)
    assert merged.outputs["operation"] == "reused"
    assert merged.outputs["digest"] == first.outputs["digest"]
    assert project.digest(merge) == project.digest("staging") == project.digest(first_commit)

    project.write("server.py", SERVER + "#")
    changed = project.run(tag="staging")
    assert changed.outputs["operation"] == "built"
    assert changed.outputs["digest"] != first.outputs["digest"]
    assert project.digest("staging") == changed.outputs["digest"], (
        "a moving tag follows the content"
    )
    assert project.digest(merge) == first.outputs["digest"]


def test_a_later_version_does_not_change_the_image(project: Project) -> None:
    first = project.deployed(tag="one", model="m", model_version="v1.0.0", labels="a=1")
    later = project.run(tag="two", model="m", model_version="v1.0.1", labels="a=2")
    assert (later.outputs["operation"], later.outputs["digest"]) == (
        "reused",
        first.outputs["digest"],
    )
    labels = project.config("two")["config"]["Labels"]
    assert (labels["io.model-gitops.model.version"], labels["a"]) == ("v1.0.0", "1")


def test_reuse_false_builds(project: Project) -> None:
    project.deployed()
    again = project.run(reuse="false")
    assert again.outputs["operation"] == "built"
    assert "Asking the deploy repository" not in again.log


@pytest.mark.parametrize("provenance", ["false", "mode=max"])
def test_a_new_tag_keeps_the_digest(project: Project, buildkit: str, provenance: str) -> None:
    first = project.deployed(provenance=provenance, tag="one")
    kind = json.loads(project.get("manifests/one")[2])["mediaType"]
    assert kind.endswith("index.v1+json") is (provenance == "mode=max")
    second = project.run(provenance=provenance, tag="two")
    assert second.outputs["operation"] == "reused"
    assert project.digest("two") == first.outputs["digest"]


def test_an_image_that_the_registry_lost_is_built_anew(project: Project) -> None:
    first = project.deployed(provenance="false", tag="one")
    connection = http.client.HTTPConnection(project.registry, timeout=10)
    place = f"/v2/{project.repository}/manifests/{first.outputs['digest']}"
    connection.request("DELETE", place)
    assert connection.getresponse().status == 202
    assert project.tags() == []
    again = project.run(provenance="false", tag="one")
    assert (again.status, again.outputs["operation"]) == (0, "built"), again.log
    assert "and the registry has it no more" in again.log


def test_of_two_builds_of_the_same_content_the_deployed_one_is_used(
    project: Project, buildkit: str
) -> None:
    project.write("Dockerfile", DOCKERFILE + "RUN head -c 8 /dev/urandom > /random\n")
    old = project.run(tag="old")
    process.run(["docker", "buildx", "prune", "--all", "--force"])
    new = project.run(tag="new")
    assert (old.outputs["operation"], new.outputs["operation"]) == ("built", "built")
    assert old.outputs["fingerprint"] == new.outputs["fingerprint"] == fingerprint_of(new)
    assert old.outputs["digest"] != new.outputs["digest"]
    project.deploys.deploy(old.outputs["image"], old.outputs["fingerprint"])
    again = project.run(tag="new")
    assert (again.outputs["operation"], again.outputs["digest"]) == (
        "reused",
        old.outputs["digest"],
    )
    assert project.tags() == ["new", "old"]
    assert {project.digest("new"), project.digest("old")} == {old.outputs["digest"]}


def test_content_that_comes_back_is_used_again(project: Project) -> None:
    first = project.deployed(tag="one")
    project.write("server.py", SERVER + "#")
    assert project.deployed(tag="two").outputs["operation"] == "built"
    project.write("server.py", SERVER)
    back = project.run(tag="three")
    assert (back.outputs["operation"], back.outputs["digest"]) == (
        "reused",
        first.outputs["digest"],
    )


def test_a_tag_with_our_labels_is_not_believed(project: Project) -> None:
    first = project.run(tag="one", smoke_test=SMOKE)
    label = "io.model-gitops.fingerprint"
    labels = project.config("one")["config"]["Labels"]
    assert labels[label] == first.outputs["fingerprint"]
    for tag in ("one", "two"):
        again = project.run(tag=tag, smoke_test=SMOKE)
        assert (again.status, again.outputs["operation"]) == (0, "built"), again.log


@pytest.mark.parametrize(
    ("promotion", "inputs", "says"),
    [
        ({}, {"config": "nowhere.yaml"}, "no image is reused: there is no nowhere.yaml"),
        ({"deploy": None}, {}, "no image is reused: promotion.yaml names no deploy repository"),
        # The image that is asked for, which is the local registry's.
        ({"image": "a/b"}, {}, "no image is reused: promotion.yaml sets 127.0.0.1:"),
        ({"deploy": {"repository": "/no/where"}}, {}, "notice: no image is reused: "),
        ({"deploy": {"repository": "no where"}}, {}, "it is empty or holds spaces"),
        ({"gate": 1}, {}, "notice: no image is reused: promotion.yaml"),
        ({}, {"deploy_branch": "other"}, "has no such branch"),
        ({}, {"token": "a", "ssh_key": "b"}, "are both given"),
    ],
)
def test_where_nobody_can_tell_what_was_deployed_it_is_built(
    project: Project, promotion: dict[str, Any], inputs: dict[str, str], says: str
) -> None:
    project.deployed(tag="one")
    data = json.loads(project.deploys.promotion) | promotion
    kept = {key: value for key, value in data.items() if value is not None}
    project.write("promotion.yaml", json.dumps(kept))
    result = project.run(tag="two", **inputs)
    assert (result.status, result.outputs["operation"]) == (0, "built"), result.log
    assert says in result.log


def test_the_token_is_asked_for_and_used(project: Project, tmp_path: Path) -> None:
    first = project.deployed(tag="one")
    with strict_forge(tmp_path / "forge") as forge:
        forge.add_repository("acme/deploy", project.deploys.bare)
        forge.add_token(CANARY, "reader", {"contents": "read"})
        project.env |= {"GITHUB_SERVER_URL": forge.url, "GITHUB_API_URL": forge.api_url}
        data = json.loads(project.deploys.promotion) | {"deploy": {"repository": "acme/deploy"}}
        project.write("promotion.yaml", json.dumps(data))
        without = project.run(tag="two")
        assert (without.status, without.outputs["operation"]) == (0, "built"), without.log
        assert "`token` and `ssh-key` are both empty" in without.log
        reused = project.run(tag="three", token=CANARY)
    assert (reused.status, reused.outputs["operation"]) == (0, "reused"), reused.log
    assert reused.outputs["digest"] == first.outputs["digest"]
    assert CANARY not in reused.log


def test_a_pull_request_does_not_say_where_images_are_deployed(
    project: Project, tmp_path: Path
) -> None:
    """Its own promotion.yaml names a repository of its own, whose commits say what it likes."""
    base = project.commit()
    process.run(["git", "init", "--quiet", "--bare", str(tmp_path / "origin.git")])
    for words in (["remote", "add", "origin"], ["push", "--quiet"]):
        more = [] if words[0] == "remote" else ["HEAD:refs/heads/main"]
        process.run(["git", *words, str(tmp_path / "origin.git"), *more], cwd=project.folder)
    planted = project.run(tag="planted")
    own = Deploys(tmp_path / "own", project.image)
    own.deploy(planted.outputs["image"], planted.outputs["fingerprint"])
    project.write("promotion.yaml", own.promotion)
    head = project.commit()
    assert project.run(tag="pushed").outputs["operation"] == "reused", "it would be believed"
    pull = {"head": {"sha": head, "ref": "x"}, "base": {"sha": base, "ref": "main"}}
    (tmp_path / "event.json").write_text(json.dumps({"pull_request": pull}))
    project.env["GITHUB_EVENT_PATH"] = str(tmp_path / "event.json")
    result = project.run()
    assert (result.status, result.outputs["operation"]) == (0, "built"), result.log
    assert f"no image of this content was deployed from {project.deploys.bare}" in result.log
