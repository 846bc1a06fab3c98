"""The deploy template: what kustomize builds of it, and what Argo CD is told."""

from __future__ import annotations

import re
import shutil
import subprocess
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes_validate import validate
from manifest_checks import KUBERNETES, check, problems

from model_gitops.adapters import new_repository, template_files
from model_gitops.core.deploy import kustomization_edit
from model_gitops.core.deploy.kustomization import Image
from model_gitops.core.scaffold import answers, render
from model_gitops_local import toolchain

TEMPLATE = Path(__file__).parents[2] / "templates" / "deploy"
ENVIRONMENTS = ("dev", "staging", "production")


@pytest.fixture(scope="module")
def built() -> dict[str, str]:
    return {name: build(TEMPLATE / "overlays" / name) for name in ENVIRONMENTS}


def build(folder: Path) -> str:
    words = [toolchain.ensure("kustomize"), "build", folder]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def manifests(text: str) -> dict[str, Any]:
    return {one["kind"]: one for one in yaml.safe_load_all(text)}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_each_overlay_is_valid_for_kubernetes(built: dict[str, str], name: str) -> None:
    found = manifests(built[name])
    expected = {"Deployment", "Service", "ServiceAccount", "NetworkPolicy", "PodDisruptionBudget"}
    assert set(found) == expected
    for manifest in found.values():
        validate(manifest, KUBERNETES, strict=True)
        assert manifest["metadata"]["namespace"] == f"diabetes-{name}"


def test_a_new_repository_of_other_names_is_valid_too(tmp_path: Path) -> None:
    """As `init` renders it: one overlay an environment, and each builds."""
    found = answers.new(
        name="my-model", owner="NewCo", branches=["trunk", "pre/live", "uat", "live"]
    )
    files = render.render(template_files.read("deploy"), found)
    new_repository.write(tmp_path, files)
    for name in found.environments:
        manifest = manifests(build(tmp_path / "overlays" / name))
        for one in manifest.values():
            validate(one, KUBERNETES, strict=True)
            assert one["metadata"]["namespace"] == f"my-model-{name}"
        deployment = manifest["Deployment"]
        # Not deployed yet: no pod, and an image that the first bump replaces.
        assert deployment["spec"]["replicas"] == 0
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        assert container["image"] == "ghcr.io/newco/my-model:not-deployed-yet"
    assert {path.name for path in (tmp_path / "overlays").iterdir()} == set(found.environments)


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_pod_may_do_no_more_than_serve(built: dict[str, str], name: str) -> None:
    found = manifests(built[name])
    pod = found["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert found["ServiceAccount"]["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"requests", "limits"} == set(container["resources"])
    assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)
    assert [volume["name"] for volume in pod["volumes"]] == ["tmp"]
    assert found["Service"]["spec"]["type"] == "ClusterIP"
    assert found["NetworkPolicy"]["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert (
        "egress" not in found["NetworkPolicy"]["spec"]
        or not found["NetworkPolicy"]["spec"]["egress"]
    )


def test_the_container_starts_as_the_model_templates_image_does(built: dict[str, str]) -> None:
    pod = manifests(built["dev"])["Deployment"]["spec"]["template"]["spec"]
    command = pod["containers"][0]["command"]
    dockerfile = (TEMPLATE.parent / "model" / "Dockerfile").read_text("utf-8")
    assert "CMD [" + ", ".join(f'"{word}"' for word in command) + "]" in dockerfile
    assert f"USER {pod['securityContext']['runAsUser']}:" in dockerfile


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_argo_cd_syncs_production_by_hand_only(name: str) -> None:
    application = yaml.safe_load((TEMPLATE / "argocd" / f"{name}.yaml").read_text("utf-8"))
    project = yaml.safe_load((TEMPLATE / "argocd" / "project.yaml").read_text("utf-8"))
    spec = application["spec"]
    automated = spec["syncPolicy"].get("automated")
    assert automated == (None if name == "production" else {"prune": True, "selfHeal": True})
    assert spec["source"]["path"] == f"overlays/{name}"
    assert spec["source"]["repoURL"] in project["spec"]["sourceRepos"]
    assert spec["destination"] in project["spec"]["destinations"]


