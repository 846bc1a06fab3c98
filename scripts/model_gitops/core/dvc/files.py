"""DVC's own files: what dvc.yaml, dvc.lock and .dvc files say, with paths from the repository's top."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from model_gitops.core import document

# What DVC 2 wrote: an MD5 of the text with its line endings made Unix ones.
LEGACY_HASH = "md5-dos2unix"


@dataclass(frozen=True)
class Tracked:
    """A file or folder with the hash that DVC wrote for it. `path` is POSIX, from the top.

    `hash` is an MD5 (ending in `.dir` for a folder), for what lies outside a checkout the ETag or
    checksum of its server; empty where there is none. `size` is in bytes, and `files` the number of
    files in a folder, each -1 where it is not known.
    """

    path: str
    hash: str
    hash_name: str = "md5"
    size: int = -1
    remote: str = ""
    files: int = -1


@dataclass(frozen=True)
class LockedStage:
    """A stage as dvc.lock has it: what it read, and what it made.

    `params`: file (POSIX, from the top) → key → value. `definition` is the stage in dvc.yaml, empty
    where it has none of that name, and `folder` where its paths start.
    """

    name: str
    source: str
    deps: tuple[Tracked, ...]
    outs: tuple[Tracked, ...]
    params: Mapping[str, Mapping[str, Any]]
    definition: Mapping[str, Any]
    command: Any = None
    folder: str = ""


class Project:
    """The files (path from the top → text), each parsed once and only when needed."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self.files = files
        self._parsed: dict[str, dict[str, Any]] = {}

    def load(self, source: str) -> dict[str, Any]:
        """Return the mapping in file `source`. Raises InputError where it is no YAML."""
        if source not in self._parsed:
            self._parsed[source] = _parsed(self.files[source], source)
        return self._parsed[source]

    def called(self, basename: str) -> list[str]:
        """Return the paths of the files with this name."""
        return [path for path in self.files if posixpath.basename(path) == basename]


@lru_cache(maxsize=16)
def _parsed(text: str, source: str) -> dict[str, Any]:
    """Parse once what several commits have alike: a large dvc.lock takes seconds. Not to be changed."""
    data = document.load_yaml(text, source=source)
    return data if isinstance(data, dict) else {}


def locked_stages(project: Project) -> Iterator[LockedStage]:
    """Go through the stages of every dvc.lock, but those that its dvc.yaml does not define any more."""
    for source in project.called("dvc.lock"):
        data = project.load(source)
        stages = data.get("stages") if "schema" in data else data  # before DVC 2: no `stages:`
        for name, entry in stages.items() if isinstance(stages, dict) else ():
            if isinstance(entry, dict) and (stage := _locked(project, source, str(name), entry)):
                yield stage


def unlocked_stages(
    project: Project,
) -> Iterator[tuple[str, str, tuple[str, ...], tuple[str, ...]]]:
    """Go through the stages of every dvc.yaml that never ran: file, name, deps and outs.

    Those of `foreach` and `matrix` are left out, and paths that DVC fills in.
    """
    for source in project.called("dvc.yaml"):
        folder = posixpath.dirname(source)
        lock = posixpath.join(folder, "dvc.lock")
        locked = project.load(lock).get("stages") if lock in project.files else None
        stages = project.load(source).get("stages")
        for name, entry in stages.items() if isinstance(stages, dict) else ():
            known = isinstance(locked, dict) and name in locked
            if known or not isinstance(entry, dict) or {"foreach", "matrix"} & entry.keys():
                continue
            base = posixpath.join(folder, str(entry.get("wdir") or ""))
            deps, outs = (
                tuple(full_path(path, base) for key in keys for path in names(entry.get(key)))
                for keys in (("deps",), ("outs", "metrics", "plots"))
            )
            yield source, str(name), deps, outs


def names(value: Any) -> Iterator[str]:
    """Go through the paths of a list in dvc.yaml: each is text, or a mapping with its options."""
    for one in value if isinstance(value, list) else [value] if value else ():
        yield from (str(name) for name in one) if isinstance(one, dict) else (str(one),)


