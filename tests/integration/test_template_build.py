"""What the deploy template builds of itself to check it, and the one command for both."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import manifest_checks
import pytest
import yaml
from manifest_checks import SCRIPTS, TEMPLATE, run


def names(folder: Path) -> set[str]:
    return {file.stem for file in folder.glob("*.yaml")}


def test_all_of_the_template_is_built_and_valid(tmp_path: Path) -> None:
    status = ["git", "-C", TEMPLATE, "status", "--porcelain", "."]
    before = subprocess.run(status, check=True, capture_output=True).stdout
    done = manifest_checks.build(tmp_path)
    assert done.returncode == 0, done.stdout
    made = names(tmp_path)
    assert {
        "overlays-dev",
        "overlays-dev-with-monitoring",
        "argocd-project",
        "policy-signed-images",
    } <= made
    assert "base" not in made
    components = {
        file.parent.relative_to(TEMPLATE)
        for file in TEMPLATE.rglob("kustomization.yaml")
        if yaml.safe_load(file.read_text("utf-8")).get("kind") == "Component"
    }
    assert Path("rollout") in components
    assert not [name for name in made if name.endswith("-with-rollout")]  # a part of others
    for one in components - {Path("rollout")}:
        assert [name for name in made if name.endswith("-with-" + "-".join(one.parts))], one
    done = manifest_checks.check(tmp_path)
    assert done.returncode == 0, done.stdout
    assert subprocess.run(status, check=True, capture_output=True).stdout == before


KUSTOMIZATION = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
COMPONENT = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n"


def repository(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, "utf-8")
    return root


SETTINGS = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n"


def test_what_is_built_of_another_layout(tmp_path: Path) -> None:
    root = repository(
        tmp_path / "deploy",
        {
            "base/Kustomization": KUSTOMIZATION + "resources: [settings.yml]\n",
            "base/settings.yml": SETTINGS,
            "overlays/live/kustomization.yml": KUSTOMIZATION + "resources: [../../base/]\ncomponents: [../../used]\n",
            "overlays/pre/live/kustomization.yaml": KUSTOMIZATION + "resources: [../../../base]\n",
            "used/kustomization.yaml": COMPONENT + "namePrefix: a-\n",
            "deep/one/kustomization.yaml": COMPONENT + "namePrefix: b-\n",
            "jobs/overlays/x/kustomization.yaml": KUSTOMIZATION + "resources: [../../../base]\n",
            "jobs/more/kustomization.yaml": COMPONENT + "namePrefix: c-\n",
            "cluster/project.yaml": "# a note\n" + SETTINGS,
            "cluster/project.yml": SETTINGS,
            "cluster/flow.yaml": "{apiVersion: v1, kind: ConfigMap, metadata: {name: flow}}\n",
            "cluster/one.json": '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "json"}}\n',
            "cluster/package.json": '{"kind": "x"}\n',
            "cluster/scripts/a.yaml": SETTINGS,
            "cluster/values.yaml": "a: 1\n",
            "charts/model/Chart.yaml": "apiVersion: v2\nname: model\n",
            "charts/model/templates/a.yaml": "kind: Pod\n{{ if .Values.a }}\n",
            "overlays/again/kustomization.yaml": KUSTOMIZATION + "resources: [../live]\n",
            "overlays/live/hold.yaml": "reason: x\n",
            ".github/workflows/x.yaml": SETTINGS,
            "scripts/schemas.yaml": SETTINGS,
        },
    )  # fmt: skip
    done = manifest_checks.build(tmp_path / "built", root)
    assert done.returncode == 0, done.stdout
    assert names(tmp_path / "built") == {
        "overlays-live", "overlays-pre-live", "overlays-live-with-deep-one", "overlays-live-with-used", "jobs-overlays-x",
        "jobs-overlays-x-with-jobs-more", "cluster-project", "cluster-project-2", "cluster-flow", "cluster-one",
        "cluster-scripts-a", "overlays-again", "overlays-again-with-deep-one", "overlays-again-with-used",
    }  # fmt: skip
    live = yaml.safe_load(
        (tmp_path / "built" / "overlays-live-with-deep-one.yaml").read_text("utf-8")
    )
    assert live["metadata"]["name"] == "b-settings"


MERGED = """
patches:
- patch: |
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: diabetes}
    spec: {minReadySeconds: 5}
