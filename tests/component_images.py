"""The images of the model template's components, built once for all tests that run them."""

from __future__ import annotations

from pathlib import Path

from template_project import TEMPLATE

from model_gitops_local.engine import Engine

ROOT = Path(__file__).resolve().parents[1]
STEPS = ("preprocess", "train", "test", "deploy")


def build(engine: Engine, builder: str, base_image: str) -> dict[str, str]:
    """Build the images of all components into the engine; step → name. model-gitops is this checkout."""
    names = {step: f"model-gitops-test/component-{step}:1" for step in STEPS}
    for step, name in names.items():
        engine.docker(
            "buildx", "build", "--quiet", "--load", *([f"--builder={builder}"] if builder else []),
            f"--build-arg=BASE_IMAGE={base_image}", f"--build-context=model-gitops={ROOT}",
            f"--file={TEMPLATE / 'components' / step / 'Dockerfile'}", f"--tag={name}", TEMPLATE,
        )  # fmt: skip
    return names
