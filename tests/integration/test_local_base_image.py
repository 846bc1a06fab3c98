"""The base image, as the builder and the engine see it."""

from __future__ import annotations

import pytest

from model_gitops_local.base_image import ensure_base_image
from model_gitops_local.engine import Engine

pytestmark = pytest.mark.docker


def test_it_has_what_the_model_image_needs(docker_engine: Engine, base_image: str) -> None:
    check = "import venv, ssl, sys; print(sys.version_info >= (3, 11))"
    run = ["run", "--rm", "--network", "none", base_image]
    assert docker_engine.docker(*run, "python3", "-c", check).stdout.strip() == "True"
    assert docker_engine.docker(*run, "python", "-m", "venv", "/tmp/venv").returncode == 0
    assert docker_engine.docker(*run, "apt-get", "--version").stdout.startswith("apt ")


def test_made_again_it_is_the_same(docker_engine: Engine, registry: str, base_image: str) -> None:
    def digest() -> str:
        inspect = ["image", "inspect", "--format", "{{index .RepoDigests 0}}", base_image]
        return docker_engine.docker(*inspect).stdout

    before = digest()
    assert "sha256:" in before
    assert ensure_base_image(docker_engine, registry) == base_image
    assert digest() == before
