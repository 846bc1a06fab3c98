"""The forge's server on loopback: the REST API, Git over smart HTTP, files and pages."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import re
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, Literal, NoReturn, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

from model_gitops.adapters import process
from model_gitops_local.forge import events, pages, pulls
from model_gitops_local.forge.api.answers import Answer, ApiError
from model_gitops_local.forge.api.dispatch import Api
from model_gitops_local.forge.api.routing import Route
from model_gitops_local.forge.limits import Limits
from model_gitops_local.forge.shapes import Json, Shapes
from model_gitops_local.forge.state import ALL_WRITE, Repository, Run, State, Token, now

_API = "/api/v3"
_GIT = re.compile(r"/([^/]+)/([^/]+?)(?:\.git)?(/(?:info/refs|git-upload-pack|git-receive-pack))")
_ARTIFACT = re.compile(r"/_forge/artifact/([0-9]+)\.zip")
_PAGE = re.compile(r"/([^/]+)/([^/]+?)(?:/(pull|commit|raw|blob)/(.+))?/?")
# GitHub lets a client ask for any commit it knows, leave out blobs, and never push to refs/pull.
_GIT_CONFIG = {
    "http.receivepack": "true",
    "uploadpack.allowAnySHA1InWant": "true",
    "uploadpack.allowFilter": "true",
    "receive.hideRefs": "refs/pull",
    "safe.directory": "*",
}


class Validator(Protocol):
    """Holds requests and answers to a description; returns what is wrong with them."""

    def check(
        self, route: Route, query: Mapping[str, str], body: bytes, answer: Answer
    ) -> list[str]:
        """Return the violations of one exchange."""
        ...


@dataclass
class Fault:
    """What is to go wrong with the next requests that match."""

    method: str
    path: str
    times: int = 1
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    drop: Literal["", "before", "after"] = ""
    delay: float = 0
    then: Callable[[], None] = lambda: None


class _Server(ThreadingHTTPServer):
    """Takes a burst of clients at once, as tests of races make."""

    daemon_threads = True
    request_queue_size = 128


class _Dropped(Exception):
    """The connection is to be cut."""


class Forge:
    """A stand-in for GitHub on loopback, over bare repositories, with state in `root`.

    With a `validator`, what breaks GitHub's description is collected in `violations`.
    """

    def __init__(self, root: Path, *, port: int = 0, validator: Validator | None = None) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.root = root
        self.port = port
        self.validator = validator
        self.violations: list[str] = []
        self.tokens: dict[str, Token] = {}
        self.state = State(root / "forge.json")
        self.faults: list[Fault] = []
        self.log_file = root / "requests.jsonl"
        self.lock = threading.RLock()
        self.limits = Limits()
        self._server: ThreadingHTTPServer | None = None

    # What a caller sets up.

    @property
    def url(self) -> str:
        """The web address, `http://127.0.0.1:PORT`: GITHUB_SERVER_URL."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def api_url(self) -> str:
        """The address of the REST API: GITHUB_API_URL."""
        return self.url + _API

    def add_repository(
        self, full_name: str, path: Path, *, private: bool = True, fork_of: str | None = None
    ) -> Repository:
        """Serve the bare repository at `path` as `owner/name`."""
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", full_name):
            raise ValueError(f"{full_name!r} is not of the form owner/name")
        with self.lock:
            return self.state.add(full_name, path.resolve(), private=private, fork_of=fork_of)

    def add_token(
        self,
        secret: str,
        login: str,
        permissions: Mapping[str, str] | None = None,
        repositories: list[str] | None = None,
    ) -> Token:
        """Let `secret` stand for `login`; without limits it may write everywhere."""
        names = None if repositories is None else frozenset(repositories)
        token = Token(login, ALL_WRITE if permissions is None else permissions, names)
        self.tokens[secret] = token
        return token

    def add_run(
        self,
        full_name: str,
        workflow: str,
        number: int,
        conclusion: str,
        artifacts: Mapping[str, Path],
    ) -> int:
        """Remember that `workflow` has ended for pull request `number`; return the run's number.

        `artifacts` are zip files by the artifact's name. Raises LookupError for what is not there.
        """
        with self.lock:
            repository = self.state.find(full_name)
            issue = repository.issue(number) if repository else None
            if repository is None or issue is None or issue.pull is None:
                raise LookupError(f"{full_name} has no pull request {number}")
            pull = issue.pull
            run = Run(
                *(self.state.new_id(), workflow, "pull_request"),
                *(pull.head_repository, pull.head, pull.head_sha, conclusion, now()),
                artifacts={name: str(path) for name, path in artifacts.items()},
                artifact_ids={name: self.state.new_id() for name in artifacts},
            )
            repository.runs.append(run)
            self.state.save()
            return run.id

    def artifact(self, number: int) -> Path | None:
        """Return the zip file of artifact `number`."""
        with self.lock:
            for repository in self.state.repositories.values():
                for run in repository.runs:
                    for name, artifact_id in run.artifact_ids.items():
                        if artifact_id == number:
                            return Path(run.artifacts[name])
        return None

    def fail_next(
        self,
        method: str,
        path: str,
        status: int = 500,
        *,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        times: int = 1,
    ) -> None:
        """Answer the next `times` requests whose path holds the expression `path` by `status`."""
        self.faults.append(Fault(method, path, times, status, headers or {}, body))

    def drop_next(
        self,
        method: str,
        path: str,
        *,
        when: Literal["before", "after"] = "before",
        times: int = 1,
        then: Callable[[], None] = lambda: None,
    ) -> None:
        """Cut the connection before the work is done, or after it and before the answer.

        `then` is called first, for a client that is to be dead when it happens.
        """
        self.faults.append(Fault(method, path, times, drop=when, then=then))

    def delay_next(self, method: str, path: str, seconds: float, *, times: int = 1) -> None:
        """Let the next matching requests wait."""
        self.faults.append(Fault(method, path, times, delay=seconds))

    def event(
        self,
        kind: str,
        full_name: str,
        number: int = 0,
        *,
        action: str = "",
        branch: str = "",
        before: str = "",
        after: str = "",
        sender: str = "",
    ) -> Json:
        """Return a webhook payload: `pull_request` (number, action), `push` (branch, …),
        `workflow_run` (number) or `schedule`.

        Raises LookupError for an unknown repository, pull request or kind.
        """
        with self.lock:
            repository = self.state.find(full_name)
            if repository is None:
                raise LookupError(f"no repository {full_name}")
            if pulls.follow(repository, self.state.find):
                self.state.save()
            if kind == "pull_request":
                return events.pull_request(self.api, repository, number, action, sender)
            if kind == "workflow_run":
                run = next((one for one in repository.runs if one.id == number), None)
                head = self.state.find(run.head_repository) if run else None
                if run is None or head is None:
                    raise LookupError(f"{full_name} has no workflow run {number}")
                return events.workflow_run(self.api, repository, head, run)
            if kind == "push":
                who = sender or repository.owner
                return events.push(self.api, repository, branch, before, after, sender=who)
            if kind == "schedule":
                return events.schedule(self.api, repository)
            raise LookupError(f"no event {kind!r}: pull_request, push, workflow_run or schedule")

    def requests(self) -> list[Json]:
        """Return the log: time, method, path, status and actor of every request."""
        if not self.log_file.exists():
            return []
        return [json.loads(line) for line in self.log_file.read_text("utf-8").splitlines()]

    # Running.

    def start(self) -> str:
        """Serve in a thread of this process; return the web address."""
        forge = self

        class Handler(_Handler):
            pass

        Handler.forge = forge
        self._server = _Server(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        self.api = Api(self.state, Shapes(self.url))
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self.url

    def stop(self) -> None:
        """Stop serving; the port is kept for another `start`."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> Forge:
        """Start serving."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop serving."""
        self.stop()

    # What the handler asks.

    def take_fault(self, method: str, path: str) -> Fault | None:
        """Return the fault that this request meets, and count it."""
        with self.lock:
            for fault in self.faults:
                if fault.method in (method, "*") and re.search(fault.path, path):
                    fault.times -= 1
                    if fault.times <= 0:
                        self.faults.remove(fault)
                    return fault
        return None

    def call_api(
        self, method: str, path: str, query: Mapping[str, str], body: bytes, token: Token | None
    ) -> Answer:
        """Answer a request of the REST API, validated if so wished."""
        method = "GET" if method == "HEAD" else method
        with self.lock:
            login = token.login if token else ""
            matched = self.api.match(method, path)
            # Asking how much is left costs nothing.
            asked = path == "/rate_limit"
            answer = None if asked else self.limits.admit(login, method)
            if answer is None:
                answer = self.api.handle(method, path, query, body, token)
            if asked and answer.status == 200:
                core = self.limits.shape(login)
                answer.body["resources"]["core"] = answer.body["rate"] = core
            if matched is not None:
                needs = "; ".join(need.replace(":", "=") for need in matched[0].needs)
                answer.headers.setdefault("X-Accepted-GitHub-Permissions", needs)
            if self.validator is not None and matched is not None:
                found = self.validator.check(matched[0], query, body, answer)
                self.violations += [f"{method} {path}: {problem}" for problem in found]
            return answer

    def log(self, method: str, path: str, status: int, actor: str) -> None:
        """Write one line to the log; neither headers nor the query, which may hold secrets."""
        entry = {
            "time": round(time.time(), 3),
            "method": method,
            "path": path,
            "status": status,
            "actor": actor,
        }
        with self.lock, self.log_file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    forge: Forge
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
        if path.startswith(f"{_API}/"):
            self._api(path.removeprefix(_API).rstrip("/"), query, body.read())
        elif found := _ARTIFACT.fullmatch(path):
            self._artifact(int(found[1]))
        elif path == "/_forge/event":
            self._event(query)
        elif found := _GIT.fullmatch(path):
            self._git(f"{found[1]}/{found[2]}", found[3], raw_query, body)
        else:
            self._page(path)

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

    def _drop(self, fault: Fault) -> NoReturn:
        fault.then()
        raise _Dropped

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

    def _text(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        plain = {"Content-Type": "text/plain; charset=utf-8"}
        self._send(status, plain | dict(headers or {}), text.encode())

    def _git(self, full_name: str, service_path: str, query: str, body: IO[bytes]) -> None:
        challenge = {"WWW-Authenticate": 'Basic realm="GitHub"'}
        good, token = self._token()
        if not good:
            return self._text(401, "Invalid username or token.\n", challenge)
        with self.forge.lock:
            repository = self.forge.state.find(full_name)
        writes = "git-receive-pack" in (service_path + query)
        hidden = repository is None or (repository.private and token is None)
        if token is None and (hidden or writes):
            return self._text(401, "No anonymous access.\n", challenge)
        if repository is None or (
            repository.private and token and not token.reaches(repository.full_name)
        ):
            return self._text(404, "Repository not found.\n")
        level = "write" if writes else "read"
        allowed = token is not None and token.reaches(repository.full_name)
        allowed = allowed and token is not None and token.allows("contents", level)
        if not allowed and (writes or repository.private):
            text = f"Permission to {repository.full_name}.git denied to {self.actor}.\n"
            return self._text(403, text)
        return self._backend(repository, service_path, query, body, writes)

    def _backend(
        self, repository: Repository, service_path: str, query: str, body: IO[bytes], writes: bool
    ) -> None:
        path = Path(repository.path)
        env = {
            "GIT_PROJECT_ROOT": str(path.parent),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": f"/{path.name}{service_path}",
            "REQUEST_METHOD": self.command,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REMOTE_USER": self.actor,
            "REMOTE_ADDR": self.client_address[0],
            "GIT_CONFIG_COUNT": str(len(_GIT_CONFIG)),
        }
        for index, (key, value) in enumerate(_GIT_CONFIG.items()):
            env |= {f"GIT_CONFIG_KEY_{index}": key, f"GIT_CONFIG_VALUE_{index}": value}
        with TemporaryFile() as output:
            process.pipe(["git", "http-backend"], stdin=body, stdout=output, env=env)
            if writes and self.command == "POST":
                with self.forge.lock:
                    if pulls.follow(repository, self.forge.state.find):
                        self.forge.state.save()
            if self.fault and self.fault.drop == "after":
                self._drop(self.fault)
            output.seek(0)
            self._cgi(output)

    def _cgi(self, output: IO[bytes]) -> None:
        """Send on what a CGI program wrote: headers, an empty line, the body."""
        status = 200
        headers = []
        while line := output.readline().decode("latin-1").strip():
            name, _, value = line.partition(":")
            if name.lower() == "status":
                status = int(value.split()[0])
            else:
                headers.append((name, value.strip()))
        start = output.tell()
        size = output.seek(0, 2) - start
        if not headers:
            return self._text(500, "git http-backend gave no answer\n")
        output.seek(start)
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
            return pages.raw(repository, rest)
        pulls.follow(repository, self.forge.state.find)
        makers: dict[str | None, Callable[[], bytes | None]] = {
            None: lambda: pages.repository(repository),
            "pull": lambda: pages.pull(repository, int(rest)) if rest.isdecimal() else None,
            "commit": lambda: pages.commit(repository, rest),
        }
        page = makers[kind]()
        return None if page is None else (html, page)
