"""Holds under races and kills: each as if it had run alone, one after the other.

The long form (`MODEL_GITOPS_RELIABILITY=full`) has 20 holds and bumps, and kills at each git command.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from faults import KUSTOMIZATION, OVERLAY, commits
from kills import FULL, SCRIPTS, Step, left_behind, moments, repository

from model_gitops.adapters import process
from model_gitops.adapters.git import Git
from model_gitops.core.deploy import hold
from model_gitops.options import variable

pytestmark = pytest.mark.usefixtures("clean_environment")

MANY = 20 if FULL else 6
HOLD = f"{OVERLAY}/hold.yaml"


def model(folder: Path) -> Git:
    """A model repository whose deploy repository is beside it."""
    rules = {
        "model": "m",
        "image": "registry.example/m",
        "deploy": {"repository": str(folder / "deploy.git")},
        "environments": [{"name": "dev", "branch": "main"}],
    }
    return repository(folder, "model", {"promotion.yaml": json.dumps(rules)})


def started(jobs: list[tuple[str, Path, dict[str, str]]]) -> list[process.Completed]:
    """Run actions in processes of their own, all at once."""

    def run(job: tuple[str, Path, dict[str, str]]) -> process.Completed:
        action, cwd, inputs = job
        given = {variable(name): value for name, value in inputs.items()}
        return process.run([sys.executable, "-I", SCRIPTS, action], cwd=cwd, env=given, check=False)

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(run, jobs))


def operation(done: process.Completed) -> str:
    found = re.search(r"(?m)^operation=(\S+)$", done.stdout)
    return found[1] if found else f"code {done.returncode}"


def held(folder: Path) -> hold.Hold | None:
    text = Git(folder / "deploy.git").file_at("main", HOLD)
    return hold.read(text, source=HOLD) if text is not None else None


def test_all_who_hold_at_once_do(tmp_path: Path, survived: Counter[str]) -> None:
    repository(tmp_path, "deploy", {f"{OVERLAY}/kustomization.yaml": KUSTOMIZATION})
    own = model(tmp_path)
    jobs = []
    for number in range(MANY):
        place = tmp_path / f"person{number}"
        process.run(["git", "clone", "--quiet", tmp_path / "model.git", place])
        Git(place).run("config", "user.name", f"p{number}")
        given = {"environment": "dev", "reason": f"reason {number}", "until": f"{number + 1}h"}
        jobs.append(("hold-environment", place, given))
    done = started(jobs)
    assert [one.returncode for one in done] == [0] * MANY, [one.stderr for one in done]
    assert Counter(map(operation, done)) == {"held": 1, "updated": MANY - 1}
    assert commits(tmp_path) == MANY + 1
    found = held(tmp_path)
    assert found is not None and found.until is not None and found.since is not None
    assert all(f"reason {number}" in found.reason for number in range(MANY))
    # The latest end counts, whoever was last.
    assert (found.until - found.since).total_seconds() / 3600 == pytest.approx(MANY, abs=0.05)
    (last,) = started(
        [("hold-environment", own.directory, {"environment": "dev", "operation": "release"})]
    )
    assert (operation(last), held(tmp_path)) == ("released", None)
    survived["races"] += MANY


def test_nothing_is_deployed_after_a_hold(tmp_path: Path, survived: Counter[str]) -> None:
    names = [f"app{number}" for number in range(MANY)]
    text = "images:\n" + "".join(f"- name: {one}\n  newTag: v1\n" for one in names)
    repository(tmp_path, "deploy", {f"{OVERLAY}/kustomization.yaml": text})
    own = model(tmp_path)
    bumps = [
        (
            "bump-kustomize-tag",
            tmp_path,
            {"repository": str(tmp_path / "deploy.git"), "path": OVERLAY, "images": f"{one}=:v2"},
        )
        for one in names
    ]
    asked = ("hold-environment", own.directory, {"environment": "dev", "reason": "x"})
    done = started([*bumps[: MANY // 2], asked, *bumps[MANY // 2 :]])
    ended = Counter(map(operation, done))
    assert set(ended) <= {"held", "pushed", "code 3"} and ended["held"] == 1, ended
    remote = Git(tmp_path / "deploy.git")
    log = remote.run("log", "--format=%s", "main").splitlines()
    place = log.index("Hold dev: x")
    assert log[:place] == [], "a deployment landed after the hold"
    assert len(log) == ended["pushed"] + 2
    final = remote.file_at("main", f"{OVERLAY}/kustomization.yaml") or ""
    assert final.count("newTag: v2") == ended["pushed"]
    refused = [one.stderr for one in done if one.returncode == 3]
    assert all("takes no promotion: it is held by Ada" in one for one in refused)
    survived["races"] += MANY


@pytest.mark.parametrize("what", ["hold", "release"])
def test_a_killed_hold_is_completed_by_a_rerun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, survived: Counter[str], what: str
) -> None:
    runner = {"GITHUB_REPOSITORY": "acme/m", "GITHUB_RUN_ID": "7"}

    def fresh(name: str) -> Step:
        folder = tmp_path / name
        folder.mkdir()
        files = {f"{OVERLAY}/kustomization.yaml": KUSTOMIZATION}
        if what == "release":
            files[HOLD] = "reason: x\n"
        repository(folder, "deploy", files)
        given = {"environment": "dev", "operation": what}
        given |= {"reason": "x", "until": "2h"} if what == "hold" else {}
        return Step(folder, model(folder).directory, "hold-environment", given, runner)

    times = moments(fresh("whole").killed_at(""))
    assert len(times) >= 4
    for moment in times:
        step = fresh(moment)
        step.killed_at(moment)
        between = held(step.folder)
        code, outputs = step.run(monkeypatch)
        done = "held" if what == "hold" else "released"
        assert (code, outputs["operation"] in (done, "none")) == (0, True), moment
        assert (held(step.folder) is not None) == (what == "hold")
        if what == "hold" and between is not None:
            assert held(step.folder) == between, "a rerun counts no new time"
        assert commits(step.folder) == 2, f"doubled after a kill at {moment}"
        assert step.run(monkeypatch)[1]["operation"] == "none"
        assert left_behind(step) <= {"model-gitops-deploy-"}
    survived["kills"] += len(times)
