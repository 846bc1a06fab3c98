"""Which files, contexts and inputs count for the fingerprint: those that the builder gets."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from image_project import CANARY, DOCKERFILE, SERVER, Project

from model_gitops.adapters import build_context, process

pytestmark = pytest.mark.docker


def test_what_is_ignored_is_no_content(project: Project) -> None:
    first = project.deployed()
    project.write("notes.md", "not in the image")
    project.write("cache/__pycache__/x.pyc", "nor this")
    assert project.run(tag="other").outputs["digest"] == first.outputs["digest"]
    project.write("Dockerfile", DOCKERFILE + "ENV A=1\n")
    assert project.run(tag="other").outputs["operation"] == "built"


def test_every_part_of_the_checkout_counts(project: Project) -> None:
    """The real walk over the files: one change at a time, and back."""
    project.write("Dockerfile", "FROM scratch AS one\nCOPY . /\nFROM one\n")
    project.write(".dockerignore", "Dockerfile\nnotes\n")
    project.write("named/a", "1")
    (project.folder / "link").symlink_to("a")
    server = project.folder / "server.py"
    given = {"build_contexts": "named=named", "build_args": "A=1", "model_hash": "1"}

    def run(**inputs: str) -> str:
        result = project.run(**{**given, **inputs}, tag="t")
        assert result.status == 0, result.log
        return re.findall(r"content fingerprint: ([0-9a-f]{40})", result.log)[0]

    seen = [run()]
    project.write("notes", "ignored")
    assert run(labels="a=1", secrets="a=b", model_version="v2", cache_from="type=local,src=/nowhere") == seen[0]  # fmt: skip
    for inputs in ({"build_args": "A=2"}, {"model_hash": "2"}, {"target": "one"}):
        seen.append(run(**inputs))
    server.chmod(0o755)
    seen.append(run())
    server.chmod(0o700)
    assert run() == seen[-1], "another umask"
    server.chmod(0o4755)
    seen.append(run())
    project.write("server.py", SERVER + "#")
    seen.append(run())
    (project.folder / "link").unlink()
    (project.folder / "link").symlink_to("b")
    seen.append(run())
    (project.folder / "empty").mkdir()
    seen.append(run())
    project.write("named/a", "2")
    seen.append(run())
    project.write(".dockerignore", "Dockerfile\nnotes\nserver.py\n.dockerignore\n")
    seen.append(run())
    project.write("Dockerfile", "FROM scratch AS one\nCOPY . /\nFROM one\n\n")
    seen.append(run())
    assert len(set(seen)) == len(seen), seen


IGNORES = (
    "*\n!src/keep.py\n",
    "**/*.pyc\n!src/b.pyc\n",
    "/src\n!src/deep/**\n",
    "src/*\n!src/deep\nsrc/deep/[xy].txt\n",
    "  # a comment\n#src\n\n./src/../notes\n**/deep/x.*\n",
    "*/deep\nsr?/keep.py\n",
    "**\n!**/*.py\n",
    "*\n!src\nsrc/deep\n!src/deep/x.txt\n",
    "*\n!s*c/d**/z.t?t\n",
    "Dockerfile\n.dockerignore\nempty\nlink\n",
    "*\n!**.py\n",
    "**.pyc\n!src/b**\n",
    "src\n!src/keep.py\n**/src\n",
    "src\n!src/deep\n*\n",
    "src\n!src/keep.py\ns*\n",
)


@pytest.mark.parametrize("patterns", IGNORES)
def test_the_files_that_count_are_those_that_the_builder_gets(
    project: Project, buildkit: str, tmp_path: Path, patterns: str
) -> None:
    for name in ("src/keep.py", "src/a.pyc", "src/b.pyc", "src/deep/x.txt", "src/deep/z.txt"):
        project.write(name, name)
    project.write("notes", "n")
    (project.folder / "empty").mkdir()
    (project.folder / "link").symlink_to("notes")
    project.write("Dockerfile", "FROM scratch\nCOPY . /\n")
    project.write(".dockerignore", patterns)
    shutil.rmtree(project.folder / ".git")  # which the fingerprint leaves out in any case
    out = tmp_path / "out"
    words = ["--quiet", f"--output=type=local,dest={out}", str(project.folder)]
    process.run(["docker", "buildx", "build", *words])
    got = {str(path.relative_to(out)) for path in out.rglob("*") if not path.is_dir()}
    counted = {one.path for one in build_context.entries(project.folder) if one.kind != "folder"}
    assert counted == got


def test_named_contexts(project: Project) -> None:
    project.write("Dockerfile", DOCKERFILE + "COPY --from=model /model.onnx /model.onnx\n")
    project.write("models of mine/model.onnx", "weights")
    first = project.deployed(build_contexts="model=models of mine")
    assert (
        project.run(build_contexts="model=models of mine", tag="t").outputs["operation"] == "reused"
    )
    project.write("models of mine/model.onnx", "other weights")
    changed = project.run(build_contexts="model=models of mine", tag="t")
    assert changed.outputs["operation"] == "built"
    assert changed.outputs["digest"] != first.outputs["digest"]


def test_an_oci_layout_counts_by_what_is_in_it(project: Project, buildkit: str) -> None:
    project.write("Dockerfile", DOCKERFILE + "COPY --from=other /x /x\n")

    def layout(text: str) -> None:
        project.write("other/Dockerfile", "FROM scratch\nCOPY x /x\n")
        project.write("other/x", text)
        output = f"--output=type=oci,tar=false,dest={project.folder / 'layout'},name=x:v1"
        words = ["--provenance=false", "--quiet", output, str(project.folder / "other")]
        process.run(["docker", "buildx", "build", *words])

    given = {"build_contexts": "other=oci-layout://layout:v1"}
    missing = project.run(**given, tag="one")
    assert (missing.status, "there is no OCI layout" in missing.log) == (2, True), missing.log
    layout("1")
    assert project.deployed(**given, tag="one").outputs["operation"] == "built"
    assert project.run(**given, tag="two").outputs["operation"] == "reused"
    shutil.rmtree(project.folder / "layout")
    layout("2")
    assert project.run(**given, tag="three").outputs["operation"] == "built"


def test_a_git_build_context_is_told_without_its_address(project: Project) -> None:
    given = {"build_contexts": f"other=https://ada:{CANARY}@127.0.0.1:9/a.git#main"}
    result = project.run(**given, tag="x", builder="default")
    assert "the build context other counts by its text alone" in result.log
    ours = [line for line in result.log.splitlines() if "other counts" in line]
    assert CANARY not in "".join(ours)


def test_a_git_folder_that_is_sent_and_does_not_count_is_warned_of(project: Project) -> None:
    project.env["GITHUB_ACTIONS"] = "true"
    warned = "::warning title=.git is sent to the builder"
    assert warned not in project.run(tag="one").log
    project.write(".dockerignore", "")
    assert warned not in project.run(tag="one").log
    project.write("Dockerfile", DOCKERFILE + "COPY . /all/\n")
    result = project.run(tag="one")
    assert result.status == 0
    assert warned in result.log
    project.write(".dockerignore", ".git\n")
    assert warned not in project.run(tag="one").log
