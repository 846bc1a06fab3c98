"""The whole flow, played once for all the tests that look at what it left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from model_gitops_local import machine
from model_gitops_local.demo import Demo
from model_gitops_local.flow import Flow
from model_gitops_local.forge.openapi import OpenApi
from model_gitops_local.parts import Parts, parts_of


@pytest.fixture(scope="session")
def parts(machine_state: Path, tmp_path_factory: pytest.TempPathFactory) -> Parts:
    """The real parts, and a copy of the actions as a release holds them."""
    here = machine.start(machine_state, ("act", "kustomize", "oras"))
    return parts_of(here, tmp_path_factory.mktemp("actions"))


@pytest.fixture(scope="session")
def checkouts() -> list[tuple[str, bytes]]:
    """The small files of the checkouts that the demo's runs left: (place, content)."""
    return []


@pytest.fixture(scope="session")
def demo(
    machine_state: Path,
    parts: Parts,
    tmp_path_factory: pytest.TempPathFactory,
    checkouts: list[tuple[str, bytes]],
) -> Iterator[Demo]:
    """The demo, played to its end; every exchange with the forge held to GitHub's description."""
    folder = tmp_path_factory.mktemp("demo")
    flow = Flow(folder, parts)
    flow.forge.validator = OpenApi()

    def keep(checkout: Path) -> None:
        for path in checkout.rglob("*"):
            if ".venv" not in path.parts and path.is_file() and path.stat().st_size < 1_000_000:
                place = f"{checkout.name}/{path.relative_to(checkout)}"
                checkouts.append((place, path.read_bytes()))

    flow.on_end = keep
    here = machine.start(machine_state)
    played = Demo(folder, lambda: here, flow, time.monotonic())
    played.play()
    played.finish()
    yield played
    flow.stop()
    assert flow.forge.violations == []


@pytest.fixture
def new_flow(parts: Parts, tmp_path: Path) -> Iterator[Callable[[], Flow]]:
    """Make a flow of the test's own: new repositories, the same engine and registry."""
    made: list[Flow] = []

    def make() -> Flow:
        # A name of its own in the shared registry: what one test pushes is not there for another.
        flow = Flow(tmp_path / "flow", replace(parts, registry=f"{parts.registry}/{tmp_path.name}"))
        made.append(flow)
        flow.create_repositories()
        return flow

    yield make
    for flow in made:
        flow.stop()
