"""Which models a change touches, by the paths that it changes."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from model_gitops.core.dvc import reads
from model_gitops.core.flow.promotion import Promotion
from model_gitops.core.image.build import is_reference


@dataclass(frozen=True)
class Touched:
    """A model that a change touches. `path` is the first path that does; empty where all count."""

    config: str
    promotion: Promotion
    path: str = ""
    is_new: bool = False


def scope(
    promotion: Promotion,
    tree: reads.Reads,
    folders: Collection[str],
    links: Mapping[str, str] | None = None,
) -> frozenset[str]:
    """Return what the model depends on outside of its own folder, as paths from the top.

    `tree` has DVC's files; `folders` are those of all models; `links`, path → target, those of
    the tree. Raises InputError for a DVC file that is no YAML.
    """
    own = [
        path
        for path in tree.files
        if posixpath.basename(path) == "dvc.yaml" and owner(path, folders) == promotion.folder
    ]
    judged = {rule.file for rule in promotion.gate} | {promotion.compare.predictions}
    build = promotion.build
    built = {build.dockerfile, build.context, build.smoke_test or ""}
    built.update(one for one in (build.contexts or {}).values() if not is_reference(one))
    if build.elsewhere:
        built = set()
    linked = {to for path, to in (links or {}).items() if owner(path, folders) == promotion.folder}
    # Of the top, or of a folder that holds ours, a link would lead to every model's.
    linked = {one for one in linked if not f"{promotion.folder}/".startswith(f"{one}/")} - {"."}
    said = (judged | built | linked | set(promotion.watch)) - {"", promotion.folder or "."}
    return tree.of(promotion.model, own) | said


def owner(path: str, folders: Collection[str]) -> str | None:
    """Return the innermost of the models' folders that holds `path`; None where none does.

    A set of folders is asked at once: of many models and files the time is that of the files alone.
    """
    while path and path not in folders:
        path = posixpath.dirname(path)
    return path if path in folders else None


def first_of_each(changed: Iterable[str], folders: Collection[str]) -> dict[str, str]:
    """Return the first changed path of each model's own folder: folder → path."""
    found: dict[str, str] = {}
    for path in changed:
        if (folder := owner(path, folders)) is not None:
            found.setdefault(folder, path)
    return found


def first(
    changed: Iterable[str], folder: str, folders: Collection[str], depends_on: Collection[str]
) -> str:
    """Return the first changed path that touches the model of `folder`; empty where none does."""
    return next(
        (
            path
            for path in changed
            if owner(path, folders) == folder or any(reads.overlap(path, one) for one in depends_on)
        ),
        "",
    )
