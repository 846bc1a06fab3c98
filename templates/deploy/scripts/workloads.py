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
FILLED_IN = "FILLED-IN-LATER"
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
    spec = _at(manifest, "spec")
    native = "." not in group
    if kind in TEMPLATES and (native or group == ARGO):
        place = TEMPLATES[kind]
        template = _at(manifest, *place)
        # A Rollout may take the pods of a Deployment, which is a manifest of its own.
        if template or "workloadRef" not in spec:
            yield Pod(".".join(place), _at(template, "metadata"), _at(template, "spec"), native)
    elif group == ARGO:
        yield from _argo(kind, manifest, spec)
    elif kind == "InferenceService":
        for name in ("predictor", "transformer", "explainer"):
            if own := _at(spec, name):
                notes = {key: own[key] for key in ("annotations", "labels") if key in own}
                yield Pod(f"spec.{name}", _at(manifest, "metadata") | notes, _serving(own))
    elif kind in ("ClusterServingRuntime", "ServingRuntime"):
        yield Pod("spec", _at(manifest, "metadata"), _pod(spec, _all(spec, "containers")))


def _argo(kind: str, manifest: Node, spec: Node) -> Iterator[Pod]:
    if kind in WORKFLOWS:
        yield from _workflow(".".join(WORKFLOWS[kind]), _at(manifest, *WORKFLOWS[kind]))
    elif kind == "Experiment":
        for one in _all(spec, "templates"):
            template = _at(one, "template")
            name = f"spec.templates[{one.get('name')}].template"
            yield Pod(name, _at(template, "metadata"), _at(template, "spec"))
    elif kind in ("EventSource", "Sensor"):
        template = _at(spec, "template")
        made = _pod(template, [_container(_at(template, "container"), MAIN)])
        yield Pod("spec.template", _at(template, "metadata"), made)
    elif kind == "EventBus":
        for name in ("jetstream", "native"):
            if own := _at(spec, *((name,) if name == "jetstream" else ("nats", name))):
                names = ("containerTemplate", "metricsContainerTemplate")
                names += ("reloaderContainerTemplate",) if name == "jetstream" else ()
                containers = [_container(_at(own, one), one.lower()) for one in names]
                yield Pod(f"spec.{name}", _at(own, "metadata"), _pod(own, containers))


def embedded(manifest: Node) -> Iterator[tuple[str, Node]]:
    """Yield each manifest inside a manifest, and where. Raises ValueError for text that is not YAML."""
    group, kind = manifest["apiVersion"].rpartition("/")[0], manifest["kind"]
    if kind == "Sensor" and group == ARGO:
        for trigger in _all(_at(manifest, "spec"), "triggers"):
            template = _at(trigger, "template")
            for one in ("argoWorkflow", "k8s"):
                source = _at(template, one, "source")
                where = f"spec.triggers[{template.get('name')}].{one}.source"
                if "resource" in source:
                    yield f"{where}.resource", source["resource"]
                if "inline" in source:
                    yield from _text(f"{where}.inline", source["inline"])
    elif kind in WORKFLOWS and group == ARGO:
        for template in _all(_at(manifest, *WORKFLOWS[kind]), "templates"):
            if text := _at(template, "resource").get("manifest"):
                yield from _text(f"template {template.get('name')}: resource.manifest", text)
    elif kind in ("AnalysisRun", "AnalysisTemplate", "ClusterAnalysisTemplate"):
        for metric in _all(_at(manifest, "spec"), "metrics"):
            if job := _at(metric, "provider", "job"):
                found = {"apiVersion": "batch/v1", "kind": "Job", "spec": job.get("spec")}
                found["metadata"] = {"generateName": "job-"} | _at(job, "metadata")
                yield f"metric {metric.get('name')}: provider.job", found


def _workflow(place: str, spec: Node) -> Iterator[Pod]:
    defaults = _at(spec, "templateDefaults")
    for own in _all(spec, "templates"):
        kinds = [one for one in ("container", "script", "containerSet") if one in own]
        if not kinds:  # it starts no pod with an image of its own
            continue
        template = merged(
            {key: defaults[key] for key in defaults if key in (*kinds, *POD_FIELDS)}, own
        )
        if "containerSet" in own:
            own_ones = _all(_at(template, "containerSet"), "containers")
        else:
            own_ones = [_at(template, kinds[0])]
        containers = [_container(one, MAIN) for one in own_ones + _all(template, "sidecars")]
        shared = {key: spec[key] for key in POD_FIELDS if key in spec and key != "volumes"}
        whole = shared | {key: template[key] for key in POD_FIELDS if key in template}
        whole["volumes"] = _all(spec, "volumes") + _all(template, "volumes")
        pod = _pod(whole, containers)
        for text in (spec.get("podSpecPatch"), template.get("podSpecPatch")):
            if text:
                (patch,) = _load(f"podSpecPatch of {own.get('name')}", text) or [{}]
                pod = merged(pod, patch)
        # A template's metadata come over those that the workflow has for all its pods.
        notes = merged(_at(spec, "podMetadata"), _at(template, "metadata"))
        yield Pod(f"{place}.templates[{own.get('name')}]", notes, pod)


def _serving(spec: Node) -> Node:
    models = [_container(spec[one], "kserve-container") for one in FRAMEWORKS if spec.get(one)]
    return _pod(spec, models + _all(spec, "containers"))


def _pod(fields: Node, containers: list[Node]) -> Node:
    made = {key: fields[key] for key in POD_FIELDS if key in fields and key != "sidecars"}
    if "initContainers" in made:
        made["initContainers"] = [_container(one, "init") for one in _all(made, "initContainers")]
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


def _at(node: Any, *keys: str) -> Node:
    for key in keys:
        node = node.get(key) if isinstance(node, dict) else None
    return node if isinstance(node, dict) else {}


def _all(node: Node, key: str) -> list[Node]:
    found = node.get(key)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
