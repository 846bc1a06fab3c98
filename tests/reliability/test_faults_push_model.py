"""push-model against a registry that fails, refuses or is left in the middle: as if once, in order."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from proxy import Proxy, proxied
from pushes import Pusher, tool

UPLOAD = r"^/v2/.*/blobs/uploads/"


@pytest.fixture
def proxy(registry: str) -> Iterator[Proxy]:
    with proxied(registry) as one:
        yield one


@pytest.fixture
def pusher(tmp_path: Path, proxy: Proxy) -> Pusher:
    return Pusher(tmp_path, f"{proxy.address}/acme/{tmp_path.name.replace('_', '-').strip('-')}")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    file = tmp_path / "diabetes.onnx"
    file.write_bytes(tmp_path.name.encode() * 100_000)
    return file


def pulled(pusher: Pusher, reference: str) -> bytes:
    folder = pusher.folder / "pulled"
    tool("oras", "pull", "--plain-http", "--output", folder, reference)
    return (folder / "diabetes.onnx").read_bytes()


def test_a_registry_that_fails_is_asked_again(
    pusher: Pusher, proxy: Proxy, model: Path, survived: Counter[str]
) -> None:
    for method, path in (
        ("HEAD|GET", "/manifests/sha256:"),
        ("POST|PUT", UPLOAD),
        ("PUT", "/manifests/"),
    ):
        for status in (500, 429):
            proxy.inject(method, path, status=status)
    proxy.inject("PUT", "/manifests/", "cut", when="after")
    done = pusher.run(model, tags="v1.0.0")
    assert (done.code, done.outputs.get("operation")) == (0, "pushed"), done.log
    assert proxy.faults == [], "not all faults were met"
    assert pulled(pusher, done.outputs["artifact"]) == model.read_bytes()
    survived["of registries"] += len(proxy.met)


def test_a_registry_that_refuses_is_exit_4(pusher: Pusher, proxy: Proxy, model: Path) -> None:
    proxy.inject("POST", UPLOAD, status=403, times=99)
    done = pusher.run(model)
    assert done.code == 4 and "permissions: packages: write" in done.log, done.log
    assert done.outputs == {}


def test_a_tag_that_does_not_move_stays_and_all_else_is_done(
    pusher: Pusher, proxy: Proxy, model: Path, survived: Counter[str]
) -> None:
    first = pusher.run(model, tags="v1.0.0")
    model.write_bytes(b"another")
    proxy.inject("PUT", "/manifests/v1.0.0$", status=409, times=99)
    done = pusher.run(model, tags="v1.0.0")
    assert (done.code, done.outputs["operation"]) == (0, "pushed"), done.log
    assert "the tag v1.0.0 is another artifact's" in done.log
    proxy.faults.clear()
    words = ("manifest", "fetch", "--descriptor", "--plain-http")
    tagged = json.loads(tool("oras", *words, f"{pusher.artifact}:v1.0.0"))
    assert tagged["digest"] == first.outputs["digest"] != done.outputs["digest"]
    assert pulled(pusher, done.outputs["artifact"]) == b"another"
    survived["of registries"] += 1


def test_one_that_was_killed_is_completed_by_the_next(
    pusher: Pusher, proxy: Proxy, model: Path, survived: Counter[str]
) -> None:
    started: list[subprocess.Popen[str]] = []

    def kill() -> None:
        started[-1].kill()

    for method, path, when in (
        ("PUT", UPLOAD, "before"), ("PUT", UPLOAD, "after"), ("PUT", "/manifests/sha256:", "before"),
        ("PUT", "/manifests/sha256:", "after"), ("PUT", "/manifests/sha-", "before"),
    ):  # fmt: skip
        proxy.inject(method, path, "cut", when=when, then=kill)
        started.append(pusher.start(model, pusher.folder / "killed"))
        started[-1].communicate(timeout=300)
        assert started[-1].returncode == -9
        proxy.faults.clear()
    done = pusher.run(model)
    assert (done.code, done.outputs.get("operation")) == (0, "pushed"), done.log
    assert pulled(pusher, done.outputs["artifact"]) == model.read_bytes()
    assert not list((pusher.folder / "runner-temp").iterdir()), "a killed step left its folder"
    survived["of registries"] += len(started)


def test_two_at_once_are_as_one(pusher: Pusher, model: Path) -> None:
    two = [pusher.start(model, pusher.folder / f"out-{n}", tags="v1.0.0") for n in range(2)]
    logs = [one.communicate(timeout=300)[0] for one in two]
    assert [one.returncode for one in two] == [0, 0], logs
    assert "none" in (pusher.run(model, tags="v1.0.0").outputs["operation"])
