"""The Docker engine's HTTP API: on a socket of this machine by the standard library, elsewhere by the SDK.

The SDK and its client of HTTP take longer to import than a test takes to start its container.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import urlencode

from model_gitops.adapters import docker_config

_ANSWER_SECONDS = 60
_PROXIES = ("http", "https", "ftp", "no")


class EngineFault(Exception):
    """The engine refuses a request, with this HTTP `status`, or does not answer: 0."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class _Sender(Protocol):
    def __call__(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[int, bytes]: ...


class EngineApi:
    """Requests to the engine at an address, of whatever kind docker's own command line takes."""

    def __init__(self, host: str) -> None:
        """Ask which version it speaks. Raises EngineFault where no engine answers."""
        config = docker_config.own_config()
        self._headers = {str(k): str(v) for k, v in (config.get("HttpHeaders") or {}).items()}
        proxies = config.get("proxies") or {}
        self._proxies: Mapping[str, Any] = proxies.get(host) or proxies.get("default") or {}
        self._prefix = ""
        socket_path = host.removeprefix("unix://")
        is_here = host.startswith("unix:///")
        self._send: _Sender = _on_socket(socket_path) if is_here else _by_sdk(host)
        self.version: Mapping[str, Any] = self.ask("GET", "/version")
        self._prefix = f"/v{self.version.get('ApiVersion', '')}"

    @property
    def proxy_variables(self) -> dict[str, str]:
        """What docker gives each container: the proxies that its own configuration names."""
        found = {one: str(self._proxies.get(f"{one}Proxy") or "") for one in _PROXIES}
        return {
            name: value
            for one, value in found.items()
            if value
            for name in (f"{one}_proxy", f"{one}_proxy".upper())
        }

    def ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, **query: str
    ) -> Any:
        """Return the JSON of the answer; None for an empty one. Raises EngineFault as `read`."""
        text = self.read(method, path, body, **query)
        try:
            return json.loads(text) if text else None
        except ValueError as error:
            raise EngineFault(f"it gave no JSON: {text[:200]!r}") from error

    def read(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, **query: str
    ) -> bytes:
        """Return the answer. Raises EngineFault where the engine refuses, or does not answer."""
        asked = f"{self._prefix}{path}{'?' if query else ''}{urlencode(query)}"
        sent = None if body is None else json.dumps(body).encode()
        headers = {
            **self._headers,
            **({} if body is None else {"Content-Type": "application/json"}),
        }
        status, text = self._send(method, asked, headers, sent)
        if status >= 400:
            raise EngineFault(f"{_message(text)} ({status})", status)
        return text


def _message(text: bytes) -> str:
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text[:200].decode("utf-8", errors="replace").strip() or "it gave no reason"


class _Connection(http.client.HTTPConnection):
    """HTTP on a socket of this machine."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_ANSWER_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _on_socket(socket_path: str) -> _Sender:
    def send(
        method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[int, bytes]:
        connection = _Connection(socket_path)
        try:
            connection.request(method, path, body, dict(headers))
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise EngineFault(f"{socket_path}: {error or type(error).__name__}") from error
        finally:
            connection.close()

    return send


def _by_sdk(host: str) -> _Sender:
    """Let the SDK find and reach the engine: by TCP, with or without TLS, by SSH, of a context."""
    import docker
    import requests

    try:
        # The SDK knows nothing of most docker contexts, so it is told the address.
        client: Any = docker.from_env(
            environment={**os.environ, **({"DOCKER_HOST": host} if host else {})}
        ).api
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise EngineFault(str(error)) from error

    def send(
        method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[int, bytes]:
        address = f"{client.base_url}{path}"
        try:
            answer = client.request(
                method, address, data=body, headers=dict(headers), timeout=_ANSWER_SECONDS
            )
        except requests.RequestException as error:
            raise EngineFault(str(error)) from error
        return int(answer.status_code), bytes(answer.content)

    return send
