"""Which images the deploy repository has for the pipeline's steps.

It needs no kfp, so `make test` tests it with the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import yaml

NAME = "diabetes"
REPOSITORY = "https://github.com/acme/diabetes"
# Each is an image; `deploy` fetches what is trained on, and proposes what was trained.
STEPS = ("preprocess", "train", "test", "deploy")
FILES = ("kustomization.yaml", "kustomization.yml", "Kustomization")


class NotReadyError(Exception):
    """There is nothing to compile yet; the message says what is missing."""


def images_of(kustomization: Path, name: str, steps: Iterable[str]) -> dict[str, str]:
    """Return step → image with its digest, as `images:` of a kustomization has them.

    Raises NotReadyError where one is missing, was not deployed yet, or has no digest.
    """
    if kustomization.is_dir():
        kustomization = next(
            (one for one in map(kustomization.joinpath, FILES) if one.is_file()),
            kustomization / FILES[0],
        )
    try:
        entries = (yaml.safe_load(kustomization.read_text()) or {}).get("images") or []
    except (OSError, ValueError, AttributeError, yaml.YAMLError) as error:
        raise NotReadyError(
            f"{kustomization} is no kustomization that can be read: {error}"
        ) from None
    found = {one.get("name"): one for one in entries if isinstance(one, dict)}
    images = {}
    for step in steps:
        entry = found.get(f"{name}-{step}")
        where = f"the image {name}-{step} of {kustomization}"
        if entry is None:
            raise NotReadyError(f"{where}: there is no such entry under images:")
        if entry.get("newTag") == "not-deployed-yet":
            raise NotReadyError(
                f"{where} was not deployed yet: merge a change of its component first"
            )
        digest = str(entry.get("digest") or "")
        if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
            raise NotReadyError(
                f"{where} has no digest, so what runs would not be what was tested: "
                f"let bump-kustomize-tag write it"
            )
        images[step] = f"{entry.get('newName') or entry['name']}@{digest}"
    return images
