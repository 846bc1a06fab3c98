"""What a cluster, or a kind's controller, refuses in a manifest although its schema takes it.

Kubernetes: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/ and the API reference. Argo
Rollouts and Argo Workflows: their own validation (`pkg/apis/rollouts/validation`, `workflow/validate`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import workloads
from workloads import Node, at, listed

SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
LABEL = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
QUANTITY = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?")
DURATION = re.compile(r"(\d+(\.\d*)?(ns|us|ms|s|m|h))+|\d+")
# Those that a controller makes names of are shorter.
LENGTHS = {"CronJob": 52, "CronWorkflow": 52, "WorkflowTemplate": 63, "Service": 63}
SELECTED = ("DaemonSet", "Deployment", "ReplicaSet", "Rollout", "StatefulSet")
PULL_POLICIES = (None, "", "Always", "IfNotPresent", "Never")
HANDLERS = {"exec", "grpc", "httpGet", "tcpSocket"}
STEPS = {
    "analysis", "experiment", "pause", "plugin", "replicaProgressThreshold", "setCanaryScale", "setHeaderRoute",
    "setMirrorRoute", "setWeight",
}  # fmt: skip
TEMPLATE_KINDS = (
    "container", "containerSet", "dag", "data", "http", "plugin", "resource", "script", "steps", "suspend",
)  # fmt: skip
PODS = {"container", "containerSet", "data", "resource", "script"}
MOUNTED = "automountServiceAccountToken"


def problems(manifest: Node) -> Iterator[str]:
    """Yield what is wrong with a manifest, its pods left out."""
    group, kind = manifest["apiVersion"].rpartition("/")[0], manifest["kind"]
    spec = at(manifest, "spec")
    yield from _name(group, kind, at(manifest, "metadata"))
    if kind in SELECTED and group in ("apps", workloads.ARGO):
        yield from _selector(spec)
    if kind == "Rollout" and group == workloads.ARGO:
        yield from _rollout(spec)
    if kind in ("AnalysisRun", "AnalysisTemplate", "ClusterAnalysisTemplate"):
        yield from _analysis(spec)
    if kind == "EventSource" and group == workloads.ARGO:
        for name, one in at(spec, "github").items():
            if not at(one, "webhookSecret"):
                yield f"spec.github.{name}.webhookSecret is missing: anybody could send an event"
    if kind == "CronJob":
        yield from _schedule("spec.schedule", spec.get("schedule"))
    if kind in workloads.WORKFLOWS and group == workloads.ARGO:
        if kind == "CronWorkflow":
            yield from _cron_workflow(spec)
        whole = at(manifest, *workloads.WORKFLOWS[kind])
        if (
            not kind.endswith("WorkflowTemplate")
            and not {"entrypoint", "workflowTemplateRef"} & whole.keys()
        ):
            yield "it has no entrypoint and no workflowTemplateRef"
        yield from _templates(whole)


def pod_problems(manifest: Node, pod: workloads.Pod, demanded: Sequence[str]) -> Iterator[str]:
    """Yield what is wrong with a pod. `demanded`: what each container must say of its `resources`."""
    spec, kind = pod.spec, manifest["kind"]
    containers = [one for key in ("initContainers", "containers") for one in listed(spec, key)]
    if isinstance(spec.get("containers"), list) and not spec["containers"]:
        yield "containers: there must be one"
    policy = spec.get("restartPolicy")
    if kind in SELECTED and policy not in (None, "Always"):
        yield f"restartPolicy must be Always, not {policy!r}"
    if kind in ("Job", "CronJob") and policy not in ("Never", "OnFailure"):
        yield f"restartPolicy must be Never or OnFailure, not {policy!r}"
    volumes = {one.get("name") for one in listed(spec, "volumes")}
    volumes |= {at(one, "metadata").get("name") for one in listed(at(manifest, "spec"), "volumeClaimTemplates")}  # fmt: skip
    for container in containers:
        name = f"container {container.get('name')!r}: "
        if container.get("imagePullPolicy") not in PULL_POLICIES:
            yield f"{name}imagePullPolicy {container['imagePullPolicy']!r} must be one of Always, IfNotPresent, Never"
        for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
            if probe in container and len(HANDLERS & at(container, probe).keys()) != 1:
                yield f"{name}{probe} must have one of {', '.join(sorted(HANDLERS))}"
        for mount in listed(container, "volumeMounts") if kind in workloads.TEMPLATES else ():
            if mount.get("name") not in volumes:
                yield f"{name}volumeMounts: there is no volume {mount.get('name')!r}"
        yield from (f"{name}{text}" for text in _resources(container, demanded))
    for volume in listed(spec, "volumes"):
        size = at(volume, "emptyDir").get("sizeLimit")
        if size is not None and not _is_quantity(size):
            yield f"volume {volume.get('name')!r}: sizeLimit {size!r} is no quantity, such as 64Mi"


def _name(group: str, kind: str, metadata: Node) -> Iterator[str]:
    name = metadata.get("name") or metadata.get("generateName")
    if not isinstance(name, str):
        yield "metadata.name is missing"
    elif _is_filled_in(name) or group == "rbac.authorization.k8s.io":
        return
    elif not (LABEL if kind == "Service" and group == "" else SUBDOMAIN).fullmatch(
        name.rstrip("-")
    ):
        yield f"metadata.name {name!r} must be of a-z, 0-9 and -, begin and end with a letter or digit"
    elif len(name) > LENGTHS.get(kind, 253):
        yield f"metadata.name {name!r} must have at most {LENGTHS[kind]} characters, not {len(name)}"


def _selector(spec: Node) -> Iterator[str]:
    selector = spec.get("selector")
    if not selector:
        if "workloadRef" not in spec:
            yield "spec.selector is missing"
        return
    labels = at(spec, "template", "metadata", "labels")
    for key, value in at(spec, "selector", "matchLabels").items():
        if "template" in spec and labels.get(key) != value:
            yield f"spec.selector has {key}: {value}, and the labels of spec.template have {labels.get(key)!r}"


def _rollout(spec: Node) -> Iterator[str]:
    strategy = at(spec, "strategy")
    given = [one for one in ("blueGreen", "canary") if strategy.get(one) is not None]
    if len(given) != 1:
        yield f"spec.strategy must have one of blueGreen, canary, not {' and '.join(given) or 'none'}"
    canary, blue_green = at(strategy, "canary"), at(strategy, "blueGreen")
    routing = at(canary, "trafficRouting")
    if (
        routing
        and "pingPong" not in canary
        and not {"canaryService", "stableService"} <= canary.keys()
    ):
        yield "spec.strategy.canary.trafficRouting needs canaryService and stableService"
    for first, second, where in (
        ("canaryService", "stableService", canary),
        ("activeService", "previewService", blue_green),
    ):
        if where.get(first) and where.get(first) == where.get(second):
            yield f"spec.strategy: {first} and {second} must be two, not both {where[first]}"
    most = routing.get("maxTrafficWeight") or 100
    for number, step in enumerate(listed(canary, "steps")):
        place = f"spec.strategy.canary.steps[{number}]"
        if len(STEPS & step.keys()) != 1:
            yield f"{place} must have one of {', '.join(sorted(STEPS))}"
        weight, duration = step.get("setWeight"), at(step, "pause").get("duration")
        if isinstance(weight, int) and not 0 <= weight <= most:
            yield f"{place}.setWeight must be 0 to {most}, not {weight}"
        if duration is not None and not DURATION.fullmatch(str(duration)):
            yield f"{place}.pause.duration {duration!r} is no duration, such as 10m"


def _analysis(spec: Node) -> Iterator[str]:
    metrics = listed(spec, "metrics")
    if not metrics and not spec.get("templates"):  # a template may be made of others
        yield "spec.metrics: there must be one"
    for one in metrics:
        providers = [key for key, value in at(one, "provider").items() if value is not None]
        if len(providers) != 1:
            found = " and ".join(providers) or "none"
            yield f"spec.metrics[{one.get('name')}].provider must be one, not {found}"


def _cron_workflow(spec: Node) -> Iterator[str]:
    several = spec.get("schedules") or []
    if bool(several) == bool(spec.get("schedule")):
        yield "spec must have `schedules` (before Argo Workflows 3.6 `schedule`), and not both"
    for one in [*several, *filter(None, [spec.get("schedule")])]:
        yield from _schedule("spec.schedules", one)
    policy = spec.get("concurrencyPolicy")
    if policy not in (None, "", "Allow", "Forbid", "Replace"):
        yield f"spec.concurrencyPolicy {policy!r} must be one of Allow, Forbid, Replace"


def _schedule(where: str, text: Any) -> Iterator[str]:
    words = re.sub(r"^(CRON_)?TZ=\S+\s+", "", str(text)).split()
    if isinstance(text, str) and (words[:1] and words[0].startswith("@")):
        return
    if len(words) != 5 or not all(re.fullmatch(r"[\w*/,?-]+", one) for one in words):
        yield f"{where} {text!r} must have five fields, such as '0 3 * * 1'"


def _templates(spec: Node) -> Iterator[str]:
    """Yield what is wrong with a workflow's templates, and with what names one of them."""
    found = list(workloads.templates(spec))
    names = [one["name"] for one in listed(spec, "templates") if one.get("name")]
    if double := sorted({name for name in names if names.count(name) > 1}):
        yield f"templates: {', '.join(double)} is there twice"
    if len(names) < len(listed(spec, "templates")):
        yield "templates: each must have a name"
    elsewhere = "workflowTemplateRef" in spec  # whose templates are in another manifest
    asked = [("entrypoint", spec.get("entrypoint")), ("onExit", spec.get("onExit"))]
    for where, template in found:
        kinds = [kind for kind in TEMPLATE_KINDS if template.get(kind) is not None]
        if len(kinds) != 1:
            yield f"{where} must have one of {', '.join(TEMPLATE_KINDS)}, not {' and '.join(kinds) or 'none'}"
        asked += [(f"{where}.{one.get('name')}", one.get("template")) for one in workloads.steps(template)]  # fmt: skip
        # https://argo-workflows.readthedocs.io/en/latest/fields/: Argo makes no such pod.
        without_token = template.get(MOUNTED, spec.get(MOUNTED)) is False
        accounts = (at(one, "executor").get("serviceAccountName") for one in (template, spec))
        if without_token and {*kinds} & PODS and not elsewhere and not any(accounts):
            yield f"{where}: {MOUNTED} is false, so executor.serviceAccountName must be there"
    for where, name in asked:
        if (
            isinstance(name, str)
            and name not in names
            and not elsewhere
            and not _is_filled_in(name)
        ):
            yield f"{where}: there is no template {name!r}"


def _resources(container: Node, demanded: Sequence[str]) -> Iterator[str]:
    resources = at(container, "resources")
    for key in ("limits", "requests"):
        for name, value in at(resources, key).items():
            if not _is_quantity(value):
                yield f"resources.{key}.{name} {value!r} is no quantity, such as 500m or 64Mi"
    if not container.get("image"):  # of Argo's or KServe's own; it is a part of a container
        return
    limits = at(resources, "limits")
    for one in demanded:
        key, _, name = one.partition(".")
        # A limit stands for the request that is not there.
        if name not in at(resources, key) and not (key == "requests" and name in limits):
            yield f"resources.{one} is missing (`resources` in scripts/schemas.yaml demands it)"


def _is_quantity(value: Any) -> bool:
    return isinstance(value, int | float) or _is_filled_in(value) or bool(QUANTITY.fullmatch(str(value)))  # fmt: skip


def _is_filled_in(value: Any) -> bool:
    return "{{" in str(value) or workloads.FILLED_IN in str(value)
