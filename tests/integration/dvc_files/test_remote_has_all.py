"""`check-remote`: what DVC's files name is in the remote before a merge, or the merge is refused."""

from __future__ import annotations

import re

from dvc_project import Project

DVC = """\
stages:
  train:
    cmd: cp in.txt m.bin; cp in.txt kept.txt; cp in.txt never.bin; mkdir -p d; cp in.txt d/x
    deps: [in.txt]
    outs: [m.bin, d, kept.txt: {cache: false}, never.bin: {push: false}]
artifacts: {m: {path: m.bin}}
"""


def test_what_was_never_pushed_is_refused_with_the_push_that_helps(project: Project) -> None:
    project.write({"dvc.yaml": DVC, "in.txt": "one\n", "raw.bin": "raw\n"})
    project.dvc("add", "raw.bin")
    project.dvc("repro")
    project.dvc("push", "m.bin")
    project.commit()
    clone = project.clone()
    assert clone.run("dvc-pull-model", model="m").code == 0
    ran = clone.run("dvc-pull-model", model="m", check_remote="true")
    assert ran.code == 3
    assert "lacks 2 outputs that dvc.lock and .dvc files name: 'd', 'raw.bin'" in ran.said
    (command,) = re.findall("Fix: where they were made: dvc (push --remote store)", ran.said)
    project.dvc(*command.split())
    before = sorted(file for file in (clone.top / ".dvc" / "cache").rglob("*") if file.is_file())
    ran = clone.run("dvc-pull-model", model="m", check_remote="true")
    assert (ran.code, "3 outputs are in the DVC remote" in ran.said) == (0, True)
    after = sorted(file for file in (clone.top / ".dvc" / "cache").rglob("*") if file.is_file())
    assert after == before  # nothing was downloaded for it


def test_a_remote_that_can_not_be_read_is_not_taken_for_an_empty_one(project: Project) -> None:
    project.write({"dvc.yaml": DVC, "in.txt": "one\n"})
    project.dvc("repro")
    project.commit()
    project.dvc("remote", "modify", "store", "url", "http://127.0.0.1:9/store")
    ran = project.run("dvc-pull-model", model="m", check_remote="true")
    assert ran.code == 4
