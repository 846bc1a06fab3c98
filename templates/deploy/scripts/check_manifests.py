"""Validate what `kustomize build` prints for each overlay, offline.

Usage: check_manifests.py FOLDER KUBERNETES_VERSION, where FOLDER holds one OVERLAY.yaml each.
Every manifest must be valid by the Kubernetes schemas, and every image must be pinned by its digest,
or be the mark of an environment that nothing was deployed to yet. Ends with status 1 otherwise.
Custom resources have no schema there: they get a warning, and only their images are checked.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

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


def problems(manifest: dict[str, Any], version: str) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with one manifest: `error` or `warning`, and the text."""
    metadata = manifest["metadata"]
    name = f"{manifest['kind']} {metadata.get('name') or metadata['generateName']}"
    try:
        kubernetes_validate.validate(manifest, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        where = ".".join(str(step) for step in error.path)
        yield "error", f"{name}: {where or 'top'}: {error.message}"
    except kubernetes_validate.SchemaNotFoundError:
        # A group with a dot may be a custom resource's; `apps`, `batch` and the like never are.
        custom = "." in manifest["apiVersion"].rpartition("/")[0]
        text = f"{name}: Kubernetes {version} has no {manifest['apiVersion']} {manifest['kind']}"
        yield ("warning", f"{text}: not validated") if custom else ("error", text)
    if manifest["kind"] in NO_CONTAINERS:
        return
    for image in images(manifest):
        if not PINNED.fullmatch(str(image)) and not NOT_DEPLOYED.fullmatch(str(image)):
            yield "error", f"{name}: the image {image!r} has no digest"


def annotate(level: str, title: str, text: str) -> None:
    """Print one line that GitHub shows beside the pull request."""
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    print(f"::{level} title={title}::{text}")


def main() -> int:
    """Check every overlay; print each problem as an annotation."""
    folder, version = Path(sys.argv[1]), sys.argv[2]
    failed = False
    overlays = sorted(folder.glob("*.yaml"))
    for overlay in overlays:
        manifests = [one for one in yaml.safe_load_all(overlay.read_text("utf-8")) if one]
        found = [problem for manifest in manifests for problem in problems(manifest, version)]
        if not manifests:
            found.append(("error", "it has no manifests"))
        for level, text in found:
            annotate(level, overlay.stem, text)
            failed = failed or level == "error"
        print(f"{overlay.stem}: {len(manifests)} manifests, {len(found)} problems")
    if not overlays:
        annotate("error", "overlays", "there is no overlay to check")
    return 1 if failed or not overlays else 0


if __name__ == "__main__":
    sys.exit(main())
