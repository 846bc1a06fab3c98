"""Servers with one repository, held to what their makers say of their APIs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from retraining_names import BOT, EVE, NAME, PERSON

from model_gitops.adapters import process
from model_gitops_local.forge import Forge
from model_gitops_local.forge.gitea import strict_gitea
from model_gitops_local.forge.openapi import strict_forge


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    path = tmp_path / "model.git"
    process.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", path])
    return path


@pytest.fixture(params=["github", "gitea"])
def server(request: pytest.FixtureRequest, tmp_path: Path, bare: Path) -> Iterator[Forge]:
    """Both kinds of server. On Gitea the person's token may not read its own account."""
    strict = strict_forge if request.param == "github" else strict_gitea
    with strict(tmp_path / "forge") as forge:
        forge.add_repository(NAME, bare)
        forge.add_token(
            BOT, "github-actions[bot]" if request.param == "github" else "gitea-actions"
        )
        scopes = {"contents": "write", "pull_requests": "write", "issues": "write"}
        forge.add_token(PERSON, "ada", scopes)
        forge.add_token(EVE, "eve")
        yield forge
