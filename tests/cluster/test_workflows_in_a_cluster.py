"""Argo Workflows' own controller takes each step of the deploy template's training, and of its build in the cluster.

Outside CI, as `make test-cluster`. Each pod is made for real, in a namespace that enforces what the template says, and
what a step hands on is written with the rights that the template gives.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pod_security
import pytest
import yaml
from real_cluster import Cluster
from workflow_pods import ADDRESS, ARGO, LABEL, Pods, submitted, until

from model_gitops.adapters.training_engines.argo import ArgoKubernetes
from model_gitops.core.training.runs import State

pytestmark = pytest.mark.skipif(
    os.environ.get("MODEL_GITOPS_CLUSTER") != "yes", reason="builds Kubernetes: make test-cluster"
)
STEPS = ["fetch", "preprocess", "train", "test"]
PAGE = Path(__file__).parents[2] / "docs" / "training.md"
BUILD = "diabetes-build"
Built = dict[str, list[dict[str, Any]]]


def applied(cluster: Cluster, built: Built, *names: str) -> None:
    for name in names:
        for one in built[name]:
            answer = cluster.apply(one)
            assert answer.ok, answer.text


def with_token(pod: dict[str, Any]) -> set[str]:
    """Return the containers that have an account's token: Argo's own alone."""
    return {
        container["name"]
        for container in pod["spec"]["containers"]
        if any("serviceaccount" in one["mountPath"] for one in container["volumeMounts"])
    }


@pytest.fixture(scope="module")
def training(cluster: Cluster, built: Built) -> str:
    for name in ("staging", "production"):
        applied(cluster, built, f"argocd-training-{name}", f"training-overlays-{name}-deployed")
    cluster.start_workflows()
    return "diabetes-training-production"


def test_the_schedule_starts_a_training_that_proposes(
    cluster: Cluster, built: Built, training: str
) -> None:
    (cron,) = (
        one
        for one in built["training-overlays-production-deployed"]
        if one["kind"] == "CronWorkflow"
    )
    assert cron["spec"]["suspend"] is False
    assert cluster.apply(cron | {"spec": cron["spec"] | {"schedules": ["* * * * *"]}}).ok
    path = f"/apis/{ARGO}/namespaces/{training}/workflows"
    selector = {"labelSelector": f"{LABEL}/cron-workflow={cron['metadata']['name']}"}

    def started() -> Any:
        return cluster.ask("GET", path, params=selector).json()["items"]

    (workflow,) = until(started, lambda: cluster.get(cron).get("status"))
    assert cluster.apply(cron).ok  # no second one
    pods = Pods(cluster, {"apiVersion": ARGO, "kind": "Workflow"} | workflow, {})
    done = pods.play()
    assert done["status"]["phase"] == "Succeeded", done["status"].get("message")
    assert pods.templates == [*STEPS, "propose"]
    for pod in pods.made:
        # Argo's own containers among them.
        assert list(pod_security.violations(pod["metadata"], pod["spec"])) == []
        images = {one["name"]: one["image"] for one in pod["spec"]["containers"]}
        assert images["main"].endswith("@sha256:" + "0" * 64)
        assert with_token(pod) == {"wait"}
    # Each file reaches the step that asks for it.
    nodes = {
        one["templateName"]: one
        for one in done["status"]["nodes"].values()
        if "templateName" in one
    }
    given = {one["name"] for one in nodes["propose"]["inputs"]["artifacts"]}
    assert given >= {"model", "metrics", "train-from", "test-from", "preprocess-from"}


def test_of_two_trainings_the_second_waits(cluster: Cluster, training: str) -> None:
    spec = {"workflowTemplateRef": {"name": "diabetes-training"}}
    first = submitted(cluster, training, "first", spec)
    until(
        lambda: cluster.get(first).get("status", {}).get("phase") == "Running",
        lambda: cluster.get(first),
    )
    second = submitted(cluster, training, "second", spec)
    waits = until(
        lambda: cluster.get(second).get("status", {}).get("synchronization"),
        lambda: cluster.get(second),
    )
    assert "waiting" in waits["mutex"]
    assert cluster.get(second)["status"]["phase"] == "Pending"
    for one in (first, second):
        pods = Pods(cluster, one, {})
        assert pods.play()["status"]["phase"] == "Succeeded"
        # Nobody said `propose`.
        assert pods.templates == STEPS


def of_sensor(built: Built) -> dict[str, Any]:
    """Return the spec of the Workflow that the Sensor makes of an event."""
    (sensor,) = (one for one in built["events-deployed"] if one["kind"] == "Sensor")
    source = sensor["spec"]["triggers"][0]["template"]["k8s"]["source"]["resource"]
    spec: dict[str, Any] = source["spec"]
    return spec


@pytest.mark.parametrize(
    ("state", "steps"),
    [
        ("built", ["build", "serve", "smoke", "deploy"]),
        ("reused", ["build", "deploy"]),
        ("nothing", ["build"]),
    ],
)
def test_a_push_builds_asks_and_deploys(
    cluster: Cluster, built: Built, training: str, state: str, steps: list[str]
) -> None:
    applied(cluster, built, "events-deployed")
    workflow = submitted(cluster, BUILD, f"deliver-{state}", of_sensor(built))
    image = f"ghcr.io/acme/diabetes:v1@sha256:{'1' * 64}"
    pods = Pods(cluster, workflow, {"build": {"state": state, "image": image}})
    done = pods.play()
    assert done["status"]["phase"] == "Succeeded", done["status"].get("message")
    assert pods.templates == steps
    for pod, name in zip(pods.made, steps, strict=True):
        found = list(pod_security.violations(pod["metadata"], pod["spec"]))
        # Only the builder may more, and says so.
        assert not found or name == "build", (name, found)
        assert all("buildkit" in text or name != "build" for _, text in found), found
        containers = {one["name"]: one for one in pod["spec"]["containers"]}
        assert with_token(pod) == {"wait"}
        if name == "serve":
            assert containers["main"]["image"] == image
        if name == "smoke":
            values = {one["name"]: one.get("value") for one in containers["main"]["env"]}
            assert values["SMOKE_URL"] == f"http://{ADDRESS}:8080"


def test_run_training_starts_one_with_the_rights_of_its_page(
    cluster: Cluster, training: str
) -> None:
    """By Kubernetes' API: the role of docs/training.md is enough, and the run is told as it ended."""
    blocks = re.findall(r"(?ms)^```yaml\n(.*?)^```$", PAGE.read_text("utf-8"))
    (role,) = (one for one in map(yaml.safe_load, blocks) if one.get("kind") == "Role")
    namespace = role["metadata"]["namespace"]
    config = cluster.account(namespace, "run-training", role["rules"])
    engine = ArgoKubernetes(config, namespace, "diabetes-training")
    name, commit = "diabetes-training-0123456789ab", "c" * 40
    offer = engine.offer(30)
    assert "revision" in offer.parameters and len(offer.images) == 4
    assert engine.runs(30) == []
    engine.start(name, {"revision": commit}, 30)
    again = engine.start(name, {"revision": commit}, 30)
    assert again.name == name
    workflow = {
        "apiVersion": ARGO,
        "kind": "Workflow",
        "metadata": {"name": name, "namespace": namespace},
    }
    pods = Pods(cluster, workflow, {})
    pods.play()
    # Staging's proposes nothing.
    assert pods.templates == STEPS
    (main,) = (one for one in pods.made[0]["spec"]["containers"] if one["name"] == "main")
    assert f"--revision={commit}" in main["args"]
    (run,) = engine.runs(30)
    assert (run.name, run.state, set(run.images)) == (name, State.SUCCEEDED, set(offer.images))
    looked = engine.look(name, 30)
    assert looked and [one.name for one in looked.steps] == [f"{one}(0)" for one in STEPS]
