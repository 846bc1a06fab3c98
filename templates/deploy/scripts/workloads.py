"""Which pods a manifest makes, and which other manifests it has inside: of Kubernetes, Argo, and KServe.

Schemas of custom resources leave parts of these unchecked, and none says what a pod may do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

Node = dict[str, Any]
ARGO = "argoproj.io"
# Where a kind keeps the template of its pods.
TEMPLATES = {
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
    "DaemonSet": ("spec", "template"),
    "Deployment": ("spec", "template"),
    "Job": ("spec", "template"),
    "Pod": (),
    "PodTemplate": ("template",),
    "ReplicaSet": ("spec", "template"),
    "ReplicationController": ("spec", "template"),
    "Rollout": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
}
WORKFLOWS = {
    "ClusterWorkflowTemplate": ("spec",),
    "CronWorkflow": ("spec", "workflowSpec"),
    "Workflow": ("spec",),
    "WorkflowTemplate": ("spec",),
}
# What Argo's templates and KServe's predictors say of a container and Kubernetes does not.
NO_CONTAINER_FIELDS = {
    "source", "mirrorVolumeMounts", "dependencies", "modelFormat", "runtime", "storageUri", "storage",
    "protocolVersion", "runtimeVersion",
}  # fmt: skip
POD_FIELDS = (
    "activeDeadlineSeconds", "affinity", "automountServiceAccountToken", "dnsConfig", "dnsPolicy", "hostAliases",
    "hostNetwork", "imagePullSecrets", "initContainers", "nodeSelector", "priorityClassName", "schedulerName",
    "securityContext", "serviceAccountName", "sidecars", "tolerations", "volumes",
)  # fmt: skip
FRAMEWORKS = (
    "model", "huggingface", "lightgbm", "onnx", "paddle", "pmml", "pytorch", "sklearn", "tensorflow", "triton",
    "xgboost", "art",
)  # fmt: skip
NOTED = ("metadata", "podSpecPatch")
FILLED_IN = "FILLED-IN-LATER"
RESTRICTED = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
MAIN = "main"  # what Argo calls the container of a template


@dataclass(frozen=True)
class Pod:
    """A pod that a manifest makes: where its template is, its metadata and its spec."""

    where: str
    metadata: Node
    spec: Node
    # A schema of Kubernetes has checked it already, as a part of the manifest.
    checked: bool = False


def pods(manifest: Node) -> Iterator[Pod]:
    """Yield the pods of a manifest. Raises ValueError for text in it that is not YAML."""
    group, kind = manifest["apiVersion"].rpartition("/")[0], manifest["kind"]
    spec = at(manifest, "spec")
    native = "." not in group
    if kind in TEMPLATES and (native or group == ARGO):
        place = TEMPLATES[kind]
        template = at(manifest, *place)
        # A Rollout may take the pods of a Deployment, which is a manifest of its own.
        if template or "workloadRef" not in spec:
            yield Pod(".".join(place), at(template, "metadata"), at(template, "spec"), native)
    elif group == ARGO:
        yield from _argo(kind, manifest, spec)
    elif kind == "InferenceService":
        for name in ("predictor", "transformer", "explainer"):
            if own := at(spec, name):
                notes = {key: own[key] for key in ("annotations", "labels") if key in own}
                yield Pod(f"spec.{name}", at(manifest, "metadata") | notes, _serving(own))
                if worker := at(own, "workerSpec"):
                    yield Pod(f"spec.{name}.workerSpec", at(manifest, "metadata"), _serving(worker))
    elif kind in ("ClusterServingRuntime", "ServingRuntime"):
        yield Pod("spec", at(manifest, "metadata"), _pod(spec, listed(spec, "containers")))
        if worker := at(spec, "workerSpec"):
            yield Pod("spec.workerSpec", at(manifest, "metadata"), _serving(worker))
    elif kind == "ClusterStorageContainer":  # in the pods of others, which say what holds for a pod
        own = {"securityContext": RESTRICTED, "containers": [_container(at(spec, "container"), "")]}
        yield Pod("spec.container", at(manifest, "metadata"), own)
    elif not native and not group.endswith("kyverno.io"):  # a policy has patterns of pods
        yield from _found("", manifest, at(manifest, "metadata"))


def _found(where: str, node: Any, metadata: Node) -> Iterator[Pod]:
    """Yield the pods of a kind that nobody here knows: whatever has a list of containers with images."""
    if isinstance(node, list):
        for number, one in enumerate(node):
            yield from _found(f"{where}[{number}]", one, metadata)
    if not isinstance(node, dict):
        return
    if any("image" in one for one in listed(node, "containers")):
        yield Pod(where.lstrip("."), metadata, node, checked=True)
    for key, value in node.items():
        if key != "metadata":
            yield from _found(f"{where}.{key}", value, at(node, "metadata") or metadata)


def _argo(kind: str, manifest: Node, spec: Node) -> Iterator[Pod]:
    if kind in WORKFLOWS:
        yield from _workflow(".".join(WORKFLOWS[kind]), at(manifest, *WORKFLOWS[kind]))
    elif kind == "Experiment":
        for one in listed(spec, "templates"):
            template = at(one, "template")
            name = f"spec.templates[{one.get('name')}].template"
            yield Pod(name, at(template, "metadata"), at(template, "spec"))
    elif kind in ("EventSource", "Sensor"):
        template = at(spec, "template")
        made = _pod(template, [_container(at(template, "container"), MAIN)])
        yield Pod("spec.template", at(template, "metadata"), made)
    elif kind == "EventBus":
        for name in ("jetstream", "native"):
            if own := at(spec, *((name,) if name == "jetstream" else ("nats", name))):
                names = ("containerTemplate", "metricsContainerTemplate")
                names += ("reloaderContainerTemplate",) if name == "jetstream" else ()
                containers = [_container(at(own, one), one.lower()) for one in names]
                yield Pod(f"spec.{name}", at(own, "metadata"), _pod(own, containers))


def embedded(manifest: Node) -> Iterator[tuple[str, Node]]:
    """Yield each manifest inside a manifest, and where. Raises ValueError for text that is not YAML."""
    group, kind = manifest["apiVersion"].rpartition("/")[0], manifest["kind"]
    if kind == "Sensor" and group == ARGO:
        for trigger in listed(at(manifest, "spec"), "triggers"):
            template = at(trigger, "template")
            for one in ("argoWorkflow", "k8s"):
                source = at(template, one, "source")
                where = f"spec.triggers[{template.get('name')}].{one}.source"
                if "resource" in source:
                    yield f"{where}.resource", source["resource"]
                if "inline" in source:
                    yield from _text(f"{where}.inline", source["inline"])
    elif kind in WORKFLOWS and group == ARGO:
        for where, template in templates(at(manifest, *WORKFLOWS[kind])):
            resource = at(template, "resource")
            # What is deleted, asked for or patched is no whole manifest.
            if resource.get("action") in ("create", "apply", "replace") and resource.get(
                "manifest"
            ):
                yield from _text(f"{where}: resource.manifest", resource["manifest"])
    elif kind in ("AnalysisRun", "AnalysisTemplate", "ClusterAnalysisTemplate"):
        for metric in listed(at(manifest, "spec"), "metrics"):
            if job := at(metric, "provider", "job"):
                found = {"apiVersion": "batch/v1", "kind": "Job", "spec": job.get("spec")}
                found["metadata"] = {"generateName": "job-"} | at(job, "metadata")
                yield f"metric {metric.get('name')}: provider.job", found


def templates(spec: Node) -> Iterator[tuple[str, Node]]:
    """Yield each template of a workflow's spec, and where: those in `inline` of a step or task too."""
    waiting = [(f"templates[{one.get('name')}]", one) for one in listed(spec, "templates")]
    for where, own in waiting:
        yield where, own
        for one in steps(own):
            if inline := at(one, "inline"):
                waiting.append((f"{where}.{one.get('name')}.inline", inline))


