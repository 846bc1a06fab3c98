"""A real kube-apiserver takes all of the deploy template, and refuses what the check of its manifests refuses.

Outside CI: `make test-cluster` builds Kubernetes from source, which takes an hour and about 3 GB the first time.
"""

from __future__ import annotations

import copy
import os
import time
from typing import Any

import pytest
from real_cluster import Cluster

pytestmark = pytest.mark.skipif(
    os.environ.get("MODEL_GITOPS_CLUSTER") != "yes", reason="builds Kubernetes: make test-cluster"
)
NAMESPACE = "diabetes-production"


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
            # The API warns of what it will refuse some day, and of pods that are not restricted.
            warning = answer.headers.get("Warning", "")
            if not answer.ok or warning:
                who = f"{name}: {one['kind']} {one['metadata']['name']}"
                refused[who] = f"{answer.status_code} {answer.text[:500]} {warning}"
    print(f"{number} manifests of {len(built)} builds")
    assert number > 100
    assert refused == {}


def test_its_controllers_do_what_the_template_counts_on(
    cluster: Cluster, built: dict[str, list[dict[str, Any]]]
) -> None:
    """Nothing runs before the first deployment, all pods after it, and Argo's account gets its token."""
    (deployment,) = (one for one in built["overlays-staging"] if one["kind"] == "Deployment")
    assert cluster.apply(deployment).ok
    assert settled(cluster, deployment)["status"].get("replicas", 0) == 0
    (deployment,) = (
        one for one in built["overlays-staging-deployed"] if one["kind"] == "Deployment"
    )
    assert cluster.apply(deployment).ok
    assert settled(cluster, deployment)["status"]["readyReplicas"] == 2
    for manifest in built["events-deployed"]:
        assert cluster.apply(manifest).ok
    (secret,) = (one for one in built["events-deployed"] if one["kind"] == "Secret")
    limit = time.monotonic() + 60
    while "token" not in cluster.get(secret).get("data", {}):
        assert time.monotonic() < limit, cluster.get(secret)
        time.sleep(0.2)


def settled(cluster: Cluster, deployment: dict[str, Any]) -> dict[str, Any]:
    """Return a Deployment once its controller has brought about what it says."""
    limit = time.monotonic() + 120
    while True:
        now = cluster.get(deployment)
        status, wanted = now.get("status", {}), deployment["spec"]["replicas"]
        seen = status.get("observedGeneration") == now["metadata"]["generation"]
        counts = {status.get(key, 0) for key in ("replicas", "updatedReplicas", "readyReplicas")}
        if seen and counts == {wanted}:
            return now
        assert time.monotonic() < limit, status
        time.sleep(0.2)


def test_it_refuses_a_misspelt_field_as_the_check_does(
    cluster: Cluster, built: dict[str, list[dict[str, Any]]]
) -> None:
    """Else the first test could not fail."""
    kinds = set()
    for name in ("training-overlays-staging-deployed", "overlays-production-with-canary-gateway"):
        for one in (found for found in built[name] if "spec" in found):
            wrong = copy.deepcopy(one)
            wrong["spec"]["spcificially"] = True
            answer = cluster.apply(wrong, dry=True)
            assert answer.status_code in (400, 422, 500), (one["kind"], answer.text)
            assert "spcificially" in answer.text
            kinds.add(one["kind"])
    assert kinds >= {
        "WorkflowTemplate",
        "CronWorkflow",
        "Rollout",
        "AnalysisTemplate",
        "HTTPRoute",
    }


def test_its_pod_security_agrees_with_the_check(
    cluster: Cluster, built: dict[str, list[dict[str, Any]]]
) -> None:
    """Each pod that a manifest makes, and the same pod with less care."""
    import pod_security
    import workloads

    pods = [pod for manifests in built.values() for one in manifests for pod in workloads.pods(one)]
    verdicts = set()
    assert len(pods) > 30
    for pod in pods:
        spec = copy.deepcopy(pod.spec) | {"serviceAccountName": "default"}
        for container in spec["containers"] + spec.get("initContainers", []):
            container["image"] = "x"
        for change in ({}, {"hostNetwork": True}, {"securityContext": {}}):
            made = {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "x", "namespace": NAMESPACE},
                "spec": spec | change,
            }
            path = f"/api/v1/namespaces/{NAMESPACE}/pods?dryRun=All"
            answer = cluster.ask("POST", path, json=made)
            forbidden = answer.status_code == 403 and "violates PodSecurity" in answer.text
            assert answer.ok or forbidden, (pod.where, answer.text)
            found = list(pod_security.violations({}, made["spec"]))
            assert forbidden == bool(found), (pod.where, answer.text, found)
            verdicts.add(forbidden)
    assert verdicts == {True, False}
