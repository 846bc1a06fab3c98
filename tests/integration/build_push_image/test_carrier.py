"""The image that `adopt` writes where nothing tells how a model is served: it carries the model alone."""

from __future__ import annotations

import io
import json
import tarfile

import pytest
from image_project import SMOKE, Project, smoke_leftovers

from model_gitops.core.adopt import serving
from model_gitops.core.adopt.models import Model

pytestmark = pytest.mark.docker


def files(project: Project, tag: str) -> dict[str, int]:
    """The files of an image with their modes."""
    manifest = json.loads(project.get(f"manifests/{tag}")[2])
    if "manifests" in manifest:
        manifest = json.loads(project.get(f"manifests/{manifest['manifests'][0]['digest']}")[2])
    found: dict[str, int] = {}
    for layer in manifest["layers"]:
        blob = io.BytesIO(project.get(f"blobs/{layer['digest']}")[2])
        with tarfile.open(fileobj=blob) as tar:
            found |= {one.name: one.mode & 0o777 for one in tar if one.isfile()}
    return found


def test_it_carries_a_file_or_a_folder_and_a_smoke_test_of_it_is_refused(project: Project) -> None:
    project.write("models/my model.onnx", "weights")
    project.write("models/net/config.json", "{}")
    project.write(".dockerignore", "")
    for path, inside, mode in (
        ("models/my model.onnx", "models/my model.onnx", 0o444),
        ("models/net", "models/net/config.json", 0o555),
    ):
        carrier = serving.carrier(Model("net", path, "dvc.yaml", ""))
        project.write(carrier.dockerfile, carrier.text)
        commit = project.commit()
        built = project.run(build_args="")
        assert built.status == 0, built.log
        assert files(project, commit) == {inside: mode}
        config = project.config(commit)["config"]
        assert config["User"] == "10001:10001"
    tested = project.run(build_args="", smoke_test=SMOKE, tag="tested")
    assert tested.status == 3, tested.log
    assert "the image starts nothing, its Dockerfile has no CMD and no ENTRYPOINT" in tested.log
    assert smoke_leftovers() == ""
