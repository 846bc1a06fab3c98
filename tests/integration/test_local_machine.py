"""A machine that is being made: what is needed first is there first, and nothing goes on after its end."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from model_gitops.adapters import process
from model_gitops.errors import ExternalError
from model_gitops_local import machine
from model_gitops_local.parts import first_parts_of


class Pieces:
    """Stand-ins of what takes minutes; `engine` is there when it is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.engine = threading.Event()
        self.made: list[str] = []
        self.builds = threading.Event()
        monkeypatch.setattr(machine.toolchain, "ensure_all", self.ensure_all)
        monkeypatch.setattr(machine.toolchain, "ensure", self.ensure)
        monkeypatch.setattr(machine.toolchain, "fetch_sources", lambda name: None)
        monkeypatch.setattr(machine.Registry, "start", lambda registry: "127.0.0.1:5000")
        monkeypatch.setattr(machine, "start_engine", self.start_engine)
        monkeypatch.setattr(machine, "ensure_base_image", lambda engine, address: f"{address}/base")
        monkeypatch.setattr(machine, "add_buildx", lambda engine, path: self.made.append("plugin"))
        monkeypatch.setattr(machine.Builder, "ensure", lambda builder, engine, address: "built")

    def ensure_all(self, names: tuple[str, ...]) -> dict[str, Path]:
        self.made += names
        return {name: Path(f"/tools/{name}/bin/{name}") for name in names}

    def ensure(self, name: str) -> Path:
        self.made.append(name)
        return Path("/tools", name)

    def start_engine(self, state: Path) -> Any:
        assert self.engine.wait(60)
        return "engine"


@pytest.fixture
def pieces(monkeypatch: pytest.MonkeyPatch) -> Pieces:
    return Pieces(monkeypatch)


def test_the_first_steps_do_not_wait_for_docker(pieces: Pieces, tmp_path: Path) -> None:
    with machine.Starting(tmp_path / "state") as starting:
        parts = first_parts_of(starting, tmp_path / "actions")
        assert (parts.registry, parts.base_image) == ("127.0.0.1:5000", "")
        assert parts.act == Path("/tools/act/bin/act")
        assert parts.environment["PATH"].startswith("/tools/act/bin")
        pieces.engine.set()
        here = starting.machine()
    assert (here.builder, here.base_image) == ("built", "127.0.0.1:5000/base")
    # The order of use; no kustomize, which the demo has no use for.
    assert pieces.made == ["act", "docker-buildx", "plugin"]


def test_what_still_runs_is_ended_with_it(
    pieces: Pieces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two builds in turn that would take an hour each."""
    started = threading.Event()
    ended: list[int] = []

    def build(name: str) -> Path:
        for _ in range(2):
            started.set()
            ended.append(process.run(["sleep", "3600"], check=False, timeout=None).returncode)
        raise ExternalError("it was ended")

    monkeypatch.setattr(machine.toolchain, "ensure", build)
    pieces.engine.set()
    with pytest.raises(RuntimeError, match="the demo failed"), machine.Starting(tmp_path):
        assert started.wait(60)
        raise RuntimeError("the demo failed")
    assert ended == [-15, -15]


def test_what_can_not_be_had_is_said(
    pieces: Pieces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(state: Path) -> Any:
        raise ExternalError("no engine", fix="install one")

    monkeypatch.setattr(machine, "start_engine", missing)
    with pytest.raises(ExternalError, match="no engine"):
        machine.start(tmp_path)
