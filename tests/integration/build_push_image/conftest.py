"""A project with a Dockerfile, its registry, and looks at what docker is asked."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from deploys import Deploys
from image_project import DOCKERFILE, HTPASSWD, SERVER, Project, move

from model_gitops.adapters import process
from model_gitops_local.engine import Engine
from model_gitops_local.registry import Registry


@pytest.fixture
def project(tmp_path: Path, docker_environment: Engine, registry: str, base_image: str) -> Project:
    made = Project(tmp_path / "checkout", registry, base_image)
    made.write("Dockerfile", DOCKERFILE)
    made.write("server.py", SERVER)
    made.write(".dockerignore", "*\n!server.py\n")
    made.write("promotion.yaml", made.deploys.promotion)
    process.run(["git", "init", "-q"], cwd=made.folder)
    made.commit()
    return made


@pytest.fixture
def buildkit(builder: str) -> str:
    """The builder, for what an engine's own one can't do: attestations, pushes by digest."""
    return builder or pytest.skip("this engine's own builder is used")


@pytest.fixture
def argv(project: Project, tmp_path: Path) -> Path:
    """A file that gets the arguments of every docker process."""
    real = shutil.which("docker")
    assert real is not None
    record = tmp_path / "argv"
    shim = tmp_path / "shim" / "docker"
    shim.parent.mkdir()
    shim.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" >> {shlex.quote(str(record))}\nexec {shlex.quote(real)} "$@"\n'
    )
    shim.chmod(0o755)
    project.env["PATH"] = f"{shim.parent}:{os.environ['PATH']}"
    return record


@pytest.fixture
def base(project: Project, base_image: str) -> Iterator[str]:
    """A base image's tag of the test's own, so that it can be moved."""
    reference = f"{project.registry}/{project.repository}/base:1"
    move(reference, base_image)
    yield reference


@pytest.fixture
def locked(project: Project, tmp_path: Path) -> Iterator[Project]:
    """The project with a registry that asks for a login."""
    (tmp_path / "htpasswd").write_text(f"ada:{HTPASSWD}\n")
    server = Registry(tmp_path / "locked-registry")
    project.registry = server.start(htpasswd=tmp_path / "htpasswd")
    project.deploys = Deploys(tmp_path / "locked-deploys", project.image)
    project.write("promotion.yaml", project.deploys.promotion)
    yield project
    server.remove()
