"""The engine of a smoke test: what is said when it goes away in the middle."""

from __future__ import annotations

import http.client
import shutil
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from model_gitops.adapters import container_engine as adapter
from model_gitops.core.image.smoke import Request, SmokeTest
from model_gitops.errors import ExternalError
from model_gitops_local.engine import Engine

pytestmark = pytest.mark.docker


class Forwarder(socketserver.ThreadingTCPServer):
    """Passes connections on to the engine's socket, until it is told that the engine has gone."""

    daemon_threads = True
    gone = False
    socket_path = ""


class _Forward(socketserver.BaseRequestHandler):
    server: Forwarder

    def handle(self) -> None:
        with socket.socket(socket.AF_UNIX) as engine:
            engine.connect(self.server.socket_path)
            back = threading.Thread(target=self._copy, args=(engine, self.request), daemon=True)
            back.start()
            self._copy(self.request, engine)
            # Closed before, its number would be another file's, and read from.
            back.join(timeout=60)

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while (data := source.recv(65536)) and not self.server.gone:
                target.sendall(data)
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def forwarder(docker_engine: Engine) -> Iterator[Forwarder]:
    with Forwarder(("127.0.0.1", 0), _Forward) as server:
        server.socket_path = docker_engine.host.removeprefix("unix://")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_an_engine_that_goes_away_is_said(
    forwarder: Forwarder, docker_engine: Engine, base_image: str
) -> None:
    docker_engine.docker("pull", "--quiet", base_image)
    engine = adapter.Engine(f"tcp://127.0.0.1:{forwarder.server_address[1]}")
    test = SmokeTest(command=("python3", "-m", "http.server", "8080"), port=8080)
    name = ""
    try:
        with (
            pytest.raises(ExternalError, match="the Docker engine can't say how the container is"),
            engine.start(base_image, test) as container,
        ):
            assert container.state()[0] == "running"
            name = container.name
            forwarder.gone = True
            forwarder.server_close()
            with pytest.raises((OSError, http.client.HTTPException)):
                container.ask(Request(path="/nowhere", method="GET"), timeout=0.001)
            container.state()
    finally:
        assert shutil.which("docker")
        # It could not be removed by an engine that had gone.
        docker_engine.docker("rm", "--force", name)


def test_a_container_under_test_has_a_network_that_leads_nowhere(
    docker_engine: Engine, base_image: str
) -> None:
    docker_engine.docker("pull", "--quiet", base_image)
    engine = adapter.Engine(docker_engine.host)
    test = SmokeTest(command=("python3", "-m", "http.server", "8080"), port=8080)
    with engine.start(base_image, test) as container:
        until_answered(container)
        (name,) = container.attributes["NetworkSettings"]["Networks"]
        # The engine keeps such a network from all others, and from the way out.
        internal = docker_engine.docker("network", "inspect", "--format={{.Internal}}", name)
        assert internal.stdout.strip() == "true"
        assert not any((container.attributes["NetworkSettings"]["Ports"] or {}).values())
    assert name not in docker_engine.docker("network", "ls", "--format={{.Name}}").stdout


def until_answered(container: adapter.Container) -> None:
    for _ in range(100):
        try:
            container.state()
            assert container.ask(Request(path="/", method="GET"), timeout=5)[0] == 200
        except (OSError, http.client.HTTPException):
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the container never answered")
