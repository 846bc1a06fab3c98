"""What DVC knows of several revisions of a plain project, read from Git and the checkout without DVC's index.

The index and what it imports take longer than all the rest of a report but its pictures.
"""

from __future__ import annotations

import csv
import io
import os
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from model_gitops.adapters.dvc_report import WORKSPACE, Values
from model_gitops.adapters.git import Git
from model_gitops.adapters.local_stores import has_settings_of_the_machine
from model_gitops.core import document
from model_gitops.core.dvc import plain_config, shown
from model_gitops.core.dvc.shown import NotPlain, Shown
from model_gitops.core.flow import metrics
from model_gitops.errors import ExternalError, InputError

_DVC_FILES = ("dvc.yaml", "dvc.lock", "params.yaml", ".dvcignore")


@dataclass
class Matched:
    """A plot as DVC hands it on: its renderer, and what went wrong, which here is nothing."""

    renderer: Any
    source_errors: dict[str, dict[str, Exception]] = field(default_factory=dict)
    definition_errors: dict[str, Exception] = field(default_factory=dict)


class Project:
    """The plain DVC project that `folder` is in, as `dvc_report.Project` is any. See there.

    Everything raises NotPlain where DVC itself must read it.
    """

    def __init__(self, git: Git, folder: Path) -> None:
        self._git, self._folder = git, folder.resolve()
        self._top = git.directory.resolve()
        self.root = _root(self._folder, self._top)
        self._trees: dict[str, _Tree] = {}

    def metrics(self, revisions: Mapping[str, str], files: Sequence[Path] = ()) -> Values:
        """Read the metrics of `revisions`: those of `files` are DVC's to find."""

        def of(tree: _Tree, file: str, name: str) -> dict[str, Any]:
            text = tree.text(file)
            shown.data_of(file, text)
            return metrics.load(text, source=name)

        return self._read(revisions, files, lambda tree: dict.fromkeys(tree.shown.metrics, ()), of)

    def params(self, revisions: Mapping[str, str], files: Sequence[Path] = ()) -> Values:
        """Read the params of `revisions`: those of `files` are DVC's to find."""

        def of(tree: _Tree, file: str, _: str) -> dict[str, Any]:
            data = shown.data_of(file, tree.text(file))
            return metrics.flatten(shown.picked(data, tree.shown.params[file]))

        return self._read(revisions, files, lambda tree: tree.shown.params, of)

    def plots(self, names: Mapping[str, str]) -> list[Matched]:
        """Return the filled renderers of the revisions in `names`: revision → its name in the plot."""
        trees = {name: self._tree(revision) for revision, name in names.items()}
        if not any(tree.shown.sources for tree in trees.values()):
            return []
        # DVC names files in a plot from where it is started.
        if Path.cwd().resolve() != self.root:
            raise NotPlain("started elsewhere")
        try:
            return list(_matched(trees, str(self.root / ".dvc" / "plots")))
        except NotPlain:
            raise
        except Exception as error:  # DVC says of each what is wrong with it
            raise NotPlain(str(error)) from error

    def _tree(self, revision: str) -> _Tree:
        if revision not in self._trees:
            commit = None if revision == WORKSPACE else revision
            folder = PurePath(os.path.relpath(self._folder, self.root)).as_posix()
            prefix = PurePath(os.path.relpath(self.root, self._top)).as_posix()
            self._trees[revision] = _Tree(self._git, self._top, prefix, folder, commit)
        return self._trees[revision]

    def _read(
        self,
        revisions: Mapping[str, str],
        files: Sequence[Path],
        listed: Callable[[_Tree], Iterable[str]],
        of: Callable[[_Tree, str, str], dict[str, Any]],
    ) -> Values:
        if files:
            raise NotPlain("files that were asked for")
        values = Values()
        for revision in revisions:
            tree = self._tree(revision)
            values.of[revision], values.unread[revision] = {}, set()
            for file in listed(tree):
                if not tree.has(file):
                    # Before its first run a commit has none, and there is nothing to say of it.
                    if revision == WORKSPACE or tree.shown.is_made(file):
                        raise NotPlain("a missing file")
                    continue
                name = PurePath(os.path.relpath(self.root / file, self._folder)).as_posix()
                try:
                    flat = of(tree, file, name)
                except InputError as error:
                    raise NotPlain(error.message) from error
                values.of[revision].update({(name, key): value for key, value in flat.items()})
        return values


