"""A model as an OCI artifact, by the CNCF's ModelPack specification: https://github.com/modelpack/model-spec.

Each file of the model is one layer, as it is: neither packed nor compressed. Nothing in it is of a time, a commit
or a version, so the same content has the same digest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from model_gitops.core.image.labels import MODEL_LABELS
from model_gitops.errors import InputError

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
ARTIFACT_TYPE = "application/vnd.cncf.model.manifest.v1+json"
CONFIG_TYPE = "application/vnd.cncf.model.config.v1+json"
LAYER_TYPE = "application/vnd.cncf.model.weight.v1.raw"
_PATH = "org.cncf.model.filepath"
# By this one `oras pull` and CRI-O call the file.
_TITLE = "org.opencontainers.image.title"
# Registries need take no larger manifest (OCI distribution specification, "Pushing Manifests").
_LARGEST_MANIFEST = 4 * 1024 * 1024


@dataclass(frozen=True)
class File:
    """One file of a model: its path in the model's folder, or its name alone, and its content."""

    path: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Artifact:
    """Manifest and configuration, byte by byte as the registry gets them."""

    manifest: bytes
    config: bytes

    @property
    def digest(self) -> str:
        """The digest that names the artifact."""
        return digest_of(self.manifest)

    @property
    def tag(self) -> str:
        """A tag that only this content has: it keeps a registry from deleting it as untagged."""
        return f"sha-{self.digest.partition(':')[2][:12]}"


def digest_of(data: bytes) -> str:
    """Return the digest of `data`, as OCI writes it."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def artifact(name: str, model_hash: str, files: Sequence[File]) -> Artifact:
    """Return the artifact of a model's files. Raises InputError where it can't be one."""
    if not files:
        raise InputError.of(
            "path", name, "the folder is empty", fix="path: a file, or a folder with files"
        )
    for one in files:
        _check_path(one.path)
    ordered = sorted(files, key=lambda one: one.path)
    config = _json(
        {
            "descriptor": {"name": name} if name else {},
            "config": {},
            "modelfs": {"type": "layers", "diffIds": [f"sha256:{one.sha256}" for one in ordered]},
        }
    )
    said = {f"{MODEL_LABELS}.name": name, f"{MODEL_LABELS}.hash": model_hash}
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "artifactType": ARTIFACT_TYPE,
            "config": {"mediaType": CONFIG_TYPE, "digest": digest_of(config), "size": len(config)},
            "layers": [
                {
                    "mediaType": LAYER_TYPE,
                    "digest": f"sha256:{one.sha256}",
                    "size": one.size,
                    "annotations": {_PATH: one.path, _TITLE: one.path},
                }
                for one in ordered
            ],
            "annotations": {key: value for key, value in said.items() if value},
        }
    )
    if len(manifest) > _LARGEST_MANIFEST:
        raise InputError(
            f"the model has {len(files)} files: a manifest that lists them has {len(manifest)} bytes, and registries"
            f" take {_LARGEST_MANIFEST}",
            fix="let the stage that makes the model pack them into one file",
        )
    return Artifact(manifest, config)


def files_of(manifest: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the files of the model that a manifest holds, path → SHA-256; none where it holds no model."""
    try:
        layers = manifest["layers"]
        if manifest.get("artifactType") != ARTIFACT_TYPE:
            return {}
        if {one["mediaType"] for one in layers} != {LAYER_TYPE}:
            return {}
        files = {one["annotations"][_PATH]: one["digest"].removeprefix("sha256:") for one in layers}
    except (KeyError, TypeError, AttributeError):
        return {}
    return files if len(files) == len(layers) else {}


def hash_of(manifest: Mapping[str, Any]) -> str:
    """Return the model's hash, as DVC has it, that a manifest says; "" for none."""
    said = manifest.get("annotations")
    return str(said.get(f"{MODEL_LABELS}.hash") or "") if isinstance(said, Mapping) else ""


def _check_path(path: str) -> None:
    """Refuse a file whose name JSON, or who unpacks it, could read otherwise. Raises InputError."""
    if not path.isprintable() or "\\" in path:
        raise InputError.of(
            "path", path, "a file's name holds a control character, a backslash, or is no UTF-8",
            fix="rename the file, in the stage that writes it",
        )  # fmt: skip


def _json(data: Any) -> bytes:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()
