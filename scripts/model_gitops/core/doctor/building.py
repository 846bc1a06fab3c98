"""Judges what the image is built from, and what builds it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from model_gitops.core.doctor.finding import Finding, Part, joined
from model_gitops.core.image.names import is_pinned, is_reference_of_image

ELSEWHERE = "the image is built elsewhere"


@dataclass(frozen=True)
class Base:
    """An image that the Dockerfile takes from a registry: None in `is_there` where nobody could ask."""

    reference: str
    is_there: bool | None
    problem: str = ""
    fix: str = ""


def dockerfile(path: str, *, is_there: bool, is_built: bool) -> Finding:
    """Judge whether there is what the image is built from."""
    if not is_built:
        return Finding("dockerfile", True, ELSEWHERE)
    if is_there:
        return Finding("dockerfile", True, path)
    return Finding(
        "dockerfile",
        False,
        f"there is no {path}, and deploy.yml builds the image from it",
        f"write {path}, or say in promotion.yaml that the image is built elsewhere: image: {{name: NAME,"
        " build: false, digest: 'sha256:…'}",
    )


def base_images(found: Sequence[Base] | None) -> Finding:
    """Judge the images that a build starts from; None where none is built."""
    if found is None:
        return Finding("base-image", True, "no image is built from a Dockerfile")
    return joined("base-image", [_base(one) for one in found], nothing="it starts from scratch")


def _base(one: Base) -> Part:
    if not is_reference_of_image(one.reference):
        return Part(
            None,
            f"{one.reference} is filled in by the build",
            "docker buildx build --check . tells more",
        )
    if one.is_there:
        pinned = "" if is_pinned(one.reference) else ", by a tag that may move"
        return Part(True, f"{one.reference}{pinned}")
    return Part(one.is_there, one.problem or f"no registry has {one.reference}", one.fix)


def buildx(driver: str, problem: str, fix: str, *, is_needed: bool, is_on_runner: bool) -> Finding:
    """Judge whether images can be built on this machine. On a person's it may have no docker."""
    if not is_needed:
        return Finding("buildx", True, ELSEWHERE)
    if not problem:
        return Finding("buildx", True, f"the builder's driver is {driver}")
    return Finding("buildx", False if is_on_runner else None, problem, fix)
