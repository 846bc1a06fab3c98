"""Validate what `kustomize build` prints for each overlay.

Usage: check_manifests.py FOLDER [KUBERNETES_VERSION], where FOLDER holds one NAME.yaml each.
Every manifest must be valid by its kind's schema (schemas.yaml says where it is from), every pod restricted
by the Pod Security Standards, and every image pinned by its digest, or be the mark of an environment that
nothing was deployed to yet. Ends with status 1 otherwise. Schemas of custom resources are kept in
MANIFEST_SCHEMAS, by default ~/.cache/manifest-schemas.
"""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import beyond_schemas
import kubernetes_validate
import pod_security
import workloads
import yaml
from crd_schemas import Loader, SchemaError, Schemas

PINNED = re.compile(r".+@sha256:[0-9a-f]{64}")
NOT_DEPLOYED = re.compile(r".+:not-deployed-yet")
CONTAINERS = ("containers", "initContainers", "ephemeralContainers")
# Whose fields called `image` are anybody's: settings, and the schema of another kind.
NO_CONTAINERS = ("ConfigMap", "Secret", "CustomResourceDefinition")
NOTES = ("annotations", "labels")


def images(node: Any) -> Iterator[Any]:
    """Yield each image: of every container, wherever a kind keeps it, and of every image volume.

    A field is an image's where it is called `image`, or by a name that ends so (`modelImage`); KServe
    also takes a model from one (`storageUri: oci://…`). What a workflow fills in itself (`{{…}}`) is not
    known yet, and a web address is of no container.
    """
    waiting = [node]
    while waiting:
        now = waiting.pop()
        if isinstance(now, list):
            waiting += now[::-1]
        if not isinstance(now, dict):
            continue
        for key, value in now.items():
            if key in CONTAINERS and isinstance(value, list):
                yield from (one.get("image") for one in value if is_without_image(one))
            name = str(key)
            reference = value.get("reference") if isinstance(value, dict) else value
            if not isinstance(reference, str) or re.search("{{|^https?://", reference):
                continue
            if (
                name == "image"
                or (name.endswith("Image") and isinstance(value, str))
                or (name == "storageUri" and reference.startswith("oci://"))
            ):
                yield reference
        waiting += [value for key, value in now.items() if key not in NOTES][::-1]


def is_without_image(container: Any) -> bool:
    """Whether an item of `containers` names no image at all."""
    return isinstance(container, dict) and not container.get("image")


