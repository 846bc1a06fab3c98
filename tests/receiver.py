"""A real receiver of notifications: an HTTP server that answers as it is told, and keeps what it got."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Receiver:
    """What arrived, and how each request is answered: a status, headers, and after how many seconds."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    slow: float = 0.0
    got: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    # Asked at each request, where the answer is to change.
    answer: Callable[[int], int] | None = None
    url: str = ""

    def __enter__(self) -> Receiver:
        told = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                told.got.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                time.sleep(told.slow)
                status = told.answer(len(told.got)) if told.answer else told.status
                self.send_response(status)
                for name, value in {**told.headers, "Content-Length": "0"}.items():
                    self.send_header(name, value)
                self.end_headers()

            do_GET = do_POST  # noqa: N815

            def log_message(self, *_: Any) -> None:
                return

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.host = f"127.0.0.1:{self._server.server_port}"
        self.url = f"http://{self.host}"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
