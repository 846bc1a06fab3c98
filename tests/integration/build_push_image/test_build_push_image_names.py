"""Odd names of folders and files, and tags given as whole references."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from image_project import DOCKERFILE, SERVER, Project, fingerprint_of

from model_gitops.adapters import process

pytestmark = pytest.mark.docker
NAMES = (
    "modèle, données",
    "模型",
    "k=v",
    'it\'s "q"',
    "-rf",
    "x\ty",
    "$HOME `id`",
    "git@x",
    "a:b@c",
)


def fill(project: Project, name: str) -> None:
    project.write(f"{name}/Dockerfile", DOCKERFILE)
    project.write(f"{name}/server.py", SERVER)
    project.write(f"{name}/.dockerignore", "*\n!server.py\n")


def files(project: Project, tag: str, out: Path) -> set[str]:
    """Return the files that an image of no base has: its layers, by buildx itself."""
    (out.parent / "Dockerfile.look").write_text(f"FROM {project.image}:{tag}\n")
    words = [
        "--quiet",
        f"--file={out.parent / 'Dockerfile.look'}",
        f"--output=type=local,dest={out}",
        str(out.parent),
    ]
    process.run(["docker", "buildx", "build", *words])
    return {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}


def test_a_context_may_have_any_name_and_counts_by_its_content(
    project: Project, buildkit: str
) -> None:
    fill(project, "plain")
    (project.folder / "lnk").symlink_to("modèle, données")
    expected = fingerprint_of(project.run(tag="t", context="plain"))
    for name in (*NAMES, "lnk"):
        if name != "lnk":
            fill(project, name)
        result = project.run(tag="t", context=name)
        assert (result.status, result.outputs.get("operation")) == (0, "built"), (name, result.log)
        assert fingerprint_of(result) == expected, name


def test_a_checkout_may_have_any_name(project: Project, buildkit: str, tmp_path: Path) -> None:
    moved = tmp_path / "Prévision, à jour"
    project.folder.rename(moved)
    project.folder = moved
    project.env["MODEL_GITOPS_IMAGE"] = project.image
    result = project.run(tag="t")
    assert (result.status, result.outputs["operation"]) == (0, "built"), result.log


def test_a_named_context_may_have_any_name_and_counts_by_its_content(
    project: Project, buildkit: str, tmp_path: Path
) -> None:
    project.write("Dockerfile", "FROM scratch\nCOPY --from=model /model.onnx /model.onnx\n")
    project.write("plain/model.onnx", "weights")
    expected = fingerprint_of(project.run(tag="t", build_contexts="model=plain"))
    for number, name in enumerate(NAMES):
        project.write(f"{name}/model.onnx", "weights")
        result = project.run(tag=f"t{number}", build_contexts=f"model={name}")
        assert (result.status, result.outputs.get("operation")) == (0, "built"), (name, result.log)
        assert fingerprint_of(result) == expected, name
    assert files(project, f"t{len(NAMES) - 1}", tmp_path / "out") == {"model.onnx"}
    project.write(f"{NAMES[-2]}/model.onnx", "other weights")
    other = project.run(tag="t", build_contexts=f"model={NAMES[-2]}")
    assert fingerprint_of(other) != expected


def test_files_of_any_name_reach_the_image_and_count(
    project: Project, buildkit: str, tmp_path: Path
) -> None:
    shutil.rmtree(project.folder / ".git")
    project.write("Dockerfile", "FROM scratch\nCOPY all /\n")
    (project.folder / ".dockerignore").unlink()
    for name in NAMES:
        project.write(f"all/{name}", name)
    odd = os.fsencode(project.folder) + b"/all/f\xff"
    Path(os.fsdecode(odd)).write_text("1")
    first = project.run(tag="t")
    assert first.status == 0, first.log
    assert set(NAMES) <= files(project, "t", tmp_path / "out")
    Path(os.fsdecode(odd)).write_text("2")
    assert fingerprint_of(project.run(tag="t")) != fingerprint_of(first)


def test_extra_tags_may_be_whole_references(project: Project) -> None:
    """As docker/metadata-action's output `tags` has them: one a line, or separated by commas."""
    given = f"{project.image}:v1\nv1.2, {project.image}:latest\n{project.image}:v1"
    result = project.run(tag=f"{project.image}:first", extra_tags=given)
    assert result.status == 0, result.log
    assert result.outputs["tag"] == "first"
    assert project.tags() == ["first", "latest", "v1", "v1.2"]
    assert len({project.digest(tag) for tag in project.tags()}) == 1


