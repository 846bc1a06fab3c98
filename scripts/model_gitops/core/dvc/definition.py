"""A stage as dvc.yaml defines it, held against its run in dvc.lock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from model_gitops.core.dvc import files as dvc_files
from model_gitops.core.dvc import stages, templates
from model_gitops.core.dvc.stages import LockedStage


def parts(stage: LockedStage) -> Iterator[tuple[str, list[str], list[str], bool]]:
    """Yield (what, as dvc.yaml has it, as dvc.lock has it, whether they agree) of a defined stage."""
    definition = stage.definition
    if not definition:
        return
    words, ran = _texts(definition.get("cmd")), _texts(stage.command)
    yield "command", words, ran, len(words) == len(ran) and all(map(templates.fits, words, ran))
    for what, keys, locked in (
        ("dependencies", ("deps",), stage.deps),
        ("outputs", stages.OUTPUTS, stage.outs),
    ):
        if stage.is_frozen and what == "dependencies":
            continue  # DVC looks at these no more
        named = [name for key in keys for name in dvc_files.names(definition.get(key))]
        defined = {dvc_files.full_path(name, stage.folder) for name in named}
        paths = {one.path for one in locked}
        yield what, sorted(defined), sorted(paths), _fill(defined, paths)
    for file, keys_of in () if stage.is_frozen else _params(definition, stage.folder):
        locked_keys = {str(key) for key in stage.params.get(file, {})}
        if keys_of is not None and "${" not in "".join((file, *keys_of)):
            named = sorted(keys_of)
            yield f"params of {file}", named, sorted(locked_keys), keys_of == locked_keys


def _params(definition: Mapping[str, Any], folder: str) -> Iterator[tuple[str, set[str] | None]]:
    """Yield the files of params with the keys that a stage names, None for all of a file."""
    found: dict[str, set[str] | None] = {}
    value = definition.get("params")
    for one in value if isinstance(value, list) else ():
        entries = one if isinstance(one, dict) else {"params.yaml": [one]}
        for file, keys in entries.items():
            path = dvc_files.full_path(str(file), folder)
            known = found.get(path, set())
            is_whole = known is None or not isinstance(keys, list)
            found[path] = None if is_whole else {*(known or ()), *map(str, keys)}
    yield from found.items()


def _fill(defined: set[str], paths: set[str]) -> bool:
    """Whether `paths` are those of `defined`, each filled-in one (`${…}`) standing for one of them."""
    plain = {path for path in defined if "${" not in path}
    filled, rest = defined - plain, paths - plain
    return (
        plain <= paths
        and len(filled) == len(rest)
        and all(any(templates.fits(one, path) for path in rest) for one in filled)
    )


def _texts(value: Any) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else [str(value or "")]
