"""verify.yml finds that production answers wrongly, rollback.yml takes it back, and the audit is green."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from world import HASHES, World, fingerprint, push_image

from model_gitops.adapters import process
from model_gitops.core.deploy.trailers import read_trailers
from model_gitops_local import act
from model_gitops_local.flow import DEPLOY, MODEL, Flow

OVERLAY = "overlays/production"
VERSIONS = {1: "better", 2: "worse"}


@contextmanager
def service(number: int) -> Iterator[str]:
    """Serve as the template does, by its address: version `number` answers no request rightly."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            said = {
                "name": "diabetes",
                "version": f"v0.0.{number}",
                "hash": HASHES[VERSIONS[number]],
            }
            self.answer(200 if self.path == "/version" else 404, said)

        def do_POST(self) -> None:
            self.answer(500, {"error": {"code": 500}})

        def answer(self, status: int, said: object) -> None:
            body = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def start(flow: Flow, url: str) -> dict[int, str]:
    """Let production run v0.0.2 over v0.0.1, each deployed by our own actions; return the digests."""
    image = f"{flow.parts.registry}/acme/diabetes"
    rules = {
        "model": "diabetes",
        "image": image,
        "deploy": {"repository": DEPLOY},
        "environments": [{"name": "production", "branch": "main"}],
        "verify": {"url": url, "integration": "tests/smoke.yaml", "on-failure": "rollback"},
    }
    host, _, name = image.partition("/")
    digests = {}
    for number, model in VERSIONS.items():
        one = World(flow.root, host, flow.forge, {})
        files = {**one.files(model, 10 + number), "promotion.yaml": json.dumps(rules)}

        def write(folder: Path, files: dict[str, str] = files) -> None:
            for path, text in files.items():
                (folder / path).write_text(text, "utf-8")

        flow.commit(f"experiment/{model}", write, f"Train {model}")
        pull = flow.open_pull_request(f"experiment/{model}", "main", f"Train {model}")
        flow.approve(pull)
        commit = flow.merge(pull)
        digests[number] = push_image(host, name, commit, one.labels(commit, model))
        run(
            flow, "bump-kustomize-tag", "--repository", DEPLOY, "--path", OVERLAY,
            "--images", f"diabetes={image}:{commit}@{digests[number]}",
            "--trailers", f"Model: diabetes@v0.0.{number}\nModel-Hash: {HASHES[model]}\n"
            f"Source-Repository: {MODEL}\nSource-Commit: {commit}\n"
            f"Image-Fingerprint: {fingerprint(model)}",
        )  # fmt: skip
        run(flow, "gto-register-stage", "--model", "diabetes", "--stage", "production")
    return digests


def run(flow: Flow, *command: str) -> None:
    """Run an action as the deploy job does, in a checkout of main."""
    clone = flow.clone(MODEL, "main", flow.root / "new" / "deploy-job")
    process.run(
        [act.ROOT / "scripts" / "run.sh", *command],
        cwd=clone.directory,
        env={
            **flow.parts.environment,
            "MODEL_GITOPS_TOKEN": flow.tokens["DEPLOY_TOKEN"],
            "GITHUB_SERVER_URL": flow.forge.url,
            "GITHUB_API_URL": flow.forge.api_url,
            "GITHUB_REPOSITORY": MODEL,
        },
    )


def said(flow: Flow) -> dict[str, list[str]]:
    """The trailers of the last deploy commit."""
    message = flow.bare(DEPLOY).run("log", "-1", "--format=%B", "main")
    return {key: list(value) for key, value in read_trailers(message).items()}


def overlay(flow: Flow) -> str:
    return flow.bare(DEPLOY).file_at("main", f"{OVERLAY}/kustomization.yaml") or ""


def expect_a_green_audit(flow: Flow) -> None:
    audit = flow.scheduled("audit.yml")
    assert audit.status == 0, (audit.failed_step, audit.errors)
    outputs = {key: value for one in audit.outputs.values() for key, value in one.items()}
    assert (outputs["in-sync"], outputs["verified"]) == ("true", "true")


def test_a_failed_verification_takes_production_back_and_the_audit_is_green(
    new_flow: Callable[[], Flow],
) -> None:
    flow = new_flow()
    with service(2) as url:
        digests = start(flow, url)
        done = flow.dispatched("verify.yml", environment="production", config="promotion.yaml")
    assert digests[1] in overlay(flow), (done.failed_step, done.errors, done.log[-3000:])
    found = said(flow)
    assert found["rollback-by"] == ["verify.yml, run by ada"]
    assert found["rollback-reason"][0].startswith("verification failed: ")
    assert "rolled back from v0.0.2" in (
        flow.bare(DEPLOY).file_at("main", f"{OVERLAY}/hold.yaml") or ""
    )
    expect_a_green_audit(flow)
    assert "rolled back from v0.0.2 by verify.yml, run by ada: verification failed" in flow.ask(
        "status"
    )
    # By hand: it is done. What was taken back may be named.
    again = flow.dispatched(
        "rollback.yml", environment="production", reason="p95", config="promotion.yaml"
    )
    assert (again.status, rolled_back(again)["operation"]) == (0, "none"), again.errors
    named = flow.dispatched(
        "rollback.yml",
        environment="production",
        version="v0.0.2",
        reason="it was the network",
        config="promotion.yaml",
    )
    assert (named.status, rolled_back(named)["version"]) == (0, "v0.0.2"), named.errors
    assert digests[2] in overlay(flow)
    assert said(flow)["rollback-by"] == ["ada"]
    expect_a_green_audit(flow)


def rolled_back(run: act.Run) -> dict[str, str]:
    return run.outputs["Go back to the last good version"]
