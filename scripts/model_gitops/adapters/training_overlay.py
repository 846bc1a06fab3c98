"""A training overlay of the deploy repository: the images that it sets, and of which commit they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from model_gitops.adapters.tracing.overlays import Overlays
from model_gitops.core.deploy import history, kustomization
from model_gitops.core.deploy.history import standing
from model_gitops.core.deploy.kustomization import Image
from model_gitops.core.deploy.location import check_path
from model_gitops.core.flow.training import Training
from model_gitops.core.image.names import is_digest
from model_gitops.core.training import evidence
from model_gitops.core.training.evidence import Wanted
from model_gitops.errors import RefusedError

_DEPTH = 50
_MOST_BEFORE = 20


def read(overlays: Overlays, training: Training, environment: str) -> Wanted:
    """Return what the training overlay of `environment` sets, as its deploy commits say.

    Of several images of several commits the newest deployment tells the commit of the model repository.
    Raises InputError for no such overlay, RefusedError for an image that is not deployed yet, not pinned,
    or that no deploy commit speaks of: an edit by hand has no trailers.
    """
    repository, model = overlays.repository, overlays.promotion.model
    tip = repository.fetch(overlays.branch, depth=_DEPTH)
    file = repository.read_kustomization(tip, check_path(training.overlay(environment)))
    images = tuple(kustomization.read(file.text, source=file.path))
    wanted = evidence.wanted(environment, training.workflow, file.path, images, "")
    commits: dict[str, str] = {}
    for image in images:
        changes = repository.changes(overlays.branch, file.path, _named(image.name), tip=tip)
        found = standing(changes, model, lambda one: overlays.squashed(one, file.path)).deployment
        told = found and history.said(
            found.trailers, "source-commit", model=model, digest=image.digest
        )
        if not found or not told:
            raise RefusedError(
                f"the image {image.reference} of {file.path} was set by no deployment: no commit says its digest"
                " and the commit of the model repository that it is of",
                fix=f"undo the edit of {file.path}, or set the image again with bump-kustomize-tag",
            )
        commits[found.commit] = told
    order = [one.commit for one in repository.said(tip, file.path)]
    # What is not among them was there before the file was moved.
    newest = min(commits, key=lambda one: order.index(one) if one in order else len(order))
    return evidence.wanted(
        environment, training.workflow, file.path, wanted.images, commits[newest]
    )


def had(overlays: Overlays, training: Training, environment: str, given: Sequence[str]) -> bool:
    """Whether the training overlay of `environment` had just the images `given`, before it was changed.

    Its last changes are looked at. Raises InputError for no such overlay.
    """
    repository = overlays.repository
    tip = repository.fetch(overlays.branch, depth=_DEPTH)
    path = repository.read_kustomization(tip, check_path(training.overlay(environment))).path
    for change in repository.said(tip, path)[1 : _MOST_BEFORE + 1]:
        images = repository.entries_at(change.commit, path)
        pinned = bool(images) and all(is_digest(one.digest) for one in images)
        if pinned and Wanted(environment, training.workflow, path, images, "").has(given):
            return True
    return False


def _named(name: str) -> Callable[[Sequence[Image]], Image | None]:
    return lambda images: next((one for one in images if one.name == name), None)
