"""An image that a registry has, as buildx tells it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from model_gitops.core.image.names import is_digest
from model_gitops.errors import ExternalError


@dataclass(frozen=True)
class Published:
    """An image in the registry: the digest to pin, and the labels that all its platforms have."""

    digest: str
    labels: Mapping[str, str] = field(default_factory=dict)


def published(inspected: Any) -> Published:
    """Read what `imagetools inspect` says: `{"manifest": …, "image": …}`.

    Raises ExternalError for anything else.
    """
    said = inspected if isinstance(inspected, dict) else {}
    digest = (said.get("manifest") or {}).get("digest")
    if not is_digest(digest):
        raise ExternalError(f"buildx gave no digest for an image: {str(inspected)[:300]}")
    image = said.get("image") or {}
    # Of several platforms: platform → image.
    every = (
        [image] if "config" in image else [one for one in image.values() if isinstance(one, dict)]
    )
    labels = [(one.get("config") or {}).get("Labels") or {} for one in every]
    shared = {
        str(key): str(value)
        for key, value in (labels[0] if labels else {}).items()
        if all(other.get(key) == value for other in labels)
    }
    return Published(str(digest), shared)


def digest_said(text: str) -> str:
    """Return the digest that `imagetools inspect` prints, or an empty string."""
    found = re.search(r"^Digest:\s*(sha256:[0-9a-f]{64})\s*$", text, re.MULTILINE)
    return found.group(1) if found else ""


def manifests_of(index: Any) -> list[str]:
    """Return the digests of an index's images, attestations left out; empty for a plain image."""
    return [
        str(one["digest"])
        for one in index.get("manifests") or []
        if "vnd.docker.reference.type" not in (one.get("annotations") or {})
    ]
