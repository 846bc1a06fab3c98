"""The compiled pipeline, run by kfp's local runner with the components' real images."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from kubeflow_world import kustomization, quick
from template_project import Project

from model_gitops.adapters import process
from model_gitops_local.engine import Engine
from model_gitops_local.forge import Forge

pytestmark = [
    pytest.mark.docker,
    pytest.mark.slow,
    # Four images are built and pushed, and two environments installed: ten minutes on two busy cores.
    pytest.mark.skipif(
        os.environ.get("MODEL_GITOPS_RELIABILITY") != "full", reason="make test-reliability runs it"
    ),
]


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
        [*quick(python), script, *arguments],
        env={**os.environ, **engine.variables(), "MODEL_GITOPS_TOKEN": "writer"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout + done.stderr


def test_it_proposes_the_model_of_dvcs_pipeline_and_a_second_run_takes_it_from_the_cache(
    component_images: dict[str, str],
    docker_engine: Engine,
    registry: str,
    kfp_python: Path,
    tmp_path: Path,
) -> None:
    images = {
        step: pinned(docker_engine, registry, step, name) for step, name in component_images.items()
    }
    (tmp_path / "kustomization.yaml").write_text(kustomization(images))
    out = tmp_path / "out"
    # The steps' containers see this folder alone.
    (out / "remote").mkdir(parents=True)
    (out / "remote").chmod(0o777)
    project = Project(tmp_path / "model", out / "remote")
    bare = tmp_path / "model.git"
    process.run(["git", "clone", "--quiet", "--bare", project.folder, bare])
    of_dvc = project.train()
    pipeline = project.folder / "pipeline"
    package = tmp_path / "pipeline.yaml"
    with Forge(tmp_path / "forge") as forge:
        forge.add_repository("acme/diabetes", bare)
        scopes = {"contents": "write", "pull_requests": "write", "issues": "write"}
        forge.add_token("writer", "writer[bot]", scopes)
        where = ("--repository", f"{forge.url}/acme/diabetes")
        asked = (tmp_path, "--output", package, *where)
        run(kfp_python, pipeline / "compile.py", docker_engine, *asked)
        first = run(kfp_python, pipeline / "run.py", docker_engine, package, out)
        (found,) = out.glob("*/test/metrics")
        # A container that is gone counts as success for kfp: what it put out is what is looked at.
        assert json.loads(found.read_text()) == of_dvc
        (told,) = out.glob("*/test/executor_output.json")
        metadata = json.loads(told.read_text())["artifacts"]["metrics"]["artifacts"][0]["metadata"]
        assert metadata == of_dvc
        (proposed,) = (json.loads(one.read_text()) for one in out.glob("*/propose-model/result"))
        second = run(kfp_python, pipeline / "run.py", docker_engine, package, out)
    assert proposed["operation"] == "opened"
    lock = process.run(["git", "-C", bare, "show", f"{proposed['commit']}:dvc.lock"]).stdout
    # Byte by byte what DVC's pipeline made, in Git and in the remote.
    assert f"md5: {project.model_hash()}" in lock
    kept = {path.parent.name + path.name for path in (out / "remote").rglob("*") if path.is_file()}
    assert project.model_hash() in kept
    assert first.count("Executing task") == 5
    # Git is asked each time, as it may have changed; the rest is taken from the cache.
    assert second.count("Executing task") == 1
    assert "Executing task \x1b[96m'propose-model'" in second