class Check:
    """Says what is wrong with a manifest, by Kubernetes' schemas and those of `schemas`."""

    def __init__(self, schemas: Schemas, kubernetes: str, demanded: Sequence[str] = ()) -> None:
        self.schemas = schemas
        self.kubernetes, self.demanded = kubernetes, demanded
        # It reads its files, megabytes, for each manifest again.
        contents = kubernetes_validate.utils.schema_contents
        kubernetes_validate.utils.schema_contents = functools.cache(contents)

    def problems(self, manifest: Any) -> Iterator[tuple[str, str]]:
        """Yield what is wrong with one manifest: `error` or `notice`, and the text."""
        fields = manifest if isinstance(manifest, dict) else {}
        metadata = fields.get("metadata")
        if not isinstance(metadata, dict) or not all(
            isinstance(fields.get(key), str) for key in ("apiVersion", "kind")
        ):
            yield "error", f"it has no apiVersion, kind and metadata: {str(manifest)[:80]!r}"
            return
        name = f"{fields['kind']} {metadata.get('name') or metadata.get('generateName')}"
        for level, text in self._parts(fields):
            yield level, f"{name}: {text}"
        of_policies = (
            fields["apiVersion"].partition("/")[0].endswith("kyverno.io")
        )  # patterns of images
        if fields["kind"] not in NO_CONTAINERS and not of_policies:
            for image in images(fields):
                if not PINNED.fullmatch(str(image)) and not NOT_DEPLOYED.fullmatch(str(image)):
                    yield "error", f"{name}: the image {image!r} has no digest"

    def _parts(self, manifest: dict[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield the problems of the manifest itself, of its pods, and of the manifests inside."""
        yield from self._schema(manifest)
        yield from (("error", text) for text in beyond_schemas.problems(manifest))
        try:
            for own in self._inline(manifest):
                yield from self._schema(own)
            for pod in workloads.pods(manifest):
                if not pod.checked:
                    made = {
                        "apiVersion": "v1",
                        "kind": "Pod",
                        "metadata": pod.metadata,
                        "spec": pod.spec,
                    }
                    for level, text in self._kubernetes(made):
                        yield level, f"{pod.where}, as a pod: {text}"
                for level, text in pod_security.judge(pod.metadata, pod.spec):
                    yield level, f"{pod.where or 'spec'}: {text}"
                for text in beyond_schemas.pod_problems(manifest, pod, self.demanded):
                    yield "error", f"{pod.where or 'spec'}: {text}"
            for where, inner in workloads.embedded(manifest):
                for level, text in self.problems(inner):
                    yield level, f"{where}: {text}"
        except ValueError as error:
            yield "error", str(error)

    def _inline(self, manifest: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield the templates in a workflow's steps, each as a Workflow: its own schema takes any."""
        kind = manifest["kind"]
        if kind in workloads.WORKFLOWS and manifest["apiVersion"].startswith(f"{workloads.ARGO}/"):
            spec = workloads.at(manifest, *workloads.WORKFLOWS[kind])
            for where, template in workloads.templates(spec):
                if where.endswith(".inline"):
                    inside = {"templates": [template]}
                    yield manifest | {"kind": "Workflow", "spec": inside}

    def _schema(self, manifest: dict[str, Any]) -> Iterator[tuple[str, str]]:
        api, kind = manifest["apiVersion"], manifest["kind"]
        group = api.rpartition("/")[0]
        if (reason := self.schemas.without.get(f"{group}/{kind}")) is not None:
            yield "notice", f"its fields are not checked: {reason}"
            return
        try:
            validator = self.schemas.validator(api, kind)
        except SchemaError as error:
            yield "error", str(error)
            return
        if validator is None:
            # kubernetes-validate takes `batch.example.com` for `batch`.
            if "." in group and not group.endswith(".k8s.io"):
                yield (
                    "error",
                    f"scripts/schemas.yaml has no {group}/{kind}: add it there, with the Go module of its"
                    " CustomResourceDefinition, or under `without-schema` with the reason",
                )
                return
            try:
                yield from self._kubernetes(manifest)
            except kubernetes_validate.SchemaNotFoundError:
                yield (
                    "error",
                    f"Kubernetes {self.kubernetes} has no {api} {kind}. If it is a custom resource, add"
                    f" {group}/{kind} to scripts/schemas.yaml",
                )
            return
        for error in validator.iter_errors(manifest):
            yield from _told(error)
        # Schemas of custom resources leave `metadata` out; this kind has nothing else.
        plain = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": manifest["metadata"]}
        yield from self._kubernetes(plain)

    def _kubernetes(self, manifest: dict[str, Any]) -> Iterator[tuple[str, str]]:
        try:
            kubernetes_validate.validate(manifest, self.kubernetes, strict=True)
        except kubernetes_validate.ValidationError as error:
            yield from _told(error)


def _told(error: Any) -> Iterator[tuple[str, str]]:
    """Yield one error of a schema, unless it is about what a workflow fills in later."""
    if workloads.FILLED_IN not in str(error.instance) or error.validator == "additionalProperties":
        where = ".".join(str(step) for step in error.path)
        yield "error", f"{where or 'top'}: {error.message[:300]}"


def annotate(level: str, title: str, text: str) -> None:
    """Print one line that GitHub shows beside the pull request."""
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    print(f"::{level} title={title}::{text}")


def read(file: Path) -> list[Any]:
    """Return the manifests of a file; those of a List are single ones."""
    waiting = list(yaml.load_all(file.read_text("utf-8"), Loader))[::-1]
    found: list[Any] = []
    while waiting:
        one = waiting.pop()
        items = one.get("items") if isinstance(one, dict) else None
        if items and isinstance(items, list) and str(one.get("kind")).endswith("List"):
            waiting += items[::-1]
        elif one:
            found.append(one)
    return found


def main() -> int:
    """Check every file of the folder; print each problem as an annotation."""
    table = yaml.safe_load(Path(__file__).with_name("schemas.yaml").read_text("utf-8"))
    kept = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "manifest-schemas"
    version = sys.argv[2] if len(sys.argv) > 2 else str(table["kubernetes"])
    known = [
        kubernetes_validate.utils.major_minor(one)
        for one in kubernetes_validate.utils.all_versions()
    ]
    if version not in known:
        annotate(
            "error",
            "schemas.yaml",
            f"there are schemas of Kubernetes {known[0]} to {known[-1]}, not of {version!r}",
        )
        return 1
    schemas = Schemas(table, Path(os.environ.get("MANIFEST_SCHEMAS") or kept))
    check = Check(schemas, version, table.get("resources") or ())
    failed = False
    files = sorted(Path(sys.argv[1]).glob("*.yaml"))
    seen: dict[str, list[tuple[str, str]]] = {}  # the same manifest is in several of them
    for file in files:
        try:
            manifests = read(file)
            found = [] if manifests else [("error", "it has no manifests")]
        except yaml.YAMLError as error:
            manifests, found = [], [("error", f"it is not YAML: {error}")]
        for manifest in manifests:
            key = repr(manifest)
            if key not in seen:
                seen[key] = list(check.problems(manifest))
            found += seen[key]
        for level, text in found:
            annotate(level, file.stem, text)
            failed = failed or level == "error"
        print(f"{file.stem}: {len(manifests)} manifests, {len(found)} problems")
    if not files:
        annotate("error", "overlays", "there is no overlay to check")
    return 1 if failed or not files else 0


if __name__ == "__main__":
    sys.exit(main())
