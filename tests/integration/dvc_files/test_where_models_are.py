"""Models that are not simply in the project's remote: each is pulled, or the advice works when followed."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

import pytest
from dvc_project import Project

from model_gitops.adapters import process
from model_gitops.adapters.git import Git

TRAIN = """\
stages:
  train: {cmd: "cat in.txt > m.bin", deps: [in.txt], outs: [m.bin: FLAGS]}
artifacts: {m: {path: m.bin}}
"""


def trained(project: Project, flags: str, *texts: str) -> list[str]:
    commits = []
    project.write({"dvc.yaml": TRAIN.replace("FLAGS", flags)})
    for text in texts:
        project.write({"in.txt": text})
        project.dvc("repro")
        project.dvc("push")
        commits.append(project.commit(text))
    return commits


def test_a_sub_project_whose_folder_git_ignores_is_found_from_the_top(project: Project) -> None:
    """F3: the output's folder is not there in a clone, and the project is the one around it."""
    process.run(["rm", "-r", project.top / ".dvc", project.top / ".dvcignore"])
    project.write({
        ".gitignore": "models/\n", "sub/in.txt": "one\n",
        "sub/dvc.yaml": "stages:\n  t: {cmd: mkdir -p models/x; cp in.txt models/x/m.bin,"
        " deps: [in.txt], outs: [models/x/m.bin]}\nartifacts: {m: {path: models/x/m.bin}}\n",
    })  # fmt: skip
    project.dvc("init", "--subdir", cwd="sub")
    project.dvc("remote", "add", "--default", "store", str(project.base / "store"), cwd="sub")
    project.dvc("repro", cwd="sub")
    project.dvc("push", cwd="sub")
    commit = project.commit()
    clone = project.clone()
    for name, inputs in (
        ("sub:m", {}),
        ("sub/models/x/m.bin", {"revision": commit}),
        ("m", {"working_directory": "sub"}),
    ):
        ran = clone.run("dvc-pull-model", model=name, **inputs)
        assert (ran.code, ran.outputs["path"]) == (0, "sub/models/x/m.bin")
        assert (clone.top / "sub/models/x/m.bin").read_text() == "one\n"
        process.run(["rm", "-r", clone.top / "sub/models"])


def test_each_revision_of_an_output_that_git_keeps_is_taken_from_git(project: Project) -> None:
    """F6: with `cache: false` no remote has it."""
    first, second = trained(project, "{cache: false}", "one\n", "two\n")
    clone = project.clone()
    ran = clone.run("dvc-pull-model", model="m")
    assert (ran.code, ran.outputs["size"], "there already" in ran.said) == (0, "4", True)
    ran = clone.run("dvc-pull-model", model="m", revision=first)
    assert ran.code == 0
    assert ran.outputs["hash"] == hashlib.md5(b"one\n").hexdigest()
    assert ran.outputs["sha256"] == hashlib.sha256(b"one\n").hexdigest()
    assert (clone.top / "m.bin").read_text() == "one\n"
    assert clone.run("dvc-pull-model", model="m", revision=second).outputs["size"] == "4"
    ran = clone.run("dvc-pull-model", model="m", revision=first, sha256="0" * 64)
    assert (ran.code, (clone.top / "m.bin").read_text()) == (3, "two\n")


def test_a_folder_that_git_keeps_is_taken_as_dvc_hashed_it(project: Project) -> None:
    """F6 and W6: with the line endings of its attributes."""
    project.write({
        ".gitattributes": "*.txt eol=crlf\n", "in.txt": "x\r\n",
        "dvc.yaml": 'stages:\n  t: {cmd: "mkdir -p d; cp in.txt d/a.txt; printf b > d/b", deps: [in.txt],'
        " outs: [d: {cache: false}]}\nartifacts: {m: {path: d}}\n",
    })  # fmt: skip
    project.dvc("repro")
    first = project.commit()
    project.git.run("rm", "-r", "--quiet", "d")
    project.git.run("commit", "--quiet", "--message", "Gone")
    ran = project.run("dvc-pull-model", model="m", revision=first)
    assert ran.code == 0
    assert (project.top / "d/a.txt").read_bytes() == b"x\r\n"
    process.run(["rm", "-r", project.top / "d"])
    ran = project.run("dvc-pull-model", model="m")
    assert ran.code == 2
    (command,) = re.findall(
        "Fix: (git add --force d), and commit it together with dvc.lock", ran.said
    )
    project.dvc("repro", "--force")
    process.run(command.split(), cwd=project.top)
    project.git.run("commit", "--quiet", "--message", "Back")
    process.run(["rm", "-r", project.top / "d"])
    assert project.run("dvc-pull-model", model="m").code == 0


def test_another_file_in_git_than_the_lock_says_is_told(project: Project) -> None:
    trained(project, "{cache: false}", "one\n")
    project.write({"m.bin": "edited\n"})
    commit = project.commit()
    ran = project.run("dvc-pull-model", model="m")
    assert ran.code == 2
    one, edited = (hashlib.md5(text).hexdigest() for text in (b"one\n", b"edited\n"))
    assert (
        f"dvc.lock has 'm.bin' with the hash {one}, and what Git has of it at {commit[:12]} has {edited}"
        in ran.said
    )
    assert "run `dvc repro`, and commit m.bin together with dvc.lock" in ran.said
    project.dvc("repro")
    project.commit()
    assert project.run("dvc-pull-model", model="m").code == 0


