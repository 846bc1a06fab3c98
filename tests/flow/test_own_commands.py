"""A project without Makefile, Dockerfile and tests folder: promotion.yaml alone says what it is."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from world import push_image

from model_gitops_local.flow import DEPLOY, MODEL, Flow

pytestmark = pytest.mark.slow

KEPT = {".git", ".github", ".dvc", ".dvcignore", ".gitattributes"}
PIPELINE = """
stages:
  train:
    cmd: mkdir -p out && cp data.txt out/model.bin && echo '{"f1":0.9}' > scores.json
    deps: [data.txt]
    outs: [out/model.bin]
    metrics:
    - scores.json: {cache: false}
artifacts:
  diabetes: {path: out/model.bin, type: model}
"""


def own_shape(folder: Path, image: str, tag: str, digest: str) -> None:
    """Make of the template a project that has only its pipeline."""
    for path in folder.iterdir():
        if path.name not in KEPT:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    dvc = Path(sys.executable).parent
    flow = {
        "model": "diabetes",
        "image": {"name": image, "build": False, "tag": tag, "digest": digest},
        "deploy": {"repository": DEPLOY},
        "environments": [
            {"name": "dev", "branch": "main", "stage": "eu/test"},
            {"name": "staging", "branch": "staging"},
        ],
        "commands": {
            "env": f'echo "{dvc}" >> "$GITHUB_PATH"; echo "NAME=ours" >> "$GITHUB_ENV"',
            "test": '[ "${NAME}" = ours ] && dvc --version && touch tested',
            "reproduce": "DVC_NO_ANALYTICS=1 dvc repro",
            "push": "DVC_NO_ANALYTICS=1 dvc push",
        },
        "gate": [{"metric": "scores.json:f1", "better": "higher", "minimum": 0.5}],
    }
    (folder / "promotion.yaml").write_text(json.dumps(flow))
    (folder / "dvc.yaml").write_text(PIPELINE)
    (folder / "data.txt").write_text("1 2 3\n")
    (folder / ".gitignore").write_text("/tested\n")


def test_a_project_of_another_shape_is_promoted_with_an_image_that_others_build(
    new_flow: Callable[[], Flow],
) -> None:
    flow = new_flow()
    image = f"{flow.parts.registry}/acme/diabetes"
    host, _, name = image.partition("/")
    digest = push_image(host, name, "v7", {})
    flow.commit("main", lambda folder: own_shape(folder, image, "v7", digest), "Another shape")

    flow.commit(
        "experiment/a", lambda folder: (folder / "data.txt").write_text("4\n") and None, "A"
    )
    run = flow.pushed("experiment/a", "experiment.yml")
    assert run.status == 0, (run.failed_step, run.errors, run.log[-3000:])
    bare = flow.bare(MODEL)
    assert bare.file_at("refs/heads/experiment/a", "scores.json") == '{"f1":0.9}\n'
    assert "out/model.bin" in (bare.file_at("refs/heads/experiment/a", "dvc.lock") or "")
    assert bare.file_at("refs/heads/experiment/a", "tested") is None

    number = flow.open_pull_request("experiment/a", "main", "A")
    run = flow.proposed(number)
    assert run.status == 0, (run.failed_step, run.errors, run.log[-3000:])
    assert run.outputs["Check and test the project"] == {"ran": "test", "skipped": "check"}
    assert run.outputs["Train and predict on a small sample"]["skipped"] == "smoke"
    assert "Build, smoke-test and push the image" not in {step for _, step, _ in run.steps}
    (report,) = flow.comments(number)
    assert f"Image, built elsewhere: `{image}:v7@{digest}`" in report

    flow.merge(number)
    run = flow.pushed("main", "deploy.yml")
    assert run.status == 0, (run.failed_step, run.errors, run.log[-3000:])
    assert run.outputs["Assign the stage"]["stage-tag"] == "diabetes#eu/test#1"
    overlay = flow.bare(DEPLOY).file_at("refs/heads/main", "overlays/dev/kustomization.yaml") or ""
    assert digest in overlay
    said = json.loads(flow.ask("status", "--environment", "dev", "--json"))
    (dev,) = said["environments"]
    assert (dev["in_sync"], dev["version"], dev["stage_version"]) == (True, "v0.0.1", "v0.0.1"), dev
