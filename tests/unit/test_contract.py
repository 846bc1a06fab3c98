"""The contract: action.yml, the command line and the READMEs say the same."""

from __future__ import annotations

import importlib
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from model_gitops import options
from model_gitops.actions import ACTIONS
from model_gitops.commands import COMMANDS
from model_gitops_local import docs

ROOT = Path(__file__).parents[2]
# From DESIGN.md: what others' workflows rely on. Adding is fine, renaming and removing is not.
CONTRACT: dict[str, tuple[str, str]] = {
    "check-promotion": (
        "config base-ref head-ref environment deploy-branch token ssh-key known-hosts username password source-token",
        "environment stage model overlay-entry image deploy-repository deploy-path deploy-mode incumbent has-model new-branch "
        "model-hash promote-image promote-version promote-fingerprint promote-sha256 artifact promote-artifact promote-commit "
        "dockerfile context target smoke-test build-contexts built-elsewhere push-candidates "
        "assign-stage rules-changed rules reviewers refusal",
    ),
    "run-command": ("command config", "ran skipped"),
    "changed-models": ("base ignore", "models any"),
    "changed-components": (
        "base deployed config ignore deploy-branch token ssh-key known-hosts",
        "components any pipelines",
    ),
    "dvc-pull-model": (
        "model config revision remote remote-config working-directory jobs sha256 check-remote",
        "path hash size type sha256",
    ),
    "compare-models": (
        "config base-ref champion candidate deploy-branch token ssh-key known-hosts remote "
        "remote-config setup timeout",
        "measured table",
    ),
    "gate-metrics": (
        "config baseline candidate environment measured deploy-branch token ssh-key known-hosts remote "
        "remote-config",
        "passed table",
    ),
    "gate-drift": (
        "file windows drift threshold columns rule minimum-rows check config",
        "drift windows columns summary table",
    ),
    "open-retraining": (
        "operation config base branch date drift reason url outcome gate gate-table token"
        " pull-request-token",
        "operation branch issue pull-request",
    ),
    "gto-register-stage": (
        "model config stage version bump revision message remote push sha256",
        "version version-tag stage-tag previous-version operation",
    ),
    "build-push-image": (
        "image tag extra-tags context file target build-args build-contexts secrets platforms labels "
        "cache-from cache-to provenance sbom builder smoke-test reuse push record username password sign "
        "signing-key signing-password model model-version model-hash config deploy-branch token ssh-key",
        "image tag digest operation metadata fingerprint",
    ),
    "verify-deployment": (
        "environment part again url timeout argocd-server argocd-token argocd-application kubeconfig "
        "namespace results checked config deploy-branch token ssh-key known-hosts source-token",
        "verdict operation check reason rollback environment commit version image model results table "
        "report",
    ),
    "run-training": (
        "environment operation again timeout parameters argo-server argo-token argo-authority kubeconfig "
        "kubeflow-server kubeflow-token kubeflow-authority kubeflow-package "
        "namespace writer config deploy-branch token ssh-key known-hosts source-token",
        "operation state run url images commit reason",
    ),
    "push-model": (
        "artifact path model model-hash sha256 tags username password sign signing-key signing-password",
        "artifact digest tag operation",
    ),
    "bump-kustomize-tag": (
        "repository branch path images records mode token ssh-key known-hosts message body trailers",
        "operation commit previous pull-request",
    ),
    "rollback": (
        "environment version reason until by if-image config deploy-branch token ssh-key known-hosts "
        "source-token",
        "operation version from image commit pull-request",
    ),
    "pipeline-health": (
        "config since ignore issue check deploy-branch token ssh-key known-hosts source-token json",
        "healthy operation issue picture table json",
    ),
    "hold-environment": (
        "environment operation reason until config deploy-branch token ssh-key known-hosts",
        "operation environment reason by until commit pull-request",
    ),
    "cml-report": (
        "config base body environment rules tests model-pull model-training gate gate-table status comparison "
        "build image promote-image metrics params plots target title publisher token",
        "operation url report",
    ),
    "notify": (
        "event title message environment model version url urls webhook webhook-secret",
        "operation told failed",
    ),
}


def metadata(name: str) -> Any:
    return YAML(typ="safe").load(ROOT / "actions" / name / "action.yml")


def module(name: str) -> Any:
    return importlib.import_module(f"model_gitops.actions.{name.replace('-', '_')}")


def test_each_action_of_the_contract_is_there() -> None:
    assert set(CONTRACT) <= set(ACTIONS)
    assert {folder.name for folder in (ROOT / "actions").iterdir()} == set(ACTIONS)


def test_each_action_and_command_has_an_extra_with_its_packages() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert {*ACTIONS, *COMMANDS} <= set(project["optional-dependencies"])


@pytest.mark.parametrize("name", CONTRACT)
def test_inputs_and_outputs_are_the_contracts(name: str) -> None:
    inputs, outputs = CONTRACT[name]
    assert list(metadata(name)["inputs"]) == inputs.split()
    assert list(metadata(name)["outputs"]) == outputs.split()


@pytest.mark.parametrize("name", ACTIONS)
def test_action_and_command_declare_the_same_inputs(name: str) -> None:
    declared = {
        one.name: (one.description, default)
        for one, default in options.inputs_of(module(name).command).values()
    }
    documented = {
        key: (one["description"], str(one.get("default", "")))
        for key, one in metadata(name)["inputs"].items()
    }
    assert list(declared) == list(documented)
    for key, (description, default) in declared.items():
        text = {True: "true", False: "false"}.get(default, str(default))
        there = documented[key][1].replace("${{ github.token }}", "")
        assert (key, description, text) == (key, documented[key][0], there)


@pytest.mark.parametrize("name", ACTIONS)
def test_action_and_command_declare_the_same_outputs(name: str) -> None:
    assert list(metadata(name)["outputs"]) == list(module(name).OUTPUTS)
    for key, one in metadata(name)["outputs"].items():
        assert one["value"] == f"${{{{ steps.run.outputs.{key} }}}}"


@pytest.mark.parametrize("name", ACTIONS)
def test_an_action_is_one_step_that_takes_inputs_by_environment_only(name: str) -> None:
    data = metadata(name)
    (step,) = data["runs"]["steps"]
    assert data["runs"]["using"] == "composite"
    assert step["run"] == f'"${{GITHUB_ACTION_PATH}}/../../scripts/run.sh" {name}'
    expected = {options.variable(key): f"${{{{ inputs.{key} }}}}" for key in data["inputs"]}
    assert step["env"] == expected
    assert data["name"] == name
    assert data["description"] == ACTIONS[name]
    assert module(name).__doc__.splitlines()[0] == ACTIONS[name]


@pytest.mark.parametrize("name", ACTIONS)
def test_readme_has_its_parts_and_current_tables(name: str) -> None:
    folder = ROOT / "actions" / name
    text = (folder / "README.md").read_text("utf-8")
    for heading in ("Permissions", "Inputs", "Outputs", "What it does not do", "Troubleshooting"):
        assert re.search(rf"^## {heading}$", text, re.MULTILINE), heading
    assert f"uses: model-gitops/model-gitops/actions/{name}@v0" in text
    assert docs.fill(text, folder) == text


@pytest.mark.parametrize("name", ACTIONS)
def test_secret_inputs_have_no_default_and_no_flag_spelling(name: str) -> None:
    for one, default in options.inputs_of(module(name).command).values():
        if one.kind == "secret":
            assert default == ""
        if one.name in {"token", "password", "ssh-key", "signing-key", "signing-password"}:
            assert one.kind == "secret", one.name
