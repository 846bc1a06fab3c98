"""Which models a project has: its artifacts, else the outputs that look like models."""

from __future__ import annotations

import posixpath
import re
import shlex
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from model_gitops.core.adopt import outputs
from model_gitops.core.adopt.outputs import Output
from model_gitops.core.dvc import artifacts
from model_gitops.core.dvc.files import Project
from model_gitops.core.gto import tags
from model_gitops.errors import InputError

# Names of files that do not tell which model it is.
_GENERIC = frozenset([
    "model", "models", "best", "final", "last", "latest", "trained", "weights", "checkpoint",
    "checkpoints", "clf", "classifier", "regressor", "estimator", "net", "network", "saved",
    "savedmodel", "pipeline", "output", "pytorch", "tf", "torch", "keras", "sklearn", "xgb", "lgbm",
    "onnx", "artifact", "artifacts", "bin", "pkl", "predictor", "file", "new", "prod", "production",
    "the", "my",
])  # fmt: skip


@dataclass(frozen=True)
class Model:
    """A model. `path` and `pipeline` (its dvc.yaml) are from the top.

    `project` is the folder of its code and commands. `folder` is where its promotion.yaml stands: there,
    or where several models have one project, in a folder of its own. `is_new`: dvc.yaml does not name it
    yet.
    """

    name: str
    path: str
    pipeline: str
    project: str
    is_new: bool = False
    is_alone: bool = True
    # What images and overlays call it: its name, unless another model here has that too.
    label: str = ""

    @property
    def folder(self) -> str:
        """The folder of its promotion.yaml, from the top."""
        if self.is_alone:
            return self.project
        return posixpath.join(self.project, "promotion", slug(self.name))

    @property
    def gto_name(self) -> str:
        """The name that GTO and the actions know it by."""
        return artifacts.full_name(self.name, posixpath.dirname(self.pipeline))


@dataclass(frozen=True)
class Models:
    """The models that are taken, and what else looks like one: paths or names."""

    taken: tuple[Model, ...]
    others: tuple[str, ...] = ()


def find(
    project: Project,
    made: Sequence[Output],
    *,
    folder: str,
    repository: str,
    wanted: Sequence[str] = (),
    registered: Iterable[str] = (),
) -> Models:
    """Choose the models of `folder` and below it.

    `wanted` are names of artifacts or paths; empty: all artifacts that are models, else the one output
    that looks most like one. `repository` is the repository's name, after which a model is called whose
    file is called `model`, and `registered` the models that GTO's tags name. Raises InputError where
    there is none, or one that is wanted is not there.
    """
    declared = [one for one in _declared(project) if _is_below(one[1], folder)]
    found = [
        Model(name, path, source, _home(project, source, folder))
        for name, source, path, kind in _models(declared)
    ]
    guesses = sorted(
        (one for one in made if _is_below(one.path, folder)),
        key=lambda one: (-outputs.points(one), one.stage == "", one.path),
    )
    likely = [one for one in guesses if outputs.points(one) >= outputs.LEAST]
    if wanted:
        everything = [Model(n, p, s, _home(project, s, folder)) for n, s, p, _ in declared]
        return Models(
            _apart(
                [_named(one, everything, guesses, project, folder, repository) for one in wanted]
            )
        )
    if found:
        return Models(_apart(found))
    if not likely:
        raise _none(folder, guesses, is_elsewhere=len(guesses) < len(made))
    best = outputs.points(likely[0])
    rest = [one.path for one in likely[1:]]
    same = [one for one in likely if outputs.points(one) == best]
    # One pipeline a folder: each has a model of its own. Two of one pipeline: the first stands for it.
    by_pipeline = {one.pipeline: one for one in reversed(likely) if one.stage}
    chosen = list(by_pipeline.values())[::-1] if len(by_pipeline) > 1 else same[:1]
    taken = _apart([_new(one, "", project, folder, repository, registered) for one in chosen])
    return Models(taken, tuple(p for p in rest if p not in {one.path for one in taken}))


def _apart(found: Sequence[Model]) -> tuple[Model, ...]:
    """Give each model of a project with several a folder of its own for its promotion.yaml."""
    projects, named = [one.project for one in found], [one.name for one in found]
    return tuple(
        replace(
            one,
            is_alone=projects.count(one.project) == 1,
            label=one.name
            if named.count(one.name) == 1
            else slug(f"{posixpath.basename(one.project)}-{one.name}"),
        )
        for one in found
    )


def _declared(project: Project) -> list[tuple[str, str, str, str]]:
    """Return name, dvc.yaml, path and type of each artifact."""
    return [
        (name.rpartition(":")[2], source, path, kind)
        for name, source, path, kind in artifacts.declared(project)
    ]


def _models(declared: Sequence[tuple[str, str, str, str]]) -> list[tuple[str, str, str, str]]:
    """Return the artifacts that are models: by their type, else all that do not look like data."""
    typed = [one for one in declared if one[3].lower() == "model"]
    if typed:
        return typed
    untyped = [one for one in declared if not one[3]]
    return [
        one for one in untyped if len(untyped) == 1 or outputs.points(Output(one[2], one[1])) > 0
    ] or untyped


