"""Argo Workflows' resources, as its API has them: runs, what a run would be made of, and what starts one.

https://github.com/argoproj/argo-workflows/blob/v3.7.14/api/openapi-spec/swagger.json
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from model_gitops.core.document import mapping, sequence
from model_gitops.core.line import plain, shortened
from model_gitops.core.training.runs import Offer, Run, State, Step

API_VERSION = "argoproj.io/v1alpha1"
# What Argo itself labels each run of a CronWorkflow with.
LABEL = "workflows.argoproj.io/cron-workflow"
# What is read of a run, where the API can leave out the rest. Its nodes are asked for alone.
FIELDS = ",".join(
    [
        "metadata",
        *(
            f"items.{one}"
            for one in (
                "metadata.name", "metadata.creationTimestamp", "spec.templates", "status.phase",
                "status.message", "status.storedTemplates", "status.storedWorkflowTemplateSpec",
            )
        ),
    ]
)  # fmt: skip
# WorkflowPhase; empty is a run that the controller has not seen yet.
_STATES = {
    "": State.WAITS,
    "Pending": State.WAITS,
    "Running": State.RUNS,
    "Succeeded": State.SUCCEEDED,
    "Failed": State.FAILED,
    "Error": State.ERROR,
}
_MOST_STEPS = 50


def run_of(workflow: Any, url: str = "") -> Run:
    """Return the run that a Workflow is."""
    found = mapping(workflow)
    metadata, status = mapping(found.get("metadata")), mapping(found.get("status"))
    stored = mapping(status.get("storedWorkflowTemplateSpec"))
    # A run of a template has its spec in the status, as it was when it started.
    images = (
        *images_of(stored.get("templates")),
        *images_of(mapping(found.get("spec")).get("templates")),
        *images_of(list(mapping(status.get("storedTemplates")).values())),
    )
    return Run(
        name=str(metadata.get("name") or ""),
        state=_STATES.get(str(status.get("phase") or ""), State.RUNS),
        images=tuple(dict.fromkeys(images)),
        started=str(metadata.get("creationTimestamp") or ""),
        message=_words(status.get("message") or ""),
        url=url,
        steps=tuple(_steps(mapping(status.get("nodes")))),
    )


def images_of(templates: Any) -> Iterator[str]:
    """Yield the images of templates: of containers, scripts, sidecars and sets of containers."""
    for one in map(mapping, sequence(templates)):
        single = [one.get("container"), one.get("script")]
        listed = [*sequence(one.get("sidecars")), *sequence(one.get("initContainers"))]
        several = sequence(mapping(one.get("containerSet")).get("containers"))
        for container in map(mapping, [*single, *listed, *several]):
            image = container.get("image")
            if isinstance(image, str) and image:
                yield image


def template_of(cron: Any) -> str:
    """Return the name of the WorkflowTemplate that a CronWorkflow runs; empty where it has its own steps."""
    spec = mapping(mapping(mapping(cron).get("spec")).get("workflowSpec"))
    return str(mapping(spec.get("workflowTemplateRef")).get("name") or "")


def offer_of(cron: Any, template: Any) -> Offer:
    """Return what a run of a CronWorkflow would be made of; `template` is the one that it names, or None."""
    own = mapping(mapping(mapping(cron).get("spec")).get("workflowSpec"))
    named = mapping(mapping(template).get("spec"))
    parameters: dict[str, str] = {}
    for spec in (named, own):
        for one in map(mapping, sequence(mapping(spec.get("arguments")).get("parameters"))):
            parameters[str(one.get("name"))] = str(one.get("value") or "")
    images = (*images_of(named.get("templates")), *images_of(own.get("templates")))
    return Offer(tuple(dict.fromkeys(images)), parameters)


def submission(cron: str, namespace: str, name: str, parameters: Mapping[str, str]) -> Any:
    """Return the body by which Argo's own server starts a run of a CronWorkflow (WorkflowSubmitRequest)."""
    return {
        "namespace": namespace,
        "resourceKind": "CronWorkflow",
        "resourceName": cron,
        "submitOptions": {
            "name": name,
            "parameters": [f"{key}={value}" for key, value in parameters.items()],
        },
    }


def workflow_of(cron: Any, namespace: str, name: str, parameters: Mapping[str, str]) -> Any:
    """Return the Workflow that a CronWorkflow starts, for Kubernetes' API.

    As Argo makes it: common.ConvertCronWorkflowToWorkflow, which says whose run it is by a label and an
    owner, so that `concurrencyPolicy` and the limits of the history count it.
    """
    found = mapping(cron)
    spec, metadata = mapping(found.get("spec")), mapping(found.get("metadata"))
    own = dict(mapping(spec.get("workflowSpec")))
    kept = [
        one
        for one in map(mapping, sequence(mapping(own.get("arguments")).get("parameters")))
        if one.get("name") not in parameters
    ]
    given = [{"name": key, "value": value} for key, value in parameters.items()]
    own["arguments"] = {**mapping(own.get("arguments")), "parameters": [*given, *kept]}
    told = mapping(spec.get("workflowMetadata"))
    labels = {LABEL: str(metadata.get("name"))}
    instance = mapping(metadata.get("labels")).get("workflows.argoproj.io/controller-instanceid")
    if instance:
        labels["workflows.argoproj.io/controller-instanceid"] = str(instance)
    return {
        "apiVersion": API_VERSION,
        "kind": "Workflow",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {**mapping(told.get("labels")), **labels},
            **({"annotations": told["annotations"]} if told.get("annotations") else {}),
            "ownerReferences": [
                {
                    "apiVersion": API_VERSION,
                    "kind": "CronWorkflow",
                    "name": str(metadata.get("name")),
                    "uid": str(metadata.get("uid")),
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": own,
    }


def _words(text: Any) -> str:
    return shortened(plain(str(text)), 300)


def _steps(nodes: Mapping[str, Any]) -> Iterator[Step]:
    """Yield the pods of a run as its steps, in the order in which they started."""
    pods = [one for one in map(mapping, nodes.values()) if one.get("type") == "Pod"]
    for one in sorted(pods, key=lambda node: str(node.get("startedAt") or "~"))[:_MOST_STEPS]:
        phase = str(one.get("phase") or "Pending")
        yield Step(
            _words(one.get("displayName") or one.get("name") or "?"),
            _words(phase),
            _words(one.get("message") or ""),
            has_failed=phase in ("Failed", "Error"),
        )
