"""The images that a build takes from registries are part of the content."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from image_project import DOCKERFILE, SMOKE, Project, move, other_image

from model_gitops.adapters import process

pytestmark = pytest.mark.docker


def test_a_base_tag_that_moves_is_other_content(
    project: Project, buildkit: str, base: str, base_image: str
) -> None:
    given = {"build_args": f"BASE_IMAGE={base}"}
    first = project.deployed(**given, tag="one")
    assert project.run(**given, tag="two").outputs["digest"] == first.outputs["digest"]
    move(base, other_image(project, base_image))
    moved = project.run(**given, tag="three", smoke_test=SMOKE)
    assert moved.status == 0, moved.log
    assert moved.outputs["operation"] == "built"
    assert moved.outputs["digest"] != first.outputs["digest"]
    assert project.config("three")["config"]["Labels"]["other"] == "1"
    move(base, base_image)
    back = project.run(**given, tag="four")
    assert (back.outputs["operation"], back.outputs["digest"]) == (
        "reused",
        first.outputs["digest"],
    )


def test_images_copied_mounted_and_named_count_too(
    project: Project, buildkit: str, base: str, base_image: str
) -> None:
    other = other_image(project, base_image)
    for number, (text, contexts) in enumerate(
        (
            (f"{DOCKERFILE}COPY --from={base} /etc/hostname /x\n", ""),
            (f"{DOCKERFILE}RUN --mount=from={base},target=/base true\n", ""),
            (f"{DOCKERFILE}COPY --from=named /etc/hostname /x\n", f"named=docker-image://{base}"),
        )
    ):
        project.write("Dockerfile", text.replace("/etc/hostname", "/etc/passwd"))
        move(base, base_image)
        first = project.deployed(tag=f"{number}a", build_contexts=contexts)
        assert first.outputs["operation"] == "built", first.log
        again = project.run(tag=f"{number}b", build_contexts=contexts)
        assert again.outputs["operation"] == "reused"
        move(base, other)
        moved = project.run(tag=f"{number}c", build_contexts=contexts)
        assert moved.outputs["operation"] == "built", moved.log


def test_a_digest_costs_no_look_up_and_an_unknown_base_no_failure(
    project: Project, buildkit: str, base_image: str, argv: Path
) -> None:
    digest = process.run(["docker", "buildx", "imagetools", "inspect", base_image]).stdout
    pinned = f"{base_image}@{re.findall('sha256:[0-9a-f]{64}', digest)[0]}"
    assert project.run(build_args=f"BASE_IMAGE={pinned}").status == 0
    assert base_image not in "\n".join(
        line for line in argv.read_text().split("\n") if not line.startswith("--build-arg")
    )
    # Named, and not needed by the build: the registry has no such image.
    missing = f"{project.registry}/no/such:1"
    given = {"build_contexts": f"unused=docker-image://{missing}"}
    result = project.deployed(**given, tag="other")
    assert f"no registry tells the digest of {missing}" in result.log
    assert project.run(**given, tag="third").outputs["operation"] == "reused"


def test_a_base_that_moves_during_the_build_is_a_lost_race(
    project: Project, buildkit: str, base: str, base_image: str, argv: Path
) -> None:
    shim, real = Path(project.env["PATH"].split(":")[0]) / "docker", str(shutil.which("docker"))
    other = other_image(project, base_image)
    shim.write_text(
        f'#!/bin/sh\ncase "$*" in *push-by-digest=true*) {real} buildx imagetools create'
        f' --prefer-index=false --tag={base} {other};; esac\nexec {real} "$@"\n'
    )
    result = project.run(build_args=f"BASE_IMAGE={base}", tag="one")
    assert (result.status, result.outputs) == (5, {}), result.log
    assert f"{base} moved while the image was built" in result.log
    assert "one" not in project.tags()
    again = project.run(build_args=f"BASE_IMAGE={base}", tag="one")
    assert (again.status, again.outputs["operation"]) == (0, "built")


def test_a_base_whose_registry_is_away_is_no_ground_for_reuse(project: Project) -> None:
    given = {"build_contexts": "unused=docker-image://127.0.0.1:9/no/such:1"}
    for tags in (["one"], ["one", "two"]):
        result = project.run(**given, tag=tags[-1])
        assert (result.status, result.outputs["operation"]) == (0, "built"), result.log
        assert "which image 127.0.0.1:9/no/such:1 is, is not known now" in result.log
        assert project.tags() == tags
    assert "io.model-gitops.fingerprint" not in project.config("one")["config"]["Labels"]


def test_the_engines_own_builder_may_take_an_image_that_only_it_has(project: Project) -> None:
    local, own = "model-gitops-test-base:1", {"builder": "default", "provenance": "false"}
    project.write("Dockerfile", "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY server.py /\n")
    process.run(["docker", "pull", "--quiet", project.base_image])
    # Which the engine has in another version than the registry.
    known = f"{project.registry}/{project.repository}/known:1"
    move(known, project.base_image)
    project.write(
        "Dockerfile",
        (project.folder / "Dockerfile").read_text() + f"COPY --from={known} /etc/passwd /x\n",
    )

    def make(reference: str, text: str) -> None:
        (project.folder.parent / "local").mkdir(exist_ok=True)
        file = project.folder.parent / "local" / "Dockerfile"
        file.write_text(f"FROM {project.base_image}\nLABEL a={text}\n")
        words = ["buildx", "build", "--builder=default", "--quiet", f"--tag={reference}", "--load"]
        process.run(["docker", *words, str(file.parent)])

    try:
        seen = []
        for reference, text, operation in (
            (local, "1", "built"), (local, "1", "reused"), (local, "2", "built"), (known, "3", "built"),
        ):  # fmt: skip
            make(reference, text)
            result = project.deployed(**own, build_args=f"BASE_IMAGE={local}", tag="t")
            assert (result.status, result.outputs["operation"]) == (0, operation), result.log
            seen.append(project.config("t")["config"]["Labels"]["a"])
        assert seen == ["1", "1", "2", "2"]
    finally:
        process.run(["docker", "rmi", local, known], check=False)
