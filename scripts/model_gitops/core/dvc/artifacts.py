"""Models in a DVC project: what dvc.yaml, dvc.lock and .dvc files say of them."""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from model_gitops.core.dvc import files as dvc_files
from model_gitops.core.dvc import hashes, stages, templates
from model_gitops.core.dvc.files import Project, Tracked
from model_gitops.errors import InputError


@dataclass(frozen=True)
class Artifact:
    """A model as one commit, or the checkout, has it.

    `name` is GTO's (`name`, `folder:name`), empty for a model given by its path. `path` is POSIX,
    from the repository's top. `hash` is DVC's MD5, ending in `.dir` for a folder. `size` is in
    bytes, -1 where DVC did not write it. `remote` is the output's own DVC remote, or empty. `source`
    is the dvc.lock or .dvc file that has it, and the last five say what `Tracked` says of them.
    """

    name: str
    path: str
    hash: str
    size: int = -1
    type: str = ""
    hash_name: str = hashes.MD5
    remote: str = ""
    source: str = field(default="", compare=False)
    executable: bool = False
    cached: bool = True
    pushed: bool = True
    versioned: bool = False
    imported: str = ""

    @classmethod
    def of(cls, entry: Tracked, source: str = "", *, name: str = "", kind: str = "") -> Artifact:
        """Return what one entry of a dvc.lock or .dvc file tracks."""
        return cls(
            name=name, path=entry.path, hash=entry.md5, size=entry.size, type=kind,
            hash_name=entry.hash_name, remote=entry.remote, source=source,
            executable=entry.executable, cached=entry.cached, pushed=entry.pushed,
            versioned=entry.versioned, imported=entry.imported,
        )  # fmt: skip

    @property
    def is_folder(self) -> bool:
        """Whether the model is a folder of files."""
        return self.hash.endswith(".dir")


@dataclass(frozen=True)
class _Declared:
    """An artifact of a dvc.yaml. `problem` is why its path can't be used; empty where it can."""

    name: str
    path: str
    type: str
    source: str
    problem: str = ""
    fix: str = ""


def find(model: str, files: Mapping[str, str] | Project, *, folder: str = "") -> Artifact:
    """Find `model`, the name of an artifact or the path of something that DVC tracks.

    `files`: path from the repository's top → text; read only where it is needed. `folder`: where
    plain names and paths start, from the top. Raises InputError, with the artifacts that there are.
    """
    project = files if isinstance(files, Project) else Project(files)
    declared = list(_declared(project))
    wanted = (full_name(model, folder), model)
    named = next((one for name in wanted for one in declared if one.name == name), None)
    if named is not None:
        if named.problem:
            raise InputError(named.problem, fix=named.fix)
        path, name, kind = named.path, named.name, named.type
    else:
        path, name, kind = _inside(posixpath.join(folder, model), "model", model), "", ""
        if same := next((one for one in declared if one.path == path), None):
            name, kind = same.name, same.type
    found = _tracked(path, project) or _of_dvc_file(path, project)
    if found is None:
        raise _not_found(model, path if named else "", declared, project)
    entry, source = found
    if not entry.md5:
        raise InputError(
            f"{source} has no MD5 hash for {path!r}{_why_none(entry)}", fix=_fix_for(entry, source)
        )
    return Artifact.of(entry, source, name=name, kind=kind)


def _why_none(entry: Tracked) -> str:
    if entry.versioned and not entry.listing:
        return ": its list of files is empty, as a push that failed leaves it"
    if entry.listing:
        return ": its list of files has none for some of them"
    return ": it was imported without being downloaded" if entry.partial else ""


def _fix_for(entry: Tracked, source: str) -> str:
    if entry.partial:
        return f"run `dvc update {source}`, commit what it writes, and `dvc push`"
    if entry.versioned:
        return (
            "where the model was made: `dvc commit --force`, `dvc push`, and commit what they write"
        )
    return "run `dvc repro` (or `dvc add`), commit what it writes, and `dvc push`"


def names(files: Mapping[str, str]) -> list[str]:
    """Return the names of all artifacts, as GTO calls them, sorted."""
    return sorted(one.name for one in _declared(Project(files)))


def declared(project: Project) -> list[tuple[str, str, str, str]]:
    """Return GTO's name, dvc.yaml, path and type of each artifact; a path that can't be told is empty."""
    return [(one.name, one.source, one.path, one.type) for one in _declared(project)]


def is_empty(files: Mapping[str, str]) -> bool:
    """Whether there is no artifact yet, and nothing that DVC tracks."""
    return not (any(path.endswith((".dvc", "dvc.lock")) for path in files) or names(files))


