"""Which numbers of a project may judge a model: files, keys, and which direction is better."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from model_gitops.core.adopt.models import Model
from model_gitops.core.adopt.outputs import Output
from model_gitops.core.dvc import artifacts
from model_gitops.core.dvc import files as dvc_files
from model_gitops.core.dvc.files import Project
from model_gitops.core.flow import directions, metrics
from model_gitops.core.flow.directions import Better
from model_gitops.errors import InputError

ENDINGS = (".json", ".yaml", ".yml", ".toml")
# Files with numbers where dvc.yaml names none: what such files are called.
_CALLED = re.compile(
    r"(?:.*[_-])?(?:metrics?|scores?|results?|eval(?:uation)?|performance|summary)(?:[_-].*)?",
    re.IGNORECASE,
)
# Not an outcome: params, lists of packages, what tools configure.
_NEVER = re.compile(r"(?:params|dvc|package|package-lock|promotion|pyproject|config.*)\.[a-z]+")
# Parts of a key or path that say which examples were used; the lower, the more they tell.
_PARTS = {
    "test": 0, "holdout": 0, "heldout": 0, "eval": 0, "evaluation": 0, "evaluate": 0, "final": 0,
    "val": 1, "valid": 1, "validation": 1, "dev": 1, "cv": 1,
    "train": 9, "training": 9,
}  # fmt: skip
_NO_PART = 2
# What a team most likely means by "better", first the most telling.
_WEIGHT = [
    "f1",
    "auc",
    "roc",
    "r2",
    "accuracy",
    "acc",
    "precision",
    "recall",
    "map",
    "ndcg",
    "iou",
    "dice",
    "mcc",
    "kappa",
    "bleu",
    "rouge",
    "rmse",
    "mae",
    "mse",
    "mape",
    "wer",
    "error",
    "loss",
]


@dataclass(frozen=True)
class Measure:
    """One number of a metrics file, with its better direction where that is known.

    `file` is from the repository's top. `order`: the lower, the better it serves as a gate.
    """

    file: str
    key: str
    value: float
    better: Better | None
    order: tuple[int, ...]

    @property
    def is_of_training(self) -> bool:
        """Whether it was measured on what the model was trained with."""
        return self.order[1] == _PARTS["train"]


@dataclass(frozen=True)
class Measures:
    """The numbers of a model, the best for a gate first, and which files could not be read, and why.

    `missing` are files that are named, and that nobody has here.
    """

    found: tuple[Measure, ...]
    problems: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def find(
    project: Project,
    made: Sequence[Output],
    model: Model,
    others: Sequence[Model],
    *,
    in_git: frozenset[str],
    read: Callable[[str], str | None],
) -> Measures:
    """Return the numbers that tell how good `model` is; `others` are the models beside it.

    `in_git` are the files that a commit would have; `read` returns the text of a file of the checkout,
    None where there is none.
    """
    found, problems, missing = list[Measure](), list[str](), list[str]()
    nearness = {
        path: near
        for path in _files(project, made, model, in_git)
        if (near := _nearness(path, made, model, others)) is not None
    }
    for path, near in nearness.items():
        if posixpath.splitext(path)[1].lower() not in ENDINGS:
            problems.append(f"{path} is of no format that a gate reads (JSON, YAML, TOML)")
            continue
        if path not in in_git and not _is_kept(path, project):
            problems.append(
                f"{path} is neither in Git nor kept by DVC, so no gate can read it of a commit:"
                f" let its stage list it under `metrics:` with `cache: false`, and take it out of .gitignore"
            )
            continue
        text = read(path)
        if text is None:
            problems.append(f"{path} is not here: `dvc pull` or `dvc repro` brings it")
            missing.append(path)
            continue
        try:
            values = metrics.load(text, source=path)
        except InputError as error:
            problems.append(error.message)
            continue
        for place, (key, value) in enumerate(values.items()):
            number = metrics.number(value)
            if number is not None and key and ":" not in key and len(key) < 300:
                better = direction(path, key)
                order = (better is None, _part(path, key), near, _weight(key), place)
                found.append(Measure(path, key, number, better, tuple(int(one) for one in order)))
    found.sort(key=lambda one: (*one.order, one.file, one.key))
    return Measures(tuple(found), tuple(problems), tuple(missing))


def direction(file: str, key: str) -> Better | None:
    """Return which direction is better; a last part that names the examples (`auc.test`) is left out."""
    parts = key.split(".")
    while parts:
        if better := directions.of(file, ".".join(parts), {}):
            return better
        if parts[-1].lower() not in _PARTS and re.search(r"[^\W\d_]", parts[-1]):
            return None
        parts.pop()
    return None


def params(project: Project, folder: str, in_git: Iterable[str]) -> list[str]:
    """Return the files of params of the pipelines in `folder`, as far as they are there."""
    there = frozenset(in_git)
    named = dict.fromkeys([posixpath.join(folder, "params.yaml")])
    for source in _pipelines(project, folder):
        data, where = project.load(source), posixpath.dirname(source)
        named |= dict.fromkeys(
            dvc_files.full_path(one, where) for one in dvc_files.names(data.get("params"))
        )
        stages = data.get("stages")
        for stage in stages.values() if isinstance(stages, dict) else ():
            listed = stage.get("params") if isinstance(stage, dict) else None
            for one in listed if isinstance(listed, list) else ():
                files = one if isinstance(one, dict) else {"params.yaml": None}
                named |= dict.fromkeys(dvc_files.full_path(str(file), where) for file in files)
    return sorted(one for one in named if one in there)


def plots(project: Project, made: Sequence[Output], folder: str) -> list[str]:
    """Return the names of the plots of the pipelines in `folder`."""
    found = dict.fromkeys(one.path for one in made if one.is_plot and _is_in(one.path, folder))
    for source in _pipelines(project, folder):
        found |= dict.fromkeys(dvc_files.names(project.load(source).get("plots")))
    return list(found)


def _pipelines(project: Project, folder: str) -> list[str]:
    return [one for one in project.called("dvc.yaml") if _is_in(one, folder)]


def _is_in(path: str, folder: str) -> bool:
    return not folder or path.startswith(f"{folder}/")


def _files(
    project: Project, made: Sequence[Output], model: Model, in_git: frozenset[str]
) -> Iterator[str]:
    """Yield the files of metrics that may be of a model: of its folder's pipelines, else by their name."""
    seen: dict[str, None] = {}
    for one in made:
        if one.is_metric:
            seen |= dict.fromkeys(_expanded(one.path, in_git))
    for source in project.called("dvc.yaml"):
        where = posixpath.dirname(source)
        for name in dvc_files.names(project.load(source).get("metrics")):
            path = dvc_files.full_path(name, where)
            if "${" not in path and "://" not in path:
                seen |= dict.fromkeys(_expanded(path, in_git))
    for source in project.files:
        if source.endswith(".dvc"):
            for entry in dvc_files.dicts(project.load(source).get("outs")):
                if entry.get("metric"):
                    where = posixpath.dirname(source)
                    seen[dvc_files.full_path(str(entry.get("path")), where)] = None
    own = [path for path in seen if _is_in(path, model.project)]
    if own or seen:
        yield from own or seen
        return
    for path in sorted(in_git, key=lambda path: (path.count("/"), path)):
        stem, ending = posixpath.splitext(posixpath.basename(path))
        if (
            ending.lower() in ENDINGS
            and _is_in(path, model.project)
            and _CALLED.fullmatch(stem)
            and not _NEVER.fullmatch(posixpath.basename(path).lower())
            and not path.startswith((".", "tests/", "node_modules/"))
        ):
            yield path