class _Tree:
    """The files of the project at a commit, or in the checkout (None). Paths are from its root."""

    def __init__(self, git: Git, top: Path, prefix: str, folder: str, commit: str | None) -> None:
        self._git, self._commit = git, commit
        self._root = top / prefix
        self._folder = "" if folder == "." else f"{folder}/"
        start = "" if prefix == "." else f"{prefix}/"
        self._texts: dict[str, str] = {}
        self._objects: dict[str, str] = {}
        if commit is None:
            below = ["--", f":(top,literal){prefix}"] if start else []
            listing = git.run("ls-files", "-z", "--stage", "--cached", *below)
            more = git.run("ls-files", "-z", "--others", "--exclude-standard", *below)
            found = _entries(listing, 1)
            others = [one for one in more.split("\0") if one]
            # git names them from where it is started, which is the top.
            known = {path: mode for mode, _, path in found} | dict.fromkeys(others, "100644")
        else:
            listing = git.run("ls-tree", "-r", "-z", "--full-tree", commit)
            found = _entries(listing, 2)
            known = {path: mode for mode, _, path in found}
            self._objects = {
                path[len(start) :]: one for _, one, path in found if path.startswith(start)
            }
        inside = {
            path[len(start) :]: mode for path, mode in known.items() if path.startswith(start)
        }
        if any(mode == "160000" or path.endswith("/") for path, mode in inside.items()):
            raise NotPlain("a repository in the repository")
        self._links = {path for path, mode in inside.items() if mode == "120000"}
        self._all = inside
        if not any(path.startswith(".dvc/") for path in inside):
            raise NotPlain("no project")
        dvc = [path for path in inside if _is_dvc_file(path)]
        if commit is None:
            self._require_not_ignored(dvc)
            self._require_all_known(dvc)
        self._bring(dvc)
        here = [path for path in inside if commit or os.path.lexists(self._root / path)]
        if any(_is_dvc_file(path) for path in self._links):
            raise NotPlain("a link")
        self.shown: Shown = shown.of(set(here), self.text, self._is_own)
        self._bring([*self.shown.metrics, *self.shown.params, *self.shown.sources])

    def has(self, path: str) -> bool:
        """Whether there is such a file. Raises NotPlain for a folder, or a link."""
        if self._commit is None:
            file = self._root / path
            if not os.path.lexists(file):
                return False
            if not stat.S_ISREG(file.lstat().st_mode) or file.resolve() != file:
                raise NotPlain("no file")
            return True
        if path in self._links or any(one.startswith(f"{path}/") for one in self._all):
            raise NotPlain("no file")
        if any(path.startswith(f"{one}/") for one in self._links):
            raise NotPlain("a link")
        return path in self._all

    def text(self, path: str) -> str:
        """Return the text of a file, as DVC reads it. Raises NotPlain."""
        if path not in self._texts:
            if not self.has(path):
                raise NotPlain("a missing file")
            if self._commit is not None:
                self._bring([path])
            else:
                file = self._root / path
                if file.stat().st_size > document.LARGEST:
                    raise NotPlain("a large file")
                self._texts[path] = _read(file)
        return self._texts[path]

    def _bring(self, paths: Sequence[str]) -> None:
        """Read files of a commit in one process."""
        wanted = [one for one in paths if one in self._objects and one not in self._texts]
        if self._commit is None or not wanted:
            return
        try:
            contents = self._git.blobs([self._objects[path] for path in wanted])
        except ExternalError as error:
            raise NotPlain(error.message) from error
        self._texts |= {path: _decoded(one) for path, one in zip(wanted, contents, strict=True)}

    def _is_own(self, path: str) -> bool:
        return path.startswith(self._folder)

    def _require_not_ignored(self, paths: Sequence[str]) -> None:
        """Raise NotPlain where one that git knows matches .gitignore: DVC does not look at it."""
        said = self._git.completed(
            "check-ignore", "--no-index", "-z", "--stdin",
            input="\0".join(str(self._root / path) for path in paths), check=False,
        )  # fmt: skip
        if said.returncode != 1:
            raise NotPlain("an ignored file")

    def _require_all_known(self, paths: Sequence[str]) -> None:
        """Raise NotPlain where git does not tell of a file that DVC reads beside what it does tell of."""
        folders = {str(parent) for path in ["x", *paths] for parent in PurePath(path).parents}
        for folder in folders:
            for name in ("params.yaml", ".dvcignore"):
                path = name if folder == "." else f"{folder}/{name}"
                if path not in self._all and os.path.lexists(self._root / path):
                    raise NotPlain("an ignored file")


