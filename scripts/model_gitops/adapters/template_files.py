"""The templates that this package brings: their files, and which version they are.

In a checkout they are `templates/`, as Git has them there; in an installed package they lie beside it.
"""

from __future__ import annotations

import os
import re
import tomllib
from importlib import metadata
from pathlib import Path

from model_gitops.adapters import installation
from model_gitops.adapters.git import Git
from model_gitops.core.scaffold.render import File
from model_gitops.errors import InputError

_PACKAGE = Path(__file__).resolve().parent.parent
# Python's own, which an installer writes beside each file of ours.
_COMPILED = "__pycache__"


def read(template: str) -> dict[str, File]:
    """Return the files of a template that this package brings: path → file.

    In a checkout of ours they are those that Git knows, as they are on disk: what somebody made by trying
    the template is none of it. Raises InputError where the package was installed without them.
    """
    installed, checkout = (
        _PACKAGE / "templates" / template,
        _PACKAGE.parents[1] / "templates" / template,
    )
    if installed.is_dir():
        root = installed
        names = [
            (Path(folder) / name).relative_to(root).as_posix()
            for folder, _, files in os.walk(root)
            for name in files
            if _COMPILED not in Path(folder).parts
        ]
    elif checkout.is_dir():
        root, names = checkout, _known(checkout)
    else:
        raise InputError(
            "this copy of model-gitops has no templates",
            fix=f"run it from a release or a clone: uvx --from git+{installation.REPOSITORY}@"
            f"{installation.LINE} {installation.NAME} --help",
        )
    return {name: _file(root / name) for name in sorted(names) if (root / name).is_file()}


def version() -> str:
    """Return which version of ours they are: a commit where that is known, else the release's tag."""
    if found := clone():
        return Git(found).run("rev-parse", "HEAD").strip()
    commit = installation.source().rpartition("@")[2]
    if re.fullmatch(r"[0-9a-f]{40,64}", commit):
        return commit
    try:
        return f"v{metadata.version(installation.NAME)}"
    except metadata.PackageNotFoundError:
        # A download without Git's own files, such as an action's.
        project = tomllib.loads((_PACKAGE.parents[1] / "pyproject.toml").read_text("utf-8"))
        return f"v{project['project']['version']}"


def changed() -> bool:
    """Whether this is a clone of ours with changes to the templates that its commit does not have."""
    found = clone()
    return bool(found and Git(found).run("status", "--porcelain", "--", "templates"))


def clone() -> Path | None:
    """Return the clone of our repository that this runs from; None where it is installed."""
    top = _PACKAGE.parents[1]
    return top if (top / ".git").exists() and (top / "templates").is_dir() else None


def _known(root: Path) -> list[str]:
    """Return what Git knows below `root`; every file where this is no clone (an action's download)."""
    if clone():
        return Git(root).run("ls-files", "-z", "--", ".").split("\0")[:-1]
    return [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]


def _file(path: Path) -> File:
    return File(path.read_bytes(), executable=os.access(path, os.X_OK))
