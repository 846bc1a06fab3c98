"""The stages of every dvc.yaml, `foreach` and `matrix` ones each by itself, and their runs in dvc.lock."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from model_gitops.core.dvc import files as dvc_files
from model_gitops.core.dvc import params, templates
from model_gitops.core.dvc.files import Project, Tracked, full_path
from model_gitops.core.dvc.templates import Values

# Where a definition lists what a stage makes.
OUTPUTS = ("outs", "metrics", "plots", "live")


@dataclass(frozen=True)
class LockedStage:
    """A stage as dvc.lock has it: what it read, and what it made.

    `params`: file (POSIX, from the top) → key → value. `definition` is the stage in dvc.yaml with its
    `${…}` filled in as far as that can be done here, empty where it has none of that name, and `folder`
    where its paths start.
    """

    name: str
    source: str
    deps: tuple[Tracked, ...]
    outs: tuple[Tracked, ...]
    params: Mapping[str, Mapping[str, Any]]
    definition: Mapping[str, Any]
    command: Any = None
    folder: str = ""

    @property
    def is_frozen(self) -> bool:
        """Whether DVC looks no more at what the stage reads."""
        return self.definition.get("frozen") is True


@dataclass(frozen=True)
class _Defined:
    definition: Mapping[str, Any]
    folder: str


def values_of(project: Project, source: str) -> Values:
    """Return what `${…}` may name in the dvc.yaml `source`. Raises InputError for a broken file."""
    return Values().with_vars(
        project.load(source).get("vars"),
        _reader(project),
        source,
        folder=posixpath.dirname(source),
        default="params.yaml",
    )


def _reader(project: Project) -> templates.Reader:
    def read(path: str) -> Any:
        return params.load(project.files[path], path) if path in project.files else None

    return read


def locked(project: Project) -> Iterator[LockedStage]:
    """Go through the stages of every dvc.lock, but those that its dvc.yaml does not define any more."""
    for source in project.called("dvc.lock"):
        definitions = _Definitions(project, source.removesuffix("dvc.lock") + "dvc.yaml")
        for name, entry in _runs(project, source).items():
            if isinstance(entry, dict) and (found := definitions.of(str(name))):
                yield _run(source, str(name), entry, found)


def never_ran(project: Project) -> Iterator[tuple[str, str, tuple[str, ...], tuple[str, ...]]]:
    """Go through the stages of every dvc.yaml that never ran: file, name, deps and outs.

    Left out are those of a `foreach` or `matrix` whose items can't be told here.
    """
    for source in project.called("dvc.yaml"):
        lock = source.removesuffix("dvc.yaml") + "dvc.lock"
        ran = _runs(project, lock) if lock in project.files else {}
        for name, found in _Definitions(project, source).all():
            if name not in ran:
                deps, outs = (
                    tuple(
                        templates.plain(full_path(path, found.folder))
                        for key in keys
                        for path in dvc_files.names(found.definition.get(key))
                    )
                    for keys in (("deps",), ("outs", "metrics", "plots"))
                )
                yield source, name, deps, outs


def defined(project: Project, source: str) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Go through the stages of the dvc.yaml `source`: each definition, and the folder of its paths.

    Left out are those of a `foreach` or `matrix` whose items can't be told here.
    """
    for _, found in _Definitions(project, source).all():
        yield found.definition, found.folder


def all_defined(project: Project) -> Iterator[tuple[str, str, Mapping[str, Any], str]]:
    """Go through the stages of every dvc.yaml: file, name, definition, and where its paths start.

    `${…}` is filled in as far as that can be done here.
    """
    for source in project.called("dvc.yaml"):
        for name, found in _Definitions(project, source).all():
            yield source, name, found.definition, found.folder


def _runs(project: Project, lock: str) -> dict[Any, Any]:
    data = project.load(lock)
    stages = data.get("stages") if "schema" in data else data  # before DVC 2: no `stages:`
    return stages if isinstance(stages, dict) else {}


