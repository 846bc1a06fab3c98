"""A training pipeline to run: the deploy template's overlays on a forge, and stand-ins for Argo's two APIs.

The stand-ins are held to what Argo Workflows publishes: each request and each answer of its server to
`api/openapi-spec/swagger.json`, each resource that is made in Kubernetes to its CustomResourceDefinition.
"""

from __future__ import annotations

import copy
import functools
import json
import re
import subprocess
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import manifest_checks
import pytest
import yaml
from jsonschema import Draft4Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4
from verify_site import DEPLOY, MODEL, TOKEN, WRITER, Site, Told, made

from model_gitops.adapters.git import Git
from model_gitops_local import toolchain
from model_gitops_local.forge.openapi import OpenApi
from model_gitops_local.forge.server import Forge

TRAINING = manifest_checks.TEMPLATE / "training"
STEPS = ("preprocess", "train", "test", "deploy")
SECRET = "s3cret-of-argo"
NAMESPACE, WORKFLOW = "diabetes-training-staging", "diabetes-training"
CONTEXT = "model-gitops/training-staging"
LABEL = "workflows.argoproj.io/cron-workflow"


def digest(word: str) -> str:
    return f"sha256:{(word.encode().hex() * 64)[:64]}"


def image_lines(word: str, *steps: str) -> str:
    """Return the images of steps, made of `word`, as bump-kustomize-tag takes them."""
    return "\n".join(
        f"diabetes-{one}=ghcr.io/acme/diabetes-{one}:{word}@{digest(f'{word}-{one}')}"
        for one in steps or STEPS
    )


def built(folder: Path) -> list[Any]:
    """Return what kustomize builds of a folder."""
    words = [toolchain.ensure("kustomize"), "build", folder]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    return list(yaml.safe_load_all(done.stdout))


@functools.cache
def swagger() -> Any:
    """Argo's description of its API, whose objects take no field that they do not name."""
    (version,) = [
        f"{one['module']}@{one['version']}"
        for one in manifest_checks.TABLE["custom-resources"]
        if one["module"] == "github.com/argoproj/argo-workflows/v3"
    ]
    done = subprocess.run(
        ["go", "mod", "download", "-json", version],
        check=True, capture_output=True, text=True, env=manifest_checks.environment(), cwd="/",
    )  # fmt: skip
    path = Path(json.loads(done.stdout)["Dir"]) / "api" / "openapi-spec" / "swagger.json"
    found = json.loads(path.read_text("utf-8"))
    for one in found["definitions"].values():
        if "properties" in one:
            one.setdefault("additionalProperties", False)
    return found


@functools.cache
def _validator(reference: str) -> Draft4Validator:
    described = Resource.from_contents(swagger(), default_specification=DRAFT4)
    registry = Registry().with_resource("urn:argo", described).crawl()
    return Draft4Validator({"$ref": f"urn:argo{reference}"}, registry=registry)


