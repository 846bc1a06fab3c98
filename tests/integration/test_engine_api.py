"""The engine's API on a socket of this machine: what is sent, and what is said of a refusal."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from model_gitops.adapters.engine_api import EngineApi, EngineFault


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    asked: list[tuple[str, str, str | None]]


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append((self.command, self.path, self.headers["X-Team"]))
        answers = {
            "/version": (200, b'{"ApiVersion": "1.47"}'),
            "/v1.47/info?all=1": (200, b'{"Name": "here"}'),
            "/v1.47/odd": (200, b"<html>"),
            "/v1.47/images/none/json": (404, b'{"message": "No such image: none"}'),
        }
        status, body = answers.get(self.path, (500, b""))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "socket"

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    config = {
        "HttpHeaders": {"X-Team": "ml"},
        "proxies": {"default": {"httpProxy": "http://proxy:3128", "noProxy": "localhost"}},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.chdir(tmp_path)  # a socket's path may have some hundred letters only
    with Server("engine.sock", _Handler) as made:
        made.asked = []
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield made
        made.shutdown()


@pytest.fixture
def api(server: Server, tmp_path: Path) -> EngineApi:
    return EngineApi(f"unix://{tmp_path}/engine.sock")


def test_asks_in_the_engines_version_with_dockers_own_headers(
    server: Server, api: EngineApi
) -> None:
    assert api.ask("GET", "/info", all="1") == {"Name": "here"}
    assert server.asked == [("GET", "/version", "ml"), ("GET", "/v1.47/info?all=1", "ml")]


def test_knows_the_proxies_that_docker_gives_each_container(api: EngineApi) -> None:
    assert api.proxy_variables == {
        "http_proxy": "http://proxy:3128", "HTTP_PROXY": "http://proxy:3128",
        "no_proxy": "localhost", "NO_PROXY": "localhost",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("path", "said", "status"),
    [
        ("/images/none/json", r"No such image: none \(404\)", 404),
        ("/fails", r"it gave no reason \(500\)", 500),
        ("/odd", "it gave no JSON: b'<html>'", 0),
    ],
)
def test_says_why_the_engine_refuses(api: EngineApi, path: str, said: str, status: int) -> None:
    with pytest.raises(EngineFault, match=said) as caught:
        api.ask("GET", path)
    assert caught.value.status == status


def test_says_that_nobody_answers(tmp_path: Path) -> None:
    with pytest.raises(EngineFault, match=r"engine\.sock: .*No such file") as caught:
        EngineApi(f"unix://{tmp_path}/engine.sock")
    assert caught.value.status == 0
