"""Real parts for the tests that ask for them: nothing starts unless a test names a fixture."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import component_images as component_builds
import pytest
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling

from model_gitops_local import machine, toolchain
from model_gitops_local.base_image import ensure_base_image
from model_gitops_local.engine import Builder, Engine, ensure_engine
from model_gitops_local.registry import Registry
from model_gitops_local.wheel_table import LEFT_OUT

# A loaded machine is slow, and that is no fault of the code: nothing here is timed.
settings.register_profile("untimed", settings.default, deadline=None)
settings.load_profile("untimed")


class _LeftOut:
    """Packages that no light action gets can't be imported: all tests ask GitHub without them."""

    def find_spec(self, name: str, *_: object) -> None:
        if name.partition(".")[0] in LEFT_OUT:
            raise ModuleNotFoundError(name, name=name)


# Only PyJWT asks for them, once, when it is imported. What else is tested may have them.
sys.meta_path.insert(0, _LeftOut())  # type: ignore[arg-type]
import jwt  # noqa: E402

del sys.meta_path[0]
assert not jwt.algorithms.has_crypto

# Each `dvc` would write a report for its makers, and start a second one that sends it.
os.environ |= {"DVC_NO_ANALYTICS": "1", "DVC_DAEMON": "1"}

# What takes longest, in files that can't be shared out finely, begins early.
ORDER = ("cluster", "unit", "flow", "reliability", "integration")


# These look at one demo, which takes minutes: they run in one worker.
OF_THE_DEMO = {f"tests/flow/test_{name}.py" for name in ("audit", "demo", "planted_secrets")}


class ByFile(LoadFileScheduling):
    """The tests of a file run in one worker, in the order of ORDER; so do those that share what is slow."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        if file.startswith("tests/integration/kubeflow/"):
            return "kubeflow"  # they share the environment of kfp
        return "the demo" if file in OF_THE_DEMO else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    """Share the tests out among the workers of `make test`."""
    config.option.loadscopereorder = False
    return ByFile(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the kinds of tests in ORDER."""

    def kind(item: pytest.Item) -> int:
        return ORDER.index(item.path.relative_to(config.rootpath / "tests").parts[0])

    items.sort(key=kind)


@pytest.fixture(scope="session")
def tools_on_path() -> Iterator[None]:
    """Put act, kustomize, buildx and oras on PATH."""
    tools = toolchain.ensure_all(["act", "kustomize", "docker-buildx", "oras"])
    before = os.environ["PATH"]
    os.environ["PATH"] = os.pathsep.join([*(str(tool.parent) for tool in tools.values()), before])
    yield
    os.environ["PATH"] = before


@pytest.fixture(scope="session")
def machine_state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A state folder of this test run; whatever was started in it is removed at the end."""
    state = tmp_path_factory.mktemp("machine")
    yield state
    machine.remove(state)


@pytest.fixture(scope="session")
def registry(machine_state: Path) -> str:
    """The address of a registry, such as `127.0.0.1:5000`."""
    return Registry(machine_state / "registry").start()


@pytest.fixture(scope="session")
def docker_engine(machine_state: Path) -> Engine:
    """A Docker engine: this machine's, else a private one."""
    return ensure_engine(machine_state)


@pytest.fixture(scope="session")
def builder(docker_engine: Engine, registry: str) -> str:
    """The name for `docker buildx --builder`; "" means the engine's own."""
    return Builder(docker_engine.state).ensure(docker_engine, registry)


@pytest.fixture(scope="session")
def base_image(docker_engine: Engine, registry: str) -> str:
    """The reference of the Python base image in the registry."""
    return ensure_base_image(docker_engine, registry)


@pytest.fixture
def docker_environment(
    docker_engine: Engine, builder: str, monkeypatch: pytest.MonkeyPatch
) -> Engine:
    """Let this process, and what it starts, use the engine and its builder."""
    for name, value in docker_engine.variables().items():
        monkeypatch.setenv(name, value)
    return docker_engine


@pytest.fixture(scope="session")
def component_images(docker_engine: Engine, builder: str, base_image: str) -> dict[str, str]:
    """The images of the model template's components in the engine: step → name."""
    return component_builds.build(docker_engine, builder, base_image)
