"""A real engine and BuildKit: named contexts, digests, published ports, and a clean end."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import time
import urllib.request
from pathlib import Path

import pytest

from model_gitops_local.engine import Builder, Engine, ensure_engine, remove_engine
from model_gitops_local.registry import Registry

pytestmark = pytest.mark.docker

DOCKERFILE = """\
ARG BASE_IMAGE
FROM scratch AS model
FROM ${BASE_IMAGE}
COPY --from=model /model.txt /srv/model.txt
WORKDIR /srv
USER 65534
CMD ["python3", "-m", "http.server", "8080"]
"""


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.txt").write_text("from the named context\n")
    (tmp_path / "image").mkdir()
    (tmp_path / "image" / "Dockerfile").write_text(DOCKERFILE)
    return tmp_path


def build(engine: Engine, builder: str, context: Path, base: str, *options: str) -> dict[str, str]:
    metadata = context / "metadata.json"
    chosen = ["--builder", builder] if builder else []
    engine.docker(
        *("buildx", "build", *chosen, *options, "--metadata-file", str(metadata)),
        *("--build-arg", f"BASE_IMAGE={base}", "--build-context", f"model={context / 'model'}"),
        context / "image",
    )
    answer: dict[str, str] = json.loads(metadata.read_text())
    return answer


def digest_in(registry: str, repository: str, tag: str) -> str | None:
    kinds = ("oci.image.index.v1", "oci.image.manifest.v1")
    docker = ("docker.distribution.manifest.list.v2", "docker.distribution.manifest.v2")
    accept = [f"application/vnd.{kind}+json" for kind in (*kinds, *docker)]
    connection = http.client.HTTPConnection(registry, timeout=5)
    headers = {"Accept": ", ".join(accept)}
    connection.request("HEAD", f"/v2/{repository}/manifests/{tag}", headers=headers)
    return connection.getresponse().getheader("Docker-Content-Digest")


def processes_of(text: str) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it ended while we looked
            found.append(process.read_bytes().decode(errors="replace").replace("\0", " "))
    return [line for line in found if text in line]


def test_the_pushed_digest_is_the_registrys(
    docker_engine: Engine, builder: str, registry: str, base_image: str, context: Path
) -> None:
    image = f"{registry}/test-engine/pushed:1"
    metadata = build(docker_engine, builder, context, base_image, "--tag", image, "--push")
    digest = metadata["containerimage.digest"]
    assert digest.startswith("sha256:")
    assert digest_in(registry, "test-engine/pushed", "1") == digest


def test_a_built_image_runs_and_is_reached_on_loopback(
    docker_engine: Engine, builder: str, base_image: str, context: Path
) -> None:
    image = "test-engine/loaded:1"
    build(docker_engine, builder, context, base_image, "--tag", image, "--load")
    run = ["run", "--detach", "--rm", "--read-only", "--publish", "127.0.0.1::8080", image]
    container = docker_engine.docker(*run).stdout.strip()
    try:
        address = docker_engine.docker("port", container, "8080").stdout.split()[0]
        assert address.startswith("127.0.0.1:")
        for _ in range(50):
            try:
                with urllib.request.urlopen(f"http://{address}/model.txt", timeout=5) as answer:
                    text = answer.read().decode()
                break
            except OSError:
                time.sleep(0.1)
        else:
            pytest.fail(docker_engine.docker("logs", container).stderr)
        assert text == "from the named context\n"
    finally:
        docker_engine.docker("rm", "--force", container)


def test_the_network_is_there_in_a_build(
    docker_engine: Engine, builder: str, base_image: str, context: Path
) -> None:
    (context / "image" / "Dockerfile").write_text(
        "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\n"
        "RUN python3 -m venv /opt/venv && /opt/venv/bin/pip install --no-deps iniconfig\n"
        "RUN apt-get update\n"
    )
    build(docker_engine, builder, context, base_image, "--no-cache")


def test_a_second_engine_in_a_deep_folder_lives_beside_the_first_and_leaves_nothing(
    docker_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not docker_engine.private:
        pytest.skip("this machine has an engine of its own, so none is started")
    state = tmp_path / ("deep-" * 20) / "state"
    state.mkdir(parents=True)
    bridges = set(Path("/sys/class/net").iterdir())
    try:
        second = ensure_engine(state)
        assert second.private
        assert second.host != docker_engine.host
        assert len(second.host.removeprefix("unix://")) < 108
        assert Builder(state).ensure(second) == Builder(state).name
        assert ensure_engine(state) == second
        assert set(Path("/sys/class/net").iterdir()) != bridges
    finally:
        remove_engine(state)
    assert list(state.iterdir()) == []
    assert not Path(second.host.removeprefix("unix://")).parent.exists()
    assert set(Path("/sys/class/net").iterdir()) == bridges
    assert str(state) not in Path("/proc/self/mountinfo").read_text()
    assert processes_of(str(state)) == []
    assert docker_engine.docker("version").returncode == 0


@pytest.mark.slow
def test_a_killed_engine_leaves_no_container_behind(
    docker_engine: Engine, base_image: str, tmp_path: Path
) -> None:
    if not docker_engine.private:
        pytest.skip("this machine has an engine of its own, so none is started")
    state = tmp_path / "killed"
    state.mkdir()
    engine = ensure_engine(state)
    try:
        archive = tmp_path / "base.tar"
        docker_engine.docker("save", "--output", archive, base_image)
        engine.docker("load", "--input", archive)
        marker = f"import time; time.sleep(900)  # {tmp_path.name}"
        engine.docker("run", "--detach", base_image, "python3", "-c", marker)
        os.kill(int((Path(engine.host[7:]).parent / "docker.pid").read_text()), signal.SIGKILL)
        assert len(processes_of(marker)) == 1
    finally:
        remove_engine(state)
    assert processes_of(marker) == []
    assert processes_of(str(state)) == []
    assert str(state) not in Path("/proc/self/mountinfo").read_text()
    assert list(state.iterdir()) == []


def test_the_private_builder_learns_a_new_registry(
    docker_engine: Engine, builder: str, registry: str, base_image: str, context: Path
) -> None:
    if not builder:
        pytest.skip("the engine's own builder is used, which trusts every registry on loopback")
    other = Registry(docker_engine.state / "other-registry")
    try:
        address = other.start()
        Builder(docker_engine.state).ensure(docker_engine, address)
        (context / "image" / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
        image = f"{address}/test-engine/other:1"
        metadata = build(docker_engine, builder, context, base_image, "--tag", image, "--push")
        assert digest_in(address, "test-engine/other", "1") == metadata["containerimage.digest"]
    finally:
        other.remove()
        assert Builder(docker_engine.state).ensure(docker_engine, registry) == builder