class _Definitions:
    """The stages of one dvc.yaml; a project without it has only what dvc.lock says."""

    def __init__(self, project: Project, source: str) -> None:
        self._project, self._source = project, source
        stages = project.load(source).get("stages") if source in project.files else None
        self._stages = stages if isinstance(stages, dict) else None
        self._groups: dict[str, dict[str, dict[str, Any]] | None] = {}
        self._known: Values | None = None

    def of(self, name: str) -> _Defined | None:
        """Return the definition of a locked stage; None where DVC knows it no more."""
        if self._stages is None:
            return _Defined({}, posixpath.dirname(self._source))
        group, at, key = name.partition("@")  # no stage's own name has an @
        entry = self._stages.get(group)
        if not isinstance(entry, dict) or bool(at) != _is_group(entry):
            return None
        if not at:
            return self._filled(entry, self._values(entry))
        items = self._items(group, entry)
        if items is None:
            return self._filled(_body(entry), self._values())
        return self._of_item(entry, items[key]) if key in items else None

    def all(self) -> Iterator[tuple[str, _Defined]]:
        """Go through all stages that can be named here."""
        for name, entry in (self._stages or {}).items():
            if isinstance(entry, dict) and not _is_group(entry):
                yield str(name), self._filled(entry, self._values(entry))
            elif isinstance(entry, dict):
                for key, item in (self._items(str(name), entry) or {}).items():
                    yield f"{name}@{key}", self._of_item(entry, item)

    def _items(self, group: str, entry: Mapping[str, Any]) -> dict[str, dict[str, Any]] | None:
        if group not in self._groups:
            found = templates.items(entry, self._values())
            self._groups[group] = None if found is None else dict(found)
        return self._groups[group]

    def _of_item(self, entry: Mapping[str, Any], item: Mapping[str, Any]) -> _Defined:
        return self._filled(_body(entry), self._values().with_item(item))

    def _values(self, entry: Mapping[str, Any] | None = None) -> Values:
        """Return what expressions may name; nothing is read for a stage that has none."""
        if entry is not None and "${" not in str(entry):
            return Values()
        if self._known is None:
            self._known = values_of(self._project, self._source)
        return self._known

    def _filled(self, entry: Mapping[str, Any], values: Values) -> _Defined:
        top = posixpath.dirname(self._source)
        wdir = values.fill(entry.get("wdir"))
        # One that can't be told here stays as it is: such a path is none of the repository's.
        folder = templates.plain(full_path(templates.as_text(wdir), top)) if wdir else top
        own = entry.get("vars")
        if own and "${" in str(entry):
            values = values.with_vars(own, _reader(self._project), self._source, folder=folder)
        return _Defined(values.fill({k: v for k, v in entry.items() if k != "vars"}), folder)


def _is_group(entry: Mapping[str, Any]) -> bool:
    return "matrix" in entry or "foreach" in entry or isinstance(entry.get("do"), dict)


def _body(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what each stage of a `foreach` or `matrix` is made of."""
    if "matrix" in entry:
        return {key: value for key, value in entry.items() if key != "matrix"}
    body = entry.get("do")
    return body if isinstance(body, dict) else {}


def _run(source: str, name: str, entry: Mapping[str, Any], found: _Defined) -> LockedStage:
    flags = {
        templates.plain(str(path)): options
        for key in OUTPUTS
        for one in dvc_files.dicts(found.definition.get(key))
        for path, options in one.items()
        if isinstance(options, dict)
    }
    listed = entry.get("params")
    return LockedStage(
        name=name,
        source=source,
        deps=tuple(
            dvc_files.tracked(one, found.folder, {}) for one in dvc_files.dicts(entry.get("deps"))
        ),
        outs=tuple(
            dvc_files.tracked(one, found.folder, flags.get(str(one.get("path")), {}))
            for one in dvc_files.dicts(entry.get("outs"))
        ),
        params={
            full_path(str(file), found.folder): values
            for file, values in (listed.items() if isinstance(listed, dict) else ())
            if isinstance(values, dict)
        },
        definition=found.definition,
        command=entry.get("cmd"),
        folder=found.folder,
    )


def pushed(project: Project) -> Iterator[tuple[Tracked, str]]:
    """Go through what `dvc push` sends to a remote by its hash, each with the file that names it.

    Not what Git keeps (`cache: false`), what is never pushed (`push: false`), what is imported, nor what
    is on a remote that keeps versions.
    """
    outs = [(out, stage.source) for stage in locked(project) for out in stage.outs]
    outs += [
        (out, source)
        for source in project.files
        if source.endswith(".dvc")
        for out in dvc_files.outs_of(project, source)
    ]
    for out, source in outs:
        elsewhere = out.imported or out.versioned or "://" in out.path
        if out.md5 and out.cached and out.pushed and not elsewhere:
            yield out, source
