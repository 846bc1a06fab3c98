"""Docker's command line for one registry, logged in for a step."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager

from model_gitops import runner
from model_gitops.adapters import docker, docker_config, scratch
from model_gitops.core.image.names import registry_host
from model_gitops.errors import ExternalError, InputError


def unanswered(error: ExternalError) -> str:
    """Return why a registry can't be asked, and what to do."""
    return f"the registry can't be asked: {with_fix(error)}"


def with_fix(error: ExternalError) -> str:
    """Return what `error` says, with what to do where it says that too."""
    return f"{error.message}. To do: {error.fix}" if error.fix else error.message


def login_name(username: str, password: str, *, push: bool) -> str:
    """Return the name to log in with; empty where nothing is given and the user's logins serve.

    Without a push an empty password is fine: a fork's pull request has no secrets.
    """
    if username and not password and push:
        raise InputError(
            "input `username` is given, and `password` is not", fix="password: ${{ github.token }}"
        )
    if not password:
        return ""
    name = username or runner.context().sender
    if not name:
        raise InputError(
            "input `password` is given, and `username` is not", fix="username: ${{ github.actor }}"
        )
    return name


@contextmanager
def opened(
    image: str, username: str, password: str, *, refused: MutableMapping[str, str] | None = None
) -> Iterator[docker.Docker]:
    """Give docker for the registry of `image`, logged in where there is a password.

    Its configuration is removed at the end. Raises ExternalError where the registry refuses the login;
    with `refused` that is no error: host → what it said and what to do is put there.
    """
    runner.mask(password)
    host = registry_host(image)
    with scratch.folder("model-gitops-trace-", runner.temporary_folder()) as made:
        env = docker_config.private_config(made, host if password else None)
        client = docker.Docker(env, say=runner.say)
        if password:
            try:
                client.login(host, username or runner.context().sender, password)
            except ExternalError as error:
                if refused is None:
                    raise
                refused[host] = unanswered(error)
        yield client
