"""Whether an environment runs the image that its overlay pins, by what a system says of it.

Argo CD: https://argo-cd.readthedocs.io/en/stable/developer-guide/api-docs/ (an Application's `status`).
Kubernetes: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/ (a Pod's `status`).
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from model_gitops.core.document import mapping, sequence
from model_gitops.core.line import shortened
from model_gitops.core.verify.target import Target

# Reasons of a waiting container that are faults, and no step on the way:
# https://kubernetes.io/docs/concepts/containers/images/#imagepullbackoff and the kubelet's own.
_FAULTS = frozenset(
    {
        "CrashLoopBackOff", "CreateContainerConfigError", "CreateContainerError", "ErrImageNeverPull",
        "ErrImagePull", "ImageInspectError", "ImagePullBackOff", "InvalidImageName",
        "RegistryUnavailable", "RunContainerError",
    }
)  # fmt: skip
_LONGEST = 200
_MOST = 3


class State(Enum):
    """What was seen: it runs; it is on its way; it is there and does not work; nobody can say."""

    RUNS = "runs"
    WAITS = "waits"
    BROKEN = "broken"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Seen:
    """What a system says of the deployment, in words on one line. `is_final`: it stays so without a person."""

    state: State
    said: str
    is_final: bool = False


def words(text: object, *, longest: int = _LONGEST) -> str:
    """Return a stranger's text on one line, without control characters, and no longer than that."""
    plain = "".join(
        " " if one.isspace() else one
        for one in str(text)[: longest * 4]
        if one.isspace() or unicodedata.category(one) not in ("Cc", "Cf", "Co", "Cs", "Cn")
    )
    plain = re.sub(r" +", " ", plain).strip()
    return shortened(plain, longest)


def of_argocd(application: Any, target: Target, rollout: Seen | None = None) -> Seen:
    """Judge an Application as Argo CD's API shows it, with what its Rollout says, where it has one.

    The image runs where the live resources name its digest and no other image of its name, and are healthy. Of a
    Rollout its own word counts: Pods of the version before may stay for a while.
    `OutOfSync` alone says nothing of it: an autoscaler's change is enough for that.
    """
    status = mapping(mapping(application).get("status"))
    sync = words(mapping(status.get("sync")).get("status") or "Unknown")
    health = words(mapping(status.get("health")).get("status") or "Unknown")
    images = sequence(mapping(status.get("summary")).get("images"))
    ours = sorted({str(one) for one in images if image_name(str(one)) == target.image})
    has = any(one.endswith(f"@{target.digest}") for one in ours)
    others = [one for one in ours if not one.endswith(f"@{target.digest}")]
    operation = mapping(status.get("operationState"))
    phase, message = words(operation.get("phase") or ""), words(operation.get("message") or "")
    faults = [
        words(f"{one.get('type')}: {one.get('message')}")
        for one in map(mapping, sequence(status.get("conditions"))[:20])
        if str(one.get("type", "")).endswith("Error")
    ]
    why = faults[:_MOST]
    if phase in ("Failed", "Error"):
        why.append(f"its sync {phase}: {message}" if message else f"its sync {phase}")
    if told := mapping(status.get("health")).get("message"):
        why.append(words(told))
    rest = f" ({'; '.join(why)})" if why else ""
    if rollout and rollout.state is not State.RUNS:
        return replace(rollout, said=f"{sync}, {health}: {rollout.said}{rest}")
    if rollout:
        has, others = True, []
    if has and not others and health == "Healthy":
        return Seen(State.RUNS, f"{sync}, {health}, and runs {target.short}")
    if has and health == "Degraded":
        return Seen(State.BROKEN, f"it is Degraded with {target.short}{rest}")
    if phase in ("Failed", "Error") and not has:
        return Seen(State.BROKEN, f"{sync}, {health}{rest}")
    if has and others:
        return Seen(State.WAITS, f"{sync}, {health}, and {words(others[0])} runs too{rest}")
    if has:
        return Seen(State.WAITS, f"{sync}, {health}{rest}")
    runs = f"runs {words(others[0])}" if others else f"runs no image {target.image}"
    return Seen(State.WAITS, f"{sync}, {health}, and {runs}{rest}")


