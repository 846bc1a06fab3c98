"""What one job of a matrix built, as a file that the job reads which sets all images at once."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from model_gitops.core.deploy.kustomization import Image
from model_gitops.core.image import names
from model_gitops.errors import InputError

SUFFIX = ".image.json"
_FINGERPRINT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class _Record:
    name: str
    tag: str
    digest: str
    fingerprint: str


def text(image: str, fingerprint: str) -> str:
    """Return the content of a record: the image `name:tag@digest`, and what it is made of."""
    return json.dumps({"image": image, "fingerprint": fingerprint}, sort_keys=True) + "\n"


def complete(
    wanted: Sequence[Image], files: Mapping[str, str]
) -> tuple[tuple[Image, ...], dict[str, str]]:
    """Return the images with the tags and digests of the records, and their fingerprints by entry.

    `wanted` says which entries there are, each with the name that its image has; `files` are the records,
    file → text. Raises InputError where one does not belong to the other: nothing is set that was not asked
    for, and nothing is left out.
    """
    found: dict[str, _Record] = {}
    for file, content in sorted(files.items()):
        one = _parse(file, content)
        if one.name in found:
            raise InputError.of(
                "records", file, f"{one.name} has two records", fix="leave one file out"
            )
        found[one.name] = one
    lacking = [image for image in wanted if image.full_name not in found]
    if lacking:
        raise InputError.of(
            "records", ", ".join(image.full_name for image in lacking),
            "there is no record of this image: was it built, with `record`?",
            fix="run the jobs again that build, or leave its line out of `images`",
        )  # fmt: skip
    known = {image.full_name for image in wanted}
    if more := [name for name in found if name not in known]:
        raise InputError.of(
            "records", ", ".join(more), "no line of `images` asks for this image",
            fix="add a line `name=newname` to `images`",
        )  # fmt: skip
    done = tuple(
        replace(image, tag=found[image.full_name].tag, digest=found[image.full_name].digest)
        for image in wanted
    )
    return done, {
        image.name: found[image.full_name].fingerprint
        for image in wanted
        if found[image.full_name].fingerprint
    }


def _parse(file: str, content: str) -> _Record:
    try:
        data: Any = json.loads(content)
        image, fingerprint = data["image"], data["fingerprint"]
        name, tag, digest = names.split_reference(str(image))
        names.check_name(name)
        names.check_tag(tag)
    except (ValueError, KeyError, TypeError, RecursionError, InputError) as error:
        raise _wrong(file) from error
    if not names.is_digest(digest) or not (
        fingerprint == "" or _FINGERPRINT.fullmatch(str(fingerprint))
    ):
        raise _wrong(file)
    return _Record(name, tag, digest, fingerprint)


def _wrong(file: str) -> InputError:
    return InputError.of(
        "records", file, "it is no record that build-push-image wrote",
        fix="give the folder with the files of `record`, and no other",
    )  # fmt: skip
