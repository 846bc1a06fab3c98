"""The deploy template: what kustomize builds of it, and what Argo CD is told."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from crds import schema
from jsonschema import Draft202012Validator
from kubernetes_validate import validate

from model_gitops_local import toolchain

TEMPLATE = Path(__file__).parents[2] / "templates" / "deploy"
ENVIRONMENTS = ("dev", "staging", "production")
WORKFLOW = TEMPLATE / ".github" / "workflows" / "validate.yml"
KUBERNETES = yaml.safe_load(WORKFLOW.read_text("utf-8"))["jobs"]["overlays"]["env"][
    "KUBERNETES_VERSION"
]
CUSTOM = """\
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {{name: diabetes}}
spec: {{template: {{spec: {{containers: [{{name: diabetes, image: "{image}"}}]}}}}}}
"""


@pytest.fixture(scope="module")
def built() -> dict[str, str]:
    kustomize = toolchain.ensure("kustomize")
    return {
        name: subprocess.run(
            [kustomize, "build", TEMPLATE / "overlays" / name],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for name in ENVIRONMENTS
    }


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


def test_the_project_allows_just_the_kinds_that_are_built(built: dict[str, str]) -> None:
    project = yaml.safe_load((TEMPLATE / "argocd" / "project.yaml").read_text("utf-8"))
    allowed = {(one["group"], one["kind"]) for one in project["spec"]["namespaceResourceWhitelist"]}
    used = {
        (one["apiVersion"].rpartition("/")[0], kind)
        for text in built.values()
        for kind, one in manifests(text).items()
    }
    assert used == allowed


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("", ""), None),
        (("diabetes:not-deployed-yet", "diabetes:v1"), "has no digest"),
        (("replicas: 3", "replicas: three"), "replicas"),
        (("kind: Deployment", "kind: Deploymnt"), "has no apps/v1 Deploymnt"),
        (("kind: Deployment", 'kind: "a\\n::warning::b"'), "a%0A::warning::b"),
    ],
)
def test_the_templates_own_check(
    built: dict[str, str], tmp_path: Path, change: tuple[str, str], says: str | None
) -> None:
    text = built["production"].replace(*change) if change[0] else built["production"]
    (tmp_path / "production.yaml").write_text(text, "utf-8")
    done = subprocess.run(
        [sys.executable, TEMPLATE / "scripts" / "check_manifests.py", tmp_path, KUBERNETES],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    if says is None:
        assert (done.returncode, "0 problems" in done.stdout) == (0, True)
    else:
        assert done.returncode == 1
        assert "::error title=production::" in done.stdout
        assert says in done.stdout


def test_the_templates_check_refuses_to_check_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, TEMPLATE / "scripts" / "check_manifests.py", tmp_path, KUBERNETES],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert "no overlay" in done.stdout


def test_a_custom_resource_is_warned_about_and_its_images_are_checked(tmp_path: Path) -> None:
    (tmp_path / "dev.yaml").write_text(CUSTOM.format(image="x@sha256:" + "0" * 64), "utf-8")
    command = [sys.executable, TEMPLATE / "scripts" / "check_manifests.py", tmp_path, KUBERNETES]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, "::warning title=dev::" in done.stdout) == (0, True)
    (tmp_path / "dev.yaml").write_text(CUSTOM.format(image="x:v1"), "utf-8")
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, "'x:v1' has no digest" in done.stdout) == (1, True)


KYVERNO = "github.com/kyverno/kyverno@v1.19.1"
KYVERNO_CRD = "config/crds/policies.kyverno.io/policies.kyverno.io_imagevalidatingpolicies.yaml"
POLICY = TEMPLATE / "policy" / "signed-images.yaml"


def test_the_policy_of_signatures_is_one_of_kyvernos() -> None:
    policy = yaml.safe_load(POLICY.read_text("utf-8"))
    kind = Draft202012Validator(schema(KYVERNO, KYVERNO_CRD, policy["apiVersion"].split("/")[1]))
    assert policy["kind"] == "ImageValidatingPolicy"
    assert [error.message for error in kind.iter_errors(policy)] == []
    policy["spec"]["attestors"][0]["cosign"]["ctlog"]["ignoreTlog"] = True
    assert ["ignoreTlog" in error.message for error in kind.iter_errors(policy)] == [True]


def test_the_policy_of_signatures_is_off_and_about_these_pods(built: dict[str, str]) -> None:
    policy = yaml.safe_load(POLICY.read_text("utf-8"))
    spec = policy["spec"]
    naming = re.compile(r"\bpolicy/|path: policy|signed-images\.yaml")
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
