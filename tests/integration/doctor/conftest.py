"""One world in order, made once; each test has a copy of both clones."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from doctor_world import Place, set_up
from promotion_world import served
from world import World


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    top = tmp_path_factory.mktemp("doctor")
    with served(top) as forge:
        env = {"GITHUB_SERVER_URL": forge.url, "GITHUB_API_URL": forge.api_url}
        made = World(top, "registry.example", forge, env)
        set_up(made)
        yield made


@pytest.fixture
def place(world: World, tmp_path: Path) -> Place:
    made = Place(tmp_path / "model", tmp_path / "deploy")
    for source, target in (("work", made.model), ("deploy", made.deploy)):
        shutil.copytree(world.top / source, target, symlinks=True)
    return made
