"""How a model is evaluated: the stages between it and its metrics, and the data that these read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from model_gitops.core.dvc import files as dvc_files
from model_gitops.core.dvc import stages as dvc_stages
from model_gitops.core.dvc.artifacts import Artifact
from model_gitops.core.dvc.files import Project, Tracked
from model_gitops.core.dvc.stages import LockedStage
from model_gitops.errors import InputError


@dataclass(frozen=True)
class Plan:
    """The stages to run, the first one first, and what they read beside the model.

    `data` has the hashes that dvc.lock has for the evaluation. Git may have some of it: its code.
    """

    stages: tuple[LockedStage, ...]
    data: tuple[Tracked, ...]

    @property
    def name(self) -> str:
        """The names of the stages, for people."""
        return ", ".join(stage.name for stage in self.stages)

    def writes(self, path: str) -> bool:
        """Whether one of the stages writes the file."""
        return any(_is_in(path, out.path) for stage in self.stages for out in stage.outs)

    @property
    def outs(self) -> list[str]:
        """The paths of all that the stages write."""
        return sorted(out.path for stage in self.stages for out in stage.outs)


def plan(model: Artifact, wanted: Sequence[str], files: Mapping[str, str]) -> Plan:
    """Find the stages that make the files `wanted` of `model`, and what these stages read.

    `files` are DVC's, path from the top → text. Raises InputError where a file is written by no
    stage that reads the model, or a stage reads something else that comes from the training.
    """
    return _Planner(model, files).plan(wanted)


def measurable(model: Artifact, path: str, files: Mapping[str, str]) -> bool:
    """Whether a stage that reads the model writes `path`: directly, or by what another one made."""
    planner = _Planner(model, files)
    writer = planner.writer(path)
    return writer is not None and planner.judges(writer)


def comparable(
    path: str,
    champion: tuple[Artifact, Mapping[str, str]],
    candidate: tuple[Artifact, Mapping[str, str]],
) -> bool:
    """Whether the numbers in `path` of two commits, each (model, DVC's files), can be compared.

    They can where the stages between model and metrics read the same data and code and run the same
    commands with the same params, by dvc.lock. False too where such stages are not known.
    """
    try:
        return _reads(path, *champion) == _reads(path, *candidate)
    except InputError:
        return False


def _reads(path: str, model: Artifact, files: Mapping[str, str]) -> tuple[object, ...]:
    found = plan(model, [path], files)
    return (
        [(one.name, one.command, one.params) for one in found.stages],
        {one.path: (one.hash_name, one.hash) for one in found.data},
    )


class _Planner:
    def __init__(self, model: Artifact, files: Mapping[str, str]) -> None:
        self._model = model
        self._project = Project(files)
        self._stages = list(dvc_stages.locked(self._project))
        self._trainer = self.writer(model.path)

    def plan(self, wanted: Sequence[str]) -> Plan:
        ordered: list[LockedStage] = []
        for path in wanted:
            writer = self.writer(path)
            if writer is None or not self.judges(writer):
                said = (
                    f"stage {writer.name!r}, which does not read it" if writer else "no stage of it"
                )
                raise InputError(
                    f"{path} can't be measured for the model {self._model.path}: by dvc.lock it is"
                    f" written by {said}",
                    fix="make the evaluation a stage of its own in dvc.yaml: the model under `deps:`,"
                    f" {path} under `metrics:`",
                )
            self._add(writer, ordered)
        data: dict[str, Tracked] = {}
        for stage in ordered:
            for dep in stage.deps:
                data.update((one.path, one) for one in self._read(stage, dep, ordered))
        return Plan(tuple(ordered), tuple(data.values()))

    def writer(self, path: str) -> LockedStage | None:
        return next(
            (one for one in self._stages if any(_overlap(path, out.path) for out in one.outs)), None
        )

    def judges(self, stage: LockedStage, seen: tuple[LockedStage, ...] = ()) -> bool:
        """Whether the stage reads the model, or what a stage made that does."""
        return any(
            _overlap(dep.path, self._model.path)
            or ((maker := self.writer(dep.path)) is not None
                and maker not in (*seen, stage)
                and self.judges(maker, (*seen, stage)))
            for dep in stage.deps
        )  # fmt: skip

    def _add(self, stage: LockedStage, ordered: list[LockedStage]) -> None:
        """Put the stage behind those that it needs, and that read the model too."""
        for dep in stage.deps:
            maker = self.writer(dep.path)
            if maker and maker not in (stage, self._trainer, *ordered) and self.judges(maker):
                self._add(maker, ordered)
        if stage not in ordered:
            ordered.append(stage)

    def _read(
        self, stage: LockedStage, dep: Tracked, ordered: Sequence[LockedStage]
    ) -> Iterator[Tracked]:
        """Go through what must be there for a dependency: itself, or what is tracked inside of it."""
        if "://" in dep.path or _is_in(dep.path, self._model.path):
            return  # the stage reads it where it is; a part of the model comes with the model
        outs = [
            (out, maker)
            for maker in self._stages
            for out in maker.outs
            if _is_in(out.path, dep.path) and out.path != dep.path
        ]
        added = [(one, None) for one in dvc_files.below(self._project, dep.path)]
        for out, maker in (*outs, *added) if outs or added else ((dep, self.writer(dep.path)),):
            if _overlap(out.path, self._model.path) or maker in ordered:
                continue
            if maker is not None and maker == self._trainer:
                raise InputError(
                    f"stage {stage.name!r} reads {out.path}, which stage {maker.name!r} makes beside"
                    f" the model {self._model.path}: one model would be measured with the other's",
                    fix="let the training write both into one folder, and make it the artifact's `path`",
                )
            yield out


def _is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def _overlap(one: str, other: str) -> bool:
    return _is_in(one, other) or _is_in(other, one)
