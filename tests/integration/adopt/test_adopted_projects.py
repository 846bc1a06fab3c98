"""Real DVC projects are adopted; then the actions run there, and a second run changes nothing."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pty
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from adopt_shapes import ADDED, SHAPES
from promotion_world import served
from public_projects import Project, Shape, dvc
from world import DEPLOY, MODEL, READER, SCRIPTS

from model_gitops.adapters.git import Git

# What `doctor` must find right: what a file of the repository says.
OF_FILES = (
    "promotion", "model", "workflow-branches", "workflow-secrets", "workflow-packages", "dockerfile",
    "metrics", "dvc-remote", "model-pushed",
)  # fmt: skip


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with served(tmp_path) as forge:
        server = {"GITHUB_SERVER_URL": forge.url, "GITHUB_API_URL": forge.api_url}
        yield Project(tmp_path, "registry.example", forge, {**server, "GITHUB_REPOSITORY": MODEL})


def found(project: Project, shape: Shape) -> Path:
    """Make the repository of a shape, trained and pushed; return the folder in which it is adopted."""
    project.shape = shape
    overlays = {
        f"overlays/{name}/kustomization.yaml": f"images:\n- name: {shape.model.rpartition(':')[2]}\n"
        "  newTag: none\n"
        for name in ("dev", "staging", "production", "churn-clf/dev")
    }
    project.commit(project.clone(DEPLOY, "deploy"), overlays, "main")
    work = project.clone(MODEL, "work")
    project.commit(work, {"README.md": f"{shape.name}\n"}, "main")
    project.write({**shape.files, **shape.data})
    root = work.directory / shape.root
    dvc(root, "init", *(["--subdir"] if shape.root else []))
    dvc(root, "remote", "add", "--default", "storage", str(project.top / "storage"))
    if "dvc.yaml" in " ".join(shape.files):
        project.train("main")
    else:
        for path in shape.added:
            dvc((work.directory / path).parent, "add", Path(path).name)
        dvc(root, "push")
        project.commit(work, {}, "main")
    return root


def tree(folder: Path) -> str:
    """A hash over all files of a folder but Git's and DVC's own."""
    seen = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not name.startswith((".git/", ".dvc/")) and "/.dvc/" not in name:
            seen.update(f"{name} {os.access(path, os.X_OK)} ".encode() + path.read_bytes())
    return seen.hexdigest()


WORDS = {"deploy_repository": DEPLOY, "image": "registry.example/acme/model"}


def test_nothing_is_written_before_somebody_agrees_and_nothing_twice(project: Project) -> None:
    root, work = found(project, ADDED), project.work.directory
    before = tree(work)
    told, _ = project.step("adopt", root, **WORDS)
    assert (told.code, tree(work)) == (3, before), told.log
    assert "nothing was written" in told.log
    shown, _ = project.step("adopt", root, dry_run="true", yes="true", **WORDS)
    assert (shown.code, tree(work)) == (0, before), shown.log
    assert "+++ promotion.yaml" in shown.log

    # A change of a person's that is not committed could not be told from ours.
    ignored = (work / "models/.gitignore").read_text()
    (work / "models/.gitignore").write_text(f"{ignored}# mine\n")
    (work / ".gitignore").write_text("# mine\n")
    project.work.run("add", ".gitignore")
    mixed = tree(work)
    told, _ = project.step("adopt", root, yes="true", model="net=models/detector.onnx", **WORDS)
    assert told.code == 0, told.log
    assert (work / ".gitignore").read_text() == "# mine\n"
    assert mixed != tree(work)
    after = tree(work)
    again, _ = project.step("adopt", root, yes="true", **WORDS)
    assert (again.code, tree(work)) == (0, after), again.log
    assert "There is nothing to write." in again.log


def test_an_edited_file_with_changes_of_a_person_stays(project: Project) -> None:
    root, work = found(project, ADDED), project.work.directory
    project.commit(project.work, {"dvc.yaml": "stages: {}\n"}, "main")
    (work / "dvc.yaml").write_text("# mine\nstages: {}\n")
    before = tree(work)
    told, _ = project.step("adopt", root, yes="true", **WORDS)
    assert (told.code, tree(work)) == (3, before)
    assert "dvc.yaml would be edited, and has changes that are not committed" in told.log
    project.work.run("checkout", "--quiet", "dvc.yaml")
    (work / ".github").symlink_to(project.top)
    told, _ = project.step("adopt", root, yes="true", **WORDS)
    assert told.code == 2
    assert "is a link" in told.log


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_an_adopted_project_passes_its_first_actions(project: Project, shape: Shape) -> None:
    found(project, shape)
    # A fresh clone: what DVC keeps is not there, and is asked of its remote.
    clone = project.job(project.sha("main"))
    told, _ = project.step("adopt", clone / shape.root, yes="true", **WORDS)
    assert told.code == 0, told.log

    commit = project.commit(Git(clone), {}, "main", "Adopt model-gitops")
    for branch in ("staging", "production"):
        Git(clone).run("push", "--quiet", "origin", f"{commit}:refs/heads/{branch}")
    project.push("main")
    job = project.job(commit)
    checked = project.check_promotion(job)
    model = checked["model"]
    assert (model.rpartition(":")[2], checked["has-model"]) == (
        shape.model.rpartition(":")[2], "true",
    )  # fmt: skip
    pulled = project.well("dvc-pull-model", job, model=model, check_remote="true")
    assert pulled["hash"] == checked["model-hash"]
    gate = project.well("gate-metrics", job, config=shape.rules, token=READER)
    assert shape.metric.rpartition("/")[2].replace("_", "\\_") in gate["table"]
    registered = project.well("gto-register-stage", job, model=model, stage="dev")
    assert registered["operation"] == "registered-and-assigned"

    told, _ = project.step("doctor", job, config=shape.rules, json="true", token=READER)
    findings = {one["check"]: one for one in json.loads(told.answer)}
    assert [findings[one] for one in OF_FILES if findings[one]["ok"] is False] == []


def test_a_person_in_a_terminal_is_asked_once_and_a_new_deploy_repository_is_made(
    project: Project,
) -> None:
    root, work = found(project, ADDED), project.work.directory
    words = [sys.executable, "-I", str(SCRIPTS), "adopt", "--deploy", str(project.top / "live")]
    for answer, code in (("n", 3), ("y", 0)):
        before = tree(work)
        child, terminal = pty.fork()
        if child == 0:
            os.chdir(root)
            os.execve(sys.executable, words, {**os.environ, **project.env})
        os.write(terminal, f"{answer}\n".encode())
        shown = b""
        # The end of a terminal whose program has ended is an error, on Linux.
        with contextlib.suppress(OSError):
            while part := os.read(terminal, 4096):
                shown += part
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == code, shown.decode()
        assert shown.count(b"Write these files?") == 1
        assert (tree(work) != before) == (answer == "y")
    assert b"-deploy on the server, empty, and push it" in shown
    deploy = Git(project.top / "live")
    assert deploy.run("rev-list", "--count", "HEAD").strip() == "1"
    kustomization = (deploy.directory / "overlays/dev/kustomization.yaml").read_text("utf-8")
    assert "name: detector" in kustomization
    assert "diabetes" not in kustomization.replace("acme/diabetes", "")
    # Of the clone, and not of the model's name.
    readme = (deploy.directory / "README.md").read_text("utf-8")
    assert f"(https://{project.forge.url.partition('://')[2]}/{MODEL})" in readme