def test_a_model_in_git_lfs_is_taken_where_its_object_was_fetched(project: Project) -> None:
    """F13: the pointer is never taken for the model."""
    trained(project, "{cache: false}", "one\n")
    oid = hashlib.sha256(b"one\n").hexdigest()
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 4\n"
    project.write({".gitattributes": "m.bin filter=lfs -text\n", "m.bin": pointer})
    commit = project.commit()
    clone = project.clone()
    ran = clone.run("dvc-pull-model", model="m")
    assert ran.code == 2
    assert f"has at {commit[:12]} only a pointer of Git LFS" in ran.said
    assert f"Fix: git lfs fetch origin {commit}" in ran.said
    file = clone.top / ".git/lfs/objects" / oid[:2] / oid[2:4] / oid  # as that command puts it
    file.parent.mkdir(parents=True)
    file.write_text("one\n")
    ran = clone.run("dvc-pull-model", model="m")
    assert (ran.code, (clone.top / "m.bin").read_text()) == (0, "one\n")


def test_a_model_that_is_a_program_can_be_run_after(project: Project) -> None:
    """F6: `isexec` in the lock."""
    project.write(
        {"dvc.yaml": TRAIN.replace("> m.bin", "> m.bin && chmod +x m.bin").replace("FLAGS", "{}")}
    )
    project.write({"in.txt": "#!/bin/sh\n"})
    project.dvc("repro")
    project.dvc("push")
    project.commit()
    assert "isexec: true" in (project.top / "dvc.lock").read_text()
    clone = project.clone()
    for _ in range(2):
        assert clone.run("dvc-pull-model", model="m").code == 0
        assert os.access(clone.top / "m.bin", os.X_OK)
        (clone.top / "m.bin").chmod(0o644)


def test_a_model_that_no_push_takes_has_a_way_out(project: Project) -> None:
    """F6: `push: false`."""
    trained(project, "{push: false}", "one\n")
    ran = project.clone().run("dvc-pull-model", model="m")
    assert ran.code == 4
    assert "by `push: false` it is left out of every push" in ran.said
    assert (
        "take `push: false` of it out of dvc.yaml, then: dvc push --remote store m.bin" in ran.said
    )
    text = (project.top / "dvc.yaml").read_text()
    project.write({"dvc.yaml": text.replace("{push: false}", "{cache: true}")})
    project.dvc("push", "--remote", "store", "m.bin")
    project.commit()
    assert project.clone("second").run("dvc-pull-model", model="m").code == 0


@pytest.fixture
def other(tmp_path: Path) -> Git:
    """Another DVC repository, with data of its own."""
    process.run(["mkdir", tmp_path / "theirs"])
    theirs = Project.start(tmp_path / "theirs")
    theirs.write({"base.bin": "theirs\n"})
    theirs.dvc("add", "base.bin")
    theirs.dvc("push")
    theirs.commit()
    return theirs.git


@pytest.mark.parametrize("with_remote", [True, False])
def test_an_imported_model_is_verified_once_dvc_brought_it(
    project: Project, other: Git, with_remote: bool
) -> None:
    """F6: `dvc import`; no push takes it, so the remote can't have it."""
    if not with_remote:
        project.dvc("remote", "remove", "store")
    project.dvc("import", str(other.directory), "base.bin")
    project.commit()
    clone = project.clone()
    ran = clone.run("dvc-pull-model", model="base.bin")
    assert ran.code == 4
    assert (
        f"'base.bin' is imported from '{other.directory}', and `dvc push` leaves out what"
        in ran.said
    )
    (command,) = re.findall(r"Fix: in a step before this one: dvc (pull base\.bin\.dvc) ", ran.said)
    clone.dvc(*command.split())
    ran = clone.run("dvc-pull-model", model="base.bin")
    assert (ran.code, ran.outputs["hash"]) == (0, hashlib.md5(b"theirs\n").hexdigest())


def test_what_was_imported_from_an_address_is_in_the_remote(project: Project) -> None:
    """F6: `dvc import-url`, `dvc add --to-remote`, and a .dvc file with `wdir`."""
    source = project.base / "outside.bin"
    source.write_text("outside\n")
    project.dvc("import-url", str(source), "url.bin")
    project.dvc("add", str(source), "--to-remote", "--out", "straight.bin")
    project.dvc("import-url", "--no-download", str(source), "later.bin")
    project.write({"deep/in.bin": "deep\n"})
    project.dvc("add", "deep/in.bin")
    moved = (project.top / "deep/in.bin.dvc").read_text().replace("outs:", "wdir: ..\nouts:")
    process.run(["rm", project.top / "deep/in.bin.dvc"])
    project.write({"meta/in.dvc": moved.replace("path: in.bin", "path: deep/in.bin")})
    project.dvc("push")
    project.commit()
    clone = project.clone()
    for name, text in (
        ("url.bin", "outside\n"),
        ("straight.bin", "outside\n"),
        ("deep/in.bin", "deep\n"),
    ):
        ran = clone.run("dvc-pull-model", model=name)
        assert (ran.code, (clone.top / name).read_text()) == (0, text)
    ran = clone.run("dvc-pull-model", model="later.bin")
    assert ran.code == 2
    assert (
        "later.bin.dvc has no MD5 hash for 'later.bin': it was imported without being" in ran.said
    )
    (command,) = re.findall(r"run `dvc (update later\.bin\.dvc)`, commit what it writes", ran.said)
    project.dvc(*command.split())
    project.dvc("push")
    project.commit()
    ran = project.clone("second").run("dvc-pull-model", model="later.bin")
    assert (ran.code, ran.outputs["size"]) == (0, "8")
