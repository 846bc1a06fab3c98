"""What a Rollout and an InferenceService say of an image, by statuses as their controllers write them."""

from __future__ import annotations

from typing import Any

import pytest

from model_gitops.core.verify import rollout, running
from model_gitops.core.verify.running import Seen, State
from model_gitops.core.verify.target import Target

DIGEST, OTHER = f"sha256:{'1a2b' * 16}", f"sha256:{'9f8e' * 16}"
IMAGE = "ghcr.io/acme/churn"
TARGET = Target("dev", "churn", "v0.0.1", "b" * 32, IMAGE, DIGEST, "c" * 40)
NEW, OLD = f"{IMAGE}:v2@{DIGEST}", f"{IMAGE}:v1@{OTHER}"
STEPS = [
    {"setWeight": 20}, {"pause": {"duration": "1m"}}, {"analysis": {}}, {"setWeight": 50}, {"pause": {}},
]  # fmt: skip
CANARY: dict[str, Any] = {"canary": {"steps": STEPS}}
BLUE_GREEN: dict[str, Any] = {"blueGreen": {"activeService": "churn"}}
ABORTED = (
    "RolloutAborted: Rollout aborted update to revision 2: Metric \"errors\" assessed Failed due to"
    " failed (2) > failureLimit (1)"
)  # fmt: skip


def a_rollout(
    image: str = NEW, strategy: dict[str, Any] = CANARY, seen: str = "4", **status: Any
) -> Any:
    """A Rollout of Argo Rollouts 1.9, as Kubernetes' API shows it."""
    return {
        "metadata": {"name": "churn", "namespace": "churn-dev", "generation": 4},
        "spec": {
            "strategy": strategy,
            "template": {"spec": {"containers": [{"image": "proxy:1"}, {"image": image}]}},
        },
        "status": {
            "observedGeneration": seen,
            "currentPodHash": "new",
            "stableRS": "old",
            **status,
        },
    }


def paused(index: int, *reasons: str, **status: Any) -> Any:
    conditions = [{"reason": one} for one in reasons]
    return a_rollout(phase="Paused", currentStepIndex=index, pauseConditions=conditions, **status)


@pytest.mark.parametrize(
    ("found", "state", "said"),
    [
        (a_rollout(phase="Healthy", stableRS="new"), State.RUNS, "Healthy, and sha256:1a2b1a2b1a2b is its stable"),
        (a_rollout(OLD, phase="Healthy", stableRS="new"), State.WAITS, f"asks for {OLD}"),
        # What was said of the version before is not believed.
        (a_rollout(phase="Healthy", stableRS="new", seen="3"), State.WAITS, "not looked at"),
        (a_rollout(OLD, phase="Degraded", message=ABORTED, abort=True), State.WAITS, "asks for"),
        (a_rollout(phase="Healthy"), State.WAITS, "Healthy"),
        (a_rollout(phase="Progressing", currentStepIndex=0, message="more replicas need to be updated"), State.WAITS,
         "canary at 20 %, step 1 of 5 (setWeight), Progressing: more replicas need to be updated"),
        (paused(1, "CanaryPauseStep"), State.WAITS, "canary at 20 %, step 2 of 5 (pause), paused"),
        (a_rollout(phase="Progressing", currentStepIndex=2), State.WAITS, "canary at 20 %, step 3 of 5 (analysis)"),
        (paused(4, "CanaryPauseStep"), State.WAITS,
         "canary at 50 %, step 5 of 5 (pause), paused, until a person types: kubectl argo rollouts promote churn"
         " --namespace churn-dev (or abort)"),
        (paused(2, "InconclusiveAnalysisRun"), State.WAITS, "as its analysis is inconclusive, until a person types"),
        (paused(1, "InconclusiveAnalysisRun"), State.WAITS, "until a person types"),
        (a_rollout(phase="Progressing", currentStepIndex=5), State.WAITS, "canary at 100 %, after its last step"),
        # A split by a router is what it says itself.
        (a_rollout(phase="Progressing", currentStepIndex=3, canary={"weights": {"canary": {"weight": 37}}}),
         State.WAITS, "canary at 37 %"),
        (a_rollout(phase="Degraded", message="ProgressDeadlineExceeded: no"), State.BROKEN, "Degraded: ProgressDead"),
        (a_rollout(strategy=BLUE_GREEN, phase="Paused", pauseConditions=[{"reason": "BlueGreenPause"}]), State.WAITS,
         "the new version is the preview, paused, until a person types"),
        (a_rollout(strategy={"blueGreen": {"autoPromotionSeconds": 60}}, phase="Paused",
                   pauseConditions=[{"reason": "BlueGreenPause"}]), State.WAITS, "is the preview, paused"),
        (a_rollout(strategy=BLUE_GREEN, phase="Progressing", blueGreen={"activeSelector": "new"}), State.WAITS,
         "the new version has all requests, Progressing"),
        (a_rollout(), State.WAITS, "canary at 20 %"),
        (a_rollout(strategy={}, currentStepIndex="x", canary=[], pauseConditions={}, phase="Paused"), State.WAITS, "100 %"),
    ],
)  # fmt: skip
def test_a_rollout(found: Any, state: State, said: str) -> None:
    seen = rollout.of_rollouts([{}, found], TARGET)
    assert seen is not None
    assert (seen.state, seen.is_final) == (state, False)
    assert said in seen.said


