"""The model as an artifact, by deploy.yml under act: pushed once, deployed by its digest, and handed on by the next hop."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_components import well
from training_site import built

from model_gitops.core.deploy.trailers import read_trailers
from model_gitops_local import toolchain
from model_gitops_local.flow import DEPLOY, MODEL, PERSON, Flow

pytestmark = [pytest.mark.docker, pytest.mark.slow]

PIPELINE = """
stages:
  train:
    cmd: mkdir -p out && cp data.txt out/diabetes.onnx && echo '{"f1":0.9}' > scores.json
    deps: [data.txt]
    outs: [out/diabetes.onnx]
    metrics:
    - scores.json: {cache: false}
artifacts:
  diabetes: {path: out/diabetes.onnx, type: model}
"""


def rules(registry: str) -> Callable[[Path], None]:
    """Let the image have no model, and the model an artifact."""

    def change(folder: Path) -> None:
        said = {
            "model": "diabetes",
            "image": {"name": f"{registry}/acme/diabetes", "smoke-test": False},
            "artifact": f"{registry}/acme/diabetes-model",
            "deploy": {"repository": DEPLOY},
            "environments": [
                {"name": "dev", "branch": "main"},
                {"name": "staging", "branch": "staging"},
            ],
            "gate": [{"metric": "scores.json:f1", "better": "higher"}],
            "commands": {"env": False, "check": False, "test": False, "smoke": False},
        }
        (folder / "promotion.yaml").write_text(json.dumps(said), "utf-8")

    return change


def small_model(folder: Path) -> None:
    """Train in no time."""
    files = {
        "dvc.yaml": PIPELINE,
        "data.txt": "1 2 3\n",
        "Dockerfile": "FROM scratch\nCOPY data.txt /\n",
        "Dockerfile.dockerignore": "*\n!data.txt\n",
    }
    for name, text in files.items():
        (folder / name).write_text(text, "utf-8")
    for command in ("repro", "push"):
        words = [sys.executable, "-m", "dvc", command, "--quiet"]
        subprocess.run(words, cwd=folder, check=True)


def pull_the_model(flow: Flow) -> None:
    """What docs/model-artifact.md says that an overlay needs."""
    git = flow.clone(DEPLOY, "main", flow.root / "new" / "deploy")
    entry = f"  - name: diabetes-model\n    newName: {flow.parts.registry}/acme/diabetes-model\n"
    for environment in ("dev", "staging"):
        file = git.directory / "overlays" / environment / "kustomization.yaml"
        text = file.read_text("utf-8").replace("images:\n", f"images:\n{entry}", 1)
        file.write_text(f"{text}components: [../../model-artifact]\n", "utf-8")
    git.run("commit", "--quiet", "--all", "--message", "Pull the model", env=PERSON)
    git.run("push", "--quiet", "origin", "HEAD:refs/heads/main")


def pulled(flow: Flow, environment: str) -> str:
    """What the init container of an environment pulls, as kustomize builds it."""
    git = flow.clone(DEPLOY, "main", flow.root / "new" / "deploy")
    manifests = built(git.directory / "overlays" / environment)
    (deployment,) = [one for one in manifests if one["kind"] == "Deployment"]
    (first,) = deployment["spec"]["template"]["spec"]["initContainers"]
    return str(next(one["value"] for one in first["env"] if one["name"] == "MODEL_ARTIFACT"))


def results(run: Any) -> dict[str, str]:
    return {step: result for _, step, result in run.steps}


def test_an_artifact_is_pushed_once_and_goes_with_its_image(
    new_flow: Callable[[], Flow], tmp_path: Path
) -> None:
    flow = new_flow()
    deploy = flow.bare(DEPLOY)
    pull_the_model(flow)
    start = flow.commit("main", rules(flow.parts.registry), "Rules")
    flow.bare(MODEL).run("update-ref", "refs/heads/staging", start)
    flow.commit("small", small_model, "A small model")
    commit = flow.merge(flow.open_pull_request("small", "main", "A small model"))

    run = well(flow.pushed("main", "deploy.yml"))
    pushed = run.outputs["Push the model as an artifact"]
    assert pushed["operation"] == "pushed"
    artifact = pushed["artifact"]
    assert artifact.startswith(f"{flow.parts.registry}/acme/diabetes-model@sha256:")
    said = read_trailers(deploy.run("log", "-1", "--format=%B", "main"))
    sha256 = hashlib.sha256(b"1 2 3\n").hexdigest()
    assert (said["model-artifact"], said["model-sha256"]) == ([artifact], [sha256])
    assert said["source-commit"] == [commit]
    assert pulled(flow, "dev") == artifact
    # Whoever pulls by that digest has the model.
    words = [toolchain.ensure("oras"), "pull", "--plain-http", "--output", tmp_path / "p", artifact]
    subprocess.run(words, check=True, capture_output=True)
    assert (tmp_path / "p" / "diabetes.onnx").read_text() == "1 2 3\n"

    # The next hop takes both over, and pushes nothing.
    number = flow.open_pull_request("main", "staging", "To staging")
    well(flow.proposed(number))
    flow.merge(number)
    run = well(flow.pushed("staging", "deploy.yml"))
    assert "Push the model as an artifact" not in results(run)
    said = read_trailers(deploy.run("log", "-1", "--format=%B", "main"))
    assert (said["model-artifact"], said["model-sha256"]) == ([artifact], [sha256])
    assert pulled(flow, "staging") == artifact

    # The same push again changes nothing.
    tip = deploy.commit_of("refs/heads/main")
    run = well(flow.pushed("main", "deploy.yml"))
    assert run.outputs["Push the model as an artifact"]["operation"] == "none"
    assert deploy.commit_of("refs/heads/main") == tip

    for environment in ("dev", "staging"):
        told = json.loads(flow.ask("status", "--environment", environment, "--json"))
        (found,) = told["environments"]
        assert (found["in_sync"], found["version"]) == (True, "v0.0.1"), found["problems"]
        traced = json.loads(flow.ask("trace-model", "--subject", environment, "--json"))
        links = {(one["from"], one["to"]): one["state"] for one in traced["links"]}
        assert traced["verified"]
        for ends in (("overlay", "model artifact"), ("deploy commit", "model artifact")):
            assert links[ends] == "verified", traced["links"]
