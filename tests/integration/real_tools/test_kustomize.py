"""What kustomize does, as docs/reference/real-tools.md says it, and that a bump stands on it rightly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from model_gitops.adapters import process
from model_gitops.core.deploy import kustomization, manifests
from model_gitops.core.deploy.kustomization import Image
from model_gitops.core.deploy.kustomization_edit import edit
from model_gitops_local import toolchain

DIGEST = "sha256:" + "a" * 64
Build = Callable[..., list[str]]


@pytest.fixture(scope="session")
def program() -> Path:
    return toolchain.ensure("kustomize")


@pytest.fixture
def build(program: Path, tmp_path: Path) -> Build:
    """Build an overlay of `text` above a pod for each of `images`; return what their images became."""

    def built(text: str, images: Sequence[str], **files: str) -> list[str]:
        pods = [pod(number, image) for number, image in enumerate(images)]
        (tmp_path / "pods.yaml").write_text(yaml.safe_dump_all(pods), encoding="utf-8")
        (tmp_path / "kustomization.yaml").write_text(f"resources: [pods.yaml]\n{text}", "utf-8")
        for name, content in files.items():
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / "kustomization.yaml").write_text(content, encoding="utf-8")
        done = process.run([program, "build", tmp_path], check=False)
        if done.returncode:
            raise ValueError(done.stderr)
        found = yaml.safe_load_all(done.stdout)
        return [one["spec"]["containers"][0]["image"] for one in found]

    return built


def pod(number: int, image: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"p{number}"},
        "spec": {"containers": [{"name": "c", "image": image}]},
    }


def entries(*lines: str) -> str:
    return "images:\n" + "".join(f"- {{{line}}}\n" for line in lines)


def bumped(text: str, **wanted: str) -> str:
    return edit(text, [Image("app", **wanted)], source="kustomization.yaml")


def test_a_digest_goes_with_the_tag_of_its_entry_and_not_of_the_base(build: Build) -> None:
    text = entries("name: app, newName: reg.example/app")
    assert build(text, ["app:v1", f"app:v1@{DIGEST}"]) == [
        "reg.example/app:v1", f"reg.example/app:v1@{DIGEST}",
    ]  # fmt: skip
    # A new tag drops the base's digest, a digest the base's tag.
    assert build(entries("name: app, newTag: v2"), [f"app:v1@{DIGEST}"]) == ["app:v2"]
    assert build(entries(f"name: app, digest: {DIGEST}"), ["app:v1"]) == [f"app@{DIGEST}"]
    after = bumped(text, tag="v2", digest=DIGEST)
    assert build(after, ["app:v1"]) == [f"reg.example/app:v2@{DIGEST}"]
    # So an older digest beside a new tag would win: a bump to a tag alone takes it away.
    assert "digest" not in bumped(after, tag="v3")
    assert build(bumped(after, tag="v3"), ["app:v1"]) == ["reg.example/app:v3"]


def test_a_suffix_is_not_looked_at_beside_a_tag_or_digest(build: Build) -> None:
    text = entries("name: app, tagSuffix: -gpu")
    assert build(text, ["app:v1"]) == ["app:v1-gpu-gpu"]
    after = bumped(text, tag="v2", digest=DIGEST)
    assert "tagSuffix: -gpu" in after
    assert build(after, ["app:v1"]) == [f"app:v2@{DIGEST}"]
    assert build(bumped(text, tag="v2"), ["app:v1"]) == ["app:v2"]


NOT_TEXT = ["1.10", "0123", "1e3", "true", "0x1F", "1_000", "0o17", "089", "1.", "0b1", "1e-3"]


@pytest.mark.parametrize("value", NOT_TEXT)
def test_a_tag_that_is_no_text_stops_the_build_and_a_bump_quotes_it(
    build: Build, value: str
) -> None:
    with pytest.raises(ValueError, match="cannot unmarshal"):
        build(entries(f"name: app, newTag: {value}"), ["app:v1"])
    after = bumped(entries("name: app, newTag: v1"), tag=value)
    assert build(after, ["app:v1"]) == [f"app:{value}"]


def test_tags_that_look_like_a_time_are_text(build: Build) -> None:
    for value in ("2026-01-02", "12_30", "v1", "1.2.3"):
        text = bumped(entries("name: app, newTag: v0"), tag=value)
        assert build(text, ["app:v1"]) == [f"app:{value}"]
    assert build(entries("name: app, newTag: 2026-01-02"), ["app:v1"]) == ["app:2026-01-02"]
    for value in ("null", "~", "''"):
        text = entries(f"name: app, newTag: {value}")
        assert build(text, ["app:v1"]) == ["app:v1"]
        assert kustomization.read(text, source="k") == (Image("app"),)


def test_entries_are_applied_in_their_order(build: Build) -> None:
    """The last word is a later entry's, and a renamed image is another one's."""
    for lines, image, overruled in (
        (("name: app, newTag: v2", "name: app, newTag: v3"), "app:v3", True),
        (("name: app, newName: other, newTag: v2", "name: app, newTag: v3"), "other:v2", False),
        (("name: app, newName: other, newTag: v2", "name: other, newTag: v3"), "other:v3", True),
        (("name: app, newTag: v2", "name: a.*, newTag: v3"), "app:v3", True),
    ):
        text = entries(*lines)
        assert build(text, ["app:v1"]) == [image]
        images = kustomization.read(text, source="k")
        assert (kustomization.overruling(images, images[0]) is not None) is overruled


def test_a_component_comes_before_the_overlay(build: Build) -> None:
    component = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n"
    text = "components: [part]\n" + entries(f"name: app, newTag: v2, digest: {DIGEST}")
    part = component + entries("name: app, newTag: comp")
    assert build(text, ["app:v1"], part=part) == [f"app:v2@{DIGEST}"]
    renamed = component + entries("name: app, newName: renamed, newTag: comp")
    assert build(text, ["app:v1"], part=renamed) == ["renamed:comp"]


NAMES = [
    "app", "app:v1", "app:v2", "a.*", "ap{2}", "localhost:5000/app", "localhost:5000/app:v1",
    f"app@{DIGEST}", "docker.io/library/app", "library/app",
]  # fmt: skip
IMAGES = [
    "app", "app:v1", "app:v5", f"app:v1@{DIGEST}", f"app@{DIGEST}", "apple:v1", "localhost:5000/app",
    "localhost:5000/app:v1", "docker.io/library/app", "library/app:v1",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_an_expression_that_a_tag_and_a_digest_may_follow(
    build: Build, name: str
) -> None:
    entry = Image(name, tag="v9")
    assert build(entries(f"name: '{name}', newTag: v9"), IMAGES) == [
        entry.applied_to(image) for image in IMAGES
    ]


def test_a_new_name_is_taken_as_it_is_and_a_bump_splits_it(build: Build) -> None:
    joined = entries(f"name: app, newName: 'x/y:v9@{DIGEST}'")
    assert build(joined, ["app:v1"]) == [f"x/y:v9@{DIGEST}:v1"]  # no registry takes that
    assert build(bumped(joined, tag="v10"), ["app:v1"]) == ["x/y:v10"]
    joined = entries(f"name: app, newTag: '1.0@{DIGEST}'")
    assert build(joined, ["app:v1"]) == [f"app:1.0@{DIGEST}"]
    other = "sha256:" + "b" * 64
    assert build(bumped(joined, digest=other), ["app:v1"]) == [f"app:1.0@{other}"]


def container(**more: Any) -> dict[str, Any]:
    return {"name": "c", "image": "app:v1", **more}


SCRIPT = {"image": "app:v1", "source": "x"}
MANIFESTS: list[dict[str, Any]] = [
    {"apiVersion": version, "kind": kind, "metadata": {"name": f"m{number}"}, "spec": spec}
    for number, (version, kind, spec) in enumerate(
        [
            ("v1", "Pod", {
                "containers": [container()], "initContainers": [container()],
                "ephemeralContainers": [container()],
                "volumes": [{"name": "v", "image": {"reference": "app:v1"}}],
            }),
            ("apps/v1", "Deployment", {"template": {"spec": {"containers": [container()]}}}),
            ("batch/v1", "CronJob", {"jobTemplate": {"spec": {"template": {"spec": {
                "containers": [container()], "volumes": [{"name": "v", "image": {"reference": "app:v1"}}],
            }}}}}),
            ("argoproj.io/v1alpha1", "Rollout", {"template": {"spec": {"initContainers": [container()]}}}),
            ("argoproj.io/v1alpha1", "WorkflowTemplate", {"templates": [
                {"name": "a", "container": container()}, {"name": "b", "script": SCRIPT},
                {"name": "c", "sidecars": [container()]},
                {"name": "d", "initContainers": [container()], "containerSet": {"containers": [container()]}},
            ]}),
            ("argoproj.io/v1alpha1", "CronWorkflow", {"workflowSpec": {"templates": [
                {"name": "a", "container": container()}, {"name": "b", "script": SCRIPT},
            ]}}),
            ("serving.kserve.io/v1beta1", "InferenceService", {"predictor": {
                "model": {"image": "app:v1"}, "containers": [container()],
            }}),
            ("example.org/v1", "Odd", {"modelImage": "app:v1"}),
        ]
    )
]  # fmt: skip
CONFIGURATIONS = """\
images:
- {path: "spec/workflowSpec/templates[]/container/image", kind: CronWorkflow}
- {path: spec/templates/container/image, kind: WorkflowTemplate}
- {path: spec/predictor/model/image, kind: InferenceService, group: serving.kserve.io}
- {path: spec/modelImage, version: v1}
- {path: spec/predictor/other/image, kind: Pod}
"""


def at(manifest: Any, steps: Sequence[str | int]) -> Any:
    for step in steps:
        manifest = manifest[step]
    return manifest


@pytest.mark.parametrize("configured", [False, True])
def test_which_fields_images_reaches(program: Path, tmp_path: Path, configured: bool) -> None:
    (tmp_path / "all.yaml").write_text(yaml.safe_dump_all(MANIFESTS), encoding="utf-8")
    (tmp_path / "config.yaml").write_text(CONFIGURATIONS, encoding="utf-8")
    text = "resources: [all.yaml]\nimages: [{name: app, newTag: v2}]\n"
    more = "configurations: [config.yaml]\n" if configured else ""
    (tmp_path / "kustomization.yaml").write_text(text + more, encoding="utf-8")
    built = {
        one["metadata"]["name"]: one
        for one in yaml.safe_load_all(process.run([program, "build", tmp_path]).stdout)
    }
    specs = manifests.specs_of(yaml.safe_load(CONFIGURATIONS)) if configured else ()
    ours, kustomizes = {}, {}
    for manifest in MANIFESTS:
        made = built[manifest["metadata"]["name"]]
        for use in manifests.uses_of(manifest, "all.yaml"):
            place = f"{use.kind} {use.path}"
            ours[place] = use.is_reached(specs)
            kustomizes[place] = at(made, use.steps) == "app:v2"
    assert ours == kustomizes
    left = sorted(place for place, reached in ours.items() if not reached)
    both = [
        "CronJob spec/jobTemplate/spec/template/spec/volumes[]/image/reference",
        "CronWorkflow spec/workflowSpec/templates[]/script/image",
        "Pod spec/ephemeralContainers[]/image",
        "WorkflowTemplate spec/templates[]/script/image",
        "WorkflowTemplate spec/templates[]/sidecars[]/image",
    ]
    assert left == sorted([*both, *([] if configured else [
        "CronWorkflow spec/workflowSpec/templates[]/container/image",
        "InferenceService spec/predictor/model/image",
        "Odd spec/modelImage",
        "WorkflowTemplate spec/templates[]/container/image",
    ])])  # fmt: skip
