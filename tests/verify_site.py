"""A site: a model that was deployed to dev, its service, and what knows the cluster; all small and real."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import checkouts
import pytest
import started

from model_gitops.adapters import process
from model_gitops.adapters.git import Git
from model_gitops.options import variable
from model_gitops_local.forge.gitea import strict_gitea
from model_gitops_local.forge.openapi import OpenApi
from model_gitops_local.forge.server import Forge

SCRIPTS = Path(__file__).parents[1] / "scripts"
MODEL, DEPLOY = "acme/churn", "acme/churn-deploy"
IMAGE = "ghcr.io/acme/churn"
TOKEN, WRITER, READER = "a-person", "github-actions-token", "deploy-reader"
HASH = "b" * 32
DIGEST, OTHER = f"sha256:{'1a2b' * 16}", f"sha256:{'9f8e' * 16}"
SMOKE = {
    "health": "/healthz",
    "timeout": 5,
    "requests": [
        {"path": "/predict", "json": {"x": 1}, "expect": {"json-contains": {"y": 2}}},
        {"path": "/missing", "expect": {"status": 404}},
    ],
}


@dataclass
class Server:
    """An HTTP server whose answers a test writes: `answers[path](request)` returns status, body, headers."""

    answers: dict[str, Callable[[Any], Any]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    tls: ssl.SSLContext | None = None

    def start(self) -> None:
        ours = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                ours.asked.append((self.path, self.headers.get("Authorization", "")))
                answer = ours.answers.get(self.path.partition("?")[0], lambda _: (404, b"no"))(self)
                if answer is None:
                    self.close_connection = True
                    return
                status, body, *headers = answer
                content = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in (headers[0] if headers else {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_GET  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if self.tls:
            # The handshake is each connection's own: one that fails must not end the others.
            self._server.socket = self.tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self._server.server_address[1]}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def slow(seconds: float, answer: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def later(request: Any) -> Any:
        time.sleep(seconds)
        return answer(request)

    return later


@dataclass
class Told:
    code: int
    outputs: dict[str, str]
    log: str
    summary: str

    @property
    def report(self) -> Any:
        return json.loads(self.outputs["report"])


@dataclass
class Site:
    """A model repository and a deploy repository on a forge, and the service of dev."""

    top: Path
    forge: Forge
    service: Server
    runs: int = 0
    commands: dict[str, str] = field(default_factory=dict)

    @property
    def work(self) -> Git:
        return Git(self.top / "work")

    def clone(self, repository: str, name: str) -> Git:
        url = f"{self.forge.url}/{repository}.git"
        return checkouts.clone(self.top / name, url, self.forge.url, TOKEN)

    def commit(
        self, git: Git, files: dict[str, str], message: str = "change", branch: str = "main"
    ) -> str:
        return checkouts.pushed(git, files, branch, message)

    def promotion(self, **more: Any) -> dict[str, Any]:
        return {
            "model": "churn",
            "image": IMAGE,
            "deploy": {"repository": DEPLOY},
            "environments": [
                {"name": "dev", "branch": "main"},
                {"name": "production", "branch": "production"},
            ],
            **({"commands": self.commands} if self.commands else {}),
            "verify": {"url": self.service.url, "timeout": "3s"},
            **more,
        }

    def rules(self, **verify: Any) -> str:
        """Push another `verify`; return the commit."""
        said = {"url": self.service.url, "timeout": "3s", **verify}
        return self.commit(
            self.work, {"promotion.yaml": json.dumps(self.promotion(verify=said))}, "Rules"
        )

    def deploy(
        self, commit: str, digest: str = DIGEST, version: str = "v0.0.1", env: str = "dev"
    ) -> None:
        """What bump-kustomize-tag commits."""
        text = (
            f"images:\n- name: churn\n  newName: {IMAGE}\n  newTag: {version}\n  digest: {digest}\n"
        )
        message = (
            f"Deploy\n\nModel: churn@{version}\nModel-Hash: {HASH}\nImage-Digest: {digest}\n"
            f"Source-Repository: {MODEL}\nSource-Commit: {commit}\n"
        )
        deploy = Git(self.top / "deploy")
        self.commit(deploy, {f"overlays/{env}/kustomization.yaml": text}, message)

    def run(
        self, action: str = "verify-deployment", *, env: dict[str, str] | None = None, **inputs: str
    ) -> Told:
        self.runs += 1
        place = self.top / f"run-{self.runs}"
        place.mkdir()
        (place / "out").touch()
        (place / "summary").touch()
        if action == "verify-deployment":
            inputs = {"environment": "dev", "source_token": WRITER, "token": READER, **inputs}
        given = {variable(name.replace("_", "-")): value for name, value in inputs.items()}
        told = started.run(
            action,
            cwd=self.work.directory,
            env={
                "GITHUB_API_URL": self.forge.api_url,
                "GITHUB_SERVER_URL": self.forge.url,
                "GITHUB_REPOSITORY": MODEL,
                "GITHUB_RUN_ID": str(self.runs),
                "GITHUB_OUTPUT": str(place / "out"),
                "GITHUB_STEP_SUMMARY": str(place / "summary"),
                **(env or {}),
                **given,
            },
        )
        outputs: dict[str, str] = {}
        lines = iter((place / "out").read_text("utf-8").splitlines())
        for line in lines:
            name, _, end = line.partition("<<")
            outputs[name] = "\n".join(iter(lambda end=end: next(lines), end))
        return Told(
            told.returncode,
            outputs,
            told.stdout + told.stderr,
            (place / "summary").read_text("utf-8"),
        )

    def statuses(self, commit: str) -> list[tuple[str, str, str]]:
        """The statuses of a commit, newest first: state, description, and the run's number."""
        from github import Auth, Github

        client = Github(auth=Auth.Token(TOKEN), base_url=self.forge.api_url, retry=None)
        found = client.get_repo(MODEL).get_commit(commit).get_statuses()
        assert all(one.context == "model-gitops/dev" for one in found)
        return [(one.state, one.description, one.target_url.rpartition("/")[2]) for one in found]


