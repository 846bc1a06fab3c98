"""What made a model: data, code and params, as dvc.lock recorded them, held against Git's files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from model_gitops.core import document
from model_gitops.core.dvc import artifacts, checkout, definition, hashes, stages
from model_gitops.core.dvc import files as dvc_files
from model_gitops.core.dvc import params as dvc_params
from model_gitops.core.dvc.files import Project, Tracked
from model_gitops.core.dvc.stages import LockedStage
from model_gitops.errors import InputError

# The files at or below a path (relative to it, "" for the file itself) → content, as Git has them
# at the commit; empty where Git has nothing there.
Content = Callable[[str], Mapping[str, bytes]]
# The same files → the attributes that change their content at a checkout.
Attributes = Callable[[str], checkout.Attributes]


def _no_attributes(_: str) -> checkout.Attributes:
    return {}


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


def read(
    model: artifacts.Artifact,
    files: Mapping[str, str],
    content: Content,
    attributes: Attributes = _no_attributes,
) -> Recipe:
    """Follow dvc.lock from `model` back to what it was made of, and check every step of the way.

    `files` are DVC's (path from the top → text), `content` is asked for files that Git has, and
    `attributes` for what a checkout makes of them. Raises InputError for DVC files that can't be read.
    """
    return _Reader(Project(files), content, attributes).read(model)


@dataclass(frozen=True)
class Writer:
    """The stage that writes a file, and what is wrong with that: its lock and the commit disagree.

    `file` is the file as the lock has it, or the folder that holds it, where the stage's output is one.
    """

    stage: str
    file: Tracked
    problems: tuple[str, ...] = ()


def writer(
    path: str,
    model: artifacts.Artifact | None,
    files: Mapping[str, str],
    content: Content,
    attributes: Attributes = _no_attributes,
) -> Writer | None:
    """Find the stage that wrote `path`, and hold its run against the commit; None where none did.

    What it read, its params, its command, and what it wrote must be what dvc.lock says, and the model
    that it read must be `model`: that this can't be told is a problem too. Arguments as of `read`.
    """
    return _Reader(Project(files), content, attributes, must_tell=True).writer(path, model)


class _Reader:
    def __init__(
        self,
        project: Project,
        content: Content,
        attributes: Attributes,
        *,
        must_tell: bool = False,
    ) -> None:
        self._project = project
        self._content = content
        self._attributes = attributes
        self._must_tell = must_tell  # which model a stage judged
        self._stages = list(stages.locked(project))
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
                    kept, known = self._agrees_with_git(file, there)
                    self._say_of_git(stage, file, known, kept)
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
                self._compare_model(stage, dep, model)
        return self._check_stage(stage)

    def _compare_model(self, stage: LockedStage, dep: Tracked, model: artifacts.Artifact) -> None:
        known = hashes.agree(dep.hash, dep.hash_name, model.hash, model.hash_name)
        said = (
            f"{stage.source}: stage {stage.name} judged {dep.path} with hash {dep.hash or 'of none'},"
            f" and the model's hash is {model.hash}"
        )
        if known is None and self._must_tell:
            self._compare(
                False,
                f"{said}: of two kinds, so nobody can say whether that is the same file"
                " (`dvc cache migrate --dvc-files` writes all of one kind)",
            )
        elif known is None or (not known and stage.is_frozen and not self._must_tell):
            why = (
                "whose hashes are of two kinds" if known is None else "another model than this one"
            )
            self._unchecked.append(f"{dep.path}, which stage {stage.name} judged: {why}")
        else:
            self._compare(known, said)

    def _check_folder(self, stage: LockedStage, dep: Tracked) -> None:
        """Hold a folder that has the model in it against what stages made there, where that is all."""
        start = len(dep.path) + 1
        made = {
            out.path[start:]: out
            for one in self._stages
            for out in one.outs
            if out.path.startswith(f"{dep.path}/") and hashes.is_file_hash(out.md5)
        }
        whole = hashes.manifest_hash({path: out.hash for path, out in made.items()})
        one_kind = all(out.hash_name == dep.hash_name for out in made.values())
        if len(made) != dep.files or not (dep.hash == whole or (dep.md5 and one_kind)):
            self._unchecked.append(f"{dep.path}, which has the model with other things")
            return
        self._compare(
            dep.hash == whole,
            f"{stage.source}: stage {stage.name} judged {dep.path} with hash {dep.hash},"
            f" and with the model it has {whole}",
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
        for source, name, deps, outs in stages.never_ran(self._project):
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
        if stage.is_frozen:
            self._unchecked.append(
                f"what stage {stage.name} read: it is frozen, so DVC does not look"
            )
            in_git = "://" not in dep.path and bool(self._content(dep.path))
            return Ingredient(dep.path, dep.hash, "code" if in_git else "data")
        if producer := self._producer(dep.path):
            made = self._made(producer, dep.path)
            if made and made.path != dep.path:
                self._unchecked.append(
                    f"{dep.path}, of which stage {producer.name} made {made.path}"
                )
            elif made:
                self._compare_tracked(
                    dep,
                    made,
                    f"{stage.source}: stage {stage.name} read {dep.path} with hash {dep.hash},"
                    f" and stage {producer.name} made it with hash {made.hash}",
                )
            return Ingredient(dep.path, dep.hash, "data")
        if self._compare_with_git(stage, dep):
            is_data = next(dvc_files.below(self._project, dep.path), None) is not None
            return Ingredient(dep.path, dep.hash, "data" if is_data else "code")
        if there := dvc_files.added(self._project, dep.path):
            self._compare_tracked(
                dep,
                there[0],
                f"{stage.source}: stage {stage.name} read {dep.path} with hash {dep.hash},"
                f" and {there[1]} has hash {there[0].hash}",
            )
        elif "://" not in dep.path:
            self._unchecked.append(f"{dep.path}, of which no file of this commit has a hash")
        return Ingredient(dep.path, dep.hash, "data")

    def _compare_tracked(self, dep: Tracked, other: Tracked, problem: str) -> None:
        known = dvc_files.agree(dep, other)
        if known is not None:
            self._compare(known, problem)
        elif dep.hash and other.hash:
            self._unchecked.append(
                f"{dep.path}, whose hashes are of two kinds (DVC 2's and DVC 3's)"
            )
        else:
            self._unchecked.append(f"{dep.path}, of which DVC's files have no hash")

    def _check_stage(self, stage: LockedStage) -> list[str]:
        """Hold a stage against dvc.yaml, and its params and outputs against Git.

        Returns the outputs that Git has.
        """
        self._compare_definition(stage)
        for file, values in stage.params.items():
            if not stage.is_frozen:
                self._compare_params(stage, file, values)
        return [out.path for out in stage.outs if self._compare_with_git(stage, out)]

    def _compare_definition(self, stage: LockedStage) -> None:
        for what, defined, locked, agree in definition.parts(stage):
            self._compare(
                agree,
                f"{stage.source}: stage {stage.name} ran with the {what} {_shown(locked)},"
                f" and dvc.yaml says {_shown(defined)}",
            )

    def _compare_with_git(self, stage: LockedStage, tracked: Tracked) -> bool:
        """Hold a file or folder against what Git has of it; False where Git has nothing."""
        if "://" in tracked.path or not (found := self._content(tracked.path)):
            return False
        if not tracked.md5 or any(map(document.is_lfs_pointer, found.values())):
            self._unchecked.append(f"{tracked.path}, of which Git has no content here")
            return True
        kept, known = self._agrees_with_git(tracked, found)
        # A folder may have held what Git ignores: then the hash says nothing of the rest. Or DVC was
        # told to ignore some of what Git has.
        fewer = tracked.files < len(found) and bool(self._content(".dvcignore"))
        if not known and "" not in found and (fewer or tracked.files > len(found)):
            self._unchecked.append(f"{tracked.path}, which had other files when it was read")
            return True
        self._say_of_git(stage, tracked, known, kept)
        return True

    def _agrees_with_git(
        self, tracked: Tracked, found: Mapping[str, bytes]
    ) -> tuple[str, bool | None]:
        """Return the hash of Git's content as it is, and whether DVC's may be of it.

        None where a filter changes it at a checkout.
        """
        start = len(tracked.path) + 1
        more = {
            one.path[start:]: one.hash
            for one in dvc_files.below(self._project, tracked.path)
            if hashes.is_file_hash(one.md5)
        }
        kept = checkout.as_kept(found, tracked, more)
        if tracked.hash in kept:
            return kept[0], True
        attributes = self._attributes(tracked.path)
        if tracked.hash in checkout.as_checked_out(found, attributes, tracked, more):
            return kept[0], True
        return kept[0], None if checkout.filters(attributes) else False

    def _say_of_git(
        self, stage: LockedStage, tracked: Tracked, known: bool | None, kept: str
    ) -> None:
        if known is None and not (self._must_tell and tracked in stage.outs):
            names = ", ".join(checkout.filters(self._attributes(tracked.path)))
            self._unchecked.append(f"{tracked.path}, which a filter of Git changes ({names})")
            return
        self._compare(
            bool(known),
            f"{stage.source}: stage {stage.name} has {tracked.path} with hash {tracked.hash},"
            f" and the commit's {tracked.path} has hash {kept}",
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
        try:
            data = dvc_params.load(found[""].decode("utf-8", errors="replace"), file)
        except InputError as error:
            self._problems.append(error.message)  # DVC could not have read it either
            return
        for key, value in values.items():
            there = dvc_params.value(data, str(key))
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


def _overlap(one: str, other: str) -> bool:
    """Whether two paths are the same, or one lies in the other."""
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")


def _shown(values: Sequence[str]) -> str:
    return repr(", ".join(values))
