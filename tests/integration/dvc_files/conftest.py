"""A DVC project to write into."""

from __future__ import annotations

from pathlib import Path

import pytest
from dvc_project import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty project with a remote in a folder."""
    return Project.start(tmp_path)
