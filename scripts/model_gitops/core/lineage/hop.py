"""A hop to a later environment: it takes over what the environment before it runs, and no other."""

from __future__ import annotations

from dataclasses import dataclass

from model_gitops.core.image.names import is_digest
from model_gitops.core.lineage.facts import Deployed
from model_gitops.errors import RefusedError


@dataclass(frozen=True)
class Promoted:
    """What an environment runs, as its deploy commit says: the image to take over, and its model.

    `image` is `name:tag@digest`. `version` is GTO's, `fingerprint` that of the image's content,
    `sha256` the model's, `commit` that of the model repository and `artifact` the model's OCI artifact,
    `repository@digest`; each is empty where the deploy commit does not say it.
    """

    image: str
    model_hash: str
    version: str = ""
    fingerprint: str = ""
    sha256: str = ""
    commit: str = ""
    artifact: str = ""


def running(before: Deployed, environment: str, *, model: str, image: str) -> Promoted:
    """Return what `environment` runs. Raises RefusedError where that can't be taken over.

    It must be an image of the name `image`, pinned by digest, as a deployment set it: the deploy
    commit's trailers are believed, an edit by hand has none.
    """
    name, where = environment, f"{before.path} of {before.repository}"
    if before.runs_nothing:
        raise RefusedError(
            f"{name} runs nothing yet, so there is nothing to promote: {where} sets"
            f" {before.image.reference}",
            fix=f"deploy to {name} first; if its deployment is on its way, run this job again after it",
        )
    deployed_by_us = before.recorded == before.image and before.image.digest in before.trailers.get(
        "image-digest", ()
    )
    if not is_digest(before.image.digest) or not deployed_by_us:
        raise RefusedError(
            f"what {name} runs was set by no deployment: {where} sets {before.image.reference}, and no"
            " commit of it says this digest",
            fix=f"undo the edit of {before.path}, or deploy to {name} again",
        )
    if before.name != image or before.overruled:
        other = before.overruled.reference if before.overruled else before.name
        raise RefusedError(
            f"{name} does not run the image of promotion.yaml, {image}, but {other}: {where}",
            fix=f"correct {before.path}, or `image:` in promotion.yaml",
        )
    version = before.says("model", model).partition("@")[2] or before.says("model-version", model)
    return Promoted(
        image=f"{before.name}:{before.image.tag}@{before.image.digest}"
        if before.image.tag
        else f"{before.name}@{before.image.digest}",
        model_hash=before.says("model-hash", model),
        version=version,
        fingerprint=before.says("image-fingerprint", model),
        sha256=before.says("model-sha256", model),
        commit=before.says("source-commit", model),
        artifact=before.says("model-artifact", model),
    )


def check(promoted: Promoted, *, model: str, model_hash: str, source: str, target: str) -> None:
    """Refuse a commit whose model is not the one that environment `source` runs.

    Whatever the way was (a merge, a squash, a rebase, a push, another base when the checks ran), what
    reaches `target` was in `source` before. Raises RefusedError.
    """
    if promoted.model_hash == model_hash:
        return
    runs = f"{model} {promoted.version}".strip()
    raise RefusedError(
        f"this commit's {model} has the hash {model_hash}, and {source} runs {runs} with the hash"
        f" {promoted.model_hash or 'that no deploy commit says'}: {target} takes only what {source} runs",
        fix=f"merge into {source}'s branch first, wait for its deployment, and run this job again;"
        f" or revert the commit",
    )


def require_artifact(promoted: Promoted, *, repository: str, source: str, target: str) -> None:
    """Refuse where promotion.yaml wants the model's artifact in `repository`, and `source` has none there.

    Raises RefusedError.
    """
    if not repository or promoted.artifact.partition("@")[0] == repository:
        return
    raise RefusedError(
        f"promotion.yaml says artifact: {repository}, and {source} runs"
        f" {promoted.artifact or 'no model artifact'}: {target} takes over only what {source} has",
        fix=f"deploy to {source} again with `artifact:` in its branch's promotion.yaml, then run this job again",
    )