@pytest.mark.parametrize(
    ("tag", "problem", "fix"),
    [
        ("ghcr.io/acme/other:v1", "it is of another image than {image}",
         "extra-tags: {image}:v1, and another step for ghcr.io/acme/other"),
        ("{image}", "it names no tag", "extra-tags: {image}:v1"),
        ("{image}:v1@sha256:" + "0" * 64, "it names a digest", "extra-tags: {image}:v1"),
        ("feature/x", "a tag is 1 to 128 of letters", "extra-tags: feature-x"),
    ],
)  # fmt: skip
def test_an_extra_tag_of_another_image_is_refused(
    project: Project, tag: str, problem: str, fix: str
) -> None:
    tag = tag.replace("{image}", project.image)
    result = project.run(tag="t", extra_tags=f"v1\n{tag}")
    assert result.status == 2
    problem = problem.replace("{image}", project.image)
    assert f"input `extra-tags` is {tag!r}: {problem}" in result.log
    assert f"Fix: {fix.replace('{image}', project.image)}" in result.log
    assert project.tags() == []


@pytest.mark.parametrize("between", ["\n", ",", ",\n"])
def test_a_list_of_tags_is_no_tag(project: Project, between: str) -> None:
    """The output `tags` of docker/metadata-action, given to the input of that name here."""
    result = project.run(tag=between.join((f"{project.image}:v1", f"{project.image}:latest")))
    assert result.status == 2
    assert result.log.splitlines()[-2:] == [
        f"error: input `tag` is {between.join((f'{project.image}:v1', f'{project.image}:latest'))!r}:"
        " it holds more than one tag",
        f"Fix: tag: {project.image}:v1, and the others in `extra-tags`",
    ]


def test_what_onbuild_names_is_no_base_of_this_build(
    project: Project, buildkit: str, base_image: str
) -> None:
    missing = f"{project.registry}/no/such:1"
    project.write("Dockerfile", f"{DOCKERFILE}ONBUILD COPY --from={missing} /x /y\n")
    result = project.run(tag="parent")
    assert (result.status, missing in result.log.partition("docker buildx build")[0]) == (0, False)
    # In what is made from it the trigger runs: it reads that image, and the context.
    project.write("Dockerfile", f"{DOCKERFILE}ONBUILD COPY server.py /triggered.py\n")
    assert project.run(tag="trigger").status == 0
    project.write("Dockerfile", f"FROM {project.image}:trigger\n")
    child = project.run(tag="child")
    assert child.status == 0, child.log
    copied = [one.get("created_by", "") for one in project.config("child")["history"]]
    assert any("triggered.py" in one for one in copied), copied
    project.write("Dockerfile", f"FROM {project.image}:parent\n")
    assert (project.run(tag="none").status, "none" in project.tags()) == (2, False)


def test_onbuild_of_a_stage_runs_in_the_stage_that_is_made_from_it(
    project: Project, buildkit: str
) -> None:
    missing = f"{project.registry}/no/such:1"
    project.write(
        "Dockerfile", f"FROM scratch AS one\nONBUILD COPY --from={missing} /x /y\nFROM one\n"
    )
    result = project.run(tag="t")
    assert result.status == 2, result.log
    assert f"no registry tells the digest of {missing}" in result.log
    assert f"the registry has no image {missing}" in result.log
