"""The DVC project of a folder, compared with its base and its incumbent, for a report."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_gitops import runner
from model_gitops.adapters import dvc_report, git, paths, plain_report, project_files
from model_gitops.adapters import plots as plot_pictures
from model_gitops.adapters.baseline import Baseline
from model_gitops.adapters.process import NoAnswer
from model_gitops.adapters.vega import Vega
from model_gitops.core.dvc.shown import NotPlain
from model_gitops.core.flow import directions
from model_gitops.core.flow.promotion import Promotion
from model_gitops.core.report import comparison
from model_gitops.core.report.comparison import Column, Comparison, Place
from model_gitops.core.report.pictures import Picture
from model_gitops.errors import InputError

_MOST_LOOKED_AT = 1024 * 1024
_Looked = tuple[dvc_report.Values, dvc_report.Values, Sequence[Any]]


@dataclass(frozen=True)
class Compared:
    """What the project holds, compared. `compared` is False where nobody looked."""

    metrics: Comparison
    params: Comparison
    pictures: Sequence[Picture]
    problems: Sequence[str]
    compared: bool = True


def foresee_plots(folder: Path, vega: Vega) -> None:
    """Have `vega` start where a look at dvc.yaml makes plots likely: it is ready then when they are read."""
    # Whatever is wrong, it is told where plots are read or drawn.
    with suppress(OSError, NoAnswer):
        if b"plots" in paths.read_bounded(folder / "dvc.yaml", _MOST_LOOKED_AT):
            vega.begin()


def read(
    repository: git.Git,
    folder: Path,
    baseline: Baseline,
    metrics: Sequence[str],
    params: Sequence[str],
    assets: Path | None,
    vega: Vega,
) -> Compared:
    """Read and compare what DVC knows of `folder`; draw the plots into `assets`, if given."""
    names = baseline.names
    problems = list(baseline.problems)
    pictures: Sequence[Picture] = ()

    def content(revision: str, file: Path) -> str | None:
        path = os.path.relpath(file, repository.directory.resolve())
        commit = None if revision == dvc_report.WORKSPACE else revision
        return None if path.startswith("..") else project_files.read_file(repository, path, commit)

    asked = (_inside("metrics", metrics), _inside("params", params))
    shown = {dvc_report.WORKSPACE: "candidate"}
    if commit := baseline.base_commit or baseline.incumbent_commit:
        shown[commit] = names[commit]

    def looked(project: plain_report.Project | dvc_report.Project) -> _Looked:
        found = project.metrics(names, asked[0]), project.params(names, asked[1])
        return *found, project.plots(shown) if assets else []

    def draw(matched: Sequence[Any]) -> tuple[list[Picture], list[str]]:
        if not assets:
            return [], []
        return plot_pictures.draw(matched, assets, candidate=shown[dvc_report.WORKSPACE], vega=vega)

    try:
        values, changes, matched = looked(plain_report.Project(repository, folder))
    except NotPlain:
        with dvc_report.open_project(folder, content) as opened:
            values, changes, matched = looked(opened)
            pictures, missing = draw(matched)
    else:
        pictures, missing = draw(matched)
    problems += missing
    problems += [*values.problems, *changes.problems]
    compared = comparison.compare_metrics(
        [Column(name, values.of[one], values.unread[one]) for one, name in names.items()],
        lambda place: _better(baseline.promotion, place),
        reference=-2 if len(names) > 1 else -1,
    )
    changed = comparison.compare_params(
        [Column(name, changes.of[one]) for one, name in names.items()]
    )
    for problem in problems:
        runner.say(problem)
    return Compared(compared, changed, pictures, list(dict.fromkeys(problems)))


def _better(promotion: Promotion | None, place: Place) -> directions.Better | None:
    """Return which direction of a metric is better, by the rules that judge, else by its name."""
    file, key = place
    if promotion is None:
        return directions.of(file, key, {})
    return promotion.better(posixpath.normpath(posixpath.join(promotion.folder, file)), key)


def _inside(name: str, files: Sequence[str]) -> list[Path]:
    top = Path.cwd().resolve()
    for file in files:
        if not paths.is_inside(top / file, top):
            raise InputError.of(name, file, "the file must be inside the project")
    return [top / file for file in files]