class Argo:
    """A namespace of a cluster with Argo Workflows: what was applied, and what runs.

    Each look at a run brings it one state on, to `outcome`; None: it never ends. `broken` are answers of
    the next requests: (status, body).
    """

    def __init__(self) -> None:
        self.cron: Any = None
        self.template: Any = None
        self.runs: dict[str, Any] = {}
        self.outcome: str | None = "Succeeded"
        self.failed_step, self.message = "train", "OOMKilled (exit code 137)"
        self.broken: list[tuple[int, Any]] = []
        self.asked: list[tuple[str, str]] = []
        self.tokens: set[str] = set()
        self.violations: list[str] = []
        self.started: list[Any] = []
        self.on_request: Any = lambda: None
        self._lock = threading.Lock()
        self._made = 0

    def apply(self, manifests: list[Any]) -> None:
        """What Argo CD does at a sync."""
        for one in manifests:
            if one["kind"] == "WorkflowTemplate":
                self.template = one
            if one["kind"] == "CronWorkflow":
                self.cron = copy.deepcopy(one)
                self.cron["metadata"]["uid"] = "0b1c2d3e"

    def make(self, name: str, spec: Any, labels: Mapping[str, str]) -> Any:
        self._made += 1
        moment = f"2026-11-30T10:00:{self._made:02}Z"
        run = {
            "metadata": {"name": name, "namespace": NAMESPACE, "labels": dict(labels), "creationTimestamp": moment},
            "spec": spec,
        }  # fmt: skip
        self.runs[name] = run
        return run

    def finished(self, name: str, phase: str) -> None:
        """A run of the CronWorkflow as it is applied now, which nobody here started."""
        run = self.make(name, copy.deepcopy(self.cron["spec"]["workflowSpec"]), {LABEL: WORKFLOW})
        run["status"] = {"phase": phase, "storedWorkflowTemplateSpec": self.template["spec"]}

    def go_on(self, run: Any) -> None:
        """What the controller does between two looks."""
        phase = run.get("status", {}).get("phase", "")
        if phase in ("Succeeded", "Failed", "Error"):
            return
        if not phase:
            run["status"] = {"phase": "Pending", "message": "Waiting for lock", "nodes": {}}
            run["status"]["storedWorkflowTemplateSpec"] = copy.deepcopy(self.template["spec"])
        elif phase == "Pending" or self.outcome is None:
            run["status"].update(phase="Running", message="", nodes=self._nodes("Running"))
        else:
            run["status"].update(phase=self.outcome, nodes=self._nodes(self.outcome))

    def _nodes(self, phase: str) -> Any:
        nodes = {}
        for place, name in enumerate(("fetch", "preprocess", "train")):
            is_last = name == self.failed_step
            nodes[name] = {
                "id": name, "name": f"r.{name}", "displayName": name, "type": "Pod",
                "phase": phase if is_last else "Succeeded",
                "startedAt": f"2026-11-30T10:01:0{place}Z",
                **({"message": self.message} if is_last and phase in ("Failed", "Error") else {}),
            }  # fmt: skip
            if is_last:
                break
        return nodes

    # --- the two APIs -----------------------------------------------------------------------------------

    def answer(self, method: str, target: str, body: Any) -> tuple[int, Any]:
        with self._lock:
            self.on_request()
            if self.broken:
                return self.broken.pop(0)
            parts = urlsplit(target)
            if parts.path.startswith("/apis/"):
                return self._of_kubernetes(method, parts.path, parse_qs(parts.query), body)
            return self._of_server(method, parts.path, parse_qs(parts.query), body)

    def _of_kubernetes(self, method: str, path: str, query: Any, body: Any) -> tuple[int, Any]:
        place = f"/apis/argoproj.io/v1alpha1/namespaces/{NAMESPACE}/"
        kind, _, name = path.removeprefix(place).partition("/")
        if method == "POST" and kind == "workflows":
            self.violations += manifest_checks.problems(body)
            return self._start(
                body["metadata"]["name"], body["spec"], body["metadata"]["labels"], body
            )
        found = {"cronworkflows": self.cron, "workflowtemplates": self.template}.get(kind)
        return self._found(kind == "workflows", name, query.get("labelSelector"), found)

    def _of_server(self, method: str, path: str, query: Any, body: Any) -> tuple[int, Any]:
        template, described = _described(method, path)
        if described is None:
            self.violations.append(f"there is no {method} {path}")
            return 404, {"code": 5, "message": "Not Found"}
        known = {one["name"] for one in described["parameters"] if one["in"] == "query"}
        self.violations += [f"{path} takes no {one}" for one in set(query) - known]
        for one in described["parameters"]:
            if one["in"] == "body":
                self._hold(one["schema"], body, f"the request {path}")
        kind, name = path.split("/")[3], unquote(path.split("/")[5]) if path.count("/") > 4 else ""
        if template.endswith("/submit"):
            options = body["submitOptions"]
            spec = copy.deepcopy(self.cron["spec"]["workflowSpec"])
            spec["arguments"] = {
                "parameters": [
                    dict(zip(("name", "value"), one.split("=", 1), strict=True))
                    for one in options["parameters"]
                ]
            }
            status, answer = self._start(options["name"], spec, {LABEL: body["resourceName"]}, body)
        else:
            one = {"cron-workflows": self.cron, "workflow-templates": self.template}.get(kind)
            selector = query.get("listOptions.labelSelector")
            status, answer = self._found(kind == "workflows", name, selector, one)
        if status == 200:
            self._hold(described["responses"]["200"]["schema"], answer, f"the answer to {path}")
        return status, answer

    def _found(self, is_run: bool, name: str, selector: Any, other: Any) -> tuple[int, Any]:
        missing = (404, {"code": 5, "message": f"{name!r} not found"})
        if not is_run:
            is_there = other is not None and other["metadata"]["name"] == name
            return (200, other) if is_there else missing
        if not name:
            key, _, value = selector[0].partition("=")
            runs = [
                one for one in self.runs.values() if one["metadata"]["labels"].get(key) == value
            ]
            for one in runs:
                self.go_on(one)
            # Without runs both APIs say null.
            return 200, {"metadata": {}, "items": runs or None}
        if name not in self.runs:
            return missing
        self.go_on(self.runs[name])
        return 200, self.runs[name]

    def _start(self, name: str, spec: Any, labels: Any, body: Any) -> tuple[int, Any]:
        if name in self.runs:
            return 409, {"code": 6, "message": f"workflows.argoproj.io {name!r} already exists"}
        self.started.append(body)
        return 200, self.make(name, spec, labels)

    def _hold(self, schema: Any, value: Any, what: str) -> None:
        given = json.loads(json.dumps(value))
        if isinstance(given, dict) and given.get("items", "") is None:
            given["items"] = []
        for error in _validator(schema["$ref"]).iter_errors(given):
            self.violations.append(
                f"{what}: {'.'.join(map(str, error.path))}: {error.message[:300]}"
            )


