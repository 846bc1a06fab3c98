"""build-push-image with a real engine, builder and registry: the way through, and what stops it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from image_project import DOCKERFILE, SERVER, SMOKE, Project, smoke_leftovers

pytestmark = pytest.mark.docker


def test_built_tested_and_pushed(project: Project) -> None:
    commit = project.commit()
    result = project.run(
        smoke_test=SMOKE, extra_tags="v1.2.3", labels="com.acme.team=ml",
        model="diabetes", model_version="v1.2.3", model_hash="abc",
    )  # fmt: skip
    assert result.status == 0, result.log
    digest = project.digest(commit)
    assert result.outputs["image"] == f"{project.image}:{commit}@{digest}"
    assert (result.outputs["tag"], result.outputs["digest"]) == (commit, digest)
    assert result.outputs["operation"] == "built"
    assert json.loads(result.outputs["metadata"])["containerimage.digest"] == digest
    assert project.digest("v1.2.3") == digest
    labels = project.config(commit)["config"]["Labels"]
    assert labels["org.opencontainers.image.revision"] == commit
    assert labels["io.model-gitops.model.hash"] == "abc"
    assert labels["io.model-gitops.model.version"] == "v1.2.3"
    assert labels["com.acme.team"] == "ml"
    assert smoke_leftovers() == ""


def test_without_a_push_nothing_is_pushed(project: Project) -> None:
    result = project.run(push="false", smoke_test=SMOKE, username="fork")
    assert result.status == 0, result.log
    assert (result.outputs["operation"], result.outputs["digest"]) == ("built", "")
    assert project.tags() == []


def test_on_a_pull_request_the_tag_is_the_heads(project: Project, tmp_path: Path) -> None:
    event = {"pull_request": {"head": {"sha": "a" * 40, "ref": "x"}, "base": {"ref": "main"}}}
    (tmp_path / "event.json").write_text(json.dumps(event))
    project.env |= {"GITHUB_EVENT_PATH": str(tmp_path / "event.json"), "GITHUB_SHA": "b" * 40}
    result = project.run()
    assert result.outputs["tag"] == "a" * 40
    assert (
        project.config("a" * 40)["config"]["Labels"]["org.opencontainers.image.revision"]
        == "a" * 40
    )


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ({"image": "ghcr.io/Acme/X"}, "Fix: image: ghcr.io/acme/x"),
        ({"tag": 'a"b$(touch pwned)`id`'}, "Fix: tag: a-b-touch-pwned-id"),
        ({"extra_tags": "a/b"}, "input `extra-tags`"),
        ({"context": "nowhere"}, "no such folder"),
        ({"file": "nowhere/Dockerfile"}, "input `file`"),
        ({"build_contexts": "model=nowhere"}, "dvc-pull-model"),
        ({"build_contexts": "model=server.py"}, "Fix: build-contexts: model=."),
        ({"build_args": "X"}, "has no `=`"),
        ({"secrets": "a,env=HOME=x"}, "input `secrets`"),
        ({"platforms": "amd64"}, "linux/amd64"),
        ({"builder": "nothing-such"}, "no builder of that name"),
        ({"smoke_test": "nowhere.yaml"}, "can't be read"),
        ({"smoke_test": "prot: 80"}, "write `port`"),
        ({"smoke_test": "request: {body-file: nowhere}"}, "nowhere"),
        ({"smoke_test": "request: {body-file: /proc/self/environ}"}, "no file of the workspace"),
        ({"smoke_test": "request: {body-file: ../outside}"}, "no file of the workspace"),
        ({"smoke_test": "request: {body-file: .git/config}"}, "no file of the workspace"),
        ({"push": "yes"}, "neither `true` nor `false`"),
    ],
)
def test_wrong_inputs_change_nothing(project: Project, inputs: dict[str, str], says: str) -> None:
    result = project.run(**inputs)
    assert (result.status, result.outputs) == (2, {}), result.log
    assert says in result.log
    assert project.tags() == []


def test_hostile_names_do_no_harm(project: Project) -> None:
    folder = "--push 'a\"b$(touch pwned)`id`"
    project.write(
        f"{folder}/Dockerfile", DOCKERFILE + "ARG X\nARG Y\nRUN printf '%s' \"$X\" > /x\n"
    )
    project.write(f"{folder}/server.py", SERVER)
    result = project.run(
        context=folder,
        build_args=f'BASE_IMAGE={project.base_image}\nX=$(touch pwned) "q" --output=/x\nY=`id`',
        labels="a=--push $(touch pwned), b=c",
        model="`touch pwned`",
    )
    assert result.status == 0, result.log
    assert not list(project.folder.rglob("pwned"))
    assert (
        project.config(result.outputs["tag"])["config"]["Labels"]["a"]
        == "--push $(touch pwned), b=c"
    )
    assert project.tags() == [result.outputs["tag"]]


def test_a_registry_that_is_away(project: Project) -> None:
    result = project.run(image="127.0.0.1:9/a/b")
    assert result.status == 4
    assert "check that 127.0.0.1:9 can be reached" in result.log


def test_a_buildx_that_is_too_old_is_said_before_the_build(project: Project, argv: Path) -> None:
    shim, real = Path(project.env["PATH"].split(":")[0]) / "docker", str(shutil.which("docker"))
    shim.write_text(
        f'#!/bin/sh\ncase "$*" in *--help) {real} "$@" | grep -v -e --prefer-index; exit;;'
        f' *" build "*) exit 9;; esac\nexec {real} "$@"\n'
    )
    result = project.run(tag="x")
    assert (result.status, result.outputs) == (4, {}), result.log
    assert "this buildx is older than v0.15.0: github.com/docker/buildx" in result.log


def test_an_engine_that_does_not_run_is_said_before_the_build(project: Project) -> None:
    project.env |= {
        "DOCKER_HOST": f"unix://{project.folder}/none.sock",
        "BUILDX_BUILDER": "default",
    }
    result = project.run(tag="x")
    assert (result.status, result.outputs) == (4, {}), result.log
    assert "start the Docker engine, or choose a `builder` that runs" in result.log


def test_no_docker_is_one_clear_message(project: Project, tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "git").symlink_to(str(shutil.which("git")))
    project.env |= {"PATH": str(tmp_path / "bare")}
    result = project.run(tag="x")
    assert result.status == 4
    assert "`docker` is not on this machine" in result.log