def awaited(model: str, files: Mapping[str, str]) -> str:
    """Return the path of the artifact `model` where DVC tracks nothing of it; else an empty string.

    So it is before the first training. Where something is wrong with the path, `find` says it.
    """
    project = Project(files)
    found = next((one for one in _declared(project) if one.name == model), None)
    if found is None or found.problem or "://" in found.path:
        return ""
    path = found.path
    while path and not _tracked(path, project):
        path = posixpath.dirname(path)
    return "" if path else found.path


def _declared(project: Project) -> Iterator[_Declared]:
    """Go through the `artifacts:` of all dvc.yaml files, the one at the top first."""
    for source in sorted(project.called("dvc.yaml"), key=lambda path: (path.count("/"), path)):
        listed = project.load(source).get("artifacts")
        if isinstance(listed, dict) and "${" in str(listed):
            listed = stages.values_of(project, source).fill(listed)
        folder = posixpath.dirname(source)
        for name, entry in listed.items() if isinstance(listed, dict) else ():
            if not isinstance(entry, dict) or not isinstance(entry.get("path"), str):
                continue
            path, kind = templates.plain(entry["path"]), entry.get("type")
            full = f"{folder}:{name}" if folder else str(name)
            # A URL is no path of this repository.
            where = dvc_files.full_path(path, folder)
            problem = fix = ""
            if not templates.is_filled(entry["path"]):
                where = ""
                problem = (
                    f"{source}: the path of the artifact {name!r} is {path!r}, and neither params.yaml"
                    " beside it nor its `vars:` say at this commit what to fill in"
                )
                fix = "commit the file with the value, or give the artifact the path itself"
            elif _escapes(where):
                problem = f"{source}: the path of the artifact {name!r} is {path!r}, outside of the repository"
                fix = "give the artifact a path inside the repository"
            yield _Declared(
                full, where, kind if isinstance(kind, str) else "", source, problem, fix
            )


def _tracked(path: str, project: Project) -> tuple[Tracked, str] | None:
    """Return `path` as dvc.lock or a .dvc file has it, and that file's name."""
    for stage in stages.locked(project):
        for out in stage.outs:
            if out.path == path:
                return out, stage.source
    return dvc_files.added(project, path)


def _of_dvc_file(path: str, project: Project) -> tuple[Tracked, str] | None:
    """Return what the .dvc file at `path` tracks: some name that file in the place of its model."""
    if not path.endswith(".dvc") or path not in project.files:
        return None
    outs = list(dvc_files.outs_of(project, path))
    return (outs[0], path) if len(outs) == 1 and not _escapes(outs[0].path) else None


def _not_found(model: str, path: str, declared: list[_Declared], project: Project) -> InputError:
    known = ", ".join(repr(one.name) for one in declared) or "none"
    if not path:
        return InputError.of(
            "model",
            model,
            "it is no artifact of dvc.yaml, and no path that DVC tracks. "
            f"The artifacts that there are: {known}",
            fix="give one of these names or a tracked path, or add to dvc.yaml:"
            " `artifacts: {NAME: {path: PATH, type: model}}`",
        )
    if "://" in path:
        name = posixpath.basename(path)
        return InputError.of(
            "model",
            model,
            f"dvc.yaml names the address {path!r}, and DVC keeps nothing of it in this repository",
            fix=f"dvc import-url {shlex.quote(path)} {shlex.quote(name)}; give the artifact the `path: {name}`"
            " in dvc.yaml, commit both, and `dvc push`",
        )
    above = path
    while above := posixpath.dirname(above):
        if _tracked(above, project):
            return InputError.of(
                "model",
                model,
                f"its path {path!r} lies inside of {above!r}, which DVC tracks as one",
                fix=f"set the artifact's `path: {above}` in dvc.yaml",
            )
    return InputError.of(
        "model",
        model,
        f"dvc.yaml names the path {path!r}, but no dvc.lock and no .dvc file tracks it here",
        fix="run `dvc repro`, and commit dvc.lock. What no stage makes: `dvc add`, after `git rm --cached`"
        " where Git keeps it, commit the .dvc file, and `dvc push`",
    )


def full_name(model: str, folder: str) -> str:
    """Return GTO's name: `name` in `folder` is `folder:name`; `a/dvc.yaml:name` is `a:name`."""
    where, colon, name = model.rpartition(":")
    if colon:
        return f"{where.removesuffix('dvc.yaml').rstrip('/')}:{name}".lstrip(":")
    return f"{folder}:{model}" if folder else model


def _inside(path: str, name: str, value: str) -> str:
    if _escapes(path):
        raise InputError.of(
            name, value, "that is outside of the repository", fix="give a path inside of it"
        )
    return posixpath.normpath(path)


def _escapes(path: str) -> bool:
    normal = posixpath.normpath(path)
    first = normal.split("/")[0].lower()
    return (
        posixpath.isabs(normal) or first in ("..", ".git", ".dvc") or "\0" in path or "\\" in path
    )
