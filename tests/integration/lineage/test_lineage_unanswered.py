"""What one server does not answer is unknown: said once, with what to do, and all else is shown."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from world import READER, World

pytestmark = pytest.mark.docker


class Server:
    """A server that answers each request with one status, and counts them."""

    def __init__(self, status: int) -> None:
        self.asked: list[str] = []
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                self.send_response(status)
                if status == 401:
                    self.send_header("WWW-Authenticate", 'Basic realm="registry"')
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(b'{"message": "no"}')

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_port}"
        Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    one = Server(request.param)
    yield one
    one.stop()


def rows_of(shown: str) -> list[list[str]]:
    return [line.split()[:3] for line in shown.splitlines() if re.match(r"[✓✗]  \S+ +[v–]", line)]


RIGHT = [["✓", name, "v0.0.1"] for name in ("dev", "staging", "production")] + [["✓", "empty", "–"]]


def notes_of(shown: str) -> list[str]:
    return [line for line in shown.splitlines() if line.startswith("? ")]


@pytest.mark.parametrize("server", [401], indirect=True)
def test_a_login_that_the_registry_refuses_hides_nothing_else(world: World, server: Server) -> None:
    world.work.run("checkout", "--quiet", "--detach", "origin/production")
    file = world.work.directory / "promotion.yaml"
    before = file.read_text("utf-8")
    inputs = {"token": READER, "source_token": READER, "username": "ada", "password": "expired"}
    # The registry of the world takes any login, so another one is named.
    file.write_text(before.replace(world.registry, server.address), "utf-8")
    told = world.run("status", **inputs)
    assert told.code == 0, told.log
    assert [row[1:] for row in rows_of(told.answer)] == [row[1:] for row in RIGHT]
    # trace-model asks for one thing, and fails where that can't be said.
    told = world.run("trace-model", subject="production", **inputs)
    assert (told.code, f"login to {server.address} was refused" in told.log) == (4, True)


def test_a_refused_login_to_the_image_s_own_registry_leaves_its_links_unknown(
    world: World,
) -> None:
    """The login fails before the registry could be asked: every link to it is unknown, none broken."""
    inputs = {"token": READER, "source_token": READER, "username": "ada", "password": "expired"}
    folder = world.top / "refusing"
    folder.mkdir(exist_ok=True)
    (folder / "docker").write_text(
        '#!/bin/sh\ncase " $* " in *" login "*) echo "denied: expired" >&2; exit 1;; esac\n'
        'echo "the registry was asked all the same" >&2; exit 1\n',
        "utf-8",
    )
    (folder / "docker").chmod(0o755)
    world.env["PATH"] = f"{folder}:{os.environ['PATH']}"
    try:
        told = world.run("status", check="true", **inputs)
    finally:
        del world.env["PATH"]
    assert told.code == 0, told.log
    assert rows_of(told.answer) == RIGHT
    (note,) = notes_of(told.answer)
    assert note.startswith(f"? registry: the registry can't be asked: login to {world.registry} was refused: denied: expired")  # fmt: skip
    assert "To do: check that `username` and `password` are an account's" in note


@pytest.mark.parametrize("server", [401, 403, 404, 500], indirect=True)
def test_an_api_that_refuses_or_fails_hides_nothing_else(world: World, server: Server) -> None:
    world.env["GITHUB_API_URL"], before = f"http://{server.address}", world.env["GITHUB_API_URL"]
    try:
        told = world.run("status", check="true", token=READER, source_token=READER)
    finally:
        world.env["GITHUB_API_URL"] = before
    assert told.code == 0, told.log
    assert rows_of(told.answer) == RIGHT
    notes = notes_of(told.answer)
    assert len(notes) == 2, notes  # one of each repository
    deploy, model = sorted(notes)
    assert deploy.startswith(
        "? deploy pull request: the pull requests of acme/deploy can't be asked"
    )
    assert model.startswith(
        (
            "? pull request, open pull requests: the pull requests of acme/diabetes",
            "? open pull requests, pull request: the pull requests of acme/diabetes",
        )
    )
    assert all("To do: " in note for note in notes)
