"""What the stages of a dvc.yaml read, and which other DVC files make or track that."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from model_gitops.core.dvc import artifacts, stages, templates
from model_gitops.core.dvc import files as dvc_files
from model_gitops.core.dvc.files import Project, full_path
from model_gitops.errors import InputError

_PARAMS = "params.yaml"  # where `params:` names no file


def overlap(one: str, other: str) -> bool:
    """Whether two paths are the same, or one is a folder that holds the other."""
    return (
        "." in (one, other)
        or f"{one}/".startswith(f"{other}/")
        or f"{other}/".startswith(f"{one}/")
    )


class Reads:
    """What the stages of a tree read. `files` are its DVC files, path → text, each parsed once."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self._project = Project(files)
        self._known: dict[str, list[str]] = {}

    @property
    def files(self) -> Mapping[str, str]:
        """The tree's DVC files."""
        return self._project.files

    @cached_property
    def _owners(self) -> list[_Owner]:
        return list(_owners(self._project))

    @cached_property
    def _locked(self) -> dict[str, list[stages.LockedStage]]:
        found: dict[str, list[stages.LockedStage]] = {}
        for stage in stages.locked(self._project):
            found.setdefault(_yaml(stage.source), []).append(stage)
        return found

    def of(self, model: str, sources: Iterable[str]) -> frozenset[str]:
        """Return the paths that the dvc.yaml files `sources` and the artifact `model` depend on.

        These are deps, params files, `vars:` and scripts of their stages, as dvc.yaml and dvc.lock name them;
        where another dvc.yaml or a .dvc file makes one of them, that file, its lock, and what it reads too.
        Raises InputError for a file that is no YAML.
        """
        waiting, found = _sources(model, self._project, sources), set[str]()
        while waiting:
            source = waiting.pop()
            if source in found:
                continue
            found.add(source)
            if source.endswith(".dvc") or source not in self.files:
                continue
            found.add(f"{source.removesuffix('dvc.yaml')}dvc.lock")
            for path in self._of_file(source):
                found.add(path)
                waiting += [one.source for one in self._owners if overlap(one.path, path)]
        return frozenset(found)

    def _of_file(self, source: str) -> list[str]:
        if source not in self._known:
            ran = self._locked.get(source, ())
            self._known[source] = list(_read_by(self._project, source, ran))
        return self._known[source]


@dataclass(frozen=True)
class _Owner:
    """The DVC file that makes or tracks a path."""

    path: str
    source: str


def _sources(model: str, project: Project, sources: Iterable[str]) -> list[str]:
    folder = model.rpartition(":")[0]
    own = posixpath.join(folder, "dvc.yaml")
    found = [*sources, *([own] if own in project.files else [])]
    try:
        source = artifacts.find(model, project).source
    except InputError:
        return found  # nobody has trained it yet, or its name is wrong: check-promotion says that
    return [
        *found,
        source.removesuffix("dvc.lock") + "dvc.yaml" if source.endswith("dvc.lock") else source,
    ]


def _owners(project: Project) -> Iterator[_Owner]:
    for stage in stages.locked(project):
        for out in stage.outs:
            yield _Owner(out.path, _yaml(stage.source))
    for source, _, _, outs in stages.never_ran(project):
        for path in outs:
            yield _Owner(path, source)
    for source in project.files:
        if source.endswith(".dvc"):
            for out in dvc_files.outs_of(project, source):
                yield _Owner(out.path, source)


def _yaml(lock: str) -> str:
    return lock.removesuffix("dvc.lock") + "dvc.yaml"


def _read_by(project: Project, source: str, ran: Iterable[stages.LockedStage]) -> Iterator[str]:
    """Go through what the stages of `source` read, by their definitions and by their last run."""
    top = posixpath.dirname(source)
    for definition, folder in stages.defined(project, source):
        yield from _paths(dvc_files.names(definition.get("deps")), folder)
        yield from _paths(_params(definition.get("params")), folder)
    yield from _paths(_vars(project.load(source).get("vars")), top)
    for entry in _entries(project, source):
        folder = full_path(str(entry.get("wdir") or ""), top)
        yield from _paths(_vars(entry.get("vars")), folder)
    for stage in ran:
        yield from (one.path for one in stage.deps if "://" not in one.path)
        yield from stage.params


def _entries(project: Project, source: str) -> Iterator[Mapping[str, Any]]:
    listed = project.load(source).get("stages")
    for entry in listed.values() if isinstance(listed, dict) else ():
        if isinstance(entry, dict):
            yield entry
            yield from dvc_files.dicts([entry.get("do")])


def _paths(names: Iterable[str], folder: str) -> Iterator[str]:
    for name in names:
        path = templates.plain(full_path(name, folder))
        # What can't be filled in here stands in dvc.lock once it ran.
        if templates.is_filled(name) and "://" not in path and not path.startswith("../"):
            yield path


def _params(value: Any) -> Iterator[str]:
    for one in value if isinstance(value, list) else ():
        yield from (str(file) for file in one) if isinstance(one, dict) else (_PARAMS,)


def _vars(value: Any) -> Iterator[str]:
    for one in value if isinstance(value, list) else ():
        if isinstance(one, str):
            yield one.partition(":")[0]
