"""What a folder of Kubernetes manifests deploys: overlays, and which field has the image or the model."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from model_gitops.core import document
from model_gitops.core.adopt import branches
from model_gitops.core.deploy import kustomization
from model_gitops.errors import InputError

Read = Callable[[str], str | None]

# Kind → where it has an image or a model's URI, and which.
_FIELDS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "InferenceService": (
        ("spec.predictor.model.storageUri", "model-uri"),
        ("spec.predictor.sklearn.storageUri", "model-uri"),
        ("spec.predictor.xgboost.storageUri", "model-uri"),
        ("spec.predictor.lightgbm.storageUri", "model-uri"),
        ("spec.predictor.tensorflow.storageUri", "model-uri"),
        ("spec.predictor.pytorch.storageUri", "model-uri"),
        ("spec.predictor.onnx.storageUri", "model-uri"),
        ("spec.predictor.triton.storageUri", "model-uri"),
        ("spec.predictor.model.image", "image"),
        ("spec.predictor.containers.0.image", "image"),
    ),
    "BentoDeployment": (("spec.image", "image"),),
    "Bento": (("spec.image", "image"),),
    "SeldonDeployment": (("spec.predictors.0.graph.modelUri", "model-uri"),),
    "Model": (("spec.storageUri", "model-uri"),),
    "RayService": (
        ("spec.rayClusterConfig.headGroupSpec.template.spec.containers.0.image", "image"),
    ),
}
_LIKE_MANIFESTS = re.compile(r".*\.(ya?ml|json)")
_MOST_FILES = 2000


@dataclass(frozen=True)
class Field:
    """One field that has an image or a model's URI. `file` is from the top of the deploy repository."""

    file: str
    path: str
    kind: str
    of: str
    value: str


@dataclass(frozen=True)
class Deployments:
    """What deploys a model. `path` is `deploy.path`, with {environment}; `paths` those that differ.

    `entries` are the names of `images:` in the overlays, `fields` other places of images and URIs, and
    `charts` are Helm's.
    """

    path: str = ""
    paths: Mapping[str, str] = field(default_factory=dict)
    overlays: Mapping[str, str] = field(default_factory=dict)
    entries: tuple[str, ...] = ()
    fields: tuple[Field, ...] = ()
    charts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing was found."""
        return not (self.overlays or self.fields or self.charts)


def find(files: Iterable[str], read: Read, environments: Sequence[str]) -> Deployments:
    """Return what the manifests among `files` deploy, for environments of these names."""
    there = [one for one in sorted(files) if not one.startswith(".")]
    kustomized = {
        posixpath.dirname(one): one
        for one in there
        if posixpath.basename(one) in kustomization.FILE_NAMES
    }
    overlays = dict[str, str]()
    for name in environments:
        folder = _overlay(name, kustomized)
        if folder is not None:
            overlays[name] = folder
    path, paths = _pattern(overlays)
    entries = dict.fromkeys(
        entry for folder in overlays.values() for entry in _entries(read, kustomized[folder])
    )
    likely = [one for one in there if _LIKE_MANIFESTS.fullmatch(one)][:_MOST_FILES]
    fields = [one for file in likely for one in _fields(file, read)]
    charts = [
        posixpath.dirname(one) or "." for one in there if posixpath.basename(one) == "Chart.yaml"
    ]
    return Deployments(path, paths, overlays, tuple(entries), tuple(fields), tuple(charts))


def told(found: Deployments) -> list[str]:
    """Say in words which file and field holds what is deployed."""
    lines = [f"overlay of {name}: {folder}" for name, folder in found.overlays.items()]
    lines += [f"`images:` of the overlays has the entry {one!r}" for one in found.entries]
    lines += [
        f"{one.of} in {one.file}: {one.path} is {one.value!r}"
        f" ({'an image' if one.kind == 'image' else 'the address of a model'})"
        for one in found.fields
    ]
    lines += [f"Helm chart: {one}" for one in found.charts]
    return lines


def left(found: Deployments, entry: str) -> list[tuple[str, str]]:
    """Return what kustomize must be told to deploy the image of `entry`: in words, and what to write.

    docs/how-to/serving.md shows each of them whole.
    """
    lines = []
    for one in found.fields:
        if one.kind == "image":
            path = re.sub(r"/\d+(?=/)", "", one.path.replace(".", "/"))
            what = f"kustomize sets no image in {one.path} of {one.of} ({one.file}) by itself"
            fix = f"in a file of `configurations:`: images: [{{kind: {one.of}, path: {path}}}]"
        else:
            what = f"{one.path} of {one.of} ({one.file}) is the model's address: the image's, as `oci://`"
            fix = f"storageUri: oci://{entry}, and in each overlay the replacement of docs/how-to/serving.md"
        lines.append((what, fix))
    if found.overlays and entry not in found.entries:
        has = f": {', '.join(found.entries)}" if found.entries else " none"
        what = f"a deployment sets the entry {entry!r} of `images:`, and the overlays have{has}"
        lines.append((what, f"in each overlay: images: [{{name: {entry}, newTag: none}}]"))
    if found.charts and not found.overlays:
        what = f"the Helm chart {found.charts[0]} has no overlay of kustomize, which is what a deployment edits"
        fix = f"in each overlay's kustomization.yaml: helmCharts: [{{name: …, releaseName: {entry}}}], and `images:`"
        lines.append((what, fix))
    return lines


def _overlay(environment: str, kustomized: Mapping[str, str]) -> str | None:
    """Return the folder of an environment's overlay: one of its name, else of another word for it."""
    by_name = [one for one in kustomized if environment in one.split("/")]
    called = [
        one
        for one in kustomized
        if any(branches.is_called(part, environment) for part in one.split("/"))
    ]
    found = sorted(by_name or called, key=lambda one: (one.count("/"), one))
    return found[0] if found else None