def _expanded(path: str, in_git: frozenset[str]) -> list[str]:
    """Return the files of a folder that dvc.yaml lists; a file stays itself."""
    if path in in_git:
        return [path]
    inside = [
        one
        for one in sorted(in_git)
        if one.startswith(f"{path}/") and posixpath.splitext(one)[1].lower() in ENDINGS
    ]
    return inside or [path]


def _nearness(
    path: str, made: Sequence[Output], model: Model, others: Sequence[Model]
) -> int | None:
    """Return how near a file is to a model: 0 measured of it, 1 made with it, 2 not known; None: another's."""
    stages_of = [
        one for one in made if one.stage and (path == one.path or path.startswith(f"{one.path}/"))
    ]
    makers = {(one.pipeline, one.stage) for one in stages_of}
    if not makers:
        return 2
    judged = [one for one in (model, *others) if makers & _readers(one, made)]
    if model in judged:
        return 0
    beside = [one for one in (model, *others) if makers & _makers(one, made)]
    if model in beside:
        return 1
    return None if judged or beside else 2


def _readers(model: Model, made: Sequence[Output]) -> set[tuple[str, str]]:
    return {
        (pipeline.pipeline, reader)
        for one in made
        if one.path == model.path or model.path.startswith(f"{one.path}/")
        for reader in one.readers
        for pipeline in made
        if pipeline.stage == reader
    }


def _makers(model: Model, made: Sequence[Output]) -> set[tuple[str, str]]:
    return {
        (one.pipeline, one.stage)
        for one in made
        if one.path == model.path or model.path.startswith(f"{one.path}/")
    }


def _is_kept(path: str, project: Project) -> bool:
    """Whether DVC has the file by its hash: itself, or in a folder."""
    place = path
    while place:
        try:
            return bool(artifacts.find(place, project.files).hash)
        except InputError:
            place = posixpath.dirname(place)
    return False


def _part(path: str, key: str) -> int:
    words = [word for word in re.split(r"[^a-z]+", key.lower()) if word in _PARTS]
    if not words:
        stem = posixpath.splitext(path)[0]
        words = [word for word in re.split(r"[^a-z]+", stem.lower()) if word in _PARTS]
    # `train_test_gap` says both: what it was tested with counts.
    return min((_PARTS[word] for word in words), default=_NO_PART)


def _weight(key: str) -> int:
    words = re.split(r"[^a-z0-9]+", key.lower())
    return min((_WEIGHT.index(word) for word in words if word in _WEIGHT), default=len(_WEIGHT))
