"""Argo Rollouts' own controller carries the deploy template's canaries, as docs/canary.md says.

Outside CI, as `make test-cluster`. What the template waits for in minutes is seconds here, and nothing else is changed.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from real_cluster import Cluster
from rollout_environment import HASH, NAME, Carried, Environment
from stand_in_prometheus import Asked

from model_gitops.core.verify.running import State

pytestmark = pytest.mark.skipif(
    os.environ.get("MODEL_GITOPS_CLUSTER") != "yes", reason="builds Kubernetes: make test-cluster"
)


@pytest.fixture(scope="module")
def canary(cluster: Cluster, asked: Asked, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return Environment(cluster, asked, tmp_path_factory.mktemp("c"), "production", "canary")


def test_a_rollout_takes_the_place_of_the_deployment(
    canary: Environment, cluster: Cluster, built: dict[str, list[dict[str, Any]]]
) -> None:
    for manifest in built["overlays-production-deployed"]:
        assert cluster.apply(manifest).ok
    deployment = canary.one("Deployment", "diabetes", "apps/v1")
    canary.until(
        lambda: cluster.get(deployment).get("status", {}).get("readyReplicas") == 3, deployment
    )
    first = canary.deploy("a")
    # All at once: there is no version before.
    assert first.last["phase"] == "Healthy"
    assert canary.analyses(first.last["stableRS"]) == []
    # Argo CD prunes last.
    assert cluster.get(deployment)["status"]["readyReplicas"] == 3
    cluster.ask("DELETE", cluster.path(deployment))
    pods = f"/api/v1/namespaces/{canary.namespace}/pods"
    canary.until(
        lambda: (
            {one["metadata"]["labels"].get(HASH) for one in canary.all(pods)}
            == {first.last["stableRS"]}
        ),
        deployment,
    )
    assert canary.pods(first.last["stableRS"]) == 3


def test_a_canary_goes_step_by_step(canary: Environment, asked: Asked) -> None:
    before = canary.cluster.get(canary.rollout())["status"]["stableRS"]
    asked.all_is_well()
    done = canary.deploy("b")
    now = done.last["currentPodHash"]
    assert (done.last["phase"], done.last["stableRS"]) == ("Healthy", now)
    assert done.steps == [0, 1, 2, 3, 4, 5, 6]
    # Of three pods one more comes, then half of them are new.
    assert {(one["updatedReplicas"], one["replicas"]) for one in done.at(2)} == {(1, 4)}
    assert {one["updatedReplicas"] for one in done.at(5)} == {2}
    assert canary.pods(now) == 3
    # What verify-deployment says on the way, and that it ends with the steps and not before.
    said = [one.said for one in done.said]
    for words in (
        "canary at 20 %, step 2 of 6 (pause), paused",
        "canary at 20 %, step 3 of 6 (analysis), Progressing",
        "canary at 50 %, step 6 of 6 (analysis), Progressing",
    ):
        assert any(words in one for one in said), said
    assert done.said[-1].state is State.RUNS
    ended = [one.state for one in done.said].index(State.RUNS)
    assert all(one.state is State.WAITS for one in done.said[:ended]), done.said
    assert {one.state for one in done.said[ended:]} == {State.RUNS}
    first, second = canary.analyses(now)
    for run in (first, second):
        assert run["status"]["phase"] == "Successful"
        measured = {one["name"]: one["count"] for one in run["status"]["metricResults"]}
        assert measured == {"errors": 5, "latency": 5, "drift": 5}
    # Each question is about this namespace, the new version and the one before.
    assert {name for name, _ in asked.queries} == {"errors", "latency", "drift"}
    for _, query in asked.queries:
        assert set(re.findall(r'namespace="([^"]*)"', query)) == {canary.namespace}
        assert set(re.findall(r'rollouts_pod_template_hash="([^"]*)"', query)) == {before, now}
        assert "{{" not in query


def test_a_rollback_takes_no_steps(canary: Environment, asked: Asked) -> None:
    before = len(asked.queries)
    done = canary.deploy("a")
    assert done.last["phase"] == "Healthy"
    assert len(asked.queries) == before
    assert canary.pods(done.last["stableRS"]) == 3


@pytest.mark.parametrize(
    ("letter", "question", "answer", "at"),
    [
        ("c", "errors", [0.011], 2),
        ("d", "latency", [0.051], 2),
        ("e", "drift", [0.21], 2),
        ("f", "drift", None, 2),
    ],
)
def test_a_bad_version_is_aborted(
    canary: Environment,
    asked: Asked,
    letter: str,
    question: str,
    answer: list[float] | None,
    at: int,
) -> None:
    stable = canary.cluster.get(canary.rollout())["status"]["stableRS"]
    asked.all_is_well()
    asked.answers[question] = answer
    done = canary.deploy(letter)
    assert (done.last["phase"], done.last["abort"]) == ("Degraded", True)
    assert max(done.steps) == at
    assert done.said[-1].is_final and question in done.said[-1].said
    assert State.RUNS not in {one.state for one in done.said}
    # The stable version has all requests again.
    assert done.last["stableRS"] == stable
    canary.until(lambda: canary.pods(done.last["currentPodHash"]) == 0, canary.rollout())
    assert canary.pods(stable) == 3
    # It was asked as often as is said: twice where it is beyond the limit, five times where nobody answered.
    (run,) = canary.analyses(done.last["currentPodHash"])
    (found,) = (one for one in run["status"]["metricResults"] if one["name"] == question)
    assert found.get("failed", 0) == (2 if answer else 0)
    assert found.get("error", 0) == (0 if answer else 5)


def test_where_nobody_asked_the_service_a_person_decides(canary: Environment, asked: Asked) -> None:
    asked.all_is_well()
    asked.answers["errors"] = []
    done = canary.deploy("1")
    assert done.last["phase"] == "Paused"
    assert [one["reason"] for one in done.last["pauseConditions"]] == ["InconclusiveAnalysisRun"]
    (run,) = canary.analyses(done.last["currentPodHash"])
    (found,) = (one for one in run["status"]["metricResults"] if one["name"] == "errors")
    assert found["inconclusive"] == 3
    assert max(done.steps) == 2
    assert done.said[-1].state is State.WAITS
    assert "its analysis is inconclusive" in done.said[-1].said


def test_pods_that_do_not_get_ready_end_the_update(canary: Environment, asked: Asked) -> None:
    asked.all_is_well()
    stable = canary.cluster.get(canary.rollout())["status"]["stableRS"]
    canary.cluster.never_ready.add(f"{NAME}:v2@sha256:{'2' * 64}")
    canary.impatient = True
    done = canary.deploy("2")
    assert (done.last["phase"], done.last["abort"]) == ("Degraded", True)
    assert done.last["stableRS"] == stable
    assert canary.pods(stable) == 3


def test_an_ingress_splits_the_requests_as_the_steps_say(
    cluster: Cluster, asked: Asked, tmp_path: Path
) -> None:
    asked.all_is_well()
    split = Environment(cluster, asked, tmp_path, "staging", "canary-ingress")
    split.deploy("a")
    stable = cluster.get(split.one("Service", "diabetes"))["spec"]["selector"][HASH]
    done = split.deploy("b")
    assert done.last["phase"] == "Healthy"
    assert weights(done, 2) == {20}
    assert weights(done, 5) == {50}
    # What the router was told: the controller's own Ingress beside the one of the template.
    other = split.one("Ingress", "diabetes-diabetes-canary", "networking.k8s.io/v1")
    seen = [
        int(one["metadata"]["annotations"]["nginx.ingress.kubernetes.io/canary-weight"])
        for one in cluster.history(other, done.since)
    ]
    assert [one for at, one in enumerate(seen) if at == 0 or seen[at - 1] != one] == [
        20,
        50,
        100,
        0,
    ]
    (rule,) = cluster.get(other)["spec"]["rules"]
    assert rule["http"]["paths"][0]["backend"]["service"]["name"] == "diabetes-canary"
    # The Service of the stable version followed.
    now = cluster.get(split.one("Service", "diabetes"))["spec"]["selector"][HASH]
    assert now == done.last["stableRS"] != stable
    asked.answers["latency"] = [0.5]
    bad = split.deploy("c")
    assert bad.last["abort"] is True
    assert weights(bad, 2) == {20}
    assert bad.last["canary"]["weights"]["canary"]["weight"] == 0
    assert cluster.get(split.one("Service", "diabetes"))["spec"]["selector"][HASH] == now


def weights(done: Carried, step: int) -> set[int]:
    """Return the shares of the requests that the new version had while a step went on."""
    return {
        one["canary"]["weights"]["canary"]["weight"]
        for one in done.at(step)
        if not one.get("abort")
    }