def _pattern(overlays: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Return the path with {environment} that most overlays have, and those that have another one."""
    templates = [
        "/".join("{environment}" if part == name else part for part in folder.split("/"))
        for name, folder in overlays.items()
        if name in folder.split("/")
    ]
    path = max(templates, key=templates.count, default="")
    if not path and overlays:
        # Named otherwise: where they would be if they had the environments' names.
        path = f"{posixpath.dirname(next(iter(overlays.values())))}/{{environment}}".lstrip("/")
    others = {
        name: folder
        for name, folder in overlays.items()
        if path.replace("{environment}", name) != folder
    }
    return path, others


def _entries(read: Read, path: str) -> Iterator[str]:
    for data in _documents(path, read):
        listed = data.get("images")
        for one in listed if isinstance(listed, list) else ():
            if isinstance(one, dict) and isinstance(one.get("name"), str):
                yield one["name"]


def _fields(file: str, read: Read) -> Iterator[Field]:
    for data in _documents(file, read):
        kind = str(data.get("kind", ""))
        for path, what in _FIELDS.get(kind, ()):
            value = _at(data, path)
            if isinstance(value, str) and "apiVersion" in data:
                yield Field(file, path, what, kind, value)


def _documents(file: str, read: Read) -> Iterator[Mapping[str, Any]]:
    text = read(file) or ""
    if "kind:" not in text and "images:" not in text and '"kind"' not in text:
        return
    for part in re.split(r"(?m)^---(?:\s.*)?$", text):
        if "{{" in part:
            continue  # a template of Helm's is no YAML
        try:
            data = document.load_yaml(part, source=file) if part.strip() else None
        except InputError:
            continue
        if isinstance(data, dict):
            yield data


def _at(data: Any, path: str) -> Any:
    for step in path.split("."):
        if isinstance(data, list) and step.isdigit():
            data = data[int(step)] if int(step) < len(data) else None
        else:
            data = data.get(step) if isinstance(data, dict) else None
    return data