def below(project: Project, folder: str) -> Iterator[Tracked]:
    """Go through what the .dvc files inside of `folder` track there. No other one is read."""
    for source in project.files:
        if source.startswith(f"{folder}/") and source.endswith(".dvc"):
            yield from (
                one for one in outputs(project, source) if one.path.startswith(f"{folder}/")
            )


def added(project: Project, path: str) -> tuple[Tracked, str] | None:
    """Return `path` as a .dvc file tracks it, and that file's name; None where none does."""
    # DVC names the file after what it tracks, unless it is told otherwise.
    usual, basename = f"{path}.dvc", posixpath.basename(path)
    others = (one for one in project.files if one.endswith(".dvc") and one != usual)
    for source in (*([usual] if usual in project.files else []), *others):
        if basename not in project.files[source]:
            continue
        for found in outputs(project, source):
            if found.path == path:
                return found, source
    return None


def outputs(project: Project, source: str) -> Iterator[Tracked]:
    """Go through what the .dvc file `source` tracks."""
    data = project.load(source)
    base = posixpath.join(posixpath.dirname(source), str(data.get("wdir") or ""))
    for entry in dicts(data.get("outs")):
        yield _tracked(entry, base)


def dicts(value: Any) -> list[dict[str, Any]]:
    """Return the mappings in a list; an empty list for anything else."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _locked(
    project: Project, source: str, name: str, entry: Mapping[str, Any]
) -> LockedStage | None:
    definition = _definition(project, source, name)
    if definition is None:
        return None
    wdir = definition.get("wdir")
    # One that DVC fills in (`${…}`) stays as it is: such a path is none of the repository's.
    base = posixpath.join(posixpath.dirname(source), wdir if isinstance(wdir, str) else "")
    remotes: dict[str, str] = {}
    for out in dicts(definition.get("outs")):
        for path, flags in out.items():
            if isinstance(flags, dict) and isinstance(flags.get("remote"), str):
                remotes[str(path)] = flags["remote"]
    params = entry.get("params")
    return LockedStage(
        name=name,
        source=source,
        deps=tuple(_tracked(one, base) for one in dicts(entry.get("deps"))),
        outs=tuple(_tracked(one, base, remotes) for one in dicts(entry.get("outs"))),
        params={
            full_path(str(file), base): values
            for file, values in (params.items() if isinstance(params, dict) else ())
            if isinstance(values, dict)
        },
        definition=definition,
        command=entry.get("cmd"),
        folder=base,
    )


def _definition(project: Project, lock: str, stage: str) -> dict[str, Any] | None:
    """Return the definition, in dvc.yaml, of a stage of `lock`; None where DVC knows it no more."""
    definitions = posixpath.join(posixpath.dirname(lock), "dvc.yaml")
    stages = project.load(definitions).get("stages") if definitions in project.files else None
    if not isinstance(stages, dict):
        return {}
    # `foreach` and `matrix` stages are locked one by one, as `name@item`.
    found = stages.get(stage.partition("@")[0])
    if isinstance(found, dict) and isinstance(found.get("do"), dict):
        found = found["do"]
    return found if isinstance(found, dict) else None


def _tracked(
    entry: Mapping[str, Any], base: str, remotes: Mapping[str, str] | None = None
) -> Tracked:
    path, size, files = str(entry.get("path")), entry.get("size"), entry.get("nfiles")
    value = next((entry[key] for key in ("md5", "etag", "checksum") if entry.get(key)), "")
    remote = entry.get("remote") or (remotes or {}).get(path)
    return Tracked(
        path=full_path(path, base),
        hash=str(value),
        hash_name="md5" if entry.get("hash") == "md5" else LEGACY_HASH,
        size=size if isinstance(size, int) else -1,
        remote=str(remote or ""),
        files=files if isinstance(files, int) else -1,
    )


def full_path(path: str, base: str) -> str:
    """Return a path of a DVC file, from the top; `base` is where that file's paths start."""
    # A URL (s3://…) is no path of this repository.
    return path if "://" in path else posixpath.normpath(posixpath.join(base, path))
