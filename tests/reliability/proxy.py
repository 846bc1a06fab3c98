"""A small HTTP proxy in front of a real server, which fails, cuts, hangs or calls as it is told."""

from __future__ import annotations

import http.client
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


@dataclass
class Fault:
    """What the next `times` requests meet: a status, a cut, or a server that hangs.

    `when`: `before` they reach the real server, `after` it has done its work, or `within` its answer.
    """

    method: str
    path: str
    kind: Literal["status", "cut", "hang"] = "status"
    when: Literal["before", "after", "within"] = "before"
    times: int = 1
    status: int = 500
    headers: Mapping[str, str] = field(default_factory=dict)
    then: Callable[[], None] = lambda: None


class Proxy:
    """Stands on a port of its own before the server at `upstream` (host:port)."""

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self.faults: list[Fault] = []
        self.met: list[Fault] = []
        self.requests: list[tuple[str, str]] = []
        self.released = threading.Event()
        self.lock = threading.Lock()

        class Handler(_Handler):
            proxy = self

        self.server = _Server(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_port}"

    def inject(self, method: str, path: str, kind: str = "status", **more: object) -> None:
        """Let the next requests that match (expressions, from the start) meet a fault."""
        self.faults.append(Fault(method, path, kind, **more))  # type: ignore[arg-type]

    def take(self, method: str, path: str) -> Fault | None:
        with self.lock:
            self.requests.append((method, path))
            for fault in self.faults:
                if re.fullmatch(fault.method, method) and re.search(fault.path, path):
                    fault.times -= 1
                    if fault.times <= 0:
                        self.faults.remove(fault)
                    self.met.append(fault)
                    return fault
        return None


@contextmanager
def proxied(upstream: str) -> Iterator[Proxy]:
    """Serve a proxy before `upstream`; whatever still hangs at the end is let go."""
    proxy = Proxy(upstream)
    thread = threading.Thread(target=proxy.server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.released.set()
        proxy.server.shutdown()
        proxy.server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that cuts is no news here."""


class _Handler(BaseHTTPRequestHandler):
    proxy: Proxy
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        body = self._body()
        fault = self.proxy.take(self.command, self.path)
        try:
            if fault and fault.when == "before":
                self._fail(fault)
                return
            answer, content = self._forward(body)
            if fault and fault.when == "after":
                self._fail(fault)
                return
            self._head(answer.status, dict(answer.getheaders()), len(content))
            if self.command == "HEAD":
                return
            if fault and fault.when == "within":
                self.wfile.write(content[: len(content) // 2])
                self.wfile.flush()
                self._fail(fault)
                return
            self.wfile.write(content)
        except (ConnectionError, http.client.HTTPException):
            self.close_connection = True

    do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_GET  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            parts = []
            while size := int(self.rfile.readline().split(b";")[0] or b"0", 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _forward(self, body: bytes) -> tuple[http.client.HTTPResponse, bytes]:
        connection = http.client.HTTPConnection(self.proxy.upstream, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP}
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer, content

    def _fail(self, fault: Fault) -> None:
        fault.then()
        if fault.kind == "hang":
            self.proxy.released.wait(120)
        if fault.kind == "status":
            self._head(fault.status, fault.headers, 0)
        else:
            with suppress(OSError):
                self.connection.shutdown(2)
            self.close_connection = True

    def _head(self, status: int, headers: Mapping[str, str], size: int) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in HOP:
                self.send_header(name, value)
        if self.command == "HEAD" and "Content-Length" in headers:
            self.send_header("Content-Length", headers["Content-Length"])
        elif status != 304:
            self.send_header("Content-Length", str(size))
        self.end_headers()
