"""Servers of both kinds, held to what their makers say of their APIs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from health_world import BOT, World

from model_gitops_local.forge.gitea import strict_gitea
from model_gitops_local.forge.openapi import strict_forge


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with strict_forge(tmp_path / "forge") as forge:
        forge.add_token(BOT, "github-actions[bot]")
        yield World(tmp_path, forge)


@pytest.fixture
def gitea(tmp_path: Path) -> Iterator[World]:
    with strict_gitea(tmp_path / "forge") as forge:
        forge.add_token(BOT, "gitea-actions")
        yield World(tmp_path, forge)