def of_pods(pods: Sequence[Any], target: Target) -> Seen:
    """Judge the Pods of a namespace, as Kubernetes' API lists them.

    The image runs where each Pod with an image of its name that is not being removed pins the digest, and is
    ready. Whatever owns the Pods (a Deployment, a Rollout, KServe), that is the end of its roll-out.
    """
    ready, other, why = 0, 0, Counter[str]()
    seen = broken = 0
    for pod in map(mapping, pods):
        container = _container(pod, target.image)
        if not container or mapping(pod.get("metadata")).get("deletionTimestamp"):
            continue
        status = mapping(pod.get("status"))
        if status.get("phase") in ("Succeeded", "Failed"):
            # A Job's end, or a Pod that was evicted: another one stands for it.
            continue
        seen += 1
        state = _status(status, container)
        if not _pins(container, state, target.digest):
            other += 1
            continue
        if state.get("ready") is True:
            ready += 1
            continue
        is_fault, reason = _reason(status, state)
        broken += is_fault
        why[reason] += 1
    if not seen:
        return Seen(State.WAITS, f"no Pod has an image {target.image}")
    if ready == seen:
        return Seen(State.RUNS, f"{ready} of {seen} Pods are ready with {target.short}")
    parts = [f"{ready} of {seen} Pods are ready with {target.short}"]
    if other:
        parts.append(f"{other} run another image")
    parts += [f"{number}: {reason}" for reason, number in why.most_common(_MOST)]
    return Seen(State.BROKEN if broken else State.WAITS, "; ".join(parts))


def of_version(answer: Any, target: Target) -> Seen:
    """Judge what the service's own `/version` answers: its digest, else name, version and hash."""
    found = mapping(answer)
    digest, version, known = (found.get(one) for one in ("digest", "version", "hash"))
    if isinstance(digest, str) and digest:
        if digest == target.digest:
            return Seen(State.RUNS, f"it says {target.short}")
        return Seen(State.WAITS, f"it says {words(digest)[:19]}, not {target.short}")
    said = f"{words(found.get('name') or '?')} {words(version or '?')}"
    if not isinstance(known, str) or not known:
        return Seen(State.UNKNOWN, "its /version says neither a digest nor a model's hash")
    same = {
        "name": found.get("name") == target.name,
        "hash": not target.model_hash or known == target.model_hash,
        "version": not target.version or version in (None, "", target.version),
    }
    if not target.model_hash:
        return Seen(State.UNKNOWN, "no deploy commit says the model's hash to compare with")
    if all(same.values()):
        return Seen(State.RUNS, f"it says {said}")
    wrong = next(name for name, is_same in same.items() if not is_same)
    return Seen(State.WAITS, f"it says {said}, and its {wrong} is not that of {words(target.said)}")


def _container(pod: Mapping[str, Any], image: str) -> Mapping[str, Any]:
    """Return the Pod's container that has an image of that name; empty for none."""
    for one in map(mapping, sequence(mapping(pod.get("spec")).get("containers"))):
        if image_name(str(one.get("image", ""))) == image:
            return one
    return {}


def _status(status: Mapping[str, Any], container: Mapping[str, Any]) -> Mapping[str, Any]:
    for one in map(mapping, sequence(status.get("containerStatuses"))):
        if one.get("name") == container.get("name"):
            return one
    return {}


def _pins(container: Mapping[str, Any], status: Mapping[str, Any], digest: str) -> bool:
    """Whether a container has the digest: as its Pod asks for it, else as it was pulled."""
    asked = str(container.get("image", ""))
    if "@" in asked:
        return asked.endswith(f"@{digest}")
    return str(status.get("imageID", "")).endswith(f"@{digest}")


def _reason(status: Mapping[str, Any], container: Mapping[str, Any]) -> tuple[bool, str]:
    """Return whether a Pod that is not ready has a fault, and in words what it waits for."""
    state = mapping(container.get("state"))
    waiting, ended = mapping(state.get("waiting")), mapping(state.get("terminated"))
    if reason := waiting.get("reason"):
        text = f"{reason}: {waiting['message']}" if waiting.get("message") else str(reason)
        last = mapping(mapping(container.get("lastState")).get("terminated"))
        if "exitCode" in last:
            text += f" (it ended with {last['exitCode']}: {last.get('reason') or 'no reason'})"
        return reason in _FAULTS, words(text)
    if ended:
        text = f"it ended with {ended.get('exitCode')}: {ended.get('reason') or 'no reason'}"
        return ended.get("exitCode") != 0, words(text)
    for one in map(mapping, sequence(status.get("conditions"))):
        if one.get("type") == "PodScheduled" and one.get("status") == "False":
            return False, words(f"{one.get('reason')}: {one.get('message')}")
    return False, "it runs, and is not ready" if "running" in state else "it starts"


def image_name(reference: str) -> str:
    """Return an image's name without tag and digest."""
    name = reference.partition("@")[0]
    head, colon, tag = name.rpartition(":")
    return head if colon and "/" not in tag else name
