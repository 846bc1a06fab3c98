"""What the deploy template's check sees that no schema says: what a cluster refuses, and pods that are hidden."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import manifest_checks
import pytest
import yaml
from manifest_checks import problems
from manifest_examples import CONTAINER_LINE, GOOD, IMAGE, NAMED_LINE, POD, manifest

BAD = f'{{name: bad, image: "{IMAGE}", securityContext: {{privileged: true}}, resources: {{limits: {{cpu: 1, memory: 1Gi}}}}}}'
PRIVILEGED = "securityContext.privileged must not be true"
STEPS = "steps: [{setWeight: 20}"

# Kind: the right text, the wrong one, and what is said of it.
REFUSED = [
    ("Deployment", "metadata: {name: deployment}", "metadata: {labels: {a: b}}", "metadata.name is missing"),
    ("Deployment", "metadata: {name: deployment}", "metadata: {name: Not_A_Name}", "'Not_A_Name' must be of a-z"),
    ("CronWorkflow", "name: cronworkflow", f"name: {'a' * 53}", "at most 52 characters, not 53"),
    ("Deployment", "matchLabels: {app: diabetes}", "matchLabels: {app: other}", "app: other, and the labels of spec.template have 'diabetes'"),
    ("Rollout", "matchLabels: {app: diabetes}", "matchLabels: {app: other}", "app: other, and the labels"),
    ("Rollout", "  selector: {matchLabels: {app: diabetes}}\n", "", "spec.selector is missing"),
    ("Rollout", "  strategy:\n", "  strategy:\n    blueGreen: {activeService: a}\n", "must have one of blueGreen, canary, not blueGreen and canary"),
    ("Rollout", "canary:", "blueGreen: {activeService: a, previewService: a}\n    canar:", "must be two, not both a"),
    ("Rollout", STEPS, "trafficRouting: {nginx: {stableIngress: a}}\n      " + STEPS, None),
    ("Rollout", "canaryService: diabetes-canary", "trafficRouting: {nginx: {stableIngress: a}}", "trafficRouting needs canaryService and"),
    ("Rollout", "{setWeight: 20}", "{setWeight: 120}", "steps[0].setWeight must be 0 to 100, not 120"),
    ("Rollout", "{setWeight: 20}", "{setWeight: 20, pause: {}}", "steps[0] must have one of analysis, "),
    ("Rollout", "{setWeight: 20}", "{}", "steps[0] must have one of analysis, "),
    ("Rollout", "duration: 10m", "duration: a while", "steps[1].pause.duration 'a while' is no duration"),
    ("Rollout", "duration: 10m", "duration: 1h30m", None),
    ("Deployment", f"containers: [{NAMED_LINE}]", "containers: []", "containers: there must be one"),
    ("Deployment", f"securityContext: {POD}", f"restartPolicy: Never, securityContext: {POD}", "restartPolicy must be Always"),
    ("AnalysisTemplate", "restartPolicy: Never, ", "", "restartPolicy must be Never or OnFailure, not None"),
    ("Rollout", '"name": "diabetes"', '"name": "diabetes", "imagePullPolicy": "Sometimes"', "imagePullPolicy 'Sometimes' must be one of"),
    ("Deployment", '"name": "diabetes"', '"name": "diabetes", "volumeMounts": [{"name": "a", "mountPath": "/a"}]', "there is no volume 'a'"),
    ("Rollout", '"name": "diabetes"', '"name": "diabetes", "volumeMounts": [{"name": "tmp", "mountPath": "/a"}]', None),
    ("Rollout", '"name": "diabetes"', '"name": "diabetes", "livenessProbe": {"periodSeconds": 5}', "livenessProbe must have one of exec, grpc"),
    ("Deployment", '"memory": "1Gi"', '"memory": "1GB"', "resources.limits.memory '1GB' is no quantity"),
    ("Deployment", '"memory": "1Gi"', '"memory": "{{memory}}"', None),
    ("Rollout", "emptyDir: {}", "emptyDir: {sizeLimit: big}", "sizeLimit 'big' is no quantity"),
    ("EventSource", "      webhookSecret: {name: github, key: secret}\n", "", "spec.github.diabetes.webhookSecret is missing"),
    ("AnalysisTemplate", "provider: {prometheus", "provider: {web: {url: 'http://x'}, prometheus", "metrics[errors].provider must be one, not web and prometheus"),
    ("AnalysisTemplate", 'provider: {prometheus: {address: "http://p", query: up}}', "provider: {}", "provider must be one, not none"),
    ("AnalysisTemplate", "spec:\n  metrics:\n", "spec:\n  metrics: []\n  args:\n", "spec.metrics: there must be one"),
    ("CronWorkflow", "schedules: ['0 3 * * 1']", "schedules: []", "spec must have `schedules`"),
    ("CronWorkflow", "schedules: ['0 3 * * 1']", "schedule: '0 3 * * 1'", None),
    ("CronWorkflow", "schedules: ['0 3 * * 1']", "schedules: ['0 3 * * 1']\n  schedule: '0 3 * * 1'", "and not both"),
    ("CronWorkflow", "schedules: ['0 3 * * 1']", "schedules: ['every day']", "'every day' must have five fields"),
    ("CronWorkflow", "schedules: ['0 3 * * 1']", "schedules: ['@daily', 'TZ=Europe/Rome 0 3 * JAN-MAR MON']", None),
    ("CronWorkflow", "concurrencyPolicy: Forbid", "concurrencyPolicy: Never", "'Never' must be one of Allow, Forbid, Replace"),
    ("Workflow", "entrypoint: train", "entrypoint: tran", "entrypoint: there is no template 'tran'"),
    ("Workflow", "  entrypoint: train\n", "", "it has no entrypoint and no workflowTemplateRef"),
    ("WorkflowTemplate", "  entrypoint: train\n", "", None),
    ("WorkflowTemplate", "template: fit", "template: fti", "templates[train].a: there is no template 'fti'"),
    ("WorkflowTemplate", "- name: check", "- name: fit", "templates: fit is there twice"),
    ("WorkflowTemplate", "- name: check\n      script:", "- name: check\n      dag: {tasks: []}\n      script:", "must have one of container, containerSet, dag"),
    ("WorkflowTemplate", "  entrypoint: train\n", "  automountServiceAccountToken: false\n", "executor.serviceAccountName must be there"),
    ("WorkflowTemplate", "  entrypoint: train\n", "  automountServiceAccountToken: false\n  executor: {serviceAccountName: a}\n", None),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "old", "new", "says"), REFUSED)
def test_what_a_cluster_refuses_is_refused(kind: str, old: str, new: str, says: str | None) -> None:
    found = problems(manifest(kind, old, new))
    if says is None:
        assert found == []
    else:
        assert [one for one in found if says in one], found


@pytest.mark.parametrize("missing", ["limits", "requests", "resources"])
@pytest.mark.parametrize("kind", ["Deployment", "Rollout", "WorkflowTemplate", "AnalysisTemplate"])
def test_each_container_says_its_resources(kind: str, missing: str) -> None:
    resources = {"requests": {"cpu": "100m"}, "limits": {"memory": "1Gi"}}
    text = f'"resources": {json.dumps(resources)}'
    del resources["requests" if missing == "requests" else "limits"]
    if missing == "resources":
        resources = {}
    found = problems(manifest(kind, text, f'"resources": {json.dumps(resources)}'))
    assert found and all(re.search(r"resources\.\w+\.\w+ is missing", one) for one in found), found


def test_a_team_may_demand_no_resources(tmp_path: Path) -> None:
    import shutil

    scripts = shutil.copytree(manifest_checks.SCRIPTS, tmp_path / "scripts")
    bare = re.sub(r'"resources": \{.*?\}\}, ', "", json.dumps(manifest("Deployment")))
    (tmp_path / "x.yaml").write_text(bare, "utf-8")
    assert manifest_checks.run(scripts / "check_manifests.py", tmp_path).returncode == 1
    table = (scripts / "schemas.yaml").read_text("utf-8")
    wanted = re.sub(r"(?m)^resources: .*$", "resources: []", table)
    (scripts / "schemas.yaml").write_text(wanted, "utf-8")
    done = manifest_checks.run(scripts / "check_manifests.py", tmp_path)
    assert done.returncode == 0, done.stdout


def workflow(**spec: Any) -> dict[str, Any]:
    one = manifest("Workflow")
    one["spec"] |= spec
    return one


BAD_TEMPLATE = {"container": yaml.safe_load(BAD)}
GOOD_TEMPLATE = {"container": yaml.safe_load(CONTAINER_LINE)}


@pytest.mark.parametrize("kind", ["Workflow", "WorkflowTemplate", "CronWorkflow", "ClusterWorkflowTemplate"])  # fmt: skip
@pytest.mark.parametrize(
    "shape", [lambda one: {"steps": [[{"name": "s", "inline": one}]]},
              lambda one: {"dag": {"tasks": [{"name": "s", "inline": one}]}}],
)  # fmt: skip
def test_a_template_inside_a_step_is_one_too(kind: str, shape: Any) -> None:
    def problems_with(template: dict[str, Any]) -> list[str]:
        one = manifest(kind.replace("Cluster", "")) | {"kind": kind}
        spec = one["spec"].get("workflowSpec") or one["spec"]
        spec["templates"].append({"name": "outer"} | shape(template))
        return problems(one)

    assert problems_with(GOOD_TEMPLATE) == []
    found = problems_with(BAD_TEMPLATE)
    assert [one for one in found if "templates[outer].s.inline" in one and PRIVILEGED in one], found
    found = problems_with(GOOD_TEMPLATE | {"retryStrategi": {}})
    assert [one for one in found if "retryStrategi" in one], found


def test_what_all_templates_get_counts() -> None:
    patch = '{"containers": [{"name": "main", "securityContext": {"privileged": true}}]}'
    found = problems(workflow(templateDefaults={"podSpecPatch": patch}))
    assert [one for one in found if PRIVILEGED in one]


@pytest.mark.parametrize("action", ["get", "delete", "patch"])
def test_what_a_workflow_asks_for_is_no_whole_manifest(action: str) -> None:
    one = workflow()
    resource = {"action": action, "manifest": "spec: {replicas: 2}", "flags": ["deployment", "x"]}
    one["spec"]["templates"].append({"name": "other", "resource": resource})
    assert problems(one) == []


def test_pods_of_kserve_and_of_unknown_kinds_are_found(tmp_path: Path) -> None:
    from check_manifests import Check
    from crd_schemas import Schemas

    worker = {"containers": [yaml.safe_load(BAD)]}
    service = manifest("InferenceService")
    service["spec"]["predictor"]["workerSpec"] = worker
    found = problems(service)
    assert [one for one in found if "spec.predictor.workerSpec" in one and PRIVILEGED in one], found
    storage = {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "ClusterStorageContainer",
        "metadata": {"name": "x"},
    }
    storage["spec"] = {
        "container": worker["containers"][0],
        "supportedUriFormats": [{"prefix": "x://"}],
    }  # type: ignore[assignment]
    found = problems(storage)
    assert [one for one in found if "spec.container" in one and PRIVILEGED in one], found
    # A kind of which nobody here knows anything: a pod is what has a list of containers.
    scaled = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledJob", "metadata": {"name": "x"}}
    template = {"metadata": {"annotations": {}}, "spec": worker}
    scaled["spec"] = {"jobTargetRef": {"template": template}}  # type: ignore[assignment]
    table = manifest_checks.TABLE | {"without-schema": {"keda.sh/ScaledJob": "a test"}}
    check = Check(Schemas(table, tmp_path), manifest_checks.KUBERNETES)
    found = [text for level, text in check.problems(scaled) if level == "error"]
    assert [
        one for one in found if "spec.jobTargetRef.template.spec" in one and PRIVILEGED in one
    ], found
    template["spec"] = {
        "securityContext": yaml.safe_load(POD),
        "containers": [yaml.safe_load(NAMED_LINE)],
    }
    assert [text for level, text in check.problems(scaled) if level == "error"] == []


def test_a_policy_has_patterns_of_pods_and_no_pods() -> None:
    pattern = {"spec": {"containers": [{"image": "ghcr.io/acme/*@sha256:*"}]}}
    one = manifest("ClusterPolicy")
    one["spec"]["rules"][0]["validate"]["pattern"] = pattern
    assert problems(one) == []


@pytest.mark.parametrize("kind", ["DeploymentList", "List"])
def test_a_list_in_a_list_hides_nothing(tmp_path: Path, kind: str) -> None:
    wrong = json.loads(json.dumps(manifest("Deployment")).replace("false", "true"))
    items = {"apiVersion": "apps/v1", "kind": kind, "metadata": {}, "items": [wrong]}
    outer = {"apiVersion": "v1", "kind": "List", "metadata": {}, "items": [items]}
    (tmp_path / "x.yaml").write_text(yaml.safe_dump(outer), "utf-8")
    done = manifest_checks.check(tmp_path)
    assert (done.returncode, "allowPrivilegeEscalation must be false" in done.stdout) == (1, True)


def test_the_good_ones_are_of_each_kind_above() -> None:
    assert {kind for kind, *_ in REFUSED} <= set(GOOD)
