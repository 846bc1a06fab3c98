"""A hop that waits for a verification, and one whose verification fails: deploy.yml, verify.yml, rollback.yml."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from model_gitops_local import toolchain
from model_gitops_local.flow import DEPLOY, MODEL, PERSON, Flow
from model_gitops_local.parts import Parts, copy_actions

HASHES = {"v0.0.1": "1" * 32, "v0.0.2": "2" * 32}
DIGESTS = {version: f"sha256:{value * 2}" for version, value in HASHES.items()}


class Services:
    """Each environment's service. It says that it runs `versions[environment]`, and answers as `wrong` says."""

    def __init__(self) -> None:
        self.versions: dict[str, str] = {}
        self.wrong: set[str] = set()
        ours = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                _, environment, path = self.path.split("/", 2)
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                version = ours.versions.get(environment, "")
                answers = {
                    "version": {"name": "diabetes", "version": version, "digest": DIGESTS.get(version)},
                    "predict": {"predictions": [-1 if environment in ours.wrong else 150.0]},
                }  # fmt: skip
                body = json.dumps(answers.get(path, "ok")).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/{{environment}}"


@pytest.fixture
def services() -> Iterator[Services]:
    made = Services()
    yield made
    made.server.shutdown()
    made.server.server_close()


def ask_for_verification(folder: Path, services: Services) -> None:
    """What a team writes into promotion.yaml, and a test that its service passes."""
    with (folder / "promotion.yaml").open("a", encoding="utf-8") as file:
        file.write(f"verify: {{url: '{services.url}', timeout: 20s, on-failure: rollback}}\n")
    request = {"path": "/predict", "json": {}, "expect": {"json-contains": {"predictions": [150.0]}}}  # fmt: skip
    smoke = {"health": "/health", "requests": [request]}
    (folder / "tests" / "smoke.yaml").write_text(json.dumps(smoke), encoding="utf-8")


def merge(flow: Flow, version: str, *branches: str) -> str:
    """Let branches have a version of the model, registered, as its training would have left it."""
    git = flow.clone(MODEL, "main", flow.root / "new" / "merge")
    lock = {
        "schema": "2.0",
        "stages": {
            "train": {
                "cmd": "train",
                "outs": [{"path": "models/diabetes.onnx", "hash": "md5", "md5": HASHES[version], "size": 9}],
            }
        },
    }  # fmt: skip
    (git.directory / "dvc.lock").write_text(json.dumps(lock), encoding="utf-8")
    git.run("add", "--all")
    git.run("commit", "--quiet", "--message", f"Train {version}", env=PERSON)
    git.run("tag", "-a", f"diabetes@{version}", "-m", version, env=PERSON)
    git.run("push", "--quiet", "origin", f"diabetes@{version}")
    git.run("push", "--quiet", "origin", *(f"HEAD:refs/heads/{one}" for one in branches))
    return git.run("rev-parse", "HEAD").strip()


def deploy(flow: Flow, commit: str, version: str, environment: str) -> None:
    """What the bump of an earlier run committed."""
    git = flow.clone(DEPLOY, "main", flow.root / "new" / "deploy")
    file = git.directory / "overlays" / environment / "kustomization.yaml"
    pinned = f"newTag: {version}\n    digest: {DIGESTS[version]}"
    text = re.sub(r"newTag: .*(\n +digest: .*)?", pinned, file.read_text("utf-8"))
    file.write_text(text, encoding="utf-8")
    message = (
        f"Deploy\n\nModel: diabetes@{version}\nModel-Hash: {HASHES[version]}\n"
        f"Image-Digest: {DIGESTS[version]}\nSource-Repository: {MODEL}\nSource-Commit: {commit}\n"
    )
    git.run("commit", "--quiet", "--all", "--message", message, env=PERSON)
    git.run("push", "--quiet", "origin", "HEAD:refs/heads/main")


def statuses(flow: Flow, commit: str) -> list[tuple[str, str, str]]:
    """The statuses of a commit, oldest first."""
    repository = flow.forge.state.find(MODEL)
    assert repository is not None
    found = [one for one in repository.statuses if one.sha == commit]
    return [(one.context, one.state, one.description or "") for one in found]


def overlay(flow: Flow, environment: str, file: str = "kustomization.yaml") -> str:
    return flow.bare(DEPLOY).file_at("main", f"overlays/{environment}/{file}") or ""


def results(run: Any) -> dict[str, str]:
    return {step: result for _, step, result in run.steps if result != "skipped"}


@pytest.fixture
def flow(tmp_path: Path, services: Services) -> Iterator[Flow]:
    """Both repositories from the templates; nothing of this asks an engine or a registry."""
    tools = toolchain.ensure_all(("act", "kustomize"))
    path = os.pathsep.join([*(str(one.parent) for one in tools.values()), os.environ["PATH"]])
    parts = Parts(
        tools["act"], copy_actions(tmp_path / "actions"), {"PATH": path}, "127.0.0.1:9", ""
    )
    made = Flow(tmp_path / "flow", parts)
    made.create_repositories(change=lambda folder: ask_for_verification(folder, services))
    yield made
    made.stop()


def test_a_deployment_that_fails_its_verification_is_taken_back(
    flow: Flow, services: Services
) -> None:
    first = merge(flow, "v0.0.1", "main", "staging")
    deploy(flow, first, "v0.0.1", "dev")
    deploy(flow, first, "v0.0.1", "staging")
    second = merge(flow, "v0.0.2", "main", "staging")
    deploy(flow, second, "v0.0.2", "dev")
    # Nobody has verified what dev runs: no hop.
    run = flow.pushed("staging", "deploy.yml")
    assert run.failed_step == "Read promotion.yaml, and what the environment before runs"
    assert any("nobody has verified v0.0.2 in dev" in text for text in run.errors), run.errors
    # Somebody has it verified, and the same hop goes on.
    services.versions = {"dev": "v0.0.2", "staging": "v0.0.2"}
    services.wrong = {"staging"}
    run = flow.dispatched("verify.yml", environment="dev")
    assert run.status == 0, (run.failed_step, run.errors, run.log[-3000:])
    assert statuses(flow, second) == [
        ("model-gitops/dev", "pending", "v0.0.2 is verified (sha256:222222222222)"),
        ("model-gitops/dev", "success", "v0.0.2 (sha256:222222222222): 2 checks passed"),
    ]
    run = flow.pushed("staging", "deploy.yml")
    # The jobs that failed have handed on what they found, and each had the secrets that it needs.
    assert run.status != 0
    done = results(run)
    assert done["Wait until it runs"] == "success", (run.failed_step, run.errors, run.log[-5000:])
    assert done["Test the service"] == done["Write the commit status"] == "failure"
    assert done["Go back to the last good version"] == "success", (run.errors, run.log[-5000:])
    context, state, description = statuses(flow, second)[-1]
    assert (context, state) == ("model-gitops/staging", "failure")
    assert description.startswith("integration 1: POST /predict: $.predictions[0] is -1")
    assert DIGESTS["v0.0.1"] in overlay(flow, "staging")
    assert "verification failed: integration 1" in overlay(flow, "staging", "hold.yaml")
    assert DIGESTS["v0.0.2"] in overlay(flow, "dev")
    assert not overlay(flow, "dev", "hold.yaml")
    log = flow.bare(DEPLOY).run("log", "-1", "--format=%B", "main")
    assert "Rollback-Reason: verification failed: integration 1" in log
    # What was taken back does not come again by itself, nor does it go further.
    run = flow.pushed("staging", "deploy.yml")
    assert run.status != 0
    assert any("is held" in text for text in run.errors), run.errors
