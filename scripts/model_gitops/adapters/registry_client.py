"""Docker's command line for one registry, logged in for a step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from model_gitops import runner
from model_gitops.adapters import docker, docker_config, scratch
from model_gitops.core.image.names import registry_host


@contextmanager
def opened(image: str, username: str, password: str) -> Iterator[docker.Docker]:
    """Give docker for the registry of `image`, logged in where there is a password.

    Its configuration is removed at the end. Raises ExternalError where the registry refuses the login.
    """
    runner.mask(password)
    host = registry_host(image)
    with scratch.folder("model-gitops-trace-", runner.temporary_folder()) as made:
        env = docker_config.private_config(made, host if password else None)
        client = docker.Docker(env, say=runner.say)
        if password:
            client.login(host, username or runner.context().sender, password)
        yield client
