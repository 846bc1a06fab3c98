"""Docker's configuration: a private one for a step, so that no login outlives it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from model_gitops.errors import ExternalError

_HUB = "https://index.docker.io/v1/"


def private_config(parent: Path, host: str | None) -> dict[str, str]:
    """Give docker a configuration of its own in `parent`, a folder that is removed with the step.

    It starts as the user's: logins, credential helpers, plugins, builders and contexts keep working.
    `host` is the registry to log in to (empty: Docker Hub), None without a login; its password goes
    into this folder, not into a credential store. Returns the variables that say where it is.
    """
    own = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    folder = parent / "docker-config"
    folder.mkdir(mode=0o700)
    config: dict[str, Any] = {}
    if own.is_dir():
        for entry in own.iterdir():
            if entry.name != "config.json":
                (folder / entry.name).symlink_to(entry.resolve())
        config = _read(own / "config.json")
    helpers = config.get("credHelpers") or {}
    if host is not None and (config.get("credsStore") or helpers):
        config["credHelpers"] = {**helpers, host or _HUB: ""}
    file = folder / "config.json"
    file.touch(mode=0o600)
    file.write_text(json.dumps(config), encoding="utf-8")
    return {"DOCKER_CONFIG": str(folder)}


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
