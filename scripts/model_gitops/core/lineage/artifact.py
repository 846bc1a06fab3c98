"""The links of a model's artifact: deployed, in the registry, the model that was meant, and signed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from model_gitops.core.dvc import checksums
from model_gitops.core.image import modelpack
from model_gitops.core.lineage.facts import Trace
from model_gitops.core.lineage.link import Link, made

_AGAIN = (
    "run deploy.yml of the first environment's branch again, which pushes and signs it (push-model)"
)


def sha256_of(manifest: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the model that a manifest holds, as dvc-pull-model puts it out; "" for no model.

    Of a folder it is that of the listing of its files.
    """
    files = modelpack.files_of(manifest)
    if files and modelpack.hash_of(manifest).endswith(".dir"):
        return checksums.of_folder(files)
    return next(iter(files.values())) if len(files) == 1 else ""


def links(trace: Trace) -> Iterator[Link]:
    """Yield what is said of the artifact, where the deploy commit or the overlay says anything."""
    deployed, artifact = trace.deployed, trace.artifact
    if deployed is None:
        return
    said = f"commit {deployed.commit[:12]} says {f'Model-Artifact {artifact.reference}' if artifact else 'no Model-Artifact'}"
    if entry := deployed.artifact:
        pinned = f"{entry.full_name}@{entry.digest}"
        yield made(
            ("overlay", "model artifact"),
            f"{deployed.path} sets {entry.reference} for {entry.name}",
            said,
            artifact is not None and artifact.reference == pinned,
            fix=f"revert the edit of {deployed.path}, or deploy again",
        )
    if artifact is None:
        return
    ends = ("deploy commit", "model artifact")
    if artifact.found is None:
        yield made(ends, said, artifact.problem, None)
        return
    if not artifact.found:
        yield made(
            ends, said, "the registry has no such artifact, or does not show it", False, fix=_AGAIN
        )
        return
    wanted = deployed.says("model-sha256", trace.model)
    has = (
        f"it holds the model with SHA-256 {artifact.sha256}"
        if artifact.sha256
        else "it holds no model"
    )
    if wanted and artifact.sha256:
        has += f", and the commit says Model-SHA256 {wanted}"
        holds: bool | None = artifact.sha256 == wanted
    else:
        # What it says of itself is no proof: whoever pushed it wrote that.
        holds = None if artifact.sha256 else False
        has += "; the commit says no Model-SHA256" if artifact.sha256 else ""
    yield made(
        ends, said, has, holds,
        fix="deploy again from the commit that has the model, and find out which side was changed",
    )  # fmt: skip
    if signed := artifact.signature:
        yield made(
            ("model artifact", "signature"),
            f"promotion.yaml demands that {signed.by} signed {signed.says or 'it'}",
            signed.problem or "there is such a signature",
            not signed.problem,
            fix=f"{_AGAIN}; and find out who deployed it without",
        )
