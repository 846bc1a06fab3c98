"""Validate what `kustomize build` prints for each overlay, offline.

Usage: check_manifests.py FOLDER KUBERNETES_VERSION, where FOLDER holds one OVERLAY.yaml each.
Every manifest must be valid by the Kubernetes schemas, and every image must be pinned by its digest,
or be the mark of an environment that nothing was deployed to yet. Ends with status 1 otherwise.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import kubernetes_validate
import yaml

PINNED = re.compile(r".+@sha256:[0-9a-f]{64}")
NOT_DEPLOYED = re.compile(r".+:not-deployed-yet")


def problems(manifest: dict, version: str) -> list[str]:
    """Return what is wrong with one manifest."""
    found = []
    name = f"{manifest.get('kind')} {manifest.get('metadata', {}).get('name')}"
    try:
        kubernetes_validate.validate(manifest, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        where = ".".join(str(step) for step in error.path)
        found.append(f"{name}: {where or 'top'}: {error.message}")
    pod = manifest.get("spec", {}).get("template", {}).get("spec", {})
    for container in [*pod.get("initContainers", []), *pod.get("containers", [])]:
        image = container.get("image", "")
        if not PINNED.fullmatch(image) and not NOT_DEPLOYED.fullmatch(image):
            found.append(f"{name}: the image {image!r} has no digest")
    return found


def main() -> int:
    """Check every overlay; print each problem as an annotation."""
    folder, version = Path(sys.argv[1]), sys.argv[2]
    failed = False
    overlays = sorted(folder.glob("*.yaml"))
    for overlay in overlays:
        manifests = [one for one in yaml.safe_load_all(overlay.read_text("utf-8")) if one]
        found = [text for manifest in manifests for text in problems(manifest, version)]
        for text in found or ([] if manifests else ["it has no manifests"]):
            print(f"::error title={overlay.stem}::{text}")
            failed = True
        print(f"{overlay.stem}: {len(manifests)} manifests, {len(found)} problems")
    if not overlays:
        print("::error::there is no overlay to check")
    return 1 if failed or not overlays else 0


if __name__ == "__main__":
    sys.exit(main())
