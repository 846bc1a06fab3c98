"""An image that kustomize would not set is told; the fix that is given works with real kustomize."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from bump_step import A, Step, Work

from model_gitops.adapters import process

pytestmark = pytest.mark.usefixtures("tools_on_path")
FOLDER = "overlays/odd"
WANTED = f"x/app:v2@{A}"
KUSTOMIZATION = "resources: [{resources}]\nimages:\n- name: app\n  newTag: v1\n"
POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: 'app:v0'}]}\n"
TYPE = "apiVersion: {version}\nkind: {kind}\nmetadata: {{name: x}}\nspec: {spec}\n"

# A manifest: its apiVersion, kind and spec, and where its image is.
UNREACHED = {
    "KServe": ("serving.kserve.io/v1beta1", "InferenceService",
        "{predictor: {model: {image: app, modelFormat: {name: onnx}}}}", "spec/predictor/model/image"),
    "a container of Argo Workflows": ("argoproj.io/v1alpha1", "WorkflowTemplate",
        "{templates: [{name: a, container: {image: 'app:v0'}}]}", "spec/templates[]/container/image"),
    "a script of Argo Workflows": ("argoproj.io/v1alpha1", "Workflow",
        "{templates: [{name: a, script: {image: app, source: 'x'}}]}", "spec/templates[]/script/image"),
    "a sidecar of Argo Workflows": ("argoproj.io/v1alpha1", "Workflow",
        "{templates: [{name: a, sidecars: [{name: s, image: app}]}]}", "spec/templates[]/sidecars[]/image"),
    "a cron workflow": ("argoproj.io/v1alpha1", "CronWorkflow",
        "{workflowSpec: {templates: [{name: a, container: {image: app}}]}}",
        "spec/workflowSpec/templates[]/container/image"),
    "an ephemeral container": ("v1", "Pod",
        "{ephemeralContainers: [{name: e, image: app}]}", "spec/ephemeralContainers[]/image"),
    "an image volume of a CronJob": ("batch/v1", "CronJob",
        "{jobTemplate: {spec: {template: {spec: {volumes: [{name: v, image: {reference: app}}]}}}}}",
        "spec/jobTemplate/spec/template/spec/volumes[]/image/reference"),
    "Seldon": ("machinelearning.seldon.io/v1", "SeldonDeployment",
        "{predictors: [{graph: {modelImage: app}}]}", "spec/predictors[]/graph/modelImage"),
    "an operator's own": ("example.com/v1", "Model", "{image: app}", "spec/image"),
}  # fmt: skip
REACHED = {
    "a Rollout": ("argoproj.io/v1alpha1", "Rollout", "{template: {spec: {containers: [{name: c, image: app}]}}}"),
    "an init container": ("apps/v1", "Deployment", "{template: {spec: {initContainers: [{name: c, image: 'app:v0'}]}}}"),
    "containers of any depth": ("example.com/v1", "Model", "{a: [{b: {containers: [{image: app}]}}]}"),
    "an image volume": ("v1", "Pod", "{volumes: [{name: v, image: {reference: app}}]}"),
    "a container set": ("argoproj.io/v1alpha1", "Workflow", "{templates: [{containerSet: {containers: [{image: app}]}}]}"),
}  # fmt: skip


def bump(step: Step, capsys: pytest.CaptureFixture[str], **inputs: str) -> str:
    """Set the image; return the warning, empty for none, which the summary has too."""
    summary = Path(os.environ["GITHUB_STEP_SUMMARY"])
    summary.write_text("")
    capsys.readouterr()
    step.run(f"app={WANTED}", path=FOLDER, **inputs)
    said = capsys.readouterr().err
    warned = re.findall(r"warning: ((?:.|\n)*?)\noperation:", said)
    assert bool(warned) == ("⚠️" in summary.read_text())
    return warned[0] if warned else ""


def build(deploy: Work) -> str:
    deploy.pull()
    return process.run(["kustomize", "build", deploy.git.directory / FOLDER]).stdout


def follow(deploy: Work, told: str) -> None:
    """Do what the fix says."""
    fix = told.partition("Fix: add to ")[2]
    where, lines, file, text = re.fullmatch(
        r"(\S+):\n(.*)\nand to (\S+):\n(.*)", fix.strip()
    ).groups()  # type: ignore[union-attr]
    deploy.commit({where: deploy.text(where) + lines + "\n", file: text + "\n"}, "follow the fix")


@pytest.mark.parametrize("name", UNREACHED)
def test_a_field_that_kustomize_does_not_reach_is_named_with_what_reaches_it(
    deploy: Work, step: Step, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    version, kind, spec, place = UNREACHED[name]
    manifest = TYPE.format(version=version, kind=kind, spec=spec)
    overlay = f"{FOLDER}/kustomization.yaml"
    deploy.commit(
        {
            overlay: KUSTOMIZATION.format(resources="../../common"),
            "common/kustomization.yaml": "resources: [model.yaml]\n",
            "common/model.yaml": "# comment\n---\n" + manifest,
        }
    )
    told = bump(step, capsys)
    assert told.startswith(
        f"no manifest of {FOLDER} has the image app where kustomize sets it: common/model.yaml has it"
        f" at {place} of {kind}. The cluster will not run what was set. Fix: add to {overlay}:\n"
    )
    assert WANTED not in build(deploy)
    follow(deploy, told)
    assert WANTED in build(deploy)
    assert bump(step, capsys) == ""
    # Beside one that is reached it is told too.
    deploy.commit({f"{FOLDER}/pod.yaml": POD})
    text = KUSTOMIZATION.format(resources="../../common, pod.yaml")
    deploy.commit({overlay: text})
    assert bump(step, capsys).startswith(
        "kustomize leaves the image app as it was in a place: common/"
    )


@pytest.mark.parametrize(
    ("kind", "spec", "place"),
    [
        ("InferenceService", "{predictor: {model: {storageUri: 'oci://app'}}}",
         "spec/predictor/model/storageUri"),
        ("SeldonDeployment", "{predictors: [{graph: {modelUri: 'oci://app:v0'}}]}",
         "spec/predictors[]/graph/modelUri"),
    ],
)  # fmt: skip
def test_the_address_of_an_image_is_set_as_the_fix_says(
    deploy: Work, step: Step, capsys: pytest.CaptureFixture[str], kind: str, spec: str, place: str
) -> None:
    overlay = f"{FOLDER}/kustomization.yaml"
    manifest = TYPE.format(version="serving.example/v1", kind=kind, spec=spec)
    deploy.commit({overlay: KUSTOMIZATION.format(resources="m.yaml"), f"{FOLDER}/m.yaml": manifest})
    told = bump(step, capsys)
    assert f"{FOLDER}/m.yaml has it at {place} of {kind}. " in told
    assert f"oci://{WANTED}" not in build(deploy)
    found = re.search(
        r"add (\S+) to `resources` of (\S+), and add to it:\n((?:.|\n)*)\nand to (\S+):\n((?:.|\n)*)", told
    )  # fmt: skip
    assert found
    resource, where, lines, file, text = found.groups()
    changed = deploy.text(where).replace("[m.yaml", f"[m.yaml, {resource}") + lines + "\n"
    deploy.commit({where: changed, file: text + "\n"}, "follow the fix")
    rendered = build(deploy)
    assert f"oci://{WANTED}\n" in rendered
    assert "PodTemplate" not in rendered
    assert bump(step, capsys) == ""


@pytest.mark.parametrize("name", REACHED)
def test_what_kustomize_reaches_by_itself_is_not_told(
    deploy: Work, step: Step, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    version, kind, spec = REACHED[name]
    manifest = TYPE.format(version=version, kind=kind, spec=spec)
    text = KUSTOMIZATION.format(resources="model.yaml")
    deploy.commit({f"{FOLDER}/kustomization.yaml": text, f"{FOLDER}/model.yaml": manifest})
    assert bump(step, capsys) == ""
    assert WANTED in build(deploy)


# Files beside the overlay's kustomization, what that says besides, and what is told; None: nothing.
SHAPES: dict[str, tuple[dict[str, str], str, str | None]] = {
    "a name that no manifest has": (
        {f"{FOLDER}/pod.yaml": POD.replace("app:v0", "app-v2:1")}, "resources: [pod.yaml]",
        "no manifest of overlays/odd has the image app where kustomize sets it; they have: app-v2:1",
    ),
    "a base that renames it first": (
        {"common/kustomization.yaml": "resources: [pod.yaml]\nimages: [{name: app, newName: y/app}]\n",
         "common/pod.yaml": POD}, "resources: [../../common]",
        "the entry `name: app` of common/kustomization.yaml makes y/app:v0 of it first",
    ),
    "a component that renames it first": (
        {f"{FOLDER}/pod.yaml": POD,
         "mirror/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n"
         "images: [{name: app, newName: y/app}]\n"},
        "resources: [pod.yaml]\ncomponents: [../../mirror]",
        "the entry `name: app` of mirror/kustomization.yaml makes y/app:v0 of it first",
    ),
    "a base that sets the tag": (
        {"common/kustomization.yaml": "resources: [pod.yaml]\nimages: [{name: app, newTag: v7}]\n",
         "common/pod.yaml": POD}, "resources: [../../common]", None,
    ),
    "a base below a base": (
        {"a/kustomization.yml": "bases: [../b]\n", "b/kustomization.yaml": "resources: [sub/pod.yaml]\n",
         "b/sub/pod.yaml": POD}, "resources: [../../a]", None,
    ),
    "a component that brings it": (
        {f"{FOLDER}/pod.yaml": POD.replace("app:v0", "other"),
         "more/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n"
         "resources: [pod.yaml]\n", "more/pod.yaml": POD.replace("name: p", "name: q")},
        "resources: [pod.yaml]\ncomponents: [../../more]", None,
    ),
    "a patch that brings it": (
        {f"{FOLDER}/pod.yaml": POD.replace("app:v0", "other"),
         f"{FOLDER}/patch.yaml": POD}, "resources: [pod.yaml]\npatches: [{path: patch.yaml}]", None,
    ),
    "a JSON patch that brings it": (
        {f"{FOLDER}/pod.yaml": POD.replace("app:v0", "other")},
        "resources: [pod.yaml]\npatches:\n- target: {kind: Pod}\n  patch: |-\n    - op: replace\n"
        "      path: /spec/containers/0/image\n      value: app:v0", None,
    ),
    "a JSON patch that brings it, in a file and in another order": (
        {f"{FOLDER}/pod.yaml": POD.replace("app:v0", "other"),
         f"{FOLDER}/patch.yaml": "# ours\n---\n- path: /spec/containers/0/image\n  value: app:v0\n  op: replace\n"},
        "resources: [pod.yaml]\npatches: [{target: {kind: Pod}, path: patch.yaml}]", None,
    ),
    "a JSON patch that brings it to a kind whose configuration says a group": (
        {f"{FOLDER}/m.yaml": TYPE.format(version="example.com/v1", kind="Model", spec="{image: other}"),
         f"{FOLDER}/c.yaml": "images: [{path: spec/image, kind: Model, group: example.com, version: v1}]\n"},
        "resources: [m.yaml]\nconfigurations: [c.yaml]\npatches:\n- target: {kind: Model}\n"
        "  patch: '- {op: replace, path: /spec/image, value: app:v0}'", None,
    ),
    "a JSON patch that says no kind": (
        {f"{FOLDER}/m.yaml": TYPE.format(version="example.com/v1", kind="Model", spec="{image: other}"),
         f"{FOLDER}/c.yaml": "images: [{path: spec/image, kind: Model}]\n"},
        "resources: [m.yaml]\nconfigurations: [c.yaml]\npatches:\n- target: {name: .*}\n"
        "  patch: '- {op: replace, path: /spec/image, value: app:v0}'", None,
    ),
    "a JSON patch that says kinds by an expression": (
        {f"{FOLDER}/m.yaml": TYPE.format(version="example.com/v1", kind="Model", spec="{image: other}"),
         f"{FOLDER}/c.yaml": "images: [{path: spec/image, kind: Model}]\n"},
        "resources: [m.yaml]\nconfigurations: [c.yaml]\npatches:\n- target: {kind: Mod.*}\n"
        "  patch: '- {op: replace, path: /spec/image, value: app:v0}'", None,
    ),
    "a JSON patch that says no kind, where nothing reaches": (
        {f"{FOLDER}/m.yaml": TYPE.format(version="example.com/v1", kind="Model", spec="{image: other}")},
        "resources: [m.yaml]\npatches:\n- target: {name: .*}\n"
        "  patch: '- {op: replace, path: /spec/image, value: app:v0}'",
        'at spec/image of any kind',
    ),
    "a JSON patch that copies it": (
        {f"{FOLDER}/pod.yaml": POD.replace("app:v0", "other").replace("name: p", "name: app")},
        "resources: [pod.yaml]\npatches:\n- target: {kind: Pod}\n  patch: |-\n    - op: copy\n"
        "      from: /metadata/name\n      path: /spec/containers/0/image", None,
    ),
    "a replacement of the base that brings it": (
        {"common/kustomization.yaml": "resources: [pod.yaml]\nreplacements:\n"
         "- source: {kind: Pod, fieldPath: metadata.name}\n"
         "  targets: [{select: {kind: Pod}, fieldPaths: [spec.containers.0.image]}]\n",
         "common/pod.yaml": POD.replace("app:v0", "other").replace("name: p", "name: app")},
        "resources: [../../common]", None,
    ),
    "settings that are called so": (
        {f"{FOLDER}/pod.yaml": POD.replace("{name: p}", "{name: p, annotations: {image: app, baseImage: app}}"),
         f"{FOLDER}/settings.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: s}\ndata: {image: 'app:v0'}\n"},
        "resources: [pod.yaml, settings.yaml]", None,
    ),
    "a setting alone": (
        {f"{FOLDER}/settings.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: s}\ndata: {image: 'app:v0'}\n"},
        "resources: [settings.yaml]", "where kustomize sets it; they have: no image",
    ),
    "configurations of the base": (
        {"common/kustomization.yaml": "resources: [m.yaml]\nconfigurations: [c.yaml]\n",
         "common/c.yaml": "images: [{path: spec/image, kind: Model}]\n",
         "common/m.yaml": TYPE.format(version="example.com/v1", kind="Model", spec="{image: app}")},
        "resources: [../../common]", None,
    ),
    "a list of manifests": (
        {f"{FOLDER}/pod.yaml": "apiVersion: v1\nkind: List\nitems:\n- " + POD.replace("\n", "\n  ").rstrip() + "\n"},
        "resources: [pod.yaml]", None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_the_overlay_is_read_with_all_that_it_is_built_on(
    deploy: Work, step: Step, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    files, text, problem = SHAPES[name]
    text += "\nimages:\n- name: app\n  newTag: v1\n"
    deploy.commit({**files, f"{FOLDER}/kustomization.yaml": text})
    told = bump(step, capsys)
    if problem is None:
        assert told == ""
    else:
        assert problem in told
    assert (WANTED in build(deploy)) == (problem is None)


@pytest.mark.parametrize(
    "text",
    [
        "resources: [pod.yaml, 'https://github.com/acme/base?ref=v1']",
        "resources: [pod.yaml, 'git@github.com:acme/base.git']",
        "resources: [pod.yaml, 'github.com/acme/base']",
        "resources: [pod.yaml]\nhelmCharts: [{name: x}]",
        "resources: [pod.yaml]\ntransformers: [t.yaml]",
        "resources: [pod.yaml, broken.yaml]",
        "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nresources: [pod.yaml]",
        "namePrefix: x-",
        "resources: [pod.yaml, ../common]",
    ],
)
def test_what_can_not_be_known_is_not_told(
    deploy: Work, step: Step, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    deploy.commit(
        {
            f"{FOLDER}/kustomization.yaml": f"{text}\nimages: [{{name: app}}]\n",
            f"{FOLDER}/pod.yaml": POD.replace("app:v0", "other"),
            f"{FOLDER}/broken.yaml": "image: [\n",
            # An expression that only Go reads: it makes our image of another one.
            "overlays/common/kustomization.yaml": "resources: [pod.yaml]\nimages: [{name: '[[:lower:]]+', newName: app}]\n",
            "overlays/common/pod.yaml": POD.replace("app:v0", "other").replace(
                "name: p", "name: q"
            ),
        }
    )
    assert bump(step, capsys) == ""


def test_it_is_told_again_by_a_rerun_and_no_more_than_needed_is_fetched(
    deploy: Work, step: Step, capsys: pytest.CaptureFixture[str]
) -> None:
    process.run(["git", "-C", deploy.remote, "config", "uploadpack.allowFilter", "true"])
    deploy.commit(
        {
            f"{FOLDER}/kustomization.yaml": KUSTOMIZATION.format(resources="pod.yaml"),
            f"{FOLDER}/pod.yaml": POD.replace("app:v0", "other"),
            "big.bin": "x" * 3_000_000,
        }
    )
    remote = {"repository": f"file://{deploy.remote}"}
    assert "they have: other" in bump(step, capsys, **remote)
    assert "they have: other" in bump(step, capsys, **remote)
