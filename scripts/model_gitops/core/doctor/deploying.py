"""Judges the deploy repository: its overlays, and the image that each sets."""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from model_gitops.core.deploy import kustomization, manifests
from model_gitops.core.deploy.manifests import Layer
from model_gitops.core.doctor.finding import Finding, Part, joined
from model_gitops.core.flow.promotion import Promotion
from model_gitops.core.image.names import split_reference
from model_gitops.core.lineage.facts import pick
from model_gitops.errors import InputError


@dataclass(frozen=True)
class Overlay:
    """The overlay of one environment: its kustomization and what that is built of.

    `path` is empty where there is none. `problem` says why, or what in it can't be built.
    """

    environment: str
    folder: str
    path: str = ""
    text: str = ""
    layer: Layer | None = None
    problem: str = ""
    fix: str = ""


def overlays(found: Sequence[Overlay], promotion: Promotion, base: str) -> Finding:
    """Judge whether each overlay is there; `base` is the folder that others are built on, if any."""
    parts = []
    for one in found:
        if one.path and not one.problem and one.text.strip():
            parts.append(Part(True, one.folder))
            continue
        fix = one.fix or _made(one.folder, promotion, base)
        parts.append(Part(False, one.problem or _none(one), fix))
    return joined("overlays", parts)


def _none(one: Overlay) -> str:
    return f"{one.path} is empty" if one.path else f"{one.folder} of {one.environment} is not there"


def _made(folder: str, promotion: Promotion, base: str) -> str:
    """Return the commands that make an overlay which sets no image yet."""
    lines = [f"resources: [{posixpath.relpath(base, folder)}]"] if base else []
    lines += [
        "images:",
        f"- name: {promotion.name}",
        f"  newName: {promotion.image}",
        "  newTag: not-deployed-yet",
        "",
    ]
    text = "\\n".join(lines)
    place = shlex.quote(folder)
    return f"in the deploy repository: mkdir -p {place} && printf {shlex.quote(text)} > {place}/kustomization.yaml"


def images(found: Sequence[Overlay], promotion: Promotion) -> Finding:
    """Judge whether each overlay sets the image, and a manifest has it."""
    parts = [part for one in found if one.text.strip() for part in _image(one, promotion)]
    return joined("overlay-images", parts, nothing="there is no overlay yet")


def _image(one: Overlay, promotion: Promotion) -> list[Part]:
    try:
        entries = kustomization.read(one.text, source=one.path)
        entry = pick(entries, promotion.name, promotion.image, source=one.path)
    except InputError as error:
        return [Part(False, error.message, error.fix or f"correct {one.path}")]
    name = entry.settled.full_name
    # One without a name of its own gets it by the first deployment.
    is_new = not entry.settled.new_name and (not entry.tag or entry.is_placeholder)
    if name != split_reference(promotion.image)[0] and not is_new:
        return [
            Part(
                False,
                f"{one.path} sets {name}, and promotion.yaml builds {promotion.image}",
                f"in {one.path}: newName: {promotion.image}",
            )
        ]
    if one.layer is None:
        return [Part(True, one.path)]
    for nowhere in manifests.unused(one.layer, [entry.name]):
        problem, fix = manifests.told(nowhere, one.path)
        return [Part(False, problem, fix)]
    return [Part(True, f"{one.path}: {name}")]
