"""Say which models a change touches."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Annotated

from model_gitops import runner
from model_gitops.adapters import changes, git, project_files, promotion_file
from model_gitops.core.dvc.reads import Reads
from model_gitops.core.flow import spelling, touched
from model_gitops.core.flow.touched import Touched
from model_gitops.core.markdown import code
from model_gitops.errors import InputError
from model_gitops.options import lines, option

OUTPUTS = ("models", "any")

# More jobs no matrix of GitHub's may have.
_MOST = 256


def command(
    base: Annotated[
        str,
        option(
            "base",
            "Branch or commit that the checkout is compared with. Default: from the event; of one that"
            " changes nothing, as a schedule, every model.",
        ),
    ] = "",
    ignore: Annotated[
        str,
        option(
            "ignore", "Folders whose promotion.yaml is no model's, one a line: examples, tests."
        ),
    ] = "",
) -> None:
    """Find each promotion.yaml, and put out those whose model the change touches."""
    ignored = [spelling.ignored_folder(one) for one in lines(ignore)]
    repository = git.open_repository(Path.cwd())
    change = changes.find(runner.context(), repository, base)
    now = _configs(repository, change.commit, ignored)
    before = {config for one in change.bases or () for config in _configs(repository, one, ignored)}
    paths = changes.paths(repository, change)
    folders = frozenset(posixpath.dirname(one) for one in now)
    trees = _Trees(repository, folders, touched.first_of_each(paths, folders))
    found = [one for config in now if (one := _touched(trees, change, config, paths, before))]
    if len(found) > _MOST:
        raise InputError(
            f"the change touches {len(found)} models, and a matrix has {_MOST} jobs at most",
            fix="split the change",
        )
    for config in sorted(before.difference(now)):
        runner.warning(f"{config} is removed: nothing of its model is checked or deployed any more")
    runner.write_outputs(
        {
            "models": json.dumps([_entry(one) for one in found]),
            "any": "true" if found else "false",
        }
    )
    runner.write_summary(_summary(change, now, found, sorted(before.difference(now))))


def _configs(repository: git.Git, commit: str, ignored: Sequence[str]) -> list[str]:
    """Return the promotion.yaml files at a commit, from the top."""
    return spelling.configs(changes.listing(repository, commit), ignored)


class _Trees:
    """The commits that are read, each once for all models."""

    def __init__(
        self, repository: git.Git, folders: frozenset[str], own: Mapping[str, str]
    ) -> None:
        self.repository = repository
        # Of all models: where they are, and the first path that each has changed there.
        self.folders = folders
        self.own = own
        self.reads = cache(self._reads)
        self.links = cache(partial(changes.links, repository))

    def _reads(self, commit: str) -> Reads:
        files = project_files.at(self.repository, commit)
        files.bring()
        return Reads(files)


def _touched(
    trees: _Trees,
    change: changes.Change,
    config: str,
    paths: Sequence[str],
    before: Iterable[str],
) -> Touched | None:
    try:
        promotion = promotion_file.read_at(trees.repository, change.commit, config)
    except InputError as error:
        folder = posixpath.dirname(config)
        if not folder:
            raise
        fix = f"{error.fix}\nwhere it is no model's, for changed-models: ignore: {folder}"
        raise InputError(error.message, fix=fix.lstrip()) from error
    if promotion is None:
        return None
    if change.bases is None:
        return Touched(config, promotion)
    is_new = config not in before
    folders = trees.folders
    # Its own folder first: then nothing else has to be read.
    path = trees.own.get(promotion.folder, "")
    # Else its promotion.yaml is the same at all of these; what other files say may differ.
    for commit in change.rules:
        if not path:
            scope = touched.scope(promotion, trees.reads(commit), folders, trees.links(commit))
            path = touched.first(paths, promotion.folder, folders, scope)
    return Touched(config, promotion, path, is_new) if path else None


def _entry(one: Touched) -> dict[str, object]:
    return {
        "config": one.config,
        "folder": one.promotion.folder or ".",
        "model": one.promotion.model,
        "new": one.is_new,
    }


def _summary(
    change: changes.Change, configs: Sequence[str], found: Sequence[Touched], removed: Sequence[str]
) -> str:
    title = f"{len(found)} of {len(configs)} models" if found else "No model"
    rows = [f"### Touched: {title}", ""]
    if change.bases is None:
        rows += [f"Every model counts{': ' + change.why if change.why else ''}.", ""]
    if not configs:
        rows += ["There is no promotion.yaml in this repository.", ""]
    if found:
        rows += ["| model | folder | touched by |", "|---|---|---|"]
        rows += [
            f"| {code(one.promotion.model)} | {code(one.promotion.folder or '.')} |"
            f" {code(one.path) if one.path else ''}{' (new)' if one.is_new else ''} |"
            for one in found
        ]
    rows += [f"{code(one)} is removed." for one in removed]
    return "\n".join(rows) + "\n"
