"""Argo Rollouts' own controller carries the deploy template's blue/green, as docs/canary.md says; outside CI."""

from __future__ import annotations

import os
import re

import pytest
from real_cluster import Cluster
from rollout_environment import HASH, NAME, Environment, target
from stand_in_prometheus import Asked

from model_gitops.adapters import arrival, json_api
from model_gitops.core.verify import rollout
from model_gitops.core.verify.running import State

pytestmark = pytest.mark.skipif(
    os.environ.get("MODEL_GITOPS_CLUSTER") != "yes", reason="builds Kubernetes: make test-cluster"
)


@pytest.fixture(scope="module")
def blue_green(
    cluster: Cluster, asked: Asked, tmp_path_factory: pytest.TempPathFactory
) -> Environment:
    asked.all_is_well()
    made = Environment(cluster, asked, tmp_path_factory.mktemp("bg"), "dev", "blue-green")
    made.deploy("a")
    return made


def serves(environment: Environment, service: str) -> str:
    """Return the version that a Service points to."""
    found = environment.cluster.get(environment.one("Service", service))
    version: str = found["spec"]["selector"][HASH]
    return version


def test_blue_green_switches_once_the_new_version_was_asked(
    blue_green: Environment, asked: Asked
) -> None:
    asked.all_is_well()
    stable = serves(blue_green, "diabetes")
    done = blue_green.deploy("b")
    now = done.last["currentPodHash"]
    assert done.last["phase"] == "Healthy"
    assert serves(blue_green, "diabetes") == serves(blue_green, "diabetes-preview") == now != stable
    # Three times, at the Service of the new version, and before it had a request.
    assert asked.paths == [f"/diabetes-preview.{blue_green.namespace}.svc/readyz"] * 3
    assert blue_green.cluster.get(blue_green.one("Service", "diabetes-preview"))
    assert {one for _, query in asked.queries for one in re.findall(r"\[(1h|5m)\]", query)} == {
        "1h",
        "5m",
    }
    assert done.said[-1].state is State.RUNS
    assert "the new version has all requests" in {
        one.said.split(": ")[1].split(",")[0] for one in done.said if ": " in one.said
    }
    switched = [one for one in done.states if one["blueGreen"].get("activeSelector") == now]
    assert switched and all(
        one["blueGreen"]["prePromotionAnalysisRunStatus"]["status"] == "Successful"
        for one in switched[:1]
    )
    # The old pods stay, so that it can point back.
    assert blue_green.pods(stable) == 1


def test_blue_green_does_not_switch_to_what_is_not_ready(
    blue_green: Environment, asked: Asked
) -> None:
    asked.all_is_well()
    asked.ready = False
    stable = serves(blue_green, "diabetes")
    done = blue_green.deploy("c")
    assert done.last["abort"] is True
    assert {one["blueGreen"]["activeSelector"] for one in done.states} == {stable}
    assert serves(blue_green, "diabetes") == stable


def test_blue_green_points_back_where_the_questions_fail(
    blue_green: Environment, asked: Asked
) -> None:
    asked.all_is_well()
    asked.answers["drift"] = [0.9]
    stable = serves(blue_green, "diabetes")
    done = blue_green.deploy("d")
    assert done.last["abort"] is True
    active = [one["blueGreen"]["activeSelector"] for one in done.states]
    assert done.last["currentPodHash"] in active  # it had the requests for a while
    assert active[-1] == serves(blue_green, "diabetes") == stable
    assert done.said[-1].is_final
    assert State.RUNS not in {one.state for one in done.said}
    assert blue_green.pods(stable) == 1


def test_a_reader_is_told_what_runs(blue_green: Environment) -> None:
    """The account of docs/verifying.md, with Rollouts among what its role lists, as Argo CD has nobody to ask."""
    rules = [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
        {"apiGroups": ["argoproj.io"], "resources": ["rollouts"], "verbs": ["list"]},
    ]
    config = blue_green.cluster.account(blue_green.namespace, "verify", rules)
    live = blue_green.cluster.get(blue_green.rollout())
    now = live["spec"]["template"]["spec"]["containers"][0]["image"][-1]
    source = arrival.Kubernetes(config, blue_green.namespace)
    other = source.look(target("0"), 30)
    assert (other.state, f"asks for {NAME}:v{now}" in other.said) == (State.WAITS, True), other
    seen = source.look(target(now), 30)
    expected = rollout.of_rollouts([live], target(now))
    assert expected and seen.state is expected.state, seen
    assert seen.said.startswith("the Rollout diabetes is "), seen
    with pytest.raises(json_api.Denied, match=r"\(403\)"):
        arrival.Kubernetes(config, "diabetes-production").look(target(now), 30)
