"""All the real parts that the flow needs on one machine, in one state folder."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from model_gitops.adapters import process
from model_gitops_local import toolchain
from model_gitops_local.base_image import ensure_base_image
from model_gitops_local.engine import (
    Builder,
    Engine,
    add_buildx,
    remove_engine,
    start_engine,
    stop_engine,
)
from model_gitops_local.registry import Registry


@dataclass(frozen=True)
class Machine:
    """What is running, and how a child process reaches it."""

    engine: Engine
    registry: Registry
    builder: str  # "": the engine's own builder
    base_image: str  # its reference in the registry
    tools: dict[str, Path]


class Starting:
    """A machine that is being made: what is needed first is there first.

    What is built from source is built in one thread, in the order of its use, for it takes all cores;
    what comes over the network is fetched beside it. It is a context: at its end nothing goes on.
    """

    def __init__(self, state: Path, tools: tuple[str, ...] = ("act",)) -> None:
        """Begin to start what is not running yet in the folder `state`, and to build `tools`."""
        self._state = state.resolve()
        self._state.mkdir(parents=True, exist_ok=True)
        self._registry = Registry(self._state / "registry")
        # One thread each, which takes its work in turn.
        self._pools = [ThreadPoolExecutor(max_workers=1) for _ in range(3)]
        building, fetching, sources = self._pools
        self._tools = building.submit(toolchain.ensure_all, tools)
        buildx = building.submit(toolchain.ensure, "docker-buildx")
        self._address = fetching.submit(self._registry.start)
        self._engine = fetching.submit(start_engine, self._state)
        self._base_image = fetching.submit(
            lambda: ensure_base_image(self._engine.result(), self._address.result())
        )
        self._builder = building.submit(self._add_builder, buildx)
        self._begun: list[Future[Any]] = [
            *(self._tools, buildx, self._address, self._engine, self._base_image, self._builder),
            sources.submit(toolchain.fetch_sources, "docker-buildx"),
        ]

    def __enter__(self) -> Self:
        """Return this."""
        return self

    def __exit__(self, *_: object) -> None:
        """End what was begun and nobody waited for."""
        for pool in self._pools:
            pool.shutdown(wait=False, cancel_futures=True)
        # What is ended may be followed by another try.
        while not all(one.done() for one in self._begun):
            process.stop_all()
            time.sleep(0.1)

    def tools(self) -> dict[str, Path]:
        """Return where the tools are, as soon as they are there. Raises ExternalError: what is missing."""
        return self._tools.result()

    def address(self) -> str:
        """Return the registry's address, as soon as it runs. Raises ExternalError where it does not."""
        return self._address.result()

    def machine(self) -> Machine:
        """Return it all, as soon as it runs. Raises ExternalError: what is missing."""
        tools, engine = self._tools.result(), self._engine.result()
        self._address.result()
        builder = self._builder.result()
        return Machine(engine, self._registry, builder, self._base_image.result(), tools)

    def _add_builder(self, buildx: Future[Path]) -> str:
        """Give the engine buildx, and a builder where its own is too old."""
        engine = self._engine.result()
        add_buildx(engine, buildx.result())
        return Builder(self._state).ensure(engine, self._address.result())


def start(state: Path, tools: tuple[str, ...] = ("act", "kustomize")) -> Machine:
    """Start what is not running yet and return it all. Raises ExternalError: what is missing."""
    with Starting(state, tools) as starting:
        return starting.machine()


def paths(tools: Iterable[Path]) -> str:
    """Return PATH for a child, with the folders of `tools`."""
    folders = dict.fromkeys(str(tool.parent) for tool in tools)
    # The one that made our own environment serves the projects' too: seconds instead of a minute.
    if uv := os.environ.get("MODEL_GITOPS_UV"):
        folders[str(Path(uv).parent)] = None
    path = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join([*(folder for folder in folders if folder not in path), *path])


def environment(machine: Machine) -> dict[str, str]:
    """Return the variables for a child (act, docker, an action): engine, builder, PATH."""
    return {**machine.engine.variables(), "PATH": paths(machine.tools.values())}


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
