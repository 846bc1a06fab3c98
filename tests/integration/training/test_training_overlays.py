"""The template's training overlays: what a bump sets there, and what kustomize builds then."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import manifest_checks
import pytest
import yaml
from training_site import STEPS, TRAINING, TrainingSite, built, digest, image_lines

COMPONENTS = manifest_checks.TEMPLATE.parent / "model" / "components"
# A step of each form that has images, as JSON patches: a strategic-merge patch would replace all steps.
MORE = """\
  - target: {kind: WorkflowTemplate, name: diabetes-training}
    patch: |
      - op: add
        path: /spec/templates/-
        value: {name: look, script: {image: diabetes-test, command: [python], source: print(1)}}
      - op: add
        path: /spec/templates/1/sidecars
        value: [{name: side, image: diabetes-train}]
      - op: add
        path: /spec/templates/1/initContainers
        value: [{name: first, image: diabetes-preprocess}]
  - target: {kind: CronWorkflow, name: diabetes-training}
    patch: |
      - op: add
        path: /spec/workflowSpec/templates
        value: [{name: own, container: {image: diabetes-deploy, command: [look]}}]
"""


def found(manifests: list[Any], kind: str) -> Any:
    return next(one for one in manifests if one["kind"] == kind)


def images(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["image"]] if isinstance(node.get("image"), str) else []
        return own + [one for value in node.values() for one in images(value)]
    return [one for value in node for one in images(value)] if isinstance(node, list) else []


def test_a_bump_sets_each_steps_image(training: TrainingSite) -> None:
    path = "training/overlays/staging/kustomization.yaml"
    file = training.deploy.directory / path
    text = file.read_text("utf-8")
    training.site.commit(
        training.deploy, {path: text.replace("patches:\n", f"patches:\n{MORE}")}, "More"
    )
    before = training.deploy.run("rev-parse", "HEAD").strip()
    told = training.bump(image_lines("v2"))
    assert (told.code, told.outputs["operation"]) == (0, "pushed"), told.log
    assert "leaves the image" not in told.log
    manifests = training.overlay()
    said = images(manifests)
    assert set(said) == {line.partition("=")[2] for line in image_lines("v2").splitlines()}
    # Five steps, the script, the sidecar, the init container, and the CronWorkflow's own.
    assert len(said) == 9
    lines = training.deploy.run("diff", "--numstat", before, "FETCH_HEAD").split()
    # A tag and a new digest of each of the four.
    assert lines == ["8", "4", path]
    assert training.bump(image_lines("v2")).outputs["operation"] == "none"
    # Of one component alone: its two lines, in one commit.
    before = training.deploy.run("rev-parse", "HEAD").strip()
    assert training.bump(image_lines("v3", "train")).outputs["operation"] == "pushed"
    changed = images(training.overlay())
    assert sum(digest("v3-train") in one for one in changed) == 2
    assert training.deploy.run("diff", "--numstat", before, "FETCH_HEAD").split() == [
        "2",
        "2",
        path,
    ]


def test_what_status_says_of_the_service_is_not_touched(training: TrainingSite) -> None:
    given = {"token": "deploy-reader", "json": "true", "environment": "dev"}
    before = training.site.run("status", **given)
    assert (before.code, before.outputs["in-sync"]) == (0, "true"), before.log
    assert training.bump(image_lines("v1")).outputs["operation"] == "pushed"
    after = training.site.run("status", **given)
    assert (before.code, before.outputs) == (after.code, after.outputs), after.log


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_nothing_is_scheduled_before_its_images_are_there(tmp_path: Path, environment: str) -> None:
    waiting = found(built(TRAINING / "overlays" / environment), "CronWorkflow")
    assert waiting["spec"]["suspend"] is True
    folder = tmp_path / "copy" / "overlays" / environment
    for path in TRAINING.rglob("*.yaml"):
        copied = tmp_path / "copy" / path.relative_to(TRAINING)
        copied.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text("utf-8")
        copied.write_text(
            re.sub(r"newTag: not-deployed-yet", f"newTag: v1\n    digest: {digest('v1')}", text)
        )
    cron = found(built(folder), "CronWorkflow")
    assert cron["spec"]["suspend"] is (environment == "staging")
    (propose,) = cron["spec"]["workflowSpec"]["arguments"]["parameters"]
    assert propose == {"name": "propose", "value": str(environment == "production").lower()}
    for one in built(folder):
        assert manifest_checks.problems(one) == []


def test_a_prefix_reaches_each_reference(tmp_path: Path) -> None:
    folder = tmp_path / "overlay"
    folder.mkdir()
    for path in (TRAINING / "base").iterdir():
        (folder / path.name).write_text(path.read_text("utf-8"))
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text("utf-8"))
    (folder / "kustomization.yaml").write_text(
        yaml.safe_dump({**kustomization, "namePrefix": "x-"})
    )
    manifests = built(folder)
    template, cron = found(manifests, "WorkflowTemplate"), found(manifests, "CronWorkflow")
    assert (
        cron["spec"]["workflowSpec"]["workflowTemplateRef"]["name"] == template["metadata"]["name"]
    )
    names = {one["kind"]: one["metadata"]["name"] for one in manifests}
    assert template["spec"]["artifactRepositoryRef"]["configMap"] == names["ConfigMap"]
    assert template["spec"]["serviceAccountName"] == names["ServiceAccount"]


def test_each_step_is_given_what_another_gives_out() -> None:
    spec = found(built(TRAINING / "overlays" / "staging"), "WorkflowTemplate")["spec"]
    templates = {one["name"]: one for one in spec["templates"]}
    declared = {one["name"] for one in spec["arguments"]["parameters"]}
    used = set(re.findall(r"workflow\.parameters\.([\w-]+)", str(spec)))
    assert used == declared
    for task in templates[spec["entrypoint"]]["dag"]["tasks"]:
        inputs = templates[task["template"]].get("inputs", {}).get("artifacts", [])
        given = {one["name"]: one["from"] for one in task.get("arguments", {}).get("artifacts", [])}
        assert set(given) == {one["name"] for one in inputs}
        for one in given.values():
            step, name = re.fullmatch(
                r"\{\{tasks\.(\w+)\.outputs\.artifacts\.([\w-]+)\}\}", one
            ).groups()  # type: ignore[union-attr]
            made = templates[step]["outputs"]["artifacts"]
            assert name in {artifact["name"] for artifact in made}
    for name, one in templates.items():
        if "container" not in one:
            continue
        text = " ".join(one["container"]["args"])
        # Each file that Argo brings is used, and each that it takes is written.
        for artifact in (
            *one.get("inputs", {}).get("artifacts", []),
            *one["outputs"].get("artifacts", []),
        ):
            assert artifact["path"] in text, (name, artifact)
        assert one["retryStrategy"]["limit"] == "3"
    assert spec["synchronization"]["mutexes"] == [{"name": "diabetes-training"}]


@pytest.mark.parametrize("step", STEPS)
def test_a_step_starts_what_its_image_starts(step: str) -> None:
    """Argo asks no registry for it: the command is written down a second time."""
    dockerfile = (COMPONENTS / step / "Dockerfile").read_text("utf-8")
    (entrypoint,) = re.findall(r"(?m)^ENTRYPOINT (.+)$", dockerfile)
    spec = found(built(TRAINING / "overlays" / "staging"), "WorkflowTemplate")["spec"]
    commands = {
        tuple(one["container"]["command"])
        for one in spec["templates"]
        if one.get("container", {}).get("image", "").startswith(f"ghcr.io/acme/diabetes-{step}:")
    }
    assert commands == {tuple(yaml.safe_load(entrypoint))}


def applied_by_the_admin(environment: str) -> dict[str, Any]:
    file = manifest_checks.TEMPLATE / "argocd" / "training" / f"{environment}.yaml"
    return {one["kind"]: one for one in yaml.safe_load_all(file.read_text("utf-8"))}


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_no_step_can_write_the_result_of_another(environment: str) -> None:
    """The token is in Argo's own container alone: Argo mounts there that of the executor's account, by a Secret."""
    overlay = built(TRAINING / "overlays" / environment)
    spec = found(overlay, "WorkflowTemplate")["spec"]
    account, executor = spec["serviceAccountName"], spec["executor"]["serviceAccountName"]
    says = {"serviceAccountName", "automountServiceAccountToken", "executor"}
    assert spec["automountServiceAccountToken"] is False
    for one in (found(overlay, "CronWorkflow")["spec"]["workflowSpec"], *spec["templates"]):
        assert not says & one.keys()
    own = found(overlay, "ServiceAccount")
    assert (own["metadata"]["name"], own["automountServiceAccountToken"]) == (account, False)
    given = applied_by_the_admin(environment)
    namespace = found(overlay, "WorkflowTemplate")["metadata"]["namespace"]
    metadata = given["ServiceAccount"]["metadata"]
    assert (metadata["name"], metadata["namespace"]) == (executor, namespace)
    assert given["ServiceAccount"]["automountServiceAccountToken"] is False
    # Kubernetes fills it in, and Argo looks for it by this name.
    assert given["Secret"]["type"] == "kubernetes.io/service-account-token"
    assert given["Secret"]["metadata"] == {
        "name": f"{executor}.service-account-token",
        "namespace": namespace,
        "annotations": {"kubernetes.io/service-account.name": executor},
    }
    (subject,) = given["RoleBinding"]["subjects"]
    assert subject["name"] == executor != account


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_the_clusters_admin_gives_no_more_than_argo_needs(environment: str) -> None:
    manifests = applied_by_the_admin(environment)
    namespace = f"diabetes-training-{environment}"
    assert manifests["Role"]["rules"] == [
        {
            "apiGroups": ["argoproj.io"],
            "resources": ["workflowtaskresults"],
            "verbs": ["create", "patch"],
        }
    ]
    labels = manifests["Namespace"]["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert manifests["Application"]["spec"]["destination"]["namespace"] == namespace
    (subject,) = manifests["RoleBinding"]["subjects"]
    assert (subject["name"], subject["namespace"]) == ("diabetes-training-executor", namespace)
    overlay = built(TRAINING / "overlays" / environment)
    assert {one["metadata"]["namespace"] for one in overlay} == {namespace}
    assert ("automated" in manifests["Application"]["spec"]["syncPolicy"]) == (
        environment == "staging"
    )
