"""Kills at every step: a rerun completes, nothing doubled.

The long form (`MODEL_GITOPS_RELIABILITY=full`) kills before and after every single git command; the
short one around the commands that write or talk.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Literal

import pytest
from faults import (
    DEPLOY,
    KUSTOMIZATION,
    OVERLAY,
    PROJECT,
    TOKEN,
    bump,
    commits,
    overlay,
    report,
    tag_names,
)
from kills import FULL, Step, left_behind, moments, repository

from model_gitops.adapters import report_branch
from model_gitops.adapters.git import Git
from model_gitops.options import variable
from model_gitops_local.forge import Forge

pytestmark = pytest.mark.usefixtures("clean_environment")

PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)
MOST_MOMENTS = 200
Side = Literal["before", "after"]
SIDES: tuple[Side, Side] = ("before", "after")


def test_a_killed_bump_is_completed_by_a_rerun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, survived: Counter[str]
) -> None:
    def fresh(name: str) -> Step:
        (tmp_path / name).mkdir()
        repository(tmp_path / name, "deploy", {f"{OVERLAY}/kustomization.yaml": KUSTOMIZATION})
        return bump(tmp_path / name)

    times = moments(fresh("whole").killed_at(""))
    assert len(times) >= 4
    for moment in times:
        step = fresh(moment)
        step.killed_at(moment)
        assert overlay(step.folder) in (KUSTOMIZATION, KUSTOMIZATION.replace("v1", "v2"))
        code, outputs = step.run(monkeypatch)
        assert (code, outputs["operation"] in ("pushed", "none")) == (0, True), moment
        assert overlay(step.folder) == KUSTOMIZATION.replace("v1", "v2")
        assert commits(step.folder) == 2, f"doubled after a kill at {moment}"
        assert step.run(monkeypatch)[1]["operation"] == "none"
    survived["kills"] += len(times)


def test_a_killed_registration_is_completed_by_a_rerun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, survived: Counter[str]
) -> None:
    def fresh(name: str) -> Step:
        (tmp_path / name).mkdir()
        git = repository(tmp_path / name, "model", PROJECT)
        inputs = {"model": "m", "stage": "dev"}
        return Step(tmp_path / name, git.directory, "gto-register-stage", inputs)

    expected = {"m@v0.0.1", "m#dev#1"}
    times = moments(fresh("whole").killed_at(""))
    assert len(times) >= 4
    for moment in times:
        step = fresh(moment)
        step.killed_at(moment)
        remote = Git(step.folder / "model.git")
        assert tag_names(remote) in (set(), expected), f"half a decision after a kill at {moment}"
        assert tag_names(Git(step.cwd)) <= tag_names(remote), f"an orphan after a kill at {moment}"
        code, outputs = step.run(monkeypatch)
        assert (code, outputs["version"], outputs["stage-tag"]) == (0, "v0.0.1", "m#dev#1"), moment
        assert tag_names(remote) == tag_names(Git(step.cwd)) == expected
        assert step.run(monkeypatch)[1]["operation"] == "none"
    survived["kills"] += len(times)


def killed_at(forge: Forge, step: Step, moment: str | tuple[str, str, Side]) -> None:
    """Kill the step around a command, or when its request comes: before or after the server's work."""
    if isinstance(moment, str):
        step.killed_at(moment)
        return
    method, path, side = moment
    step.killed_by(lambda kill: forge.drop_next(method, path, when=side, then=kill))
    assert forge.faults == [], f"there was no {method} {path}"


@pytest.mark.parametrize("operation", ["opened", "updated"])
def test_a_killed_proposal_is_completed_by_a_rerun(
    tmp_path: Path,
    forge: Forge,
    monkeypatch: pytest.MonkeyPatch,
    survived: Counter[str],
    operation: str,
) -> None:
    git = Git(tmp_path / "deploy")
    for number in range(MOST_MOMENTS):
        file = git.directory / f"overlays/{number}/kustomization.yaml"
        file.parent.mkdir()
        file.write_text(KUSTOMIZATION)
    git.run("add", "--all")
    git.run("commit", "--quiet", "-m", "overlays")
    git.run("push", "--quiet", "origin", "HEAD:refs/heads/main")
    (remote, state), before = (Git(tmp_path / "deploy.git"), forge.state.find(DEPLOY)), "app=:v2"
    assert state is not None
    step = bump(tmp_path, repository=DEPLOY, mode="pull-request", token=TOKEN)
    step.runner = {"GITHUB_SERVER_URL": forge.url, "GITHUB_API_URL": forge.api_url}

    def prepare(number: int) -> None:
        """A folder of its own for each moment: each has its own branch and pull request."""
        step.inputs |= {variable("path"): f"overlays/{number}", variable("images"): before}
        if operation == "updated":
            assert step.run(monkeypatch)[1]["operation"] == "opened"
        step.inputs[variable("images")] = "app=:v3"

    prepare(0)
    write = ("POST", "/pulls$") if operation == "opened" else ("PATCH", r"/pulls/\d+$")
    times = [*moments(step.killed_at(""), ("push",)), *((*write, side) for side in SIDES)]
    assert 4 <= len(times) < MOST_MOMENTS
    for number, moment in enumerate(times, 1):
        prepare(number)
        killed_at(forge, step, moment)
        code, outputs = step.run(monkeypatch)
        assert (code, outputs["operation"] in (operation, "updated", "none")) == (0, True), moment
        (pull,) = [one for one in state.issues if one.number == number + 1]
        assert len(state.issues) == number + 1, f"doubled after a kill at {moment}"
        assert "v3" in pull.title or "v3" in pull.body
        assert pull.pull is not None
        head = pull.pull.head
        wanted = KUSTOMIZATION.replace("v1", "v3")
        assert remote.file_at(head, f"overlays/{number}/kustomization.yaml") == wanted
        assert remote.run("rev-list", "--count", f"main..{head}").strip() == "1"
        if FULL or number == len(times):
            assert step.run(monkeypatch)[1]["operation"] == "none"
        assert left_behind(step) == set()
    assert commits(tmp_path) == 2
    survived["kills"] += len(times)


