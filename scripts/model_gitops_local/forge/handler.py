"""One connection to the forge: reads a request, sends it where it belongs, and sends the answer."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import re
import shutil
import time
import uuid
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, NoReturn
from urllib.parse import parse_qsl, unquote, urlsplit

from model_gitops_local.forge import git_http, pages, pulls
from model_gitops_local.forge.api.answers import Answer, ApiError
from model_gitops_local.forge.faults import Fault
from model_gitops_local.forge.instance import Instance
from model_gitops_local.forge.state import Token

_GIT = re.compile(r"/([^/]+)/([^/]+?)(?:\.git)?(/(?:info/refs|git-upload-pack|git-receive-pack))")
_ARTIFACT = re.compile(r"/_forge/artifact/([0-9]+)\.zip")
_PAGE = re.compile(r"/([^/]+)/([^/]+?)(?:/(pull|commit|raw|blob)/(.+))?/?")


class _Dropped(Exception):
    """The connection is to be cut."""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    forge: Instance
    protocol_version = "HTTP/1.1"
    server_version = "model-gitops-forge"
    # Status line, headers and body are several writes: don't let Nagle hold them back.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer any method."""
        self._serve()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_GET  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        """Keep the terminal quiet: the forge has its own log."""

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        path = unquote(parts.path)
        # What is not below the server's path is not found.
        path = path.removeprefix(self.forge.base) if path.startswith(self.forge.base) else "/-"
        self.actor = ""
        self.fault: Fault | None = None
        self.sent = 0
        with TemporaryFile() as body:
            try:
                self._read(body)
                self.fault = fault = self.forge.take_fault(self.command, path)
                if fault:
                    time.sleep(fault.delay)
                if fault and fault.drop == "before":
                    self._drop(fault)
                if fault and fault.status is not None:
                    default = {"message": http.client.responses.get(fault.status, "Error")}
                    shown = default if fault.body is None else fault.body
                    self._json(Answer(fault.status, shown, dict(fault.headers)))
                else:
                    self._dispatch(path, dict(parse_qsl(parts.query, True)), parts.query, body)
            except (_Dropped, ConnectionError):
                self.close_connection = True
            except Exception as error:
                self.forge.violations.append(f"{self.command} {path}: {error!r}")
                self._json(Answer(500, {"message": f"Server Error: {error}"}))
        self.forge.log(self.command, path, self.sent, self.actor)

    def _read(self, body: IO[bytes]) -> None:
        """Copy the request's body, chunked or not, to a file."""
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body.write(self.rfile.read(size))
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
        else:
            body.write(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        body.seek(0)

    def _dispatch(self, path: str, query: dict[str, str], raw_query: str, body: IO[bytes]) -> None:
        prefix = self.forge.api_prefix
        if path.startswith(f"{prefix}/"):
            self._api(path.removeprefix(prefix).rstrip("/"), query, body.read())
        elif found := _ARTIFACT.fullmatch(path):
            self._artifact(int(found[1]))
        elif path == "/_forge/event":
            self._event(query)
        elif found := _GIT.fullmatch(path):
            self._git(f"{found[1]}/{found[2]}", found[3], raw_query, body)
        else:
            self._page(path)

    def _drop(self, fault: Fault) -> NoReturn:
        fault.then()
        raise _Dropped

    # Who is asking.

    def _token(self) -> tuple[bool, Token | None]:
        """Return whether the credentials, if any, are good, and what they stand for."""
        kind, _, value = self.headers.get("Authorization", "").partition(" ")
        if not value:
            return True, None
        if kind.lower() == "basic":
            try:
                value = base64.b64decode(value).decode().partition(":")[2]
            except ValueError:
                return False, None
        token = self.forge.tokens.get(value.strip())
        self.actor = token.login if token else ""
        return token is not None, token

    # The REST API.

    def _api(self, path: str, query: dict[str, str], body: bytes) -> None:
        good, token = self._token()
        if not good:
            return self._json(ApiError(401, "Bad credentials").answer)
        answer = self.forge.call_api(self.command, path, query, body, token)
        if self.fault and self.fault.drop == "after":
            self._drop(self.fault)
        return self._json(answer)

    # Sending.

    def _json(self, answer: Answer) -> None:
        body = answer.body
        content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        if answer.body is None:
            content = b""
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "X-GitHub-Request-Id": uuid.uuid4().hex.upper(),
            "X-GitHub-Media-Type": "github.v3; format=json",
            **self.forge.limits.headers(self.actor),
            **answer.headers,
        }
        status = answer.status
        if self.command == "GET" and status == 200:
            headers["ETag"] = f'W/"{hashlib.sha256(content).hexdigest()}"'
            if self.headers.get("If-None-Match") == headers["ETag"]:
                status, content = 304, b""
        self._send(status, headers, content)

    def _send(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
        self.sent = status
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _text(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        plain = {"Content-Type": "text/plain; charset=utf-8"}
        self._send(status, plain | dict(headers or {}), text.encode())

    # The forge's own addresses.

    def _event(self, query: dict[str, str]) -> None:
        """Return an event for a demo that runs the forge as a process of its own."""
        allowed = ("action", "branch", "before", "after", "sender")
        rest = {name: query[name] for name in allowed if name in query}
        kind, name = query.get("kind", ""), query.get("repository", "")
        try:
            event = self.forge.event(kind, name, int(query.get("number", 0)), **rest)
        except (LookupError, ValueError) as error:
            return self._json(ApiError(404, str(error)).answer)
        return self._json(Answer(200, event))

    def _artifact(self, number: int) -> None:
        """Send an archive, as the storage that GitHub redirects to: it must not get our token."""
        file = self.forge.artifact(number)
        if "Authorization" in self.headers:
            self._text(400, "InvalidAuthenticationInfo\n")
        elif file is None:
            self._text(404, "BlobNotFound\n")
        else:
            self._send(200, {"Content-Type": "application/zip"}, file.read_bytes())

    # Git.

    def _git(self, full_name: str, service_path: str, query: str, body: IO[bytes]) -> None:
        good, token = self._token()
        with self.forge.lock:
            found = self.forge.state.find(full_name)
        writes = "git-receive-pack" in (service_path + query)
        try:
            if not good:
                raise git_http.Refused(401, "Invalid username or token.")
            repository = git_http.allowed(found, token, writes=writes)
        except git_http.Refused as refused:
            return self._text(refused.status, refused.text, refused.headers)
        variables = {
            "PATH_INFO": service_path,
            "REQUEST_METHOD": self.command,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REMOTE_USER": self.actor,
            "REMOTE_ADDR": self.client_address[0],
        }
        with TemporaryFile() as output:
            git_http.serve(Path(repository.path), variables, body, output)
            if writes and self.command == "POST":
                with self.forge.lock:
                    if pulls.follow(repository, self.forge.state.find):
                        self.forge.state.save()
            if self.fault and self.fault.drop == "after":
                self._drop(self.fault)
            return self._cgi(output)

    def _cgi(self, output: IO[bytes]) -> None:
        """Send on what a CGI program wrote."""
        status, headers, size = git_http.read_head(output)
        if not headers:
            return self._text(500, "git http-backend gave no answer\n")
        self.sent = status
        self.send_response(status)
        for name, value in headers:
            if name.lower() != "content-length":
                self.send_header(name, value)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        return shutil.copyfileobj(output, self.wfile)

    # Pages. Whoever can reach the loopback is taken for a person who is signed in.

    def _page(self, path: str) -> None:
        with self.forge.lock:
            content = self._page_content(path)
        if content is None:
            return self._text(404, "Not Found\n")
        kind, data = content
        return self._send(200, {"Content-Type": kind, **pages.HEADERS}, data)

    def _page_content(self, path: str) -> tuple[str, bytes] | None:
        html = "text/html; charset=utf-8"
        if path == "/":
            return html, pages.index(self.forge.state)
        found = _PAGE.fullmatch(path)
        repository = self.forge.state.find(f"{found[1]}/{found[2]}") if found else None
        if found is None or repository is None:
            return None
        kind, rest = found[3], found[4]
        if kind in ("raw", "blob"):
            # Gitea says of which kind the name after it is.
            return pages.raw(repository, rest.removeprefix("commit/"))
        pulls.follow(repository, self.forge.state.find)
        makers: dict[str | None, Callable[[], bytes | None]] = {
            None: lambda: pages.repository(repository),
            "pull": lambda: pages.pull(repository, int(rest)) if rest.isdecimal() else None,
            "commit": lambda: pages.commit(repository, rest),
        }
        page = makers[kind]()
        return None if page is None else (html, page)
