"""What DVC knows of several revisions, read in one process with the repository opened once."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from model_gitops.adapters import dvc_git
from model_gitops.core.flow import metrics
from model_gitops.core.report.comparison import Place
from model_gitops.errors import InputError

WORKSPACE = "workspace"
# The text of a file at a revision, None where it is not in Git.
Content = Callable[[str, Path], str | None]


def _not_in_git(_: str, __: Path) -> None:
    return None


@dataclass
class Values:
    """Metrics or params: revision → place → value, and why some could not be read.

    `unread` are the files of a revision that are there and could not be read.
    """

    of: dict[str, dict[Place, Any]] = field(default_factory=dict)
    unread: dict[str, set[str]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


class Project:
    """The DVC project that `folder` is in. Use as the context manager `open_project`.

    Files are named from `folder`. Where the project is larger, what is outside of `folder` is another
    model's, and is left out unless it is asked for.
    """

    def __init__(self, repo: Any, folder: Path, content: Content) -> None:
        self._repo = repo
        self._folder = folder
        self._content = content

    @property
    def root(self) -> Path:
        """The project's top folder."""
        return Path(self._repo.root_dir)

    def metrics(self, revisions: Mapping[str, str], files: Sequence[Path] = ()) -> Values:
        """Read the metrics of `revisions` (WORKSPACE or a full hash → its name), of `files` or all."""
        return self._read(self._repo.metrics, revisions, files, self._content)

    def params(self, revisions: Mapping[str, str], files: Sequence[Path] = ()) -> Values:
        """Read the params of `revisions`, of `files` or all."""
        return self._read(self._repo.params, revisions, files)

    def plots(self, names: Mapping[str, str]) -> list[Any]:
        """Return DVC's filled renderers of the revisions in `names`: revision → its name in the plot.

        Each has `renderer`, `source_errors` and `definition_errors`. The templates are DVC's own or
        the project's. Without any plot definition the list is empty.
        """
        from dvc.render.match import match_defs_renderers

        data = self._repo.plots.show(revs=list(names))
        for content in data.values():
            found = content.get("definitions", {})
            found["data"] = self._own_plots(found.get("data") or {})
        # The first revision that has a plot gives its properties: the candidate's own come first.
        named = {names[revision]: data[revision] for revision in names if revision in data}
        return list(match_defs_renderers(named, templates_dir=self._repo.plots.templates_dir))

    def _own_plots(self, definitions: Mapping[str, Any]) -> dict[str, Any]:
        """Return the plots of the folder's own files: by the dvc.yaml that defines them, else their own.

        DVC's shape: file of the definitions (empty: outputs of stages) → `data` → plot.
        """
        own = {file: plots for file, plots in definitions.items() if file and self._is_own(file)}
        if outputs := definitions.get(""):
            plots = {
                path: one for path, one in (outputs.get("data") or {}).items() if self._is_own(path)
            }
            own[""] = {**outputs, "data": plots}
        return own

    def _is_own(self, path: str) -> bool:
        return not self._name(path).startswith("../")

    def _place(self, path: str) -> Path:
        """Return where a file is that DVC names: from the project's root, wherever we are."""
        return self.root / path

    def _name(self, path: str) -> str:
        """Return how a file that DVC names is called from the folder."""
        return PurePath(os.path.relpath(self._place(path), self._folder)).as_posix()

    def _read(
        self,
        what: Any,
        revisions: Mapping[str, str],
        files: Sequence[Path],
        content_of: Content = _not_in_git,
    ) -> Values:
        found = what.show(
            targets=[str(file) for file in files] or None,
            revs=[revision for revision in revisions if revision != WORKSPACE],
            hide_workspace=False,
        )
        values = Values()
        for revision, called in revisions.items():
            result = found.get(revision, {})
            values.of[revision], values.unread[revision] = {}, set()
            not_made = self._not_made(revision, result.get("data") or {})
            if error := result.get("error"):
                values.problems.append(_problem("the project", called, error))
            for file, content in (result.get("data") or {}).items():
                name = self._name(file)
                if file in not_made or (not files and not self._is_own(file)):
                    continue
                if error := content.get("error"):
                    values.problems.append(_problem(name, called, error))
                    values.unread[revision].add(name)
                    continue
                try:
                    text = content_of(revision, self._place(file))
                    flat = (
                        metrics.flatten(content.get("data"))
                        if text is None
                        else metrics.load(text, source=name)
                    )
                except InputError as refused:
                    values.problems.append(_problem(name, called, refused))
                    values.unread[revision].add(name)
                    continue
                values.of[revision].update({(name, key): value for key, value in flat.items()})
        return values

    def _not_made(self, revision: str, data: Mapping[str, Any]) -> set[str]:
        """Return which missing files no run had made yet at a commit: nothing of theirs is in dvc.lock.

        Before the first model that is no fault, and there is nothing to compare with.
        """
        missing = {
            file for file, read in data.items() if isinstance(read.get("error"), FileNotFoundError)
        }
        if revision == WORKSPACE or not missing:
            return set()
        with self._repo.switch(revision):
            relative = self._repo.fs.relpath
            made = {
                PurePath(relative(out.fs_path, self._repo.root_dir))
                for out in self._repo.index.outs
                if out.hash_info
            }
        return {
            file for file in missing if made.isdisjoint([PurePath(file), *PurePath(file).parents])
        }


@contextmanager
def open_project(folder: Path, content: Content = _not_in_git) -> Iterator[Project]:
    """Open the DVC project that `folder` is in; a Git repository without DVC has no metrics.

    `content` is what metrics are read from where it has any: DVC leaves out what is in lists, and what
    is null. Raises InputError where DVC can't read the project.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    # DVC tells of each revision that it can't read; the report says so once, in its own words.
    logging.getLogger("dvc").setLevel(logging.ERROR)
    dvc_git.trust_as_git_does()
    try:
        repo = Repo(str(folder), uninitialized=True)
    except DvcException as error:
        raise InputError(
            f"DVC can't open the project in {str(folder)!r}: {error}", fix="dvc doctor"
        ) from error
    try:
        yield Project(repo, folder.resolve(), content)
    except DvcException as error:
        raise InputError(f"DVC can't read the project: {error}", fix="dvc status") from error
    finally:
        repo.close()


def _problem(what: str, revision: str, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return (
            f"{what} is missing in {revision}: it is neither in Git nor in the DVC cache of this "
            "machine (`cache: false` in dvc.yaml keeps it in Git)"
        )
    said = str(error).strip().splitlines()
    return f"{what} can't be read in {revision}: {said[0][:200] if said else type(error).__name__}"
