"""The compiled pipeline, run by kfp's local runner with the components' real images."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from kubeflow_world import kustomization
from template_project import Project

from model_gitops.adapters import process
from model_gitops_local.engine import Engine
from model_gitops_local.forge import Forge

pytestmark = [pytest.mark.docker, pytest.mark.slow]

TASKS = ("fetch", "preprocess", "train", "test")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The template under Git, with its environment for DVC's pipeline."""
    folder = tmp_path_factory.mktemp("dvc")
    return Project(folder / "model", folder / "remote")


def pinned(engine: Engine, registry: str, step: str, name: str) -> str:
    """The image's name and digest in the registry; the engine knows it by them."""
    place = f"{registry}/kubeflow/{step}"
    engine.docker("tag", name, f"{place}:1")
    said = engine.docker("push", f"{place}:1").stdout
    digest = said.rpartition("digest: ")[2].split()[0]
    engine.docker("pull", "--quiet", f"{place}@{digest}")
    return f"{place}@{digest}"


def run(python: Path, script: Path, engine: Engine, *arguments: str | Path) -> str:
    done = subprocess.run(
        [python, "-B", script, *arguments],
        env={**os.environ, **engine.variables(), "MODEL_GITOPS_TOKEN": "reader"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout + done.stderr


def test_it_makes_the_model_of_dvcs_pipeline_and_a_second_run_takes_it_from_the_cache(
    component_images: dict[str, str],
    docker_engine: Engine,
    registry: str,
    kfp_python: Path,
    project: Project,
    tmp_path: Path,
) -> None:
    images = {
        step: pinned(docker_engine, registry, step, name) for step, name in component_images.items()
    }
    (tmp_path / "kustomization.yaml").write_text(kustomization(images))
    bare = tmp_path / "model.git"
    process.run(["git", "clone", "--quiet", "--bare", project.folder, bare])
    of_dvc = project.train()
    pipeline = project.folder / "pipeline"
    package, out = tmp_path / "pipeline.yaml", tmp_path / "out"
    with Forge(tmp_path / "forge") as forge:
        forge.add_repository("acme/diabetes", bare)
        forge.add_token("reader", "reader[bot]", {"contents": "read"})
        where = ("--repository", f"{forge.url}/acme/diabetes")
        run(
            kfp_python,
            pipeline / "compile.py",
            docker_engine,
            tmp_path,
            "--output",
            package,
            *where,
        )
        first = run(kfp_python, pipeline / "run.py", docker_engine, package, out, "propose=false")
        (found,) = out.glob("*/test/metrics")
        # A container that is gone counts as success for kfp: what it put out is what is looked at.
        assert json.loads(found.read_text()) == of_dvc
        (told,) = out.glob("*/test/executor_output.json")
        metadata = json.loads(told.read_text())["artifacts"]["metrics"]["artifacts"][0]["metadata"]
        assert metadata == of_dvc
        second = run(kfp_python, pipeline / "run.py", docker_engine, package, out, "propose=false")
    assert first.count("Executing task") == len(TASKS)
    assert "Executing task" not in second
