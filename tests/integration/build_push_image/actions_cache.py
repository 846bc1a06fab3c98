"""A stand-in for the cache service of GitHub's runners, as far as BuildKit's `type=gha` asks it."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, unquote, urlsplit


def token(scope: str) -> str:
    """A runner's token, as far as its reader looks: which scope it may read and write."""
    now = {"nbf": 1_700_000_000, "exp": 4_000_000_000}
    claims = {**now, "ac": json.dumps([{"Scope": scope, "Permission": 3}])}
    parts = ({"alg": "HS256", "typ": "JWT"}, claims)
    words = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts
    ]
    return ".".join([*words, "c2ln"])


@dataclass
class ActionsCache:
    """What was kept, under which keys, and with which tokens it was asked for."""

    kept: dict[str, bytes] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)
    reads: int = 0
    address: str = ""
    _open: list[tuple[str, bytearray]] = field(default_factory=list)

    @contextmanager
    def serving(self) -> Iterator[ActionsCache]:
        """Serve the first version of the protocol at `address`."""
        cache = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self, status: int, value: object = None) -> None:
                body = b"" if value is None else json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def body(self) -> bytes:
                cache.tokens.add(self.headers.get("Authorization", "").removeprefix("Bearer "))
                if self.headers.get("Transfer-Encoding") != "chunked":
                    return self.rfile.read(int(self.headers.get("Content-Length") or 0))
                parts = []
                while size := int(self.rfile.readline(), 16):
                    parts.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(parts)

            def do_GET(self) -> None:
                self.body()
                path = urlsplit(self.path)
                if path.path.startswith("/kept/"):
                    content = cache.kept[unquote(path.path.removeprefix("/kept/"))]
                    cache.reads += 1
                    first, _, last = self.headers.get("Range", "bytes=0-")[6:].partition("-")
                    part = content[int(first) : int(last or len(content)) + 1]
                    self.send_response(206 if "Range" in self.headers else 200)
                    self.send_header("Content-Length", str(len(part)))
                    self.send_header(
                        "Content-Range",
                        f"bytes {first}-{int(first) + len(part) - 1}/{len(content)}",
                    )
                    self.end_headers()
                    self.wfile.write(part)
                    return
                wanted = parse_qs(path.query)["keys"][0].split(",")
                found = [key for one in wanted for key in cache.kept if key.startswith(one)]
                if not found:
                    self.answer(204)
                    return
                key = found[-1]
                self.answer(
                    200,
                    {
                        "archiveLocation": f"{cache.address}kept/{quote(key, safe='')}",
                        "cacheKey": key,
                        "scope": "",
                    },
                )

            def do_POST(self) -> None:
                given = json.loads(self.body())
                if self.path.endswith("/caches"):
                    cache._open.append((given["key"], bytearray()))
                    self.answer(201, {"cacheId": len(cache._open)})
                    return
                key, content = cache._open[int(self.path.rpartition("/")[2]) - 1]
                cache.kept[key] = bytes(content)
                self.answer(204)

            def do_PATCH(self) -> None:
                content = self.body()
                start = int(self.headers["Content-Range"].removeprefix("bytes ").partition("-")[0])
                whole = cache._open[int(self.path.rpartition("/")[2]) - 1][1]
                whole[start : start + len(content)] = content
                self.answer(204)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{server.server_port}/"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
