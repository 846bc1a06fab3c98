"""Whether an image that is to be set was overtaken by a later deployment: one image at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from model_gitops.core.deploy.kustomization import Image
from model_gitops.core.deploy.trailers import Origin, origin_of


@dataclass(frozen=True)
class Change:
    """One change of one image in an overlay: by which commit, to what, and what is said of it.

    `trailers` are those that speak of this image, by lowercase key. `told_by` is the commit whose
    message has them: `commit` itself, or where a squash merge lost them the pull request's own.
    """

    commit: str
    image: Image
    trailers: Mapping[str, Sequence[str]]
    told_by: str

    @property
    def origin(self) -> Origin | None:
        """The commit of the model repository that the image came from, where that is said."""
        return origin_of(self.trailers)


def overtaken_by(
    past: Sequence[Change], ours: Origin, wanted: Image, is_later: Callable[[Origin], bool]
) -> Change | None:
    """Return the change that makes `wanted`, from the commit `ours`, an older image; or None.

    `past` are the changes of this image, newest first; all of them where it is a placeholder. A message
    may be lost (a squash merge, a revert), so what the overlay had tells too: what was set here and
    replaced since is no deployment again.
    Raises what `is_later` raises.
    """
    for one in past:
        if one.origin and is_later(one.origin):
            return one
    present = past[0] if past else None
    if present is None or _is_of(present, ours):
        return None
    empty = present.image.is_placeholder
    if empty and all(one.image != present.image for one in past[1:]):
        return None  # emptied by hand: a revert gives the placeholder back that was there
    for one in past[1:]:
        # Without an origin only the digest says that it is the same image.
        ran = _is_of(one, ours) or (
            one.origin is None and bool(wanted.digest) and one.image.digest == wanted.digest
        )
        if ran and (empty or _differ(one.image, present.image)):
            return present
    return None


def _is_of(one: Change, ours: Origin) -> bool:
    origin = one.origin
    return (
        origin is not None
        and origin.commit == ours.commit
        and origin.repository.lower() == ours.repository.lower()
    )


def _differ(one: Image, other: Image) -> bool:
    """Whether two states of an entry are two images: the digest tells, the tag where one has none."""
    if one.digest and other.digest:
        return one.digest != other.digest
    return one.tag != other.tag
