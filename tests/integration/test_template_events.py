"""templates/deploy/events: what is pinned, who may what, and that the program is given what it reads."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from go_templates import rendered, renderer
from manifest_checks import TEMPLATE, problems

from model_gitops.adapters import process
from model_gitops.core.deploy import kustomization_edit
from model_gitops.core.deploy.kustomization import Image
from model_gitops_local import toolchain

__all__ = ["renderer"]
DIGEST = "sha256:" + "a" * 64


def build(folder: Path) -> dict[str, dict[str, Any]]:
    """What `kustomize build` makes, by kind and name."""
    text = process.run([toolchain.ensure("kustomize"), "build", folder]).stdout
    return {f"{one['kind']} {one['metadata']['name']}": one for one in yaml.safe_load_all(text)}


@pytest.fixture(scope="module")
def made() -> dict[str, dict[str, Any]]:
    return build(TEMPLATE / "events")


def containers(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        one
        for template in workflow["spec"]["templates"]
        for one in (
            *([template["container"]] if "container" in template else []),
            *template.get("initContainers", []),
            *template.get("sidecars", []),
        )
    ]


def test_each_image_is_reached_and_pinned_by_a_bump(tmp_path: Path) -> None:
    folder = tmp_path / "events"
    shutil.copytree(TEMPLATE / "events", folder)
    file = folder / "kustomization.yaml"
    wanted = [Image("diabetes-deploy", "", "v2", DIGEST)]
    old = file.read_text("utf-8")
    file.write_text(kustomization_edit.edit(old, wanted, source="k"), "utf-8")
    images = [
        one["image"] for one in containers(build(folder)["WorkflowTemplate diabetes-deliver"])
    ]
    assert images.count(f"ghcr.io/acme/diabetes-deploy:v2@{DIGEST}") == 3
    others = {one.partition(":")[0] for one in images if "diabetes-deploy" not in one}
    assert others == {
        "docker.io/moby/buildkit",
        "docker.io/library/docker",
        "{{inputs.parameters.image}}",
    }
    assert all(re.search(r"@sha256:[0-9a-f]{64}$|^\{\{", one) for one in images)


def test_each_manifest_is_valid_and_so_is_the_workflow_in_the_sensor(
    made: dict[str, dict[str, Any]],
) -> None:
    assert {name: problems(one) for name, one in made.items() if problems(one)} == {}
    sensor = yaml.safe_load(yaml.safe_dump(made["Sensor diabetes"]))
    workflow = sensor["spec"]["triggers"][0]["template"]["k8s"]["source"]["resource"]
    workflow["spec"]["argumentz"] = workflow["spec"].pop("arguments")
    assert "argumentz" in problems(sensor)[0]


def test_the_sensor_hands_on_what_the_template_asks_for(made: dict[str, dict[str, Any]]) -> None:
    (trigger,) = made["Sensor diabetes"]["spec"]["triggers"]
    started = trigger["template"]["k8s"]
    given = started["source"]["resource"]["spec"]["arguments"]["parameters"]
    filled = {
        given[int(one["dest"].split(".")[3])]["name"]: one["src"]["dataKey"]
        for one in started["parameters"]
    }
    assert filled == {"ref": "body.ref", "before": "body.before", "commit": "body.after"}
    template = made["WorkflowTemplate diabetes-deliver"]
    asked = template["spec"]["arguments"]["parameters"]
    assert [one["name"] for one in asked if "value" not in one] == list(filled)
    resource = started["source"]["resource"]
    assert resource["spec"]["workflowTemplateRef"]["name"] == template["metadata"]["name"]
    assert resource["metadata"]["namespace"] == template["metadata"]["namespace"]


def test_the_program_is_given_what_it_reads(made: dict[str, dict[str, Any]]) -> None:
    program = made["ConfigMap diabetes-deliver"]["data"]["deliver.py"]
    parts = {
        one["args"][0]: one
        for one in containers(made["WorkflowTemplate diabetes-deliver"])
        if "/program/deliver.py" in one.get("command", [])
    }
    assert set(parts) == {"build", "smoke", "deploy"}
    given = {env["name"] for one in parts.values() for env in one["env"]}
    assert given - {"HOME"} == set(re.findall(r'given\("([A-Z_0-9]+)"\)', program))
    mounts = {name: {m["mountPath"] for m in one["volumeMounts"]} for name, one in parts.items()}
    assert all("/secrets/source" in one for one in mounts.values())
    # Who builds does not hold what writes the deploy repository, and who asks holds neither.
    held = {
        name: {m["name"] for m in one["volumeMounts"] if m["mountPath"].startswith("/secrets/")}
        for name, one in parts.items()
    }
    assert held == {
        "build": {"source", "registry", "deploy-read"},
        "smoke": {"source"},
        "deploy": {"source", "registry", "deploy-write"},
    }
    buildkit = next(
        one
        for one in containers(made["WorkflowTemplate diabetes-deliver"])
        if one.get("name") == "buildkit"
    )
    assert not [one for one in buildkit["volumeMounts"] if "secrets" in one["mountPath"]]


def test_the_webhook_is_signed_and_nobody_may_more_than_they_need(
    made: dict[str, dict[str, Any]],
) -> None:
    (source,) = made["EventSource diabetes"]["spec"]["github"].values()
    assert source["webhookSecret"]["name"]
    assert source["insecure"] is False
    assert not {"apiToken", "githubApp"} & set(source)
    rules = {name: one["rules"] for name, one in made.items() if name.startswith("Role ")}
    assert rules == {
        "Role diabetes-sensor": [
            {"apiGroups": ["argoproj.io"], "resources": ["workflows"], "verbs": ["create"]}
        ],
        "Role diabetes-executor": [
            {
                "apiGroups": ["argoproj.io"],
                "resources": ["workflowtaskresults"],
                "verbs": ["create", "patch"],
            }
        ],
    }
    spec = made["WorkflowTemplate diabetes-deliver"]["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["executor"]["serviceAccountName"] == "diabetes-executor"
    levels = {
        name: one["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
        for name, one in made.items()
        if name.startswith("Namespace ")
    }
    assert levels == {
        "Namespace diabetes-events": "restricted", "Namespace diabetes-build": "privileged",
    }  # fmt: skip


PUSH = {
    "headers.X-Github-Event.0": "push",
    "body.repository.full_name": "acme/diabetes",
    "body.deleted": False,
    "body.ref": "refs/heads/main",
}


@pytest.mark.parametrize(
    ("change", "passes"),
    [
        ({}, True),
        ({"body.ref": "refs/heads/production"}, True),
        ({"body.ref": "refs/heads/maintenance"}, False),
        ({"body.ref": "refs/heads/experiment/main"}, False),
        ({"body.ref": "refs/heads/refs/heads/main"}, False),
        ({"body.ref": "refs/tags/main"}, False),
        ({"body.deleted": True}, False),
        ({"body.repository.full_name": "acme/diabetes-fork"}, False),
        ({"body.repository.full_name": "evil/acme/diabetes"}, False),
        ({"headers.X-Github-Event.0": "pull_request"}, False),
    ],
)
def test_which_events_start_a_workflow(
    made: dict[str, dict[str, Any]], renderer: Path, change: dict[str, Any], passes: bool
) -> None:
    """As Argo Events filters data: a template first, then regular expressions, found anywhere."""
    event = PUSH | change
    (dependency,) = made["Sensor diabetes"]["spec"]["dependencies"]
    data = dependency["filters"]["data"]
    assert {one["path"] for one in data} == set(PUSH)

    def fits(one: dict[str, Any]) -> bool:
        found = event[one["path"]]
        if one["type"] == "bool":
            return str(found).lower() in one["value"]
        if "template" in one:
            (found,) = rendered(renderer, [one["template"]], {"Input": found})
        return any(re.search(pattern, found) for pattern in one["value"])

    assert all(map(fits, data)) is passes