@pytest.mark.parametrize("name", [*ENVIRONMENTS, "project"])
def test_argo_cd_knows_each_field(name: str) -> None:
    """Its own description of an Application and an AppProject, which refuses any other field."""
    resource = yaml.safe_load((TEMPLATE / "argocd" / f"{name}.yaml").read_text("utf-8"))
    assert problems(resource) == []
    if name != "project":
        # Without it Argo CD retries a broken revision for minutes, also when a mended one is there.
        assert resource["spec"]["syncPolicy"]["retry"]["refresh"] is True
        resource["spec"]["syncPolicy"]["retry"]["refersh"] = True
        assert ["refersh" in error for error in problems(resource)] == [True]


def test_a_cluster_does_not_warn_of_a_finalizer() -> None:
    """It does of one without a path; Argo CD takes each of its own."""
    documents = [
        one
        for file in sorted((TEMPLATE / "argocd").rglob("*.yaml"))
        for one in yaml.safe_load_all(file.read_text("utf-8"))
    ]
    finalizers = [
        one["metadata"]["finalizers"] for one in documents if one["kind"] == "Application"
    ]
    assert finalizers == [["resources-finalizer.argocd.argoproj.io/foreground"]] * 5


def is_allowed(group: str, kind: str) -> bool:
    """What Argo CD says of a namespaced kind: without a list of those allowed, what is not denied."""
    spec = yaml.safe_load((TEMPLATE / "argocd" / "project.yaml").read_text("utf-8"))["spec"]
    assert "namespaceResourceWhitelist" not in spec
    return not any(
        fnmatchcase(group, one["group"]) and fnmatchcase(kind, one["kind"])
        for one in spec["namespaceResourceBlacklist"]
    )


def test_the_project_allows_what_is_built_and_what_a_team_adds(built: dict[str, str]) -> None:
    used = [
        (one["apiVersion"].rpartition("/")[0], kind)
        for text in built.values()
        for kind, one in manifests(text).items()
    ]
    more = [
        ("networking.k8s.io", "Ingress"), ("gateway.networking.k8s.io", "HTTPRoute"),
        ("autoscaling", "HorizontalPodAutoscaler"), ("monitoring.coreos.com", "ServiceMonitor"),
        ("", "ConfigMap"), ("batch", "CronJob"), ("argoproj.io", "Rollout"), ("keda.sh", "ScaledObject"),
        ("argoproj.io", "WorkflowTemplate"), ("serving.kserve.io", "InferenceService"),
        ("external-secrets.io", "ExternalSecret"), ("", "PersistentVolumeClaim"),
    ]  # fmt: skip
    assert [one for one in used + more if not is_allowed(*one)] == []
    denied = [
        ("rbac.authorization.k8s.io", "Role"), ("rbac.authorization.k8s.io", "RoleBinding"),
        ("", "ResourceQuota"), ("argoproj.io", "Application"), ("argoproj.io", "ApplicationSet"),
        ("kyverno.io", "PolicyException"), ("policies.kyverno.io", "PolicyException"),
    ]  # fmt: skip
    assert [one for one in denied if is_allowed(*one)] == []


@pytest.mark.parametrize(("name", "replicas"), [("dev", 1), ("staging", 2), ("production", 3)])
@pytest.mark.parametrize("tag", ["4" * 40, "v1.2.3", "0123"])
def test_nothing_runs_before_the_first_deployment_and_all_does_after_it(
    built: dict[str, str], tmp_path: Path, name: str, replicas: int, tag: str
) -> None:
    before = manifests(built[name])["Deployment"]
    assert before["spec"]["replicas"] == 0
    shutil.copytree(TEMPLATE, tmp_path / "deploy")
    file = tmp_path / "deploy" / "overlays" / name / "kustomization.yaml"
    old = file.read_text("utf-8")
    digest = "sha256:" + "a" * 64
    new = kustomization_edit.edit(
        old, [Image("diabetes", "ghcr.io/acme/diabetes", tag, digest)], source="k"
    )
    file.write_text(new, "utf-8")
    changed = set(old.splitlines()) ^ set(new.splitlines())
    assert sorted(line.split()[0] for line in changed) == ["digest:", "newTag:", "newTag:"]
    after = manifests(build(file.parent))["Deployment"]
    validate(after, KUBERNETES, strict=True)
    assert after["spec"]["replicas"] == replicas
    assert after["spec"]["template"]["spec"]["containers"][0]["image"] == (
        f"ghcr.io/acme/diabetes:{tag}@{digest}"
    )
    # Nothing else of the overlay changed.
    after["spec"]["replicas"] = 0
    after["metadata"]["annotations"] = before["metadata"]["annotations"]
    container = after["spec"]["template"]["spec"]["containers"][0]
    # The service answers at `/version` which image it was started from.
    assert container["env"] == [{"name": "IMAGE", "value": container["image"]}]
    container["image"] = before["spec"]["template"]["spec"]["containers"][0]["image"]
    container["env"][0]["value"] = container["image"]
    assert after == before


