"""The script of the required check, run by bash as a runner does."""

from __future__ import annotations

import os
import subprocess

import pytest
from ruamel.yaml import YAML

from model_gitops_local import several_models


@pytest.mark.parametrize(
    ("changed", "touched", "models", "passes"),
    [
        ("success", "false", "skipped", True),
        ("success", "true", "success", True),
        ("success", "true", "failure", False),
        ("success", "true", "cancelled", False),
        ("success", "true", "skipped", False),
        ("failure", "", "skipped", False),
        ("failure", "false", "skipped", False),
        ("cancelled", "", "skipped", False),
        ("success", "", "skipped", False),
    ],
)
def test_it_passes_only_where_each_model_did(
    changed: str, touched: str, models: str, passes: bool
) -> None:
    text = several_models.files()["promote.yml"]
    (step,) = YAML(typ="safe").load(text)["jobs"]["models"]["steps"]
    env = {"PATH": os.environ["PATH"], "CHANGED": changed, "ANY": touched, "MODELS": models}
    done = subprocess.run(
        ["bash", "-e", "-c", step["run"]], env=env, capture_output=True, text=True, check=False
    )
    assert (done.returncode == 0) is passes
    assert ("::notice::No model is touched" in done.stdout) == (touched == "false" and passes)
