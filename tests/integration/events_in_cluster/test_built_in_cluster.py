"""The first environment: the image is built by the BuildKit beside the pod, with no Docker engine."""

from __future__ import annotations

import hashlib
import http.server
import json
import re
import threading
from pathlib import Path

import pytest
from cluster import Cluster, built
from promotion_world import PROMOTION, Flow
from world import DEPLOY

from model_gitops.adapters.git import Git
from model_gitops_local import toolchain
from model_gitops_local.engine import Engine

pytestmark = pytest.mark.docker

MODEL = b"weights"
DOCKERFILE = "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nARG MODEL_VERSION\nCOPY m.bin /m.bin\n"
SMOKE = "health: /readyz\ntimeout: 5\nrequest: {path: /predict}\nexpect: {body-contains: weights}\n"


@pytest.fixture
def cluster(
    flow: Flow,
    tmp_path: Path,
    docker_environment: Engine,
    builder: str,
    registry: str,
    base_image: str,
) -> Cluster:
    """A project on main whose image can be built, and a pod that can reach BuildKit alone."""
    if not builder:
        pytest.skip("this engine's own builder is used, which no pod has")
    made = Cluster(tmp_path / "cluster", flow)
    store, md5 = tmp_path / "store", hashlib.md5(MODEL).hexdigest()
    kept = store / "files" / "md5" / md5[:2] / md5[2:]
    kept.parent.mkdir(parents=True)
    kept.write_bytes(MODEL)
    rules = PROMOTION | {"image": f"{registry}/test/{tmp_path.name.lower()}", "gate": []}
    flow.set_rules(**{key: rules[key] for key in ("image", "gate")})
    files = {
        ".dvc/config": f"[core]\n    remote = store\n['remote \"store\"']\n    url = {store}\n",
        ".dockerignore": "*\n!m.bin\n",
        ".gitignore": "/m.bin\n",
        "Dockerfile": DOCKERFILE,
        "dvc.yaml": "artifacts: {diabetes: {path: m.bin, type: model}}\n",
        "m.bin.dvc": f"outs: [{{path: m.bin, hash: md5, md5: {md5}, size: {len(MODEL)}}}]\n",
        "tests/smoke.yaml": SMOKE,
    }
    flow.change("main", files, "main")
    made.secret("registry/config.json", "{}")
    told = docker_environment.docker("buildx", "inspect", builder).stdout
    made.env |= {
        "BUILDER": re.findall(r"Endpoint:\s+(unix://\S+)", told)[0],
        "BUILD_ARGS": f"BASE_IMAGE={base_image}",
        "DOCKER_TOOLS": str(toolchain.ensure("docker-buildx").parent),
        "DOCKER_HOST": f"unix://{tmp_path}/nobody.sock",
    }
    return made


def served(answer: bytes) -> http.server.ThreadingHTTPServer:
    """The pod that the cluster starts of the image."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def test_built_asked_and_deployed_once(cluster: Cluster, flow: Flow) -> None:
    after = flow.sha("main")
    event = ("refs/heads/main", flow.work.run("rev-parse", f"{after}~1").strip(), after)
    first = cluster.pod("build", *event)
    assert (first.code, first.out["state"]) == (0, "built"), first.log
    assert first.out["version"] == "v0.0.1"

    for answer, code in ((b"noise", 3), (b"weights", 0)):
        server = served(answer)
        asked = {
            "BUILT_IMAGE": first.out["image"],
            "SMOKE_TEST": first.out["test"],
            "SMOKE_URL": f"http://127.0.0.1:{server.server_address[1]}",
        }
        pod = cluster.pod("smoke", *event, **asked)
        server.shutdown()
        assert pod.code == code, pod.log

    last = cluster.pod("deploy", *event, **built(first))
    assert last.code == 0, last.log
    deploys = Git(flow.top / f"{DEPLOY.replace('/', '-')}.git")
    message = deploys.run("log", "-1", "--format=%B", "main")
    assert f"Source-Commit: {after}" in message
    assert f"Model-SHA256: {hashlib.sha256(MODEL).hexdigest()}" in message
    assert f"Image-Fingerprint: {first.out['fingerprint']}" in message
    image = first.out["image"]
    assert image.partition("@")[2] in deploys.run("show", "main:overlays/dev/kustomization.yaml")

    # The same event once more: the deploy repository knows the content, and nothing is set again.
    tip = deploys.run("rev-parse", "main")
    again = cluster.pod("build", *event)
    assert (again.out["state"], again.out["image"]) == ("reused", image), again.log
    assert cluster.pod("deploy", *event, **built(again)).code == 0
    assert deploys.run("rev-parse", "main") == tip
    assert "login" not in json.dumps(again.out)