"""


def test_a_patch_of_an_overlay_fails_no_component_that_nobody_uses(tmp_path: Path) -> None:
    root = tmp_path / "deploy"
    shutil.copytree(TEMPLATE, root)
    overlay = root / "overlays" / "staging" / "kustomization.yaml"
    with overlay.open("a", encoding="utf-8") as file:
        file.write(MERGED)
    done = manifest_checks.build(tmp_path / "built", root)
    assert done.returncode == 0, done.stdout
    assert "overlays-staging: its own patches don't go with canary: " in done.stdout
    assert "overlays-dev: " not in done.stdout
    built = (tmp_path / "built" / "overlays-staging-with-model-artifact.yaml").read_text("utf-8")
    assert "minReadySeconds: 5" in built
    assert "overlays-staging-with-canary" in names(tmp_path / "built")
    # Where it is used, somebody must write it anew, and is told how.
    with overlay.open("a", encoding="utf-8") as file:
        file.write("components: [../../canary]\n")
    done = manifest_checks.build(tmp_path / "built", root)
    assert done.returncode == 1
    assert "overlays/staging: Error: no resource matches strategic merge patch" in done.stdout
    assert "Write a JSON patch with `target: {kind: Deployment|Rollout, name: …}`" in done.stdout
    assert "docs/canary.md#change-what-an-overlay-says" in done.stdout


POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a, image: a}]}\n"


def test_what_waits_for_its_first_deployment_is_built_as_after_it_too(tmp_path: Path) -> None:
    waiting = "resources: [a.yaml]\nimages:\n- {name: a, newTag: not-deployed-yet}\n- {name: b, newTag: v1}\n"
    root = repository(
        tmp_path / "deploy",
        {
            "overlays/dev/kustomization.yaml": KUSTOMIZATION + waiting,
            "overlays/dev/a.yaml": POD,
            "more/kustomization.yaml": COMPONENT + "namePrefix: b-\n",
        },
    )
    assert manifest_checks.build(tmp_path / "built", root).returncode == 0
    built = {
        file.stem: yaml.safe_load(file.read_text("utf-8"))["spec"]["containers"][0]["image"]
        for file in (tmp_path / "built").iterdir()
    }
    digest = "a:v0@sha256:" + "0" * 64
    assert built == {
        "overlays-dev": "a:not-deployed-yet",
        "overlays-dev-deployed": digest,
        "overlays-dev-with-more": digest,
    }


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"overlays/dev/kustomization.yaml": KUSTOMIZATION + "resources: [gone.yaml]\n"}, "overlays/dev: "),
        ({"overlays/dev/kustomization.yaml": "a: [\n"}, "overlays/dev/kustomization.yaml: "),
        (
            {
                "overlays/dev/kustomization.yaml": KUSTOMIZATION + "resources: [a.yaml]\n",
                "overlays/dev/a.yaml": SETTINGS,
                "rotten/kustomization.yaml": COMPONENT + "patches: [{path: gone.yaml}]\n",
            },
            "with `components: [../../rotten]`: overlays/dev: ",
        ),
    ],
)  # fmt: skip
def test_what_can_not_be_built_is_told(tmp_path: Path, files: dict[str, str], says: str) -> None:
    done = manifest_checks.build(tmp_path / "built", repository(tmp_path / "deploy", files))
    assert (done.returncode, says in done.stdout) == (1, True), done.stdout
    assert done.stdout.startswith("::error title=kustomize build::")
    assert str(tmp_path) not in says


def test_one_command_does_what_the_workflow_does(tmp_path: Path) -> None:
    workflow = yaml.safe_load((TEMPLATE / ".github/workflows/validate.yml").read_text("utf-8"))
    runs = [step["run"] for step in workflow["jobs"]["overlays"]["steps"] if "run" in step]
    assert runs[0] == "python3 scripts/validate.py"
    assert runs[0] in (TEMPLATE / "README.md").read_text("utf-8")
    resources = KUSTOMIZATION + "resources: [a.yaml]\n"
    root = repository(
        tmp_path / "deploy", {"live/kustomization.yaml": resources, "live/a.yaml": SETTINGS}
    )
    shutil.copytree(SCRIPTS, root / "scripts")
    # The packages of requirements.txt are in the environment of the tests.
    environment = root / ".venv-validate"
    (environment / "bin").mkdir(parents=True)
    (environment / "bin" / "python").symlink_to(sys.executable)
    shutil.copy(Path(sys.prefix) / "pyvenv.cfg", environment)
    (environment / "lib").symlink_to(Path(sys.prefix) / "lib")
    shutil.copy(root / "scripts" / "requirements.txt", environment)
    done = run(root / "scripts" / "validate.py", tmp_path / "built")
    assert (done.returncode, done.stdout) == (0, "live: 1 manifests, 0 problems\n"), done.stderr
    assert (tmp_path / "built" / "live.yaml").read_text("utf-8").startswith("apiVersion: v1")
    (root / "live" / "a.yaml").write_text(SETTINGS + "dato: {}\n", "utf-8")
    done = run(root / "scripts" / "validate.py")
    assert (done.returncode, "('dato' was unexpected)" in done.stdout) == (1, True)
    (root / "live" / "a.yaml").unlink()
    assert run(root / "scripts" / "validate.py").returncode == 1
