"""A repository for the tools' own answers: each test says what a tool does, and what we do about it."""

from __future__ import annotations

from pathlib import Path

import pytest
from plain_repository import made_repository

from model_gitops.adapters.git import Git


@pytest.fixture
def repository(tmp_path: Path) -> Git:
    """A Git repository with one commit."""
    return made_repository(tmp_path / "work")
