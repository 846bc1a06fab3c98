"""What controllers other than a Deployment's say of an image: Argo Rollouts, and KServe.

A Rollout: https://argo-rollouts.readthedocs.io/en/stable/features/specification/ (its `status`). An InferenceService:
https://kserve.github.io/website/docs/reference/crd-api (its `status`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from model_gitops.core.document import mapping, sequence
from model_gitops.core.verify.running import Seen, State, image_name, words
from model_gitops.core.verify.target import Target

ROLLOUTS = ("argoproj.io", "v1alpha1", "rollouts")
INFERENCE_SERVICES = ("serving.kserve.io", "v1beta1", "inferenceservices")
# Each of an Application is one request.
_MOST = 20
_INCONCLUSIVE = "InconclusiveAnalysisRun"


def listed(application: Any) -> list[dict[str, str]]:
    """Return which Rollouts an Application of Argo CD has: group, version, kind, namespace and name of each."""
    resources = map(mapping, sequence(mapping(mapping(application).get("status")).get("resources")))
    return [
        {key: str(one.get(key) or "") for key in ("group", "version", "kind", "namespace", "name")}
        for one in resources
        if (one.get("group"), one.get("kind")) == (ROLLOUTS[0], "Rollout")
    ][:_MOST]


def of_rollouts(rollouts: Sequence[Any], target: Target) -> Seen | None:
    """Judge the Rollouts of a namespace; None where none of them has an image of the target's name.

    Of several the one that is not done yet is told.
    """
    found = [
        _of_rollout(one, image, target)
        for one in map(mapping, rollouts)
        for image in _images(
            mapping(mapping(mapping(one.get("spec")).get("template")).get("spec")), target
        )
    ]
    return next((one for one in found if one.state is not State.RUNS), next(iter(found), None))


def of_inference_services(services: Sequence[Any], target: Target) -> Seen | None:
    """Say why an InferenceService with the image is not ready; None where its Pods have the last word."""
    for service in map(mapping, services):
        predictor = mapping(mapping(service.get("spec")).get("predictor"))
        containers = [mapping(predictor.get("model")), *sequence(predictor.get("containers"))]
        for image in _images({"containers": containers}, target):
            name = f"the InferenceService {words(mapping(service.get('metadata')).get('name'))}"
            if not image.endswith(f"@{target.digest}"):
                return Seen(State.WAITS, f"{name} asks for {words(image)}")
            if not _is_observed(service):
                return Seen(State.WAITS, f"{name} was not looked at by its controller yet")
            return _not_ready(name, mapping(service.get("status")))
    return None


def with_pods(said: Seen, pods: Seen) -> Seen:
    """Join what a controller says and what its Pods do: the controller knows the end, the Pods know why not."""
    if said.state is State.RUNS or said.is_final:
        return said
    state = State.BROKEN if State.BROKEN in (said.state, pods.state) else State.WAITS
    return Seen(state, f"{said.said}; {pods.said}")


def _of_rollout(rollout: Mapping[str, Any], image: str, target: Target) -> Seen:
    spec, status = mapping(rollout.get("spec")), mapping(rollout.get("status"))
    metadata = mapping(rollout.get("metadata"))
    name = f"the Rollout {words(metadata.get('name'))}"
    if not image.endswith(f"@{target.digest}"):
        return Seen(State.WAITS, f"{name} asks for {words(image)}")
    if not _is_observed(rollout):
        return Seen(State.WAITS, f"{name} was not looked at by its controller yet")
    phase, message = words(status.get("phase") or "Progressing"), words(status.get("message") or "")
    is_stable = bool(status.get("stableRS")) and status.get("stableRS") == status.get(
        "currentPodHash"
    )
    if phase == "Healthy" and is_stable:
        return Seen(State.RUNS, f"{name} is Healthy, and {target.short} is its stable version")
    if phase == "Degraded":
        is_aborted = status.get("abort") is True
        # Nothing of it changes by waiting: the version before has all requests again.
        return Seen(State.BROKEN, f"{name} is Degraded: {message}", is_final=is_aborted)
    at = _at(spec, status)
    if phase == "Paused":
        return Seen(State.WAITS, f"{name}: {at}, {_pause(spec, status, metadata)}")
    return Seen(State.WAITS, f"{name}: {at}, {phase}{f': {message}' if message else ''}")


def _at(spec: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    """Return how far an update is: `canary at 20 %, step 2 of 6 (pause)`."""
    strategy = mapping(spec.get("strategy"))
    if "blueGreen" in strategy:
        preview = mapping(status.get("blueGreen")).get("activeSelector") != status.get(
            "currentPodHash"
        )
        return "the new version is the preview" if preview else "the new version has all requests"
    steps = sequence(mapping(strategy.get("canary")).get("steps"))
    index = _step(status, len(steps))
    weight = mapping(mapping(mapping(status.get("canary")).get("weights")).get("canary")).get(
        "weight"
    )
    if not isinstance(weight, int):
        told = [mapping(one).get("setWeight") for one in steps[: index + 1]]
        weight = next((one for one in reversed(told) if isinstance(one, int)), 0)
        weight = 100 if index >= len(steps) else weight
    if index >= len(steps):
        return f"canary at {weight} %, after its last step"
    kind = next(iter(mapping(steps[index])), "")
    return f"canary at {weight} %, step {index + 1} of {len(steps)} ({words(kind)})"


def _pause(spec: Mapping[str, Any], status: Mapping[str, Any], metadata: Mapping[str, Any]) -> str:
    """Return whether a pause ends by itself, else what a person types."""
    reasons = [mapping(one).get("reason") for one in sequence(status.get("pauseConditions"))]
    steps = sequence(mapping(mapping(spec.get("strategy")).get("canary")).get("steps"))
    index = _step(status, len(steps))
    step = mapping(steps[index]) if index < len(steps) else {}
    blue_green = mapping(mapping(spec.get("strategy")).get("blueGreen"))
    if (
        _INCONCLUSIVE not in reasons
        and spec.get("paused") is not True
        and (mapping(step.get("pause")).get("duration") or blue_green.get("autoPromotionSeconds"))
    ):
        return "paused"
    place = words(metadata.get("name"))
    if metadata.get("namespace"):
        place += f" --namespace {words(metadata['namespace'])}"
    why = "as its analysis is inconclusive, " if _INCONCLUSIVE in reasons else ""
    return f"paused, {why}until a person types: kubectl argo rollouts promote {place} (or abort)"


def _step(status: Mapping[str, Any], number: int) -> int:
    index = status.get("currentStepIndex")
    return min(max(index, 0), number) if isinstance(index, int) else 0


def _not_ready(name: str, status: Mapping[str, Any]) -> Seen | None:
    conditions = [mapping(one) for one in sequence(status.get("conditions"))]
    ready = next((one for one in conditions if one.get("type") == "Ready"), {})
    if ready.get("status") == "True":
        return None
    # `Ready` repeats the first of the others that is not True, but not its words.
    first = next(
        (one for one in conditions if one.get("status") != "True" and one.get("message")), ready
    )
    told = [str(first[key]) for key in ("type", "reason", "message") if first.get(key)]
    return Seen(State.WAITS, f"{name} is not Ready: {words(' '.join(told) or 'no condition yet')}")


def _images(pod: Mapping[str, Any], target: Target) -> Iterator[str]:
    for one in map(mapping, sequence(pod.get("containers"))):
        image = str(one.get("image") or "")
        if image_name(image) == target.image:
            yield image


def _is_observed(resource: Mapping[str, Any]) -> bool:
    """Whether a controller's status is of the spec as it is now. Argo Rollouts counts in text."""
    generation = mapping(resource.get("metadata")).get("generation")
    observed = str(mapping(resource.get("status")).get("observedGeneration") or "")
    return observed.isdecimal() and (not isinstance(generation, int) or int(observed) >= generation)
