"""Shapes of public DVC projects: every action ends rightly, or with advice that works when followed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from promotion_world import served
from public_projects import Project, Shape, dvc
from public_shapes import DVC_2, DVCLIVE, MATRIX, MONOREPO, NOTEBOOK, SUBDIR, TUTORIAL
from world import MODEL, READER, TOKEN, merge

from model_gitops_local import toolchain

pytestmark = pytest.mark.docker


@pytest.fixture(scope="session")
def settings(docker_engine: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a child needs: docker's command line with buildx. No engine is asked."""
    config = tmp_path_factory.mktemp("docker")
    (config / "cli-plugins").mkdir()
    (config / "cli-plugins" / "docker-buildx").symlink_to(toolchain.ensure("docker-buildx"))
    return {"DOCKER_CONFIG": str(config)}


@pytest.fixture
def found(
    tmp_path: Path, registry: str, settings: dict[str, str]
) -> Iterator[Callable[[Shape], Project]]:
    """Make a repository of a shape on a forge of its own."""
    with served(tmp_path) as forge:

        def make(shape: Shape) -> Project:
            server = {"GITHUB_SERVER_URL": forge.url, "GITHUB_API_URL": forge.api_url}
            env = {**server, "GITHUB_REPOSITORY": MODEL, **settings}
            project = Project(tmp_path, registry, forge, env)
            project.found(shape)
            return project

        yield make


@pytest.mark.parametrize(
    "shape",
    [TUTORIAL, DVCLIVE, DVC_2, NOTEBOOK, MATRIX, MONOREPO, SUBDIR],
    ids=lambda shape: shape.name,
)
def test_a_model_is_deployed_changed_and_deployed_again(
    found: Callable[[Shape], Project], shape: Shape
) -> None:
    project = found(shape)
    project.deploy()

    job = project.experiment()
    checked = project.check_promotion(job)
    assert checked["incumbent"] == "v0.0.1"
    pulled = project.well("dvc-pull-model", job, model=shape.model)
    assert pulled["hash"] == checked["model-hash"]
    gate = project.well("gate-metrics", job, config=shape.rules, token=TOKEN)
    assert gate["passed"] == "true"
    metric = shape.metric.replace("_", "\\_")
    before, after, change = shape.scores
    assert f"| ✅ | {metric} | {before} | {after} | {change} | higher is better |" in gate["table"]
    made = project.well(
        "cml-report", job, config=shape.rules, token=TOKEN, plots="false", target="commit"
    )
    report = Path(made["report"]).read_text("utf-8")
    key = metric.partition(":")[2]
    assert f"{key} | {before} | {after} | {change.removesuffix(' ▲')}" in report
    assert [row for row in shape.report if row not in report] == []

    merge(project, MODEL, "experiment/a", "main", approve=True)
    job = project.deploy()
    status = project.looked_at("status", job)
    assert status["in_sync"] is True
    assert [one["version"] for one in status["environments"]] == ["v0.0.2", None]
    traced = project.looked_at("trace-model", job, subject="dev")
    assert traced["verified"] is True
    assert tuple(one["path"] for one in traced["data"]) == shape.data_of
    assert tuple(one["path"] for one in traced["code"]) == shape.code_of


def test_what_was_forgotten_is_made_good_by_the_advice(found: Callable[[Shape], Project]) -> None:
    """Code that changed without a run, then a run that was not pushed: what is typed is the Fix."""
    project = found(TUTORIAL)
    top = project.work.directory
    judge = TUTORIAL.files["src/evaluate.py"]
    project.write({**TUTORIAL.experiment, "src/evaluate.py": f"# Stricter\n{judge}"})
    project.commit(project.work, {}, "experiment/a")
    project.pull_request("experiment/a", "main")
    job = project.job(project.sha("experiment/a"))
    gate = {"config": "promotion.yaml", "token": READER}
    told, _ = project.step("gate-metrics", job, **gate)
    assert told.code == 3
    assert "dvc.lock: stage evaluate has src/evaluate.py with hash" in told.log
    assert "Fix: run `dvc repro`, and commit dvc.lock together with the files" in told.log

    project.work.run("checkout", "--quiet", "--detach", "origin/experiment/a")
    dvc(top, "repro")
    project.commit(project.work, {}, "experiment/a")
    project.pull_request("experiment/a", "main")
    job = project.job(project.sha("experiment/a"))
    for action, inputs in (("dvc-pull-model", {"model": TUTORIAL.model}), ("gate-metrics", gate)):
        told, _ = project.step(action, job, **inputs)
        assert told.code == 4, told.log
        typed = re.search(r"Fix: where the model was trained: dvc (push .+)", told.log)
        assert typed is not None, told.log
        dvc(top, *shlex.split(typed[1]))
        outputs = project.well(action, job, **inputs)
    assert outputs["passed"] == "true"
    assert "| | eval/metrics.json:avg\\_prec.test | – | 0.98 |" in outputs["table"]
