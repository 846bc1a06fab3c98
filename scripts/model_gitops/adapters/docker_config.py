"""Docker's configuration: a private one for a step, so that no login outlives it."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from model_gitops import runner
from model_gitops.adapters import tool_store
from model_gitops.errors import ExternalError, InputError

# The folder of docker's plugins that the runner's owner trusts in a workflow, beside the system's.
PLUGINS = "MODEL_GITOPS_DOCKER_PLUGINS"
_HUB = "https://index.docker.io/v1/"


def private_config(parent: Path, host: str | None) -> dict[str, str]:
    """Give docker a configuration of its own in `parent`, a folder that is removed with the step.

    It starts as the user's: logins, credential helpers, builders and contexts keep working. Its
    plugins do so outside a workflow only: in one, the system's and the runner's owner's count.
    `host` is the registry to log in to (empty: Docker Hub), None without a login; its password goes
    into this folder, not into a credential store. Returns the variables that say where it is.
    Raises InputError where others may change the owner's folder of plugins.
    """
    plugins = _plugins()
    left_out = {"config.json", *([] if plugins is None else ["cli-plugins"])}
    own = _own()
    folder = parent / "docker-config"
    folder.mkdir(mode=0o700)
    config: dict[str, Any] = {}
    if own.is_dir():
        for entry in own.iterdir():
            if entry.name not in left_out:
                (folder / entry.name).symlink_to(entry.resolve())
        config = _read(own / "config.json")
    if plugins is not None:
        config.pop("cliPluginsExtraDirs", None)
        if plugins:
            (folder / "cli-plugins").symlink_to(Path(plugins).resolve())
    helpers = config.get("credHelpers") or {}
    if host is not None and (config.get("credsStore") or helpers):
        config["credHelpers"] = {**helpers, host or _HUB: ""}
    file = folder / "config.json"
    file.touch(mode=0o600)
    file.write_text(json.dumps(config), encoding="utf-8")
    return {"DOCKER_CONFIG": str(folder)}


def own_config() -> dict[str, Any]:
    """Return the user's own configuration. Raises ExternalError where it is none of docker's."""
    return _read(_own() / "config.json")


def log_in(env: Mapping[str, str], host: str, username: str, password: str) -> None:
    """Put a login into a private configuration, as `docker login` does, for tools that docker is not needed for.

    `env` is what `private_config` returned for this host. The registry says later if it takes the login.
    """
    file = Path(env["DOCKER_CONFIG"]) / "config.json"
    config = _read(file)
    login = base64.b64encode(f"{username}:{password}".encode()).decode()
    config["auths"] = {**(config.get("auths") or {}), host or _HUB: {"auth": login}}
    file.write_text(json.dumps(config), encoding="utf-8")


def extra_plugins(folder: str) -> list[str]:
    """Return the folders of plugins that the configuration in `folder` names, before docker's own."""
    named = _read(Path(folder) / "config.json").get("cliPluginsExtraDirs")
    return [one for one in named if isinstance(one, str)] if isinstance(named, list) else []


def _own() -> Path:
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")


def _plugins() -> str | None:
    """Return the folder of plugins that the runner's owner gives; "" for the system's alone.

    None outside a workflow: a person's own are as good as their shell. In one, an earlier job may have
    left a plugin in the account's folder. Raises InputError where others may change what is given.
    """
    given = os.environ.get(PLUGINS, "")
    if not given:
        in_job = runner.in_workflow() or runner.temporary_folder() is not None
        return "" if in_job else None
    folder = Path(given)
    problem = tool_store.problem_of(folder)
    with suppress(OSError):
        problem = problem or next(filter(None, map(tool_store.problem_of, folder.iterdir())), "")
    if problem:
        raise InputError(
            f"{PLUGINS} is {given!r}: {problem}",
            fix=f"unset {PLUGINS}, or name a folder that only its owner may change",
        )
    return given


def _read(file: Path) -> dict[str, Any]:
    """Return what docker's configuration says; nothing where there is none."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:  # of a file that may hold passwords, nothing is shown
        found = None
    if not isinstance(found, dict):
        raise ExternalError(f"{file} is not docker's configuration")
    return found
