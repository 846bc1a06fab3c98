"""A real kube-apiserver takes all of the deploy template, and a real Argo Rollouts carries its canary.

Outside CI: `make test-cluster` builds both from source, which takes an hour and about 3 GB the first time.
"""

from __future__ import annotations

import http.server
import json
import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import manifest_checks
import pytest
import yaml
from manifest_checks import TABLE, TEMPLATE
from real_cluster import Cluster, running

from model_gitops.core.deploy import kustomization_edit
from model_gitops.core.deploy.kustomization import Image

pytestmark = pytest.mark.skipif(
    os.environ.get("MODEL_GITOPS_CLUSTER") != "yes", reason="builds Kubernetes: make test-cluster"
)
OVERLAY = "overlays/production"
NAMESPACE = "diabetes-production"
RESTRICTED = {f"pod-security.kubernetes.io/{what}": "restricted" for what in ("enforce", "warn")}
# The schema of these is no CustomResourceDefinition; their project has loose ones beside it.
EVENTS = "manifests/base/crds"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("built")
    done = manifest_checks.build(folder)
    assert done.returncode == 0, done.stdout
    return {
        file.stem: [one for one in yaml.safe_load_all(file.read_text("utf-8")) if one]
        for file in sorted(folder.glob("*.yaml"))
    }


@pytest.fixture(scope="module")
def cluster(
    tmp_path_factory: pytest.TempPathFactory, built: dict[str, list[dict[str, Any]]]
) -> Iterator[Cluster]:
    with running(tmp_path_factory.mktemp("cluster")) as found:
        for definition in definitions():
            # What a person reads makes them larger than the API takes.
            answer = found.apply(without_descriptions(definition))
            assert answer.ok, answer.text[:2000]
        everything = [one for manifests in built.values() for one in manifests]
        for name in {one["metadata"].get("namespace") for one in everything} - {None}:
            labels = RESTRICTED if name != "diabetes-build" else {}
            space = {"name": name, "labels": labels}
            assert found.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": space}).ok
        established(found)
        found.start_rollouts()
        yield found


def definitions() -> Iterator[dict[str, Any]]:
    """Yield the CustomResourceDefinition of each kind of the table."""
    from crd_schemas import Loader, fetch

    with mock.patch.dict(os.environ, manifest_checks.environment()):
        for one in TABLE["custom-resources"]:
            folder = fetch(f"{one['module']}@{one['version']}")
            files = {path for path in one["kinds"].values() if "#" not in path}
            if len(files) < len(set(one["kinds"].values())):
                files |= {
                    f"{EVENTS}/{file.name}" for file in (folder / EVENTS).glob("argoproj*.yaml")
                }
            for file in sorted(files):
                yield yaml.load((folder / file).read_text("utf-8"), Loader)


def without_descriptions(node: Any) -> Any:
    if isinstance(node, list):
        return [without_descriptions(one) for one in node]
    if not isinstance(node, dict):
        return node
    return {
        key: without_descriptions(value)
        for key, value in node.items()
        if not (key == "description" and isinstance(value, str)) and key != "status"
    }


def established(cluster: Cluster) -> None:
    """Wait until the API serves each kind."""
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    waiting = ["all"]
    for _ in range(200):
        waiting = [
            one["metadata"]["name"]
            for one in cluster.ask("GET", path).json()["items"]
            if not any(
                (state["type"], state["status"]) == ("Established", "True")
                for state in one.get("status", {}).get("conditions", [])
            )
        ]
        if not waiting:
            return
        time.sleep(0.3)
    raise AssertionError(f"these definitions are not established: {waiting}")


def test_it_takes_all_of_the_template_as_a_dry_run_and_for_good(
    cluster: Cluster, built: dict[str, list[dict[str, Any]]]
) -> None:
    refused = {}
    number = 0
    for name, manifests in built.items():
        for one in manifests:
            number += 1
            answer = cluster.apply(one, dry=True)
            # What is to be replaced as a Rollout has the Deployment's name: for good only one of them.
            if answer.ok and "-with-" not in name:
                answer = cluster.apply(one)
            warning = answer.headers.get("Warning", "")
            if not answer.ok or "PodSecurity" in warning:
                who = f"{name}: {one['kind']} {one['metadata']['name']}"
                refused[who] = f"{answer.status_code} {answer.text[:500]} {warning}"
    assert number > 100
    print(f"{number} manifests of {len(built)} builds")
    assert refused == {}


def test_it_refuses_a_misspelt_field_as_the_check_does(
    cluster: Cluster, built: dict[str, list[dict[str, Any]]]
) -> None:
    """Else the test above could not fail."""
    for name in ("training-overlays-staging-deployed", "overlays-production-with-canary"):
        for one in built[name]:
            if one["apiVersion"].startswith("argoproj.io/"):
                wrong = json.loads(json.dumps(one))
                wrong["spec"]["spcificially"] = True
                answer = cluster.apply(wrong, dry=True)
                assert answer.status_code in (400, 422, 500), (one["kind"], answer.text)
                assert "spcificially" in answer.text


