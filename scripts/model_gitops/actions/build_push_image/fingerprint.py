"""The content of the image, and the fingerprint of it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from model_gitops import runner
from model_gitops.actions.build_push_image.bases import Bases
from model_gitops.actions.build_push_image.inputs import Inputs
from model_gitops.adapters import build_context
from model_gitops.core.image import dockerfile
from model_gitops.core.image.build import is_reference, may_move, split_layout
from model_gitops.core.image.content import Content, Entry, fingerprint


def read_content(given: Inputs, platforms: Sequence[str]) -> Content:
    """Read all that the image is made of; the digests of its base images are not known yet."""
    content = Content(
        files=build_context.entries(given.folder, build_file=given.file),
        dockerfile=given.file.read_bytes(),
        target=given.target,
        build_args=given.build_args,
        contexts={key: _context(key, value) for key, value in given.contexts.items()},
        platforms=platforms,
        model_hash=given.model_hash,
        attestations=given.attestations,
    )
    _warn_of_git(content, given.folder, given.file)
    return content


def _context(name: str, value: str) -> Sequence[Entry] | str:
    """Return what of a named context counts."""
    folder, rest = split_layout(value)
    if folder:
        index = hashlib.sha256(build_context.layout(Path(folder))).hexdigest()
        return [Entry(rest, "oci-layout", index)]
    if not is_reference(value):
        return build_context.entries(Path(value))
    if may_move(value):
        # Without the address, which may hold a password.
        runner.say(
            f"the build context {name} counts by its text alone: end it with #COMMIT to pin it"
        )
    return value


def _warn_of_git(content: Content, folder: Path, build_file: Path) -> None:
    text = content.dockerfile_text
    if dockerfile.takes_git(text) and build_context.sends_git(folder, build_file=build_file):
        runner.warning(
            "the build can take in the checkout's `.git`, which is no part of the fingerprint: an image"
            " with another commit's would be reused. Add a line `.git` to .dockerignore",
            title=".git is sent to the builder",
        )


def fingerprint_of(content: Content, bases: Bases) -> str:
    """Return the content's fingerprint; empty where a part of the content can't be known now."""
    for one, digest in bases.digests.items():
        if digest is None:
            runner.warning(
                f"no image is reused, and this one will not be: which image {one} is, is not known now",
                title="the registry of a base image is away",
            )
            return ""
        runner.say(f"{one} is {digest or 'not known: its name alone counts for the fingerprint'}")
    known = {one: digest or "" for one, digest in bases.digests.items()}
    found = fingerprint(replace(content, images=known))
    runner.say(f"content fingerprint: {found}")
    return found
