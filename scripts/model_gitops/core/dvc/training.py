"""What a training outside of the repository made, and whether it is what this commit's code would make.

Each step leaves a record beside its outputs. The stages that DVC locked are compared with it: the same
code, parameters and data went in, and what came out is what was handed over.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from model_gitops.core import document
from model_gitops.core.dvc import files, params, stages, templates
from model_gitops.core.dvc.files import Project
from model_gitops.core.dvc.stages import LockedStage
from model_gitops.errors import InputError, RefusedError

_MD5 = re.compile(r"[0-9a-f]{32}")
_AGAIN = "run the training again: with the newest images, parameters and data of the target branch"


@dataclass(frozen=True)
class Record:
    """What one step says of itself. `code`: path from the model's folder → MD5; `inputs`, `outputs`: MD5s."""

    step: str
    params: Mapping[str, Any]
    code: Mapping[str, str]
    inputs: frozenset[str]
    outputs: frozenset[str]


def pairs(name: str, entries: Iterable[str]) -> dict[str, str]:
    """Return the entries `PATH=FILE` of the input `name`: a path in the model's folder → the file.

    Raises InputError.
    """
    found: dict[str, str] = {}
    for entry in entries:
        path, equals, file = (part.strip() for part in entry.partition("="))
        parts = PurePosixPath(path).parts
        if not equals or not file or not parts or parts[0] == "/" or {"..", ".git"} & set(parts):
            raise InputError.of(
                name, entry, "it is no PATH=FILE with a path in the model's folder",
                fix=f"{name}: data/train.csv=/tmp/train.csv, one a line",
            )  # fmt: skip
        found["/".join(parts)] = file
    if not found:
        raise InputError(f"input `{name}` is empty", fix=f"{name}: lines PATH=FILE")
    return found


def read(text: str, source: str) -> Record:
    """Return the record in `text`, which is JSON, of the file `source`. Raises InputError."""
    data = document.load_yaml(text, source=source)
    fix = "give made-from.json as the step wrote it: {step, params, code, inputs, outputs}"
    parts: dict[str, Mapping[str, Any]] = {}
    for name in ("params", "code", "inputs", "outputs"):
        found = data.get(name) if isinstance(data, Mapping) else None
        if not isinstance(found, Mapping):
            raise InputError.of("made-from", source, f"it has no mapping {name!r}", fix=fix)
        parts[name] = found
    for name in ("code", "inputs", "outputs"):
        if not all(_MD5.fullmatch(str(value)) for value in parts[name].values()):
            raise InputError.of("made-from", source, f"{name!r} has more than MD5 hashes", fix=fix)
    return Record(
        step=str(data.get("step") or source),
        params=parts["params"],
        code={str(path): str(value) for path, value in parts["code"].items()},
        inputs=frozenset(map(str, parts["inputs"].values())),
        outputs=frozenset(map(str, parts["outputs"].values())),
    )


def stages_of(project: Project, folder: str, outputs: Collection[str]) -> dict[str, list[str]]:
    """Return the stages of the dvc.yaml in `folder` that make `outputs`, in its order, each with its deps.

    All paths are from the top. Raises InputError where no stage makes one of them, or where a stage makes
    more than was given.
    """
    wanted, found = set(outputs), dict[str, list[str]]()
    source = posixpath.join(folder, "dvc.yaml")
    for file, name, definition, top in stages.all_defined(project):
        made = _named(definition, stages.OUTPUTS, top)
        if file != source or not made & wanted:
            continue
        if lacking := sorted(made - set(outputs)):
            raise InputError.of(
                "outputs", ", ".join(sorted(made & wanted)),
                f"the stage {name!r} of {source} makes {', '.join(lacking)} too",
                fix="outputs: give that as well, a line PATH=FILE",
            )  # fmt: skip
        wanted -= made
        found[name] = sorted(_named(definition, ("deps",), top))
    if wanted:
        raise InputError.of(
            "outputs", ", ".join(sorted(wanted)), f"no stage of {source} makes it",
            fix="outputs: lines PATH=FILE, each PATH an output of dvc.yaml",
        )  # fmt: skip
    return found


def _named(definition: Mapping[str, Any], keys: Iterable[str], top: str) -> set[str]:
    """Return the paths, from the repository's top, that a stage's definition has under `keys`."""
    paths = (path for key in keys for path in files.names(definition.get(key)))
    return {templates.plain(files.full_path(path, top)) for path in paths}


def check_code(records: Iterable[Record], md5: Callable[[str], str | None]) -> None:
    """Refuse what other code made than the checkout has; `md5` of a path, None without the file.

    Raises RefusedError.
    """
    for record in records:
        for path, known in record.code.items():
            here = md5(path)
            if here != known:
                told = "has another" if here else "has no"
                raise RefusedError(
                    f"other code made this: step {record.step!r} ran {path!r}, of which the target branch"
                    f" {told} ({known} against {here or 'none'})",
                    fix=_AGAIN,
                )


def check(project: Project, folder: str, names: Iterable[str], records: Iterable[Record]) -> None:
    """Refuse what dvc.lock says of the stages `names` unless a record says the same. Raises RefusedError."""
    known, source = list(records), posixpath.join(folder, "dvc.lock")
    there = {one.name: one for one in stages.locked(project) if one.source == source}
    for name in names:
        stage = there[name]
        # Two steps may make the same bytes: one that fits is enough.
        makers = [one for one in known if all(out.hash in one.outputs for out in stage.outs)]
        problems = [_problem(one, stage, folder) for one in makers]
        if not makers:
            raise RefusedError(
                f"no record says that a step made what the stage {name!r} is to have:"
                f" {', '.join(out.path for out in stage.outs)}",
                fix="hand over the outputs and made-from.json of one run, each step's own",
            )
        if "" not in problems:
            raise RefusedError(problems[-1], fix=_AGAIN)


def uncached(project: Project, folder: str, names: Iterable[str]) -> list[str]:
    """Return what the stages make and Git keeps (`cache: false`): paths from the top."""
    source, wanted = posixpath.join(folder, "dvc.lock"), set(names)
    found = (one for one in stages.locked(project) if one.source == source and one.name in wanted)
    return [out.path for stage in found for out in stage.outs if not out.cached]


def _problem(record: Record, stage: LockedStage, folder: str) -> str:
    """Return in what a step's record differs from a stage's lock; an empty text where in nothing."""
    for dep in stage.deps:
        path = posixpath.relpath(dep.path, folder or ".")
        if record.code.get(path) != dep.hash and dep.hash not in record.inputs:
            return (
                f"other data or code made this: step {record.step!r} did not read {path!r} as the target branch"
                f" has it ({dep.hash}), on which its stage {stage.name!r} depends"
            )
    for file, values in stage.params.items():
        for key, value in values.items():
            used = params.value(record.params, key)
            if used != value:
                return (
                    f"other parameters made this: step {record.step!r} used {key} = {used!r}, and {file} of the"
                    f" target branch has {value!r}"
                )
    return ""