def good(service: Server, digest: str = DIGEST) -> None:
    """Let the service be the one that was deployed, and right."""
    version = {"name": "churn", "version": "v0.0.1", "hash": HASH, "image": None, "digest": digest}
    service.answers = {
        "/version": lambda _: (200, version),
        "/healthz": lambda _: (200, b"ok"),
        "/predict": lambda request: (200, {"y": 2 * json.loads(request.body)["x"]}),
    }


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="session")
def github_description() -> OpenApi:
    """GitHub's description of its API: it takes a second to read."""
    return OpenApi()


@pytest.fixture
def site(tmp_path: Path, github_description: OpenApi) -> Iterator[Site]:
    with (
        Forge(tmp_path / "forge", validator=github_description) as forge,
        made(tmp_path, forge) as one,
    ):
        yield one
    assert forge.violations == []


@pytest.fixture
def gitea_site(tmp_path: Path) -> Iterator[Site]:
    with strict_gitea(tmp_path / "forge", base="/git") as forge, made(tmp_path, forge) as one:
        yield one


@contextmanager
def made(tmp_path: Path, forge: Forge) -> Iterator[Site]:
    """Deploy a first version to dev, on a forge, with a service that answers rightly."""
    service = Server()
    service.start()
    good(service)
    forge.add_token(TOKEN, "ada")
    forge.add_token(
        WRITER, "github-actions[bot]", {"contents": "read", "statuses": "write"},
        repositories=[MODEL],
    )  # fmt: skip
    forge.add_token(READER, "reader[bot]", {"contents": "read"}, repositories=[DEPLOY])
    for name, repository in (("model", MODEL), ("deploy", DEPLOY)):
        bare = tmp_path / f"{name}.git"
        process.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", bare])
        forge.add_repository(repository, bare)
    site = Site(tmp_path, forge, service)
    overlays = {
        f"overlays/{name}/kustomization.yaml": f"images:\n- name: churn\n  newName: {IMAGE}\n  newTag: none\n"
        for name in ("dev", "production")
    }
    site.commit(site.clone(DEPLOY, "deploy"), overlays)
    files = {
        "promotion.yaml": json.dumps(site.promotion()),
        "tests/smoke.yaml": json.dumps(SMOKE),
        "dvc.yaml": "artifacts:\n  churn: {path: m.bin}\n",
        "m.bin.dvc": f"outs:\n- {{path: m.bin, hash: md5, md5: {HASH}}}\n",
    }
    site.deploy(site.commit(site.clone(MODEL, "work"), files))
    yield site
    service.stop()
