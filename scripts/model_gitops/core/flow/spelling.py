"""How promotion.yaml spells paths and names: each from its own folder, whatever project is beside it."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from model_gitops.core.dvc.artifacts import full_name
from model_gitops.errors import InputError


def from_top(path: str, folder: str, what: str, example: str = "eval/metrics.json") -> str:
    """Return `path` of the promotion.yaml in `folder` (empty: the top) as a path from the top.

    `what` names it in the InputError for a path that is not in the repository, and `example` is a right one.
    """
    found = posixpath.normpath(posixpath.join(folder, path))
    if posixpath.isabs(found) or found == ".." or found.startswith("../"):
        where = f"{folder}, the folder of promotion.yaml" if folder else "the repository's top"
        raise InputError.of(
            what, path, f"paths start in {where}, and this one leads out of the repository",
            fix=f"give a path inside of the repository: {example}",
        )  # fmt: skip
    return found


def ignored_folder(written: str) -> str:
    """Return a folder of the input `ignore` from the top, a slash at its end. Raises InputError."""
    path = posixpath.normpath(written)
    if path == "." or path.startswith(("/", "..")):
        raise InputError.of(
            "ignore", written, "it is no folder below the top", fix="ignore: examples"
        )
    return f"{path}/"


def model_name(name: str, folder: str) -> str:
    """Return GTO's name of the model: a plain one is of the dvc.yaml in `folder`, `a:b` is whole."""
    return full_name(name, folder)


def shown_name(model: str, folder: str) -> str:
    """Return what to write in the promotion.yaml of `folder` for GTO's name `model`."""
    where, _, name = model.rpartition(":")
    if where == folder:
        return name
    return model if where else f"dvc.yaml:{name}"


def from_the_top(document: Any, folder: str) -> dict[str, str]:
    """Return what names the folder itself once more: path as it is written → as it is meant.

    So the paths were written where promotion.yaml of a subfolder was read from the top.
    """
    start = f"{folder}/"
    found = (posixpath.normpath(path) for path in _paths(document))
    return {path: path.removeprefix(start) for path in found if folder and path.startswith(start)}


def rewritten(document: Any, paths: Mapping[str, str]) -> Any:
    """Return the document with the paths of `paths` (old → new) in place of the old ones."""

    def one(text: str) -> str:
        file, colon, key = text.partition(":")
        return paths.get(posixpath.normpath(file), file) + colon + key

    found = {**document}
    if "gate" in found:
        found["gate"] = [{**rule, "metric": one(rule["metric"])} for rule in found["gate"]]
    if "metrics" in found:
        found["metrics"] = {one(name): better for name, better in found["metrics"].items()}
    if "predictions" in found.get("compare", {}):
        found["compare"] = {
            **found["compare"], "predictions": one(found["compare"]["predictions"])
        }  # fmt: skip
    return found


def told(paths: Iterable[tuple[str, str]]) -> str:
    """Return in words what to write (first) instead of what."""
    return ", ".join(f"`{new}` for `{old}`" for new, old in paths)


def _paths(document: Any) -> Iterator[str]:
    """Go through the paths of files in a promotion.yaml that fits its schema."""
    for name in (
        *(rule["metric"] for rule in document.get("gate", ())),
        *document.get("metrics", ()),
    ):
        if ":" in name:
            yield name.partition(":")[0]
    if predictions := document.get("compare", {}).get("predictions"):
        yield predictions


def configs(paths: Iterable[str], ignored: Sequence[str]) -> list[str]:
    """Return those of the `paths` that are a promotion.yaml, but for those in `ignored_folder`s."""
    return [
        path
        for path in paths
        if posixpath.basename(path) == "promotion.yaml"
        and not any(f"{path}/".startswith(one) for one in ignored)
    ]
