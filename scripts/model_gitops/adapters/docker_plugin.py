"""buildx as a program of its own, found where docker's command line finds its plugins.

docker itself starts the plugin twice for each command: to ask what it is, and to run it. Alone it takes
a third of the processor's time, with the same configuration and the same answers.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from model_gitops.adapters import docker_config

_SYSTEM = (
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
)


def buildx(config: str) -> list[str]:
    """Return the words that start buildx with docker's configuration in the folder `config`.

    Through docker where its plugin is not found, and where `docker` is something else than docker's
    own program: a script of the runner's owner, or podman under this name.
    """
    through_docker = ["docker", "buildx"]
    if not config or not _is_dockers_own(shutil.which("docker")):
        return through_docker
    for folder in (*docker_config.extra_plugins(config), f"{config}/cli-plugins", *_SYSTEM):
        program = Path(folder) / "docker-buildx"
        if program.exists():  # docker takes the first one, whatever it is
            return [str(program)] if os.access(program, os.X_OK) else through_docker
    return through_docker


def _is_dockers_own(found: str | None) -> bool:
    program = Path(found or "").resolve()
    if program.name != "docker":
        return False
    with suppress(OSError), program.open("rb") as file:
        return file.read(2) not in (b"#!", b"")
    return False
