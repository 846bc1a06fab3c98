"""The steps of the training pipeline on Argo Workflows, each in its component's real image, on the bundled data."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from template_project import Project
from training_site import TRAINING, built

from model_gitops.adapters import process
from model_gitops_local.engine import Engine
from model_gitops_local.forge import Forge

pytestmark = [
    pytest.mark.docker,
    pytest.mark.slow,
    # Four images are built, and two environments installed.
    pytest.mark.skipif(
        os.environ.get("MODEL_GITOPS_RELIABILITY") != "full", reason="make test-reliability runs it"
    ),
]


class Steps:
    """Runs the templates of the WorkflowTemplate, as a pod would, but by Docker."""

    def __init__(
        self, engine: Engine, images: Mapping[str, str], top: Path, values: Mapping[str, str]
    ) -> None:
        self.engine, self.images, self.top, self.values = engine, images, top, values
        manifests = built(TRAINING / "overlays" / "production")
        (self.spec,) = [one["spec"] for one in manifests if one["kind"] == "WorkflowTemplate"]
        self.templates = {one["name"]: one for one in self.spec["templates"]}
        self.files: dict[str, Path] = {}

    def run(self, task: Any) -> None:
        """Run one task of the DAG; what it puts out is in `files`, by the name that Argo gives it."""
        template, name = self.templates[task["template"]], task["name"]
        container, user = template["container"], self.spec["securityContext"]
        tmp = self.top / name
        tmp.mkdir()
        tmp.chmod(0o777)
        words = ["run", "--rm", "--network=host", f"--volume={tmp}:/tmp"]
        words += [f"--volume={self.top}/remote:{self.top}/remote"]
        words += [f"--user={user['runAsUser']}:{user['runAsGroup']}"]
        limits = container["securityContext"]
        if limits["readOnlyRootFilesystem"]:
            words.append("--read-only")
        words += [f"--cap-drop={one}" for one in limits["capabilities"]["drop"]]
        if not limits["allowPrivilegeEscalation"]:
            words.append("--security-opt=no-new-privileges")
        given = {one["name"]: one["from"] for one in task.get("arguments", {}).get("artifacts", [])}
        for one in template.get("inputs", {}).get("artifacts", []):
            words.append(f"--volume={self.files[given[one['name']]]}:{one['path']}:ro")
        for one in container.get("volumeMounts", []):
            if one["name"] == "secrets":
                words.append(f"--volume={self.top}/secrets:{one['mountPath']}:ro")
        words += [f"--env={one['name']}={one['value']}" for one in container.get("env", [])]
        step = re.search(r"diabetes-(\w+)", container["image"])
        assert step is not None
        program, *command = [*container["command"], *container["args"]]
        self.engine.docker(
            *words, f"--entrypoint={program}", self.images[step[1]], *map(self._filled, command)
        )
        for one in template["outputs"].get("artifacts", []):
            place = tmp / Path(one["path"]).relative_to("/tmp")
            assert place.is_file(), one
            self.files[f"{{{{tasks.{name}.outputs.artifacts.{one['name']}}}}}"] = place

    def file(self, task: str, name: str) -> Path:
        return self.files[f"{{{{tasks.{task}.outputs.artifacts.{name}}}}}"]

    def _filled(self, text: str) -> str:
        return re.sub(
            r"\{\{workflow\.(?:parameters\.)?(\w+)\}\}", lambda m: self.values[m[1]], text
        )


def test_they_give_the_model_of_dvcs_pipeline_and_propose_it(
    component_images: dict[str, str], docker_engine: Engine, tmp_path: Path
) -> None:
    for name in ("remote", "secrets"):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(0o777)
    (tmp_path / "secrets" / "token").write_text("writer")
    project = Project(tmp_path / "model", tmp_path / "remote")
    bare = tmp_path / "model.git"
    process.run(["git", "clone", "--quiet", "--bare", project.folder, bare])
    of_dvc = project.train()
    with Forge(tmp_path / "forge") as forge:
        forge.add_repository("acme/diabetes", bare)
        scopes = {"contents": "write", "pull_requests": "write", "issues": "write"}
        forge.add_token("writer", "writer[bot]", scopes)
        values = {
            "repository": f"{forge.url}/acme/diabetes",
            "revision": "refs/heads/main",
            "folder": ".",
            "name": "diabetes-training-1",
        }
        steps = Steps(docker_engine, component_images, tmp_path, values)
        tasks = steps.templates[steps.spec["entrypoint"]]["dag"]["tasks"]
        assert [one["name"] for one in tasks] == ["fetch", "preprocess", "train", "test", "propose"]
        for task in tasks:
            steps.run(task)
    assert json.loads(steps.file("test", "metrics").read_text()) == of_dvc
    trained = steps.file("train", "model").read_bytes()
    assert trained == (project.folder / "models" / "diabetes.onnx").read_bytes()
    (result,) = steps.templates["propose"]["outputs"]["parameters"]
    place = tmp_path / "propose" / Path(result["valueFrom"]["path"]).relative_to("/tmp")
    proposed = json.loads(place.read_text())
    assert proposed["operation"] == "opened"
    lock = process.run(["git", "-C", bare, "show", f"{proposed['commit']}:dvc.lock"]).stdout
    assert f"md5: {project.model_hash()}" in lock
