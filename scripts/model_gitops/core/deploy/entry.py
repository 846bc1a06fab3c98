"""One entry of a kustomization's images, followed from one state of the file to the next. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from model_gitops.core.deploy.kustomization import Image


def named(images: Sequence[Image], name: str) -> Image | None:
    """Return the one entry of this name; None where there is none, or more than one."""
    found = [one for one in images if one.name == name]
    return found[0] if len(found) == 1 else None


def is_said_again(
    image: Image,
    trailers: Mapping[str, Sequence[str]],
    now: Sequence[Image],
    earlier: Sequence[Sequence[Image]],
) -> bool:
    """Whether a commit speaks of an image that it leaves as it was, and of no other one."""
    if not image.digest or image.digest not in trailers.get("image-digest", ()):
        return False
    known = {old for images in earlier for old in images}
    return all(one in known or one.digest != image.digest for one in now)


def renamed(image: Image, now: Sequence[Image], earlier: Sequence[Sequence[Image]]) -> Image | None:
    """Return the earlier entry that set the same image under a name that sets it no more, or None."""
    for old in (one for images in earlier for one in images):
        if old.name == image.name or not is_same_image(old, image):
            continue
        kept = named(now, old.name)
        if kept is None or not is_same_image(old, kept):
            return old
    return None


def is_same_image(one: Image, other: Image) -> bool:
    """Whether two entries set one image: by the digest, else by name and tag."""
    if one.digest or other.digest:
        return one.digest == other.digest
    return bool(one.tag) and (one.tag, one.new_name) == (other.tag, other.new_name)