def test_only_a_pause_that_a_person_ends_says_so() -> None:
    for found in (paused(1, "CanaryPauseStep"), paused(4, "CanaryPauseStep")):
        seen = rollout.of_rollouts([found], TARGET)
        assert seen and ("a person" in seen.said) is (found["status"]["currentStepIndex"] == 4)


def test_an_aborted_update_is_the_end_and_has_its_analysis_words() -> None:
    found = a_rollout(phase="Degraded", message=ABORTED, abort=True)
    seen = rollout.of_rollouts([found], TARGET)
    assert seen == Seen(State.BROKEN, f"the Rollout churn is Degraded: {ABORTED}", is_final=True)
    # Its Pods say of that nothing more.
    assert rollout.with_pods(seen, Seen(State.WAITS, "1 run another image")) == seen


def test_of_several_rollouts_the_one_that_is_not_done_is_told() -> None:
    done = a_rollout(phase="Healthy", stableRS="new")
    for both in ([done, a_rollout(OLD)], [a_rollout(OLD), done]):
        seen = rollout.of_rollouts(both, TARGET)
        assert seen and (seen.state, "asks for" in seen.said) == (State.WAITS, True)
    seen = rollout.of_rollouts([done, done], TARGET)
    assert seen and seen.state is State.RUNS


def test_who_has_another_image_says_nothing() -> None:
    assert rollout.of_rollouts([a_rollout("ghcr.io/acme/other@" + DIGEST), None, 7], TARGET) is None
    assert rollout.of_inference_services([{}, []], TARGET) is None


@pytest.mark.parametrize(
    ("said", "pods", "joined"),
    [
        (State.RUNS, State.WAITS, Seen(State.RUNS, "a")),
        (State.WAITS, State.RUNS, Seen(State.WAITS, "a; b")),
        (State.WAITS, State.BROKEN, Seen(State.BROKEN, "a; b")),
        (State.BROKEN, State.WAITS, Seen(State.BROKEN, "a; b")),
    ],
)
def test_the_controller_knows_the_end_and_the_pods_know_why(
    said: State, pods: State, joined: Seen
) -> None:
    assert rollout.with_pods(Seen(said, "a"), Seen(pods, "b")) == joined


def service(image: str, *conditions: dict[str, str], observed: int = 2) -> Any:
    """An InferenceService of KServe 0.17."""
    return {
        "metadata": {"name": "churn", "generation": 2},
        "spec": {"predictor": {"containers": [{"name": "kserve-container", "image": image}]}},
        "status": {"observedGeneration": observed, "conditions": list(conditions)},
    }


READY = {"type": "Ready", "status": "True"}
NOT_READY = {"type": "Ready", "status": "False", "reason": "MinimumReplicasUnavailable"}
WHY = {"type": "PredictorReady", "status": "False", "message": "Deployment does not have minimum availability."}  # fmt: skip


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (service(NEW, READY), None),
        (service(NEW, READY, observed=1), "not looked at"),
        (service(OLD, READY), f"asks for {OLD}"),
        (service(NEW, NOT_READY, WHY), "is not Ready: PredictorReady Deployment does not have"),
        (service(NEW, NOT_READY), "is not Ready: Ready MinimumReplicasUnavailable"),
        (service(NEW), "is not Ready: no condition yet"),
    ],
)
def test_an_inference_service(found: Any, said: str | None) -> None:
    seen = rollout.of_inference_services([found], TARGET)
    if said is None:
        assert seen is None
    else:
        assert seen and seen.state is State.WAITS and said in seen.said


def test_an_image_of_a_model_server_is_found_too() -> None:
    found = service(NEW)
    found["spec"]["predictor"] = {"model": {"image": OLD}}
    assert rollout.of_inference_services([found], TARGET) is not None


ROLLOUT = {"group": "argoproj.io", "version": "v1alpha1", "kind": "Rollout", "namespace": "n", "name": "churn"}  # fmt: skip


def application(*images: str, health: str = "Healthy") -> Any:
    return {
        "status": {
            "sync": {"status": "Synced"},
            "health": {"status": health},
            "summary": {"images": list(images)},
            "resources": [{"kind": "Service"}, {**ROLLOUT, "status": "Synced"}, 1],
        }
    }


def test_an_application_is_as_far_as_its_rollout() -> None:
    assert rollout.listed(application()) == [ROLLOUT]
    assert len(rollout.listed({"status": {"resources": [ROLLOUT] * 999}})) == 20
    runs = Seen(State.RUNS, "stable")
    # Pods of the version before stay for a while: they are no reason to wait.
    assert running.of_argocd(application(NEW, OLD), TARGET, runs).state is State.RUNS
    assert running.of_argocd(application(NEW, OLD), TARGET).state is State.WAITS
    assert (
        running.of_argocd(application(NEW, health="Degraded"), TARGET, runs).state is State.BROKEN
    )
    assert (
        running.of_argocd(application(NEW, health="Progressing"), TARGET, runs).state is State.WAITS
    )
    end = Seen(State.BROKEN, "aborted", is_final=True)
    seen = running.of_argocd(application(OLD, health="Degraded"), TARGET, end)
    assert seen == Seen(State.BROKEN, "Synced, Degraded: aborted", is_final=True)