def _described(method: str, path: str) -> tuple[str, Any]:
    """Return the path of Argo's description that a request is for."""
    for template, methods in swagger()["paths"].items():
        pattern = re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(template))
        if re.fullmatch(pattern, path) and method.lower() in methods:
            return template, methods[method.lower()]
    return "", None


class ArgoServer:
    """The stand-in on a port of this machine."""

    def __init__(self, argo: Argo, tls: Any = None) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                argo.asked.append((self.command, self.path))
                argo.tokens.add(self.headers.get("Authorization", ""))
                status, body = argo.answer(
                    self.command, self.path, json.loads(sent) if sent else None
                )
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_GET  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if tls:
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class TrainingSite:
    """A model repository and a deploy repository with the template's training/, and an Argo."""

    def __init__(self, site: Site, argo: Argo, server: ArgoServer) -> None:
        self.site, self.argo, self.server = site, argo, server
        files = {
            f"training/{path.relative_to(TRAINING)}": path.read_text("utf-8")
            for path in TRAINING.rglob("*.yaml")
        }
        self.deploy = Git(site.top / "deploy")
        site.commit(self.deploy, files, "Train")
        self.commit = self.rules()

    def rules(self, **training: Any) -> str:
        promotion = {
            "model": "diabetes",
            "image": "ghcr.io/acme/diabetes",
            "deploy": {"repository": DEPLOY},
            "environments": [
                {"name": one, "branch": branch}
                for one, branch in (("dev", "main"), ("staging", "staging"), ("production", "production"))
            ],
            "training": training,
        }  # fmt: skip
        return self.site.commit(self.site.work, {"promotion.yaml": json.dumps(promotion)}, "Rules")

    def bump(
        self, images: str, environment: str = "staging", *, commit: str = "", **more: str
    ) -> Told:
        """What components.yml does."""
        return self.site.run(
            "bump-kustomize-tag",
            repository=DEPLOY,
            path=f"training/overlays/{environment}",
            images=images,
            trailers=f"Source-Repository: {MODEL}\nSource-Commit: {commit or self.commit}",
            token=TOKEN,
            **more,
        )

    def overlay(self, environment: str = "staging", branch: str = "main") -> list[Any]:
        """Return what kustomize builds of an overlay as it is in the deploy repository."""
        self.deploy.run("fetch", "--quiet", "origin", branch)
        self.deploy.run("checkout", "--quiet", "--detach", "FETCH_HEAD")
        return built(self.deploy.directory / "training" / "overlays" / environment)

    def sync(self) -> None:
        """What Argo CD does."""
        self.argo.apply(self.overlay())

    def run(self, **inputs: str) -> Told:
        given = {
            "environment": "staging", "token": "deploy-reader", "source_token": WRITER,
            "argo_server": self.server.url, "argo_token": SECRET, "timeout": "30s", **inputs,
        }  # fmt: skip
        return self.site.run("run-training", **{key: one for key, one in given.items() if one})

    def check(self, **inputs: str) -> Told:
        return self.run(operation="check", **inputs)

    def believe(self, **inputs: str) -> Told:
        """Ask for evidence where no engine can be asked."""
        return self.check(argo_server="", argo_token="", **inputs)

    def statuses(self, commit: str = "") -> list[tuple[str, str, str]]:
        """The statuses of a commit, newest first: state, description and address."""
        from github import Auth, Github

        client = Github(auth=Auth.Token(TOKEN), base_url=self.site.forge.api_url, retry=None)
        found = client.get_repo(MODEL).get_commit(commit or self.commit).get_statuses()
        assert all(one.context == CONTEXT for one in found)
        return [(one.state, one.description, one.target_url) for one in found]


@pytest.fixture
def training(tmp_path: Path, github_description: OpenApi) -> Iterator[TrainingSite]:
    argo = Argo()
    server = ArgoServer(argo)
    with (
        Forge(tmp_path / "forge", validator=github_description) as forge,
        made(tmp_path, forge) as site,
    ):
        yield TrainingSite(site, argo, server)
    server.stop()
    assert forge.violations == []
    assert argo.violations[:5] == []
    assert argo.tokens <= {f"Bearer {SECRET}"}