def steps(template: Node) -> list[Node]:
    """Return the steps, or the tasks, of a workflow's template."""
    groups = template.get("steps")
    found = []
    for group in groups if isinstance(groups, list) else ():
        found += group if isinstance(group, list) else [group]
    return [one for one in found if isinstance(one, dict)] + listed(at(template, "dag"), "tasks")


def _workflow(place: str, spec: Node) -> Iterator[Pod]:
    defaults = at(spec, "templateDefaults")
    for where, own in templates(spec):
        kinds = [one for one in ("container", "script", "containerSet") if one in own]
        if not kinds:  # it starts no pod with an image of its own
            continue
        template = merged(
            {key: defaults[key] for key in defaults if key in (*kinds, *POD_FIELDS, *NOTED)}, own
        )
        if "containerSet" in own:
            own_ones = listed(at(template, "containerSet"), "containers")
        else:
            own_ones = [at(template, kinds[0])]
        containers = [_container(one, MAIN) for one in own_ones + listed(template, "sidecars")]
        shared = {key: spec[key] for key in POD_FIELDS if key in spec and key != "volumes"}
        whole = shared | {key: template[key] for key in POD_FIELDS if key in template}
        whole["volumes"] = listed(spec, "volumes") + listed(template, "volumes")
        pod = _pod(whole, containers)
        for text in (spec.get("podSpecPatch"), template.get("podSpecPatch")):
            if text:
                (patch,) = _load(f"{where}: podSpecPatch", text) or [{}]
                pod = merged(pod, patch)
        # A template's metadata come over those that the workflow has for all its pods.
        notes = merged(at(spec, "podMetadata"), at(template, "metadata"))
        yield Pod(f"{place}.{where}", notes, pod)