def _home(project: Project, pipeline: str, folder: str) -> str:
    """Return the folder of a model's promotion.yaml: beside its pipeline, inside of `folder`.

    A dvc.yaml without stages, as DVCLive writes one into the folder of its logs, is part of the project
    above it.
    """
    where = posixpath.dirname(pipeline)
    if pipeline not in project.files or project.load(pipeline).get("stages"):
        return where
    stages_above = [
        above
        for above in _above(where)
        if _is_below(above, folder) and posixpath.join(above, "dvc.yaml") in project.files
    ]
    if stages_above:
        return stages_above[0]
    keeps_log = {"metrics", "params", "plots"} & project.load(pipeline).keys()
    return folder if keeps_log else where


def _above(folder: str) -> list[str]:
    found = []
    while folder:
        folder = posixpath.dirname(folder)
        found.append(folder)
    return found


def _named(
    wanted: str,
    declared: Sequence[Model],
    made: Sequence[Output],
    project: Project,
    folder: str,
    repository: str,
) -> Model:
    """Return the model that a person named. Raises InputError."""
    name, equals, place = wanted.partition("=")
    path = posixpath.normpath(posixpath.join(folder, place if equals else name))
    for one in declared:
        if name in (one.name, one.gto_name) or (not equals and one.path == path):
            return one
    for output in made:
        if path in (output.path, output.path.removesuffix(".dvc")):
            return _new(output, name if equals else "", project, folder, repository, ())
    known = [one.gto_name for one in declared] + [one.path for one in made if not one.is_metric]
    raise InputError.of(
        "model",
        wanted,
        "it is no artifact of dvc.yaml and no output that DVC keeps"
        + (f"; there are: {', '.join(known[:20])}" if known else ""),
        fix="--model NAME of an artifact, --model PATH of an output, or --model NAME=PATH",
    )


def _new(
    output: Output,
    name: str,
    project: Project,
    folder: str,
    repository: str,
    registered: Iterable[str],
) -> Model:
    """Return the model that an output is to become."""
    pipeline = output.pipeline
    if not pipeline.endswith("dvc.yaml"):
        # Of a .dvc file: the dvc.yaml nearest above it, else a new one where we are.
        near = [posixpath.dirname(output.path), *_above(posixpath.dirname(output.path))]
        beside = (posixpath.join(one, "dvc.yaml") for one in near if _is_below(one, folder))
        pipeline = next(
            (one for one in beside if one in project.files), posixpath.join(folder, "dvc.yaml")
        )
    where = posixpath.dirname(pipeline)
    return Model(
        name=name or _name(output.path, where, repository, registered),
        path=output.path,
        pipeline=pipeline,
        project=_home(project, pipeline, folder) if pipeline in project.files else where,
        is_new=True,
    )


def _name(path: str, where: str, repository: str, registered: Iterable[str]) -> str:
    """Return a name that DVC and GTO take, for the output at `path`."""
    own = {one.rpartition(":")[2] for one in registered if one.rpartition(":")[0] == where}
    if len(own) == 1:
        return own.pop()
    for candidate in (
        posixpath.splitext(posixpath.basename(path))[0],
        posixpath.basename(where),
        repository,
    ):
        name = slug(candidate)
        if name and not set(name.split("-")) <= _GENERIC:
            return name
    return slug(repository) or "model"


def slug(text: str, longest: int = 40) -> str:
    """Return `text` as a name of DVC's artifacts: lowercase letters, numbers, single hyphens.

    What is longer ends with a whole word. A part of Kubernetes' names is made of it, of 63 letters at most.
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()  # é is e
    whole = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")
    short = whole[: longest + 1].rpartition("-")[0] or whole[:longest]
    return whole if len(whole) <= longest else short


def check(model: Model) -> None:
    """Refuse a model that GTO, which writes its tags, does not take by its name. Raises InputError."""
    if tags.is_model_name(model.gto_name):
        return
    folder = posixpath.dirname(model.pipeline)
    fix = f"rename it to {slug(model.name) or 'model'!r} in {model.pipeline}"
    if tags.is_model_name(model.name):
        fix = (
            f"git mv {shlex.quote(folder)} {shlex.quote(re.sub('[^A-Za-z0-9._/-]+', '-', folder).strip('-'))}:"
            " GTO's names hold the folder, which may have letters, numbers, '.', '-', '_' and '/'"
        )
    raise InputError(
        f"the artifact {model.name!r} of {model.pipeline} can't be registered: GTO takes no name {model.gto_name!r}",
        fix=fix,
    )


def _is_below(path: str, folder: str) -> bool:
    return not folder or path == folder or path.startswith(f"{folder}/")


def _none(folder: str, made: Sequence[Output], *, is_elsewhere: bool) -> InputError:
    where = folder or "the repository"
    kept = [one.path for one in made if not (one.is_metric or one.is_plot)]
    shown = f". DVC keeps: {', '.join(kept[:20])}" if kept else ", and DVC keeps nothing there"
    return InputError(
        f"no model was found in {where}: dvc.yaml has no `artifacts:`, and no output looks like a model"
        f"{shown}",
        fix="let a stage of dvc.yaml list the model under `outs:`, or `dvc add` it, and run this again"
        + ("; or name one of these: --model NAME=PATH" if kept else "")
        + ("; or start this at the top: DVC keeps more there" if is_elsewhere else ""),
    )
