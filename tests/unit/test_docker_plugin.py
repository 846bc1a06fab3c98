"""buildx is started alone where docker would start it, and through docker elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from model_gitops.adapters import docker_plugin

THROUGH_DOCKER = ["docker", "buildx"]
PROGRAM = b"\x7fELF"


def program(file: Path, content: bytes = PROGRAM, mode: int = 0o755) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    file.chmod(mode)
    return file


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Docker's configuration, on a machine with docker's own program and no plugin of the system."""
    program(tmp_path / "bin" / "docker")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(docker_plugin, "_SYSTEM", (str(tmp_path / "system"),))
    (tmp_path / "config").mkdir()
    return tmp_path / "config"


def test_the_plugin_that_docker_would_take_is_started(tmp_path: Path, config: Path) -> None:
    assert docker_plugin.buildx(str(config)) == THROUGH_DOCKER
    for folder in (tmp_path / "system", config / "cli-plugins", tmp_path / "extra"):
        found = program(folder / "docker-buildx")
        named = json.dumps({"cliPluginsExtraDirs": [7, str(tmp_path / "extra")]})
        (config / "config.json").write_text(named)
        assert docker_plugin.buildx(str(config)) == [str(found)]
    assert docker_plugin.buildx("") == THROUGH_DOCKER


def test_one_that_can_not_be_started_is_left_to_docker(tmp_path: Path, config: Path) -> None:
    program(tmp_path / "system" / "docker-buildx")
    program(config / "cli-plugins" / "docker-buildx", mode=0o644)
    assert docker_plugin.buildx(str(config)) == THROUGH_DOCKER


@pytest.mark.parametrize("what", ["a script", "podman", "nothing", "an empty file"])
def test_another_docker_is_asked_itself(tmp_path: Path, config: Path, what: str) -> None:
    program(config / "cli-plugins" / "docker-buildx")
    docker = tmp_path / "bin" / "docker"
    docker.unlink()
    if what == "a script":
        program(docker, b'#!/bin/sh\nexec real-docker "$@"\n')
    elif what == "podman":
        docker.symlink_to(program(tmp_path / "podman"))
    elif what == "an empty file":
        program(docker, b"")
    assert docker_plugin.buildx(str(config)) == THROUGH_DOCKER