def _serving(spec: Node) -> Node:
    models = [_container(spec[one], "kserve-container") for one in FRAMEWORKS if spec.get(one)]
    return _pod(spec, models + listed(spec, "containers"))


def _pod(fields: Node, containers: list[Node]) -> Node:
    made = {key: fields[key] for key in POD_FIELDS if key in fields and key != "sidecars"}
    if "initContainers" in made:
        made["initContainers"] = [_container(one, "init") for one in listed(made, "initContainers")]
    return made | {"containers": containers}


def _container(fields: Node, name: str) -> Node:
    return {"name": name} | {
        key: value for key, value in fields.items() if key not in NO_CONTAINER_FIELDS
    }


def merged(old: Any, patch: Any) -> Any:
    """Return `old` with a strategic merge patch: maps by key, lists of things with a name by that name."""
    if isinstance(old, dict) and isinstance(patch, dict):
        both = {key: merged(old[key], patch[key]) for key in old.keys() & patch.keys()}
        return {key: value for key, value in (old | patch | both).items() if value is not None}
    lists = isinstance(old, list) and isinstance(patch, list)
    if lists and all(isinstance(one, dict) and "name" in one for one in old + patch):
        named = {one["name"]: one for one in old}
        for one in patch:
            named[one["name"]] = merged(named.get(one["name"], {}), one)
        return list(named.values())
    return patch


def _text(where: str, text: str) -> Iterator[tuple[str, Node]]:
    for one in _load(where, text):
        yield where, one


def _load(where: str, text: str) -> list[Node]:
    """Return the documents of a text; what a workflow fills in (`{{…}}`) is a word."""
    try:
        found = list(yaml.safe_load_all(re.sub(r"{{.*?}}", FILLED_IN, text)))
    except yaml.YAMLError as error:
        raise ValueError(f"{where} is not YAML: {error}") from None
    if not all(isinstance(one, dict) for one in found if one is not None):
        raise ValueError(f"{where} is not YAML with fields")
    return [one for one in found if one]


def at(node: Any, *keys: str) -> Node:
    """Return the mapping at a place; empty where there is none."""
    for key in keys:
        node = node.get(key) if isinstance(node, dict) else None
    return node if isinstance(node, dict) else {}


def listed(node: Node, key: str) -> list[Node]:
    """Return the mappings of a list; none where there is no list."""
    found = node.get(key)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