def _matched(trees: Mapping[str, _Tree], templates: str) -> Iterable[Matched]:
    """Go through the plots as DVC does, whose own code fills each: `dvc.render.match`, `dvc.repo.plots`."""
    from dvc.render.converter.vega import VegaConverter
    from dvc.utils.plots import group_definitions_by_id
    from dvc_render import VegaRenderer

    groups: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
    for name, tree in trees.items():
        definitions = {file: {"data": plots} for file, plots in tree.shown.plots.items()}
        for plot, (inner, told) in group_definitions_by_id(definitions).items():
            groups.setdefault(plot, []).append((name, inner, told))
    read: dict[tuple[str, str], Any] = {}
    for plot, group in groups.items():
        properties: dict[str, Any] = {}
        for _, _, told in reversed(group):
            properties |= told
        properties["template_dir"] = templates
        points: list[dict[str, Any]] = []
        first: dict[str, Any] = {}
        revisions = []
        for name, inner, told in group:
            data = {}
            for file in dict.fromkeys(shown.sources(inner, told)):
                if (name, file) not in read:
                    read[name, file] = _data(file, trees[name].text(file))
                if read[name, file]:
                    data[file] = read[name, file]
            found, own = VegaConverter(inner, data, properties).flat_datapoints(name)
            if found and name not in revisions:
                revisions.append(name)
            first = first or own
            points += found
        first.setdefault("title", plot)
        if revisions:
            first["revs_with_datapoints"] = revisions
        yield Matched(VegaRenderer(points, plot, **first))


def _data(path: str, text: str) -> Any:
    if path.endswith((".csv", ".tsv")):
        return list(
            csv.DictReader(io.StringIO(text), delimiter="\t" if path.endswith(".tsv") else ",")
        )
    return shown.data_of(path, text)


def _decoded(data: bytes) -> str:
    if document.is_lfs_pointer(data) or b"\r" in data or data.startswith(b"\xef\xbb\xbf"):
        raise NotPlain("a file in another form")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotPlain("a file in another form") from error


def _is_dvc_file(path: str) -> bool:
    return path.endswith(".dvc") or PurePath(path).name in _DVC_FILES


def _entries(listing: str, of_hash: int) -> list[tuple[str, str, str]]:
    """Return mode, hash and path of each entry that `ls-tree` or `ls-files` lists; the hash is field `of_hash`."""
    parts = (line.partition("\t") for line in listing.split("\0") if line)
    split = ((fields.split(" "), path) for fields, _, path in parts)
    return [(fields[0], fields[of_hash], path) for fields, path in split]


def _root(folder: Path, top: Path) -> Path:
    """Return the top of the DVC project that `folder` is in. Raises NotPlain, also for its settings."""
    root = next((one for one in (folder, *folder.parents) if (one / ".dvc").is_dir()), None)
    if root is None or not root.is_relative_to(top):
        raise NotPlain("no project")
    if has_settings_of_the_machine():
        raise NotPlain("settings of the machine")
    files = (root / ".dvc" / name for name in ("config", "config.local"))
    if not plain_config.are_plain([_read(one) for one in files if os.path.lexists(one)]):
        raise NotPlain("settings")
    return root


def _read(file: Path) -> str:
    try:
        return _decoded(file.read_bytes())
    except OSError as error:  # another account's
        raise NotPlain(str(error)) from error