def test_a_killed_report_is_completed_by_a_rerun(
    tmp_path: Path, forge: Forge, monkeypatch: pytest.MonkeyPatch, survived: Counter[str]
) -> None:
    step, api, number_of_pull = report(tmp_path, forge, monkeypatch)
    body, remote = step.cwd / "body.md", Git(tmp_path / "model.git")

    def write(word: str) -> None:
        (step.cwd / "picture.png").write_bytes(PNG + word.encode())
        body.write_text(f"{word}\n\n![plot](picture.png)\n")

    # At first there is no branch of the pictures, then one with others in it.
    write("new branch")
    new = moments(step.killed_at(""), ("push",))
    write("old branch")
    old = moments(step.killed_at(""), ("push",))
    posts: list[str | tuple[str, str, Side]] = [("POST", r"/comments$", side) for side in SIDES]
    patches: list[str | tuple[str, str, Side]]
    patches = [("PATCH", "/issues/comments/", side) for side in SIDES]
    times = [*new, *posts, *old, *patches]
    for number, moment in enumerate(times):
        if number < len(new):
            remote.run("update-ref", "-d", f"refs/heads/{report_branch.BRANCH}")
        if moment in posts:
            for one in api.list_comments(number_of_pull):
                api.delete_comment(one)
        word = f"report {number}"
        write(word)
        killed_at(forge, step, moment)
        code, outputs = step.run(monkeypatch)
        assert (code, outputs["operation"] in ("created", "updated", "none")) == (0, True), moment
        (one,) = api.list_comments(number_of_pull)
        picture = re.search(r"/raw/(\w{40})/(\w+\.png)", one.body)
        assert picture, one.body
        # Of another text than UTF-8, so it is asked for by its length only.
        size = remote.run("cat-file", "-s", f"{picture[1]}:{picture[2]}").strip()
        assert size == str(len(PNG + word.encode()))
        assert Path(outputs["report"]).read_text("utf-8").count(word) >= 1
        if FULL or number + 1 == len(times):
            assert step.run(monkeypatch)[1]["operation"] == "none"
        assert left_behind(step) <= {"model-gitops-reports"}
    survived["kills"] += len(times)


def test_the_lock_of_a_killed_git_is_removed_and_that_of_a_living_one_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, survived: Counter[str]
) -> None:
    git = repository(tmp_path, "model", PROJECT)
    inputs = {"model": "m", "stage": "dev"}
    step = Step(tmp_path, git.directory, "gto-register-stage", inputs)
    locks = [
        git.directory / ".git" / name for name in ("refs/tags/m@v0.0.1.lock", "packed-refs.lock")
    ]
    for lock in locks:
        lock.parent.mkdir(exist_ok=True)
        lock.touch()
        os.utime(lock, (time.time() - 600,) * 2)
    # A pack of refs wants its lock, as the deletion of a ref does.
    git.run("update-ref", "refs/tags/old", "HEAD")
    code, outputs = step.run(monkeypatch)
    assert (code, outputs["version"]) == (0, "v0.0.1")
    assert not locks[0].exists()
    assert tag_names(git) >= {"m@v0.0.1", "m#dev#1"}
    young = git.directory / ".git/refs/tags/m#dev#2.lock"
    young.touch()
    threading.Timer(1, young.unlink).start()
    (git.directory / "m.txt").write_text("2")
    git.run("add", "m.txt")
    git.run("commit", "--quiet", "-m", "two")
    step.inputs[variable("version")] = "v0.0.2"
    lock_file = PROJECT["dvc.lock"].replace("a" * 32, "b" * 32)
    (git.directory / "dvc.lock").write_text(lock_file)
    git.run("commit", "--quiet", "--all", "-m", "three")
    code, outputs = step.run(monkeypatch)
    assert (code, outputs["stage-tag"]) == (0, "m#dev#2")
    assert not young.exists()
    survived["locks"] += 2
