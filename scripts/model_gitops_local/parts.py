"""The real parts that a flow needs, as a machine has them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from model_gitops_local import act, machine
from model_gitops_local.machine import Machine, Starting


@dataclass
class Parts:
    """The real parts that a flow needs: where the act program is, and what reaches the workflows.

    `actions` is a folder with what `uses: model-gitops/model-gitops/actions/…@v0` needs;
    `environment` holds the variables that a job needs to find Docker, its builder and the tools;
    `registry` is `host:port`, `base_image` a reference that the builder can resolve, "" where there is
    no builder yet.
    """

    act: Path
    actions: Path
    environment: Mapping[str, str]
    registry: str
    base_image: str


def parts_of(here: Machine, actions: Path) -> Parts:
    """Return the parts of a machine, with a copy of the actions in the folder `actions`."""
    return Parts(
        act=here.tools["act"],
        actions=copy_actions(actions),
        environment=machine.environment(here),
        registry=here.registry.address,
        base_image=here.base_image,
    )


def first_parts_of(starting: Starting, actions: Path) -> Parts:
    """Return what workflows need that use no Docker, while the rest of a machine is made."""
    tools = starting.tools()
    return Parts(
        act=tools["act"],
        actions=copy_actions(actions),
        environment={"PATH": machine.paths(tools.values())},
        registry=starting.address(),
        base_image="",
    )


def copy_actions(folder: Path) -> Path:
    """Copy what a release of the actions holds, and nothing else, into `folder`; return it.

    act removes and copies the whole of a local repository for each step that uses it, where a runner does it
    once a job. So all lies beside, and act copies links to the code: Python compiles it once. The code finds
    what is beside it at its own place.
    """
    beside = folder.with_name(f"{folder.name}-code").resolve()
    for old in (folder, beside):
        shutil.rmtree(old, ignore_errors=True)
    for name in ("actions", "scripts"):
        copy_tree(act.ROOT / name, beside / name)
    shutil.copy2(act.ROOT / "pyproject.toml", beside)
    copy_tree(beside / "actions", folder / "actions")
    for name in ("scripts", "pyproject.toml"):
        (folder / name).symlink_to(beside / name)
    return folder


def copy_tree(template: Path, folder: Path) -> None:
    """Copy a template as `cp -r` would, less what tools leave behind in it."""
    ignored = shutil.ignore_patterns(".venv", "__pycache__", ".git", ".pytest_cache", ".ruff_cache")
    shutil.copytree(template, folder, dirs_exist_ok=True, ignore=ignored)
