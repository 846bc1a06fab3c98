"""What made a model: data, code and params, as dvc.lock recorded them, held against Git's files."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from model_gitops.core import document
from model_gitops.core.dvc import artifacts
from model_gitops.core.dvc import files as dvc_files
from model_gitops.core.dvc.files import LEGACY_HASH, LockedStage, Project, Tracked
from model_gitops.errors import InputError

# Git LFS keeps a pointer in place of a file: its content can't be held against a hash.
_LFS = b"version https://git-lfs.github.com/spec/"

# The files at or below a path (relative to it, "" for the file itself) → content, as Git has them
# at the commit; None where Git has nothing there.
Content = Callable[[str], Mapping[str, bytes] | None]


@dataclass(frozen=True)
class Ingredient:
    """Something that went into a model. `data` is kept by DVC (or elsewhere), `code` by Git."""

    path: str
    hash: str
    kind: Literal["data", "code"]


@dataclass(frozen=True)
class Recipe:
    """How a model was made: the stages up to its own, and what they read.

    `params`: file → key → value. `results` are the Git files that later stages wrote about the
    model (metrics, plots). `problems` says, in sentences with both sides, where the files of the
    commit contradict one another; `checked` counts what was compared, and `unchecked` says what
    has nothing to be compared with.
    """

    stages: tuple[str, ...] = ()
    ingredients: tuple[Ingredient, ...] = ()
    params: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    results: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    checked: int = 0
    unchecked: tuple[str, ...] = ()

    def of_kind(self, kind: Literal["data", "code"]) -> tuple[Ingredient, ...]:
        """Return the ingredients of one kind, by path."""
        return tuple(one for one in self.ingredients if one.kind == kind)


def read(model: artifacts.Artifact, files: Mapping[str, str], content: Content) -> Recipe:
    """Follow dvc.lock from `model` back to what it was made of, and check every step of the way.

    `files` are DVC's (path from the top → text), `content` is asked for files that Git has. Raises
    InputError for DVC files that can't be read.
    """
    return _Reader(Project(files), content).read(model)


@dataclass(frozen=True)
class Writer:
    """The stage that writes a file, and what is wrong with that: its lock and the commit disagree.

    `file` is the file as the lock has it, or the folder that holds it, where the stage's output is one.
    """

    stage: str
    file: Tracked
    problems: tuple[str, ...] = ()


def writer(
    path: str, model: artifacts.Artifact | None, files: Mapping[str, str], content: Content
) -> Writer | None:
    """Find the stage that wrote `path`, and hold its run against the commit; None where none did.

    What it read, its params, its command, and what it wrote must be what dvc.lock says, and the model
    that it read must be `model`. Arguments as of `read`.
    """
    return _Reader(Project(files), content).writer(path, model)


class _Reader:
    def __init__(self, project: Project, content: Content) -> None:
        self._project = project
        self._content = content
        self._stages = list(dvc_files.locked_stages(project))
        self._problems: list[str] = []
        self._unchecked: list[str] = []
        self._checked = 0

    def read(self, model: artifacts.Artifact) -> Recipe:
        upstream = self._upstream(model.path)
        self._check_that_all_ran(model.path, upstream)
        ingredients: dict[str, Ingredient] = {}
        params: dict[str, dict[str, Any]] = {}
        for stage in upstream:
            for dep in stage.deps:
                ingredients[dep.path] = self._ingredient(stage, dep)
            self._check_stage(stage)
            for file, values in stage.params.items():
                params.setdefault(file, {}).update(values)
        results: list[str] = []
        for stage in self._downstream(model.path):
            if stage in upstream:
                continue
            results += self._check_judge(stage, model)
        return Recipe(
            stages=tuple(stage.name for stage in upstream),
            ingredients=tuple(ingredients[path] for path in sorted(ingredients)),
            params=params,
            results=tuple(sorted(results)),
            problems=tuple(dict.fromkeys(self._problems)),
            checked=self._checked,
            unchecked=tuple(dict.fromkeys(self._unchecked)),
        )

    def writer(self, path: str, model: artifacts.Artifact | None) -> Writer | None:
        for stage in self._stages:
            # DVCLive's metrics, for one, are in a folder that the stage writes.
            within = (out for out in stage.outs if f"{path}/".startswith(f"{out.path}/"))
            if file := next(within, None):
                judges = self._downstream(model.path) if model else []
                for one in [one for one in self._upstream(path) if one in judges] or [stage]:
                    self._check_judge(one, model)
                # No hash in the lock, or what looks like a pointer of Git LFS, is no excuse here. Nor
                # is a folder of which Git has a part only: that part would be believed.
                if self._content(path) and (there := self._content(file.path)):
                    self._compare_hash(stage, file, self._hashes(there, file))
                self._compare(
                    model is None or stage in judges or self._made(stage, model.path) is not None,
                    f"{stage.source}: stage {stage.name}, which wrote {path}, did not read the model",
                )
                return Writer(stage.name, file, tuple(dict.fromkeys(self._problems)))
        return None

    def _check_judge(self, stage: LockedStage, model: artifacts.Artifact | None) -> list[str]:
        """Hold a stage that may read the model against the commit; return the outputs that Git has."""
        for dep in stage.deps:
            if model is None or not _overlap(dep.path, model.path):
                self._ingredient(stage, dep)
            elif dep.path != model.path:
                self._check_folder(stage, dep)
            else:
                self._compare(
                    dep.hash == model.hash,
                    f"{stage.source}: stage {stage.name} judged {dep.path} with hash {dep.hash},"
                    f" and the model's hash is {model.hash}",
                )
        return self._check_stage(stage)

    def _check_folder(self, stage: LockedStage, dep: Tracked) -> None:
        """Hold a folder that has the model in it against what stages made there, where that is all."""
        start = len(dep.path) + 1
        known = {
            out.path[start:]: out.hash
            for one in self._stages
            for out in one.outs
            if out.path.startswith(f"{dep.path}/") and artifacts.is_file_hash(out.hash)
        }
        if len(known) != dep.files:
            self._unchecked.append(f"{dep.path}, which has the model with other things")
            return
        made = artifacts.manifest_hash(known)
        self._compare(
            dep.hash == made,
            f"{stage.source}: stage {stage.name} judged {dep.path} with hash {dep.hash},"
            f" and with the model it has {made}",
        )

    def _upstream(self, path: str) -> list[LockedStage]:
        """Return the stages that `path` depends on, the first to run first."""
        found: list[LockedStage] = []
        waiting = [path]
        while waiting:
            path = waiting.pop()
            for stage in self._stages:  # several may write into one folder
                if stage not in found and self._made(stage, path):
                    found.append(stage)
                    waiting += [dep.path for dep in stage.deps]
        return found[::-1]

    def _downstream(self, path: str) -> list[LockedStage]:
        """Return the stages that read `path`, or what one that reads it made."""
        found: list[LockedStage] = []
        waiting = [path]
        while waiting:
            made = waiting.pop()
            for stage in self._stages:
                if stage not in found and any(_overlap(dep.path, made) for dep in stage.deps):
                    found.append(stage)
                    waiting += [out.path for out in stage.outs]
        return found

    def _check_that_all_ran(self, path: str, upstream: Sequence[LockedStage]) -> None:
        """Stages of dvc.yaml that dvc.lock has not: they made a part of the model, or judge it."""
        chain = {path, *(dep.path for stage in upstream for dep in stage.deps)}
        for source, name, deps, outs in dvc_files.unlocked_stages(self._project):
            if any(_overlap(out, one) for out in outs for one in chain):
                lock = source.removesuffix("dvc.yaml") + "dvc.lock"
                self._compare(
                    False,
                    f"{source}: stage {name} makes {', '.join(outs)}, and {lock} has no run of it",
                )
            elif any(_overlap(dep, path) for dep in deps):
                self._unchecked.append(
                    f"stage {name} of {source}, which reads the model and never ran"
                )

    def _producer(self, path: str) -> LockedStage | None:
        return next((one for one in self._stages if self._made(one, path)), None)

    @staticmethod
    def _made(stage: LockedStage, path: str) -> Tracked | None:
        """Return the output of `stage` that is `path`, or that has or is part of it."""
        return next((out for out in stage.outs if _overlap(out.path, path)), None)

    def _ingredient(self, stage: LockedStage, dep: Tracked) -> Ingredient:
        if producer := self._producer(dep.path):
            made = self._made(producer, dep.path)
            if made and made.path != dep.path:
                self._unchecked.append(
                    f"{dep.path}, of which stage {producer.name} made {made.path}"
                )
            elif made:
                self._compare(
                    made.hash == dep.hash,
                    f"{stage.source}: stage {stage.name} read {dep.path} with hash {dep.hash},"
                    f" and stage {producer.name} made it with hash {made.hash}",
                )
            return Ingredient(dep.path, dep.hash, "data")
        if self._compare_with_git(stage, dep):
            is_data = next(dvc_files.below(self._project, dep.path), None) is not None
            return Ingredient(dep.path, dep.hash, "data" if is_data else "code")
        if (there := dvc_files.added(self._project, dep.path)) and there[0].hash:
            self._compare(
                there[0].hash == dep.hash,
                f"{stage.source}: stage {stage.name} read {dep.path} with hash {dep.hash},"
                f" and {there[1]} has hash {there[0].hash}",
            )
        elif "://" not in dep.path:
            self._unchecked.append(f"{dep.path}, of which no file of this commit has a hash")
        return Ingredient(dep.path, dep.hash, "data")

    def _check_stage(self, stage: LockedStage) -> list[str]:
        """Hold a stage against dvc.yaml, and its params and outputs against Git.

        Returns the outputs that Git has.
        """
        self._compare_definition(stage)
        for file, values in stage.params.items():
            self._compare_params(stage, file, values)
        return [out.path for out in stage.outs if self._compare_with_git(stage, out)]

    def _compare_definition(self, stage: LockedStage) -> None:
        for what, defined, locked, agree in _parts(stage):
            self._compare(
                agree,
                f"{stage.source}: stage {stage.name} ran with the {what} {_shown(locked)},"
                f" and dvc.yaml says {_shown(defined)}",
            )

    def _compare_with_git(self, stage: LockedStage, tracked: Tracked) -> bool:
        """Hold a file or folder against what Git has of it; False where Git has nothing."""
        if "://" in tracked.path or not (found := self._content(tracked.path)):
            return False
        if not tracked.hash or any(data.startswith(_LFS) for data in found.values()):
            self._unchecked.append(f"{tracked.path}, of which Git has no content here")
            return True
        hashes = self._hashes(found, tracked)
        # A folder may have held what Git ignores: then the hash says nothing of the rest. Or DVC was
        # told to ignore some of what Git has.
        fewer = tracked.files < len(found) and bool(self._content(".dvcignore"))
        if tracked.hash not in hashes and "" not in found and (fewer or tracked.files > len(found)):
            self._unchecked.append(f"{tracked.path}, which had other files when it was read")
            return True
        self._compare_hash(stage, tracked, hashes)
        return True

    def _compare_hash(self, stage: LockedStage, tracked: Tracked, hashes: Sequence[str]) -> None:
        self._compare(
            tracked.hash in hashes,
            f"{stage.source}: stage {stage.name} has {tracked.path} with hash {tracked.hash},"
            f" and the commit's {tracked.path} has hash {hashes[0]}",
        )

    def _compare_params(self, stage: LockedStage, file: str, values: Mapping[str, Any]) -> None:
        found = self._content(file)
        if not found or "" not in found:
            if "${" in file:
                self._unchecked.append(f"{file}, whose name DVC fills in")
            elif self._producer(file) is None:
                self._compare(
                    False,
                    f"{stage.source}: stage {stage.name} ran with {', '.join(map(str, values))} of"
                    f" {file}, and the commit has no such file",
                )
            return
        if file.endswith(".py"):
            self._unchecked.append(f"{file}, whose variables are not read: it would have to be run")
            return
        try:
            data = _load(found[""].decode("utf-8", errors="replace"), file)
        except InputError as error:
            self._problems.append(error.message)  # DVC could not have read it either
            return
        for key, value in values.items():
            there = _value(data, str(key))
            self._compare(
                # As text, where the same value is not equal to itself: NaN.
                there == value or repr(there) == repr(value),
                f"{stage.source}: stage {stage.name} ran with {key} = {value!r} of {file},"
                f" and the commit's {file} says {there!r}",
            )

    def _compare(self, equal: bool, problem: str) -> None:
        self._checked += 1
        if not equal:
            self._problems.append(problem)

    def _hashes(self, found: Mapping[str, bytes], tracked: Tracked) -> list[str]:
        """Return the hashes that DVC may have written for this content, the plain one first.

        A checkout may have had other line endings than Git keeps, and in a folder what DVC tracks.
        """
        plain = dict(found)
        unix = {name: data.replace(b"\r\n", b"\n") for name, data in found.items()}
        variants = [plain, unix]
        if tracked.hash_name != LEGACY_HASH:
            variants.append({name: data.replace(b"\n", b"\r\n") for name, data in unix.items()})
        if "" in found:
            return [_md5(files[""]) for files in variants]
        start = len(tracked.path) + 1
        more = {
            one.path[start:]: one.hash
            for one in dvc_files.below(self._project, tracked.path)
            if artifacts.is_file_hash(one.hash)
        }
        manifests = [{name: _md5(data) for name, data in files.items()} for files in variants]
        return [
            artifacts.manifest_hash(entries)
            for one in manifests
            for entries in ((one, {**one, **more}) if more else (one,))
        ]


def _overlap(one: str, other: str) -> bool:
    """Whether two paths are the same, or one lies in the other."""
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")


def _parts(stage: LockedStage) -> Iterator[tuple[str, list[str], list[str], bool]]:
    """Yield (what, as dvc.yaml has it, as dvc.lock has it, whether they agree) of a defined stage."""
    definition = stage.definition
    if not definition:
        return
    words, ran = _texts(definition.get("cmd")), _texts(stage.command)
    yield "command", words, ran, len(words) == len(ran) and all(map(_fits, words, ran))
    for what, keys, locked in (
        ("dependencies", ("deps",), stage.deps),
        ("outputs", ("outs", "metrics", "plots", "live"), stage.outs),
    ):
        named = [name for key in keys for name in dvc_files.names(definition.get(key))]
        defined = {dvc_files.full_path(name, stage.folder) for name in named}
        paths = {one.path for one in locked}
        yield what, sorted(defined), sorted(paths), _fill(defined, paths)
    for file, keys_of in _params(definition, stage.folder):
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
        and all(any(_fits(one, path) for path in rest) for one in filled)
    )


def _fits(template: str, text: str) -> bool:
    """Whether `text` may be what DVC made of `template`, by filling in each `${…}`."""
    parts = re.split(r"(?<!\\)\$\{[^}]*\}", template)
    pattern = ".*".join(re.escape(part.replace("\\${", "${")) for part in parts)
    return re.fullmatch(pattern, text, re.DOTALL) is not None


def _texts(value: Any) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else [str(value or "")]


def _shown(values: Sequence[str]) -> str:
    return repr(", ".join(values))


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _load(text: str, file: str) -> Any:
    if not file.endswith(".toml"):
        return document.load_yaml(text, source=file)  # JSON is YAML
    try:
        return tomllib.loads(text)
    except ValueError as error:
        raise InputError(f"{file} can't be parsed: {error}") from error


def _value(data: Any, key: str) -> Any:
    """Return the value of a dotted key; None where there is none."""
    if isinstance(data, dict) and key in data:
        return data[key]
    for part in key.split("."):
        if isinstance(data, dict) and part in data:
            data = data[part]
        elif isinstance(data, list) and part.isdecimal() and int(part) < len(data):
            data = data[int(part)]
        else:
            return None
    return data