# What a team makes of the template, as what is replaced in which file, and the pods it has then.
TEAMS = {
    "a registry with a port": (
        {"overlays/dev/kustomization.yaml": ("ghcr.io/acme/", "waiting.example:5000/not-deployed-yet/")}, 1,
    ),
    "pods that a HorizontalPodAutoscaler counts": ({"base/deployment.yaml": ("  replicas: 1\n", "")}, None),
    "a patch of its own": (
        {"overlays/dev/kustomization.yaml": (
            "images:\n", "patches:\n- target: {kind: Deployment}\n  patch: '[{\"op\": \"replace\", \"path\": \"/spec/replicas\", \"value\": 7}]'\nimages:\n",
        )}, 7,
    ),
    "another container before": (
        {"base/deployment.yaml": (
            "      containers:\n", f"      containers:\n        - {{name: proxy, image: proxy@sha256:{'c' * 64}}}\n",
        )}, 1,
    ),
}  # fmt: skip


@pytest.mark.parametrize("team", TEAMS)
def test_nothing_runs_before_the_first_deployment_whatever_a_team_changed(
    tmp_path: Path, team: str
) -> None:
    changes, replicas = TEAMS[team]
    shutil.copytree(TEMPLATE, tmp_path / "deploy")
    for name, (old, new) in changes.items():
        file = tmp_path / "deploy" / name
        assert file.read_text("utf-8").count(old) == 1
        file.write_text(file.read_text("utf-8").replace(old, new), "utf-8")
    overlay = tmp_path / "deploy" / "overlays" / "dev"
    assert manifests(build(overlay))["Deployment"]["spec"]["replicas"] == 0
    file = overlay / "kustomization.yaml"
    waiting = file.read_text("utf-8")
    for tag in ("v1", "v2"):
        wanted = [Image("diabetes", "", tag, "sha256:" + "a" * 64)]
        file.write_text(
            kustomization_edit.edit(file.read_text("utf-8"), wanted, source="k"), "utf-8"
        )
        assert manifests(build(overlay))["Deployment"]["spec"].get("replicas") == replicas
    # The first deployment is taken back.
    file.write_text(waiting, "utf-8")
    assert manifests(build(overlay))["Deployment"]["spec"]["replicas"] == 0


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("", ""), None),
        (("diabetes:not-deployed-yet", "diabetes:v1"), "has no digest"),
        (("replicas: 0", "replicas: three"), "replicas"),
        (("kind: Deployment", "kind: Deploymnt"), "has no apps/v1 Deploymnt"),
        (("kind: Deployment", 'kind: "a\\n::warning::b"'), "a%0A::warning::b"),
    ],
)
def test_the_templates_own_check(
    built: dict[str, str], tmp_path: Path, change: tuple[str, str], says: str | None
) -> None:
    text = built["production"].replace(*change) if change[0] else built["production"]
    (tmp_path / "production.yaml").write_text(text, "utf-8")
    done = check(tmp_path)
    if says is None:
        assert (done.returncode, "0 problems" in done.stdout) == (0, True)
    else:
        assert done.returncode == 1
        assert "::error title=production::" in done.stdout
        assert says in done.stdout


def test_the_templates_check_refuses_to_check_nothing(tmp_path: Path) -> None:
    done = check(tmp_path)
    assert done.returncode == 1
    assert "no overlay" in done.stdout


