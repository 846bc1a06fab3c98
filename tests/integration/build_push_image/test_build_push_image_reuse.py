"""The same content is built once, and its digest stays."""

from __future__ import annotations

import http.client
import json
import shutil
from pathlib import Path

import pytest
from image_project import DOCKERFILE, SERVER, SMOKE, Project, move, other_image

from model_gitops.adapters import process

pytestmark = pytest.mark.docker


def test_the_same_content_is_built_once(project: Project) -> None:
    first_commit = project.commit()
    first = project.run()
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
    first = project.run(tag="one", model="m", model_version="v1.0.0", labels="a=1")
    later = project.run(tag="two", model="m", model_version="v1.0.1", labels="a=2")
    assert (later.outputs["operation"], later.outputs["digest"]) == (
        "reused",
        first.outputs["digest"],
    )
    labels = project.config("two")["config"]["Labels"]
    assert (labels["io.model-gitops.model.version"], labels["a"]) == ("v1.0.0", "1")


def test_reuse_false_builds(project: Project) -> None:
    project.run()
    assert project.run(reuse="false").outputs["operation"] == "built"


@pytest.mark.parametrize("provenance", ["false", "mode=max"])
def test_a_new_tag_keeps_the_digest(project: Project, buildkit: str, provenance: str) -> None:
    first = project.run(provenance=provenance, tag="one")
    kind = json.loads(project.get("manifests/one")[2])["mediaType"]
    assert kind.endswith("index.v1+json") is (provenance == "mode=max")
    second = project.run(provenance=provenance, tag="two")
    assert second.outputs["operation"] == "reused"
    assert project.digest("two") == first.outputs["digest"]


def test_a_pruned_fingerprint_is_written_again(project: Project) -> None:
    first = project.run(provenance="false", tag="one")
    [fingerprint] = [tag for tag in project.tags() if tag.startswith("fp-")]
    # The registry deletes a manifest with all its tags; so it is put back under one.
    body = project.get("manifests/one")[2]
    connection = http.client.HTTPConnection(project.registry, timeout=10)
    for method, name in (("DELETE", first.outputs["digest"]), ("PUT", "one")):
        headers = {"Content-Type": json.loads(body)["mediaType"]}
        connection.request(method, f"/v2/{project.repository}/manifests/{name}", body, headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status in (201, 202)
    assert project.tags() == ["one"]
    again = project.run(provenance="false", tag="one")
    assert (again.outputs["operation"], again.outputs["digest"]) == (
        "reused",
        first.outputs["digest"],
    )
    assert project.tags() == sorted([fingerprint, "one"])


def test_of_two_jobs_that_build_the_same_content_the_first_wins(
    project: Project, buildkit: str, base_image: str, argv: Path
) -> None:
    shim, real = Path(project.env["PATH"].split(":")[0]) / "docker", str(shutil.which("docker"))
    other = f"{project.image}:other"
    move(other, other_image(project, base_image))
    # Another job gets there after this one's first look.
    shim.write_text(
        f'#!/bin/sh\ncase "$*" in *push-by-digest=true*) for word; do case "$word" in'
        f" --label=io.model-gitops.fingerprint=*) {real} buildx imagetools create"
        f" --prefer-index=false --tag={project.image}:fp-${{word##*=}} {other};; esac; done;;"
        f' esac\nexec {real} "$@"\n'
    )
    result = project.run(tag="one", extra_tags="two")
    assert (result.status, result.outputs["operation"]) == (0, "reused"), result.log
    assert "another job built this content in the meantime" in result.log
    digests = {project.digest(tag) for tag in project.tags()}
    assert digests == {result.outputs["digest"], project.digest("other")}
    assert len(project.tags()) == 4


def test_an_older_image_of_the_same_content_does_not_move_the_fingerprint(
    project: Project, buildkit: str
) -> None:
    project.write("Dockerfile", DOCKERFILE + "RUN head -c 8 /dev/urandom > /random\n")
    old = project.run(tag="old")
    process.run(["docker", "buildx", "prune", "--all", "--force"])
    new = project.run(tag="new", reuse="false")
    [fingerprint] = [tag for tag in project.tags() if tag.startswith("fp-")]
    assert old.outputs["digest"] != new.outputs["digest"] == project.digest(fingerprint)
    again = project.run(tag="old")
    assert (again.outputs["operation"], again.outputs["digest"]) == (
        "reused",
        old.outputs["digest"],
    )
    assert project.digest(fingerprint) == new.outputs["digest"]
