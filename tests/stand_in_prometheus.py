"""What Argo Rollouts' controller asks: a Prometheus with one number for each question, and a service's `/readyz`."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

# What is in the query of each question, and in no other.
QUESTIONS = {"errors": "5..", "latency": "histogram_quantile", "drift": "model_prediction_value"}


class Asked:
    """What is answered, and what was asked."""

    def __init__(self) -> None:
        self.address = ""
        # By the question. [] where there is nothing to say, None where nobody answers.
        self.answers: dict[str, list[float] | None] = {}
        self.ready = True
        self.queries: list[tuple[str, str]] = []
        self.paths: list[str] = []

    def all_is_well(self) -> None:
        self.answers = {name: [0.0] for name in QUESTIONS}
        self.ready = True
        self.queries.clear()
        self.paths.clear()


@contextmanager
def answering() -> Iterator[Asked]:
    """Serve on a port of this machine."""
    asked = Asked()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            url = urlsplit(self.path)
            if url.path.endswith("/readyz"):
                asked.paths.append(url.path)
                self.say(
                    200 if asked.ready else 503, {"status": "ready" if asked.ready else "waiting"}
                )
                return
            assert url.path == "/api/v1/query", url.path
            (query,) = parse_qs(body or url.query)["query"]
            (name,) = (name for name, part in QUESTIONS.items() if part in query)
            asked.queries.append((name, query))
            answer = asked.answers[name]
            if answer is None:
                self.say(503, {"status": "error", "errorType": "unavailable", "error": "away"})
                return
            result = [{"metric": {}, "value": [time.time(), str(value)]} for value in answer]
            self.say(200, {"status": "success", "data": {"resultType": "vector", "result": result}})

        do_POST = do_GET  # noqa: N815

        def say(self, status: int, value: Any) -> None:
            text = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *words: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    asked.address = f"http://127.0.0.1:{server.server_address[1]}"
    asked.all_is_well()
    try:
        yield asked
    finally:
        server.shutdown()
        server.server_close()