DIGEST = "@sha256:" + "0" * 64
CUSTOM_RESOURCE = "apiVersion: {api}\nkind: {kind}\nmetadata: {{name: x}}\n{body}\n"
# Where a kind that `images:` may not reach has an image; each is one line.
IMAGES = {
    "KServe": ("serving.kserve.io/v1beta1", "InferenceService", "spec: {predictor: {model: {image: IMAGE}}}"),
    "KServe's model from an image": (
        "serving.kserve.io/v1beta1", "InferenceService", "spec: {predictor: {model: {storageUri: 'oci://IMAGE'}}}"
    ),
    "a container": ("argoproj.io/v1alpha1", "Workflow", "spec: {templates: [{container: {image: IMAGE}}]}"),
    "a script": ("argoproj.io/v1alpha1", "Workflow", "spec: {templates: [{script: {image: IMAGE}}]}"),
    "a sidecar": ("argoproj.io/v1alpha1", "Workflow", "spec: {templates: [{sidecars: [{image: IMAGE}]}]}"),
    "a cron workflow": (
        "argoproj.io/v1alpha1", "CronWorkflow", "spec: {workflowSpec: {templates: [{container: {image: IMAGE}}]}}"
    ),
    "an image volume": (
        "argoproj.io/v1alpha1", "Rollout", "spec: {template: {spec: {volumes: [{image: {reference: IMAGE}}]}}}"
    ),
    "an ephemeral container": ("v1", "Pod", "spec: {containers: [], ephemeralContainers: [{name: e, image: IMAGE}]}"),
    "Seldon": ("machinelearning.seldon.io/v1", "SeldonDeployment", "spec: {predictors: [{graph: {modelImage: IMAGE}}]}"),
    "an operator's own": ("example.com/v1", "Model", "spec: {image: IMAGE}"),
}  # fmt: skip


@pytest.mark.parametrize("name", IMAGES)
def test_the_templates_check_sees_each_image(name: str) -> None:
    api, kind, body = IMAGES[name]
    text = CUSTOM_RESOURCE.format(api=api, kind=kind, body=body)
    assert "x/app:v1' has no digest" in said(text.replace("IMAGE", "x/app:v1"))
    assert "has no digest" not in said(text.replace("IMAGE", f"x/app:v1{DIGEST}"))
    filled_in = text.replace("IMAGE", "{{inputs.parameters.image}}")
    assert "has no digest" not in said(re.sub(r"(?<!oci://)({{.*?}})", r"'\1'", filled_in))


def said(text: str) -> str:
    return "\n".join(problems(yaml.safe_load(text)))


@pytest.mark.parametrize(
    "manifest",
    [
        CUSTOM_RESOURCE.format(api="v1", kind="Pod", body="spec: {containers: []}").replace(
            "{name: x}", "{name: x, annotations: {image: our logo}, labels: {image: logo}}"
        ),
        CUSTOM_RESOURCE.format(
            api="example.com/v1", kind="Page", body="spec: {image: 'https://example.com/a.png'}"
        ),
    ],
    ids=["notes", "a picture"],
)
def test_what_is_no_containers_image_needs_no_digest(manifest: str) -> None:
    assert "has no digest" not in said(manifest)


def test_a_manifest_without_a_name_is_checked() -> None:
    job = "apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: train-}\n"
    body = "spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: x}]}}}\n"
    assert "Job train-: the image 'x' has no digest" in said(job + body)


@pytest.mark.parametrize("kind", ["ConfigMap", "Secret"])
def test_a_setting_called_image_is_none(kind: str) -> None:
    assert said(CUSTOM_RESOURCE.format(api="v1", kind=kind, body="data: {image: aGk=}")) == ""


POLICY = TEMPLATE / "policy" / "signed-images.yaml"


def test_the_policy_of_signatures_is_one_of_kyvernos() -> None:
    policy = yaml.safe_load(POLICY.read_text("utf-8"))
    assert policy["kind"] == "ImageValidatingPolicy"
    assert problems(policy) == []
    policy["spec"]["attestors"][0]["cosign"]["ctlog"]["ignoreTlog"] = True
    assert ["ignoreTlog" in error for error in problems(policy)] == [True]


def test_the_policy_of_signatures_is_off_and_about_these_pods(built: dict[str, str]) -> None:
    policy = yaml.safe_load(POLICY.read_text("utf-8"))
    spec = policy["spec"]
    naming = re.compile(r"signed-images|(?:path: |- |[.]/)policy\b")
    others = [file for file in TEMPLATE.rglob("*.yaml") if file != POLICY]
    assert [file for file in others if naming.search(file.read_text("utf-8"))] == []
    (expression,) = spec["matchConstraints"]["namespaceSelector"]["matchExpressions"]
    deployments = {name: manifests(text)["Deployment"] for name, text in built.items()}
    assert expression["values"] == [
        one["metadata"]["namespace"] for one in (deployments[name] for name in ENVIRONMENTS)
    ]
    for deployment in deployments.values():
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        name = container["image"].partition("@")[0].rpartition(":")[0]
        globs = [one["glob"] for one in spec["matchImageReferences"]]
        assert globs == [f"{name}:*", f"{name}@*"]