def test_its_pod_security_agrees_with_the_check(
    cluster: Cluster, built: dict[str, list[dict[str, Any]]]
) -> None:
    """Each pod that a manifest makes, and the same pod with less care."""
    import pod_security
    import workloads

    pods = [pod for manifests in built.values() for one in manifests for pod in workloads.pods(one)]
    assert len(pods) > 30
    for pod in pods:
        spec = json.loads(json.dumps(pod.spec)) | {"serviceAccountName": "default"}
        for container in spec["containers"] + spec.get("initContainers", []):
            container["image"] = "x"
        for change in ({}, {"hostNetwork": True}, {"securityContext": {}}):
            made = {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "x", "namespace": NAMESPACE},
            }
            made["spec"] = spec | change
            path = f"/api/v1/namespaces/{NAMESPACE}/pods?dryRun=All"
            answer = cluster.ask("POST", path, json=made)
            forbidden = answer.status_code == 403 and "violates PodSecurity" in answer.text
            assert answer.ok or forbidden, (pod.where, answer.text)
            found = list(pod_security.violations({}, made["spec"]))
            assert forbidden == bool(found), (pod.where, answer.text, found)


class Prometheus(http.server.BaseHTTPRequestHandler):
    """Answers each query with one number."""

    answer = "0"

    def do_GET(self) -> None:
        result = [{"metric": {}, "value": [time.time(), self.answer]}]
        body = json.dumps(
            {"status": "success", "data": {"resultType": "vector", "result": result}}
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *words: Any) -> None:
        pass


@pytest.fixture(scope="module")
def prometheus() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Prometheus)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()


def of_canary(folder: Path, digest: str, prometheus: str) -> list[dict[str, Any]]:
    """Return what production with a canary is after a bump, with seconds in place of minutes."""
    root = folder / digest[:4]
    shutil.copytree(TEMPLATE, root)
    file = root / OVERLAY / "kustomization.yaml"
    image = Image("diabetes", "ghcr.io/acme/diabetes", f"v{digest[:4]}", f"sha256:{digest}")
    text = kustomization_edit.edit(file.read_text("utf-8"), [image], source="k")
    file.write_text(text + "components: [../../canary]\n", "utf-8")
    done = manifest_checks.build(folder / f"built-{digest[:4]}", root)
    assert done.returncode == 0, done.stdout
    made = folder / f"built-{digest[:4]}" / f"{OVERLAY.replace('/', '-')}.yaml"
    manifests = [one for one in yaml.safe_load_all(made.read_text("utf-8")) if one]
    for one in manifests:
        if one["kind"] == "Rollout":
            for step in one["spec"]["strategy"]["canary"]["steps"]:
                if "pause" in step:
                    step["pause"] = {"duration": "2s"}
        if one["kind"] == "AnalysisTemplate":
            for argument in one["spec"]["args"]:
                if argument["name"] == "prometheus":
                    argument["value"] = prometheus
            for metric in one["spec"]["metrics"]:
                metric |= {"initialDelay": "1s", "interval": "1s"}
    return manifests


def carried(cluster: Cluster, manifests: list[dict[str, Any]]) -> tuple[list[str], dict[str, Any]]:
    """Apply, and return each state of the Rollout that was seen until it rests, and the last one whole."""
    for one in manifests:
        answer = cluster.apply(one)
        assert answer.ok, answer.text
    (rollout,) = (one for one in manifests if one["kind"] == "Rollout")
    seen: list[str] = []
    limit = time.monotonic() + 240
    while time.monotonic() < limit:
        now = cluster.get(rollout)
        status = now.get("status", {})
        if status.get("observedGeneration") == str(now["metadata"]["generation"]):
            steps = rollout["spec"]["strategy"]["canary"]["steps"]
            at = status.get("currentStepIndex", 0)
            kind = next(iter(steps[at])) if at < len(steps) else "end"
            state = f"{at}/{len(steps)} {kind} {status.get('phase')} updated={status.get('updatedReplicas', 0)}"
            if not seen or seen[-1] != state:
                seen.append(state)
                print(state)
            if status.get("phase") in ("Healthy", "Degraded") and (
                status.get("abort") or status.get("stableRS") == status.get("currentPodHash")
            ):
                return seen, status
        time.sleep(0.2)
    raise AssertionError(f"the Rollout does not rest: {seen} {now.get('status')}")


def test_the_controller_carries_the_canary_step_by_step_and_aborts_a_bad_one(
    cluster: Cluster, prometheus: str, tmp_path: Path
) -> None:
    cluster.ask("DELETE", f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/diabetes")
    Prometheus.answer = "0"
    _, first = carried(cluster, of_canary(tmp_path, "a" * 64, prometheus))
    assert first["phase"] == "Healthy"
    seen, second = carried(cluster, of_canary(tmp_path, "b" * 64, prometheus))
    assert second["phase"] == "Healthy"
    assert second["stableRS"] != first["stableRS"]
    steps = [int(one.split("/")[0]) for one in seen]
    assert steps == sorted(steps) and len(set(steps)) >= 4, seen
    assert [one for one in seen if " analysis " in one and "Progressing" in one], seen
    # Each metric is far beyond its limit now.
    Prometheus.answer = "0.9"
    seen, third = carried(cluster, of_canary(tmp_path, "c" * 64, prometheus))
    assert (third["phase"], third["abort"]) == ("Degraded", True), seen
    assert third["stableRS"] == second["stableRS"]
    assert not [one for one in seen if one.startswith("6/")]
    # The stable version serves alone again.
    pods = f"/api/v1/namespaces/{NAMESPACE}/pods?labelSelector=rollouts-pod-template-hash={third['stableRS']}"
    assert len(cluster.ask("GET", pods).json()["items"]) == 3
