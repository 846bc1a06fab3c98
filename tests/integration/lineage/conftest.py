"""The worlds that the tests of a lineage read, or tamper with."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from world import READER, TOKEN, World, played, push_image

from model_gitops_local import toolchain
from model_gitops_local.forge.openapi import strict_forge


@pytest.fixture(scope="session")
def settings(docker_engine: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a child needs: docker's command line with buildx. No engine is asked."""
    config = tmp_path_factory.mktemp("docker")
    (config / "cli-plugins").mkdir()
    (config / "cli-plugins" / "docker-buildx").symlink_to(toolchain.ensure("docker-buildx"))
    return {"DOCKER_CONFIG": str(config)}


@pytest.fixture(scope="session")
def whole(
    registry: str, settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """A model that went from an experiment to production, by approved pull requests."""
    top = tmp_path_factory.mktemp("whole")
    with strict_forge(top / "forge") as forge:
        for token, login in ((TOKEN, "ada"), ("second-token", "grace")):
            forge.add_token(token, login)
        forge.add_token(READER, "reader[bot]", {"contents": "read", "pull_requests": "read"})
        yield played(forge, top, registry, settings)


@pytest.fixture
def world(whole: World, tmp_path: Path) -> Iterator[World]:
    """A copy of the whole world that a test may tamper with: the images are its own, too."""
    before = {name: whole.top / name for name in ("model.git", "deploy.git", "work")}
    kept = tmp_path / "kept"
    for name, folder in before.items():
        shutil.copytree(folder, kept / name, symlinks=True)
    yield whole
    for name, folder in before.items():
        shutil.rmtree(folder)
        shutil.copytree(kept / name, folder, symlinks=True)
    # Tags of the registry are set again as they were.
    for commit in ("main", "staging", "production"):
        sha = whole.work.commit_of(f"origin/{commit}") or ""
        head = whole.work.commit_of("origin/experiment/better") or ""
        name = whole.image.partition("/")[2]
        push_image(whole.registry, name, sha, whole.labels(head, "better"))
