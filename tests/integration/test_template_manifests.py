"""The deploy template's check of manifests: which mistakes in which kinds it sees."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import manifest_checks
import pytest
import yaml
from manifest_checks import KUBERNETES, SCRIPTS, TABLE, TEMPLATE, problems, run, told
from manifest_examples import GOOD, IMAGE, POD, manifest

# Kind: the right text, the wrong one, and what is said of it. Each is in one place of the manifest only.
MISSPELT = [
    ("Deployment", "containers:", "conainers:", "'containers' is a required property"),
    ("Deployment", '"limits"', '"limit"', "limit"),
    ("Rollout", "setWeight", "setWieght", "setWieght"),
    ("Rollout", "stableService", "stabelService", "stabelService"),
    ("Rollout", "replicas: 4", "replicas: four", "spec.replicas: 'four' is not of type 'integer'"),
    ("Rollout", "emptyDir", "emtpyDir", "as a pod: spec.volumes.0: Additional properties"),
    ("Rollout", "containers:", "container:", "container"),
    ("Rollout", "metadata: {labels", "metadata: {label", "as a pod: metadata: Additional properties"),
    ("Rollout", "name: rollout", "name: rollout, label: {}", "metadata: Additional properties"),
    ("Rollout", "argoproj.io/v1alpha1", "argoproj.io/v1", "has no version 'v1' of this kind, only v1alpha1"),
    ("AnalysisTemplate", "successCondition", "succesCondition", "succesCondition"),
    ("AnalysisTemplate", "prometheus:", "promethues:", "promethues"),
    ("AnalysisTemplate", "restartPolicy", "restartPolciy", "restartPolciy"),
    ("WorkflowTemplate", "entrypoint", "entryPoint", "entryPoint"),
    ("WorkflowTemplate", "retryPolicy", "retrypolicy", "retrypolicy"),
    ("WorkflowTemplate", "dependencies", "dependecies", "dependecies"),
    ("WorkflowTemplate", "podMetadata: {labels", "podMetadata: {label", "podMetadata: Additional properties"),
    ("WorkflowTemplate", "mutexes", "mutexs", "mutexs"),
    ("WorkflowTemplate", "emptyDir", "emptydir", "emptydir"),
    ("Workflow", "artifacts", "artefacts", "artefacts"),
    ("Workflow", '"source"', '"sauce"', "sauce"),
    ("CronWorkflow", "schedules", "scheduls", "scheduls"),
    ("CronWorkflow", "limit: 2", "limits: 2", "limits"),
    ("CronWorkflow", "concurrencyPolicy", "concurencyPolicy", "concurencyPolicy"),
    ("Sensor", "eventSourceName", "eventsourceName", "eventsourceName"),
    ("Sensor", "workflowTemplateRef", "workflowTemplateref", "source.resource: Workflow deliver-: spec"),
    ("Sensor", "dataKey", "datakey", "datakey"),
    ("EventSource", "webhookSecret", "webhooksecret", "webhooksecret"),
    ("EventSource", "endpoint: /push, ", "", "'endpoint' is a required property"),
    ("EventBus", "replicas: 3", "replica: 3", "replica"),
    ("InferenceService", "minReplicas", "minReplica", "minReplica"),
    ("InferenceService", '"modelFormat"', '"modelFormats"', "modelFormats"),
    ("HTTPRoute", "weight: 20", "wieght: 20", "wieght"),
    ("HTTPRoute", "weight: 80", 'weight: "80"', "'80' is not of type 'integer'"),
    ("PodMonitor", "podMetricsEndpoints", "podMetricEndpoints", "podMetricEndpoints"),
    ("PrometheusRule", "expr", "exp", "'expr' is a required property"),
    ("Application", "targetRevision", "targetrevision", "targetrevision"),
    ("ApplicationSet", "rollingSync:", "rollingsync:", "rollingsync"),
    ("ApplicationSet", "directories", "directorys", "directorys"),
    ("AppProject", "sourceRepos", "sourcerepos", "sourcerepos"),
    ("ClusterPolicy", "message", "massage", "massage"),
]  # fmt: skip


@pytest.mark.parametrize("kind", GOOD)
def test_a_good_manifest_passes(kind: str) -> None:
    assert told(manifest(kind)) == []


@pytest.mark.parametrize(("kind", "old", "new", "says"), MISSPELT)
def test_a_misspelt_field_is_refused(kind: str, old: str, new: str, says: str) -> None:
    found = problems(manifest(kind, old, new))
    assert [one for one in found if says in one], found
    assert all(one.startswith(f"{kind} ") for one in found)


def test_every_kind_of_the_table_has_a_strict_schema() -> None:
    kinds = [kind.split("/") for one in TABLE["custom-resources"] for kind in one["kinds"]]
    assert len(kinds) > 25
    served = {"kyverno.io": "v1", "policies.kyverno.io": "v1", "monitoring.coreos.com": "v1",
              "gateway.networking.k8s.io": "v1", "serving.kserve.io": "v1alpha1"}  # fmt: skip
    for group, kind in kinds:
        version = (
            "v1beta1"
            if kind in ("InferenceService", "ReferenceGrant")
            else served.get(group, "v1alpha1")
        )
        one = {
            "apiVersion": f"{group}/{version}",
            "kind": kind,
            "metadata": {"name": "x"},
            "spec": {},
        }
        found = problems(one | {"speck": {}})
        assert [text for text in found if "speck" in text], (kind, found)


def test_a_kind_that_nobody_knows_is_refused() -> None:
    page = {
        "apiVersion": "example.com/v1",
        "kind": "Page",
        "metadata": {"name": "x"},
        "image": "x/app:v1",
    }
    (first, second) = problems(page)
    assert "scripts/schemas.yaml has no example.com/Page: add it there" in first
    assert "no digest" in second
    # A group of Kubernetes in its name makes it none.
    other = GOOD["Deployment"].replace("apps/v1", "apps.example.com/v1")
    found = problems(yaml.safe_load(f"kind: Deployment\nmetadata: {{name: x}}{other}"))
    assert ["has no apps.example.com/Deployment" in one for one in found] == [True]
    for api in ("apps/v1", "networking.k8s.io/v1"):
        (typo,) = problems({"apiVersion": api, "kind": "Deploymnt", "metadata": {"name": "x"}})
        assert typo.startswith(f"Deploymnt x: Kubernetes {KUBERNETES} has no {api} Deploymnt. If")


def test_a_kind_is_added_as_the_page_says(tmp_path: Path) -> None:
    page = (TEMPLATE.parents[1] / "docs" / "manifests.md").read_text("utf-8")
    section = page.split("## Add a kind")[1].split("\n## ")[0]
    first, second = re.findall(r"(?s)```yaml\n(.*?)```", section)
    table = yaml.safe_load(first) | yaml.safe_load(second)
    (module,) = table["custom-resources"]
    assert all(set(module) == set(one) - {"optional"} for one in TABLE["custom-resources"])
    scripts = shutil.copytree(SCRIPTS, tmp_path / "scripts")
    (scripts / "schemas.yaml").write_text(yaml.safe_dump(TABLE | table), "utf-8")
    scaled = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "x"}}
    scaled["spec"] = {"scaleTargetRef": {"name": "diabetes"}, "triggers": [], "maxReplicas": 3}
    other = {"apiVersion": "example.com/v1", "kind": "Page", "metadata": {"name": "x"}}
    (tmp_path / "x.yaml").write_text(yaml.safe_dump_all([scaled, other]), "utf-8")
    done = run(scripts / "check_manifests.py", tmp_path)
    assert (
        "ScaledObject x: spec: Additional properties are not allowed ('maxReplicas'" in done.stdout
    )
    assert "::notice title=x::Page x: its fields are not checked: our own operator" in done.stdout
    assert "x: 2 manifests, 2 problems" in done.stdout


@pytest.mark.parametrize(
    "text", ["- a\n", "kind: Pod\n", "apiVersion: 1\nkind: Pod\nmetadata: {}\n", "x"]
)
def test_what_is_no_manifest_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.yaml").write_text(text, "utf-8")
    done = manifest_checks.check(tmp_path)
    assert (done.returncode, "has no apiVersion, kind and metadata" in done.stdout) == (1, True)
    assert done.stderr == ""


def test_a_kubernetes_that_has_no_schemas_is_told(tmp_path: Path) -> None:
    done = run(SCRIPTS / "check_manifests.py", tmp_path, Path("1.4"))
    assert (done.returncode, "Kubernetes 1.25 to 1.37, not of '1.4'" in done.stdout) == (1, True), (
        done.stdout
    )


def test_what_is_not_yaml_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("kind: [\n", "utf-8")
    done = manifest_checks.check(tmp_path)
    assert (done.returncode, "::error title=x::it is not YAML: " in done.stdout) == (1, True)


def test_the_items_of_a_list_are_checked(tmp_path: Path) -> None:
    wrong = manifest("HTTPRoute", "weight: 20", "wieght: 20")
    items = {"apiVersion": "v1", "kind": "List", "items": [manifest("HTTPRoute"), wrong]}
    (tmp_path / "x.yaml").write_text(yaml.safe_dump(items), "utf-8")
    done = manifest_checks.check(tmp_path)
    assert (done.returncode, "x: 2 manifests, 1 problems" in done.stdout) == (1, True)


def test_without_go_or_without_a_network_it_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(yaml.safe_dump(manifest("AppProject")), "utf-8")
    script, empty = SCRIPTS / "check_manifests.py", tmp_path / "kept"
    away = {"MANIFEST_SCHEMAS": str(empty), "GOMODCACHE": str(tmp_path / "modules")}
    done = run(script, tmp_path, PATH=str(tmp_path), **away)
    assert done.returncode == 1
    assert (
        "::error title=x::AppProject appproject: the schemas of github.com/argoproj/argo-cd/v3@"
        in done.stdout
    )
    assert "need `go` on PATH: install Go" in done.stdout
    done = run(script, tmp_path, GOPROXY="off", GOFLAGS="", **away)
    assert done.returncode == 1
    assert "module lookup disabled by GOPROXY=off: does this machine reach GOPROXY?" in done.stdout
    assert not empty.exists()
    # What was fetched once needs neither.
    problems(manifest("AppProject"))
    kept = manifest_checks.environment()["MANIFEST_SCHEMAS"]
    done = run(script, tmp_path, PATH=str(tmp_path), MANIFEST_SCHEMAS=kept)
    assert (done.returncode, "1 manifests, 0 problems" in done.stdout) == (0, True)


def test_a_version_or_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(yaml.safe_dump(manifest("HTTPRoute")), "utf-8")
    scripts = shutil.copytree(SCRIPTS, tmp_path / "scripts")
    text = (scripts / "schemas.yaml").read_text("utf-8")
    (scripts / "schemas.yaml").write_text(text.replace("standard/", "standrad/"), "utf-8")
    done = run(scripts / "check_manifests.py", tmp_path)
    assert "has no file config/crd/standrad/gateway" in done.stdout
    (scripts / "schemas.yaml").write_text(
        text.replace("version: v1.6.3", "version: v1.6.99"), "utf-8"
    )
    done = run(scripts / "check_manifests.py", tmp_path, GOPROXY="off")
    assert "sigs.k8s.io/gateway-api@v1.6.99 can't be downloaded" in done.stdout


def change(text: str, pod: dict[str, Any]) -> dict[str, Any]:
    """Return the manifest of a kind with another securityContext of its pods."""
    return manifest(text, POD, json.dumps(pod))


@pytest.mark.parametrize(
    "kind",
    ["Deployment", "Rollout", "AnalysisTemplate", "WorkflowTemplate", "Workflow", "CronWorkflow", "Sensor",
     "EventSource", "EventBus", "InferenceService"],
)  # fmt: skip
def test_each_kind_that_makes_pods_must_keep_them_restricted(kind: str) -> None:
    root = yaml.safe_load(POD) | {"runAsUser": 0}
    assert [one for one in problems(change(kind, root)) if "runAsUser must not be 0" in one]
    assert [one for one in problems(change(kind, {})) if "runAsNonRoot" in one]
    loose = manifest(kind, '"allowPrivilegeEscalation": false', '"allowPrivilegeEscalation": true')
    assert [one for one in problems(loose) if "allowPrivilegeEscalation must be false" in one]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("entrypoint: train", "hostNetwork: true\n  entrypoint: train", "hostNetwork must not be true"),
        ("volumes: [{name: tmp, emptyDir: {}}]", "volumes: [{name: tmp, hostPath: {path: /}}]", "must not be a hostPath"),
        ("entrypoint: train", 'podSpecPatch: "hostPID: true"\n  entrypoint: train', "hostPID must not be true"),
        (
            "entrypoint: train",
            'podSpecPatch: \'{"containers":[{"name":"main","securityContext":{"privileged":true}}]}\'\n  entrypoint: train',
            "container 'main': securityContext.privileged must not be true",
        ),
        ("entrypoint: train", 'podSpecPatch: "a: ["\n  entrypoint: train', "templates[fit]: podSpecPatch is not YAML"),
        ("- name: fit", f'- name: fit\n      initContainers: [{{name: first, image: "{IMAGE}"}}]', "container 'first'"),
        ("- name: fit", "- name: fit\n      securityContext: {runAsUser: 0}", "securityContext.runAsUser must not be 0"),
    ],
)  # fmt: skip
def test_what_a_workflow_makes_of_a_pod_counts(old: str, new: str, says: str) -> None:
    found = problems(manifest("Workflow", old, new))
    assert [one for one in found if says in one], found


def test_what_a_workflow_creates_is_a_manifest_too() -> None:
    one = manifest("Workflow")
    inner = manifest("HTTPRoute", "name: gateway", "name: '{{inputs.parameters.gateway}}'")
    text = yaml.safe_dump(inner).replace("port: 80", "port: {{=asInt(inputs.parameters.port)}}")
    resource = {"action": "create", "manifest": text}
    one["spec"]["templates"].append({"name": "other", "resource": resource})
    assert problems(one) == []
    resource["manifest"] = text.replace("weight", "wieght")
    (error,) = {found.partition("spec.rules")[0] for found in problems(one)}
    assert error == "Workflow workflow: templates[other]: resource.manifest: HTTPRoute httproute: "


REASON = "rootless BuildKit makes user namespaces"


@pytest.mark.parametrize(
    ("controls", "unrestricted", "level", "says"),
    [
        ("seccompProfile: " + REASON, True, "notice", f"exempt from seccompProfile: {REASON}"),
        ("seccompProfile, runAsUser: " + REASON, True, "error", "names runAsUser, which this pod keeps"),
        ("seccompProfile: " + REASON, False, "error", "names seccompProfile, which this pod keeps"),
        ("seccompProfile", True, "error", "must be `CONTROL, CONTROL: REASON`"),
        ("seccompProfile:  ", True, "error", "must be `CONTROL, CONTROL: REASON`"),
        (": because", True, "error", "must be `CONTROL, CONTROL: REASON`"),
        ("seccomp: " + REASON, True, "error", "names no control seccomp"),
        ("runAsUser: " + REASON, True, "error", "seccompProfile.type must be"),
    ],
)  # fmt: skip
def test_an_exemption_names_what_it_is_for_and_why(
    controls: str, unrestricted: bool, level: str, says: str
) -> None:
    from pod_security import EXEMPTION

    one = manifest("Deployment")
    pod = one["spec"]["template"]
    pod["metadata"]["annotations"] = {EXEMPTION: controls}
    if unrestricted:
        pod["spec"]["securityContext"]["seccompProfile"] = {"type": "Unconfined"}
    found = told(one)
    assert [text for kind, text in found if kind == level and says in text], found
    assert level == "error" or len(found) == 1
    if level == "error" and "CONTROL" in says:
        assert [text for _, text in found if "seccompProfile.type must be" in text]


STANDARD = "k8s.io/pod-security-admission@v0.35.4"


def test_argos_own_containers_are_judged_in_each_workflow_of_the_template() -> None:
    """Argo gives them no securityContext. The patch that does makes them containers of the pod that is judged."""
    import workloads

    pods = [
        pod
        for file in sorted(TEMPLATE.rglob("workflowtemplate.yaml"))
        for pod in workloads.pods(yaml.safe_load(file.read_text("utf-8")))
    ]
    assert len(pods) == 9
    for pod in pods:
        names = {
            key: {one["name"] for one in pod.spec[key]} for key in ("initContainers", "containers")
        }
        assert "init" in names["initContainers"] and "wait" in names["containers"], pod.where


def test_kubernetes_own_examples_of_the_standard_are_judged_alike() -> None:
    """All its examples, for this version: of pods that may run, and of those that may not, and why."""
    from crd_schemas import fetch
    from pod_security import violations

    folder = fetch(STANDARD) / "test" / "testdata" / "restricted" / f"v{KUBERNETES}"
    passed = {
        file.stem: yaml.safe_load(file.read_text("utf-8")) for file in folder.glob("pass/*.yaml")
    }
    failed = {
        file.stem: yaml.safe_load(file.read_text("utf-8")) for file in folder.glob("fail/*.yaml")
    }
    assert len(passed) > 20 and len(failed) > 60
    del passed["base_windows"]  # which need not keep what Linux pods must
    assert {
        name: found
        for name, pod in passed.items()
        if (found := [*violations(pod["metadata"], pod["spec"])])
    } == {}
    for name, pod in failed.items():
        controls = {control for control, _ in violations(pod["metadata"], pod["spec"])}
        kind = name.rstrip("0123456789").removesuffix("_restricted").removesuffix("_baseline")
        kind = {"hostpathvolumes": "volumes", "restrictedvolumes": "volumes"}.get(kind, kind)
        assert kind.removesuffix("andhostlifecycle") in {one.lower() for one in controls}, (
            name,
            controls,
        )
