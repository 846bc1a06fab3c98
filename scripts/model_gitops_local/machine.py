"""All the real parts that the flow needs on one machine, in one state folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from model_gitops_local import toolchain
from model_gitops_local.base_image import ensure_base_image
from model_gitops_local.engine import Builder, Engine, ensure_engine, remove_engine, stop_engine
from model_gitops_local.registry import Registry


@dataclass(frozen=True)
class Machine:
    """What is running, and how a child process reaches it."""

    engine: Engine
    registry: Registry
    builder: str  # "": the engine's own builder
    base_image: str  # its reference in the registry
    tools: dict[str, Path]


def start(state: Path, tools: tuple[str, ...] = ("act", "kustomize")) -> Machine:
    """Start what is not running yet and return it all. Raises ExternalError: what is missing."""
    state = state.resolve()
    state.mkdir(parents=True, exist_ok=True)
    found = toolchain.ensure_all(tools)
    registry = Registry(state / "registry")
    address = registry.start()
    engine = ensure_engine(state)
    builder = Builder(state).ensure(engine, address)
    return Machine(engine, registry, builder, ensure_base_image(engine, address), found)


def environment(machine: Machine) -> dict[str, str]:
    """Return the variables for a child (act, docker, an action): engine, builder, PATH."""
    folders = dict.fromkeys(str(tool.parent) for tool in machine.tools.values())
    # The one that made our own environment serves the projects' too: seconds instead of a minute.
    if uv := os.environ.get("MODEL_GITOPS_UV"):
        folders[str(Path(uv).parent)] = None
    path = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return {
        **machine.engine.variables(),
        "PATH": os.pathsep.join([*(folder for folder in folders if folder not in path), *path]),
    }


def registry_of(state: Path) -> str:
    """Return the address of the registry that runs for `state`, or ""."""
    registry = Registry(state / "registry")
    return registry.address if registry.running else ""


def stop(state: Path) -> None:
    """Stop all that was started for `state`; images and caches stay."""
    stop_engine(state)
    Registry(state / "registry").stop()


def remove(state: Path) -> None:
    """Stop all that was started for `state`, and delete what it stored."""
    remove_engine(state)
    Registry(state / "registry").remove()
