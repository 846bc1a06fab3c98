"""Where DVC keeps a project's objects, without DVC: only for a plain cache and a plain remote."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from model_gitops.core.dvc import plain_config

_LARGEST_CONFIG = 64 * 1024
_S3 = re.compile(r"s3://[a-z0-9.-]+(?:/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*/?")


@dataclass(frozen=True)
class Stores:
    """The folder of DVC's cache, and the remote `name`: a folder as a path, or `s3://…` with its options."""

    cache: Path
    name: str
    remote: str
    options: Mapping[str, str]


def find(root: Path, remote: str, settings: Mapping[str, str] | None) -> Stores | None:
    """Return the stores of the DVC project in `root`; None where DVC itself must say where they are.

    `settings` are options of the remote that no file has, and win over those that one has.
    """
    if sys.platform != "linux" or has_settings_of_the_machine():
        return None
    folder = root.absolute() / ".dvc"
    try:
        texts = [_text(folder / "config"), _text(folder / "config.local")]
    except (OSError, ValueError):
        return None
    found = plain_config.places(texts, remote)
    if found is None or "~" in found.url + found.cache:
        return None
    cache = Path(os.path.normpath(folder / (found.cache or "cache")))
    options = {**found.options, **(settings or {})}
    if _S3.fullmatch(found.url):
        known = all(key in plain_config.S3 and value for key, value in options.items())
        return Stores(cache, found.remote, found.url, options) if known else None
    if options or re.match(r"\w+:", found.url):
        return None
    return Stores(cache, found.remote, os.path.normpath(folder / found.url), {})


def has_settings_of_the_machine() -> bool:
    """Whether DVC has a configuration file of the system or of the account.

    Source: https://dvc.org/doc/user-guide/project-structure/configuration#config-file-locations
    """
    account = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")  # noqa: PTH111
    system = (os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep)[0]
    files = (
        Path(os.environ.get("DVC_GLOBAL_CONFIG_DIR") or f"{account}/dvc", "config"),
        Path(os.environ.get("DVC_SYSTEM_CONFIG_DIR") or f"{system}/dvc", "config"),
    )
    return any(map(os.path.lexists, files))


def _text(file: Path) -> str:
    if not os.path.lexists(file):
        return ""
    with file.open("rb") as stream:
        data = stream.read(_LARGEST_CONFIG + 1)
    if len(data) > _LARGEST_CONFIG:
        raise ValueError(str(file))
    return data.decode("ascii")
