"""A forge with one repository, held to GitHub's own OpenAPI description in every exchange."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from forge_clients import BOT, NAME, OTHER, READER, USER, Work

from model_gitops.adapters import process
from model_gitops_local.forge import Forge
from model_gitops_local.forge.openapi import strict_forge


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    path = tmp_path / "git" / "model.git"
    path.parent.mkdir()
    process.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", path])
    return path


@pytest.fixture
def work(bare: Path, tmp_path: Path) -> Work:
    made = Work(bare, tmp_path / "work")
    made.commit("main", {"README.md": "hello\n", "src/train.py": "a\nb\nc\n"}, "first")
    made.commit("lr", {"src/train.py": "a\nB\nc\n"}, "better learning rate")
    made.git.run("switch", "--quiet", "main")
    return made


@pytest.fixture
def forge(tmp_path: Path, bare: Path, work: Work) -> Iterator[Forge]:
    with strict_forge(tmp_path / "forge") as made:
        made.add_repository(NAME, bare)
        made.add_token(BOT, "github-actions[bot]")
        made.add_token(USER, "ada")
        made.add_token(READER, "github-actions[bot]", {"contents": "read", "pull-requests": "read"})
        made.add_token(OTHER, "eve", repositories=["acme/other"])
        yield made
