"""The manifests that an overlay of the deploy repository uses, read from Git without a checkout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from model_gitops.core.deploy import kustomization, layers
from model_gitops.core.deploy.layers import Plan
from model_gitops.core.deploy.manifests import Layer, Spec, Use, specs_of
from model_gitops.core.document import load_yaml
from model_gitops.errors import ActionError, InputError

# Real overlays have some tens of files with some kB each. What is larger is left unread.
_MOST_FILES, _MOST_BYTES, _DEEPEST = 300, 1024 * 1024, 20
# Of paths that may be files or folders.
_MOST_LOOKED = 3000


class Files(Protocol):
    """Where the files are: a deploy repository's store, or a clone's folder."""

    def listed(self, commit: str, paths: Sequence[str]) -> dict[str, str]:
        """Return those of `paths` that are files of a commit: path → hash."""

    def bring(self, blobs: Sequence[str]) -> None:
        """Fetch the files of these hashes in one request."""

    def blob(self, sha: str) -> bytes:
        """Return a file's bytes."""


def layer_of(store: Files, commit: str, path: str, text: str) -> Layer:
    """Return the kustomization `path`, whose text is `text`, with all that it builds on at `commit`.

    Where a part can't be read (a remote base, a chart, a server that does not answer) it is not known.
    """
    try:
        return _Reader(store, commit).read(path, text)
    except (ActionError, RecursionError):
        return Layer(path, is_known=False)


class _Reader:
    """Reads files in as few requests as there are levels of kustomizations, and one more."""

    def __init__(self, store: Files, commit: str) -> None:
        self._store = store
        self._commit = commit
        # What was looked for, with its hash; None for what is not there.
        self._files: dict[str, str | None] = {}
        self._plans: dict[str, Plan] = {}
        self._texts: dict[str, str] = {}
        self._left = _MOST_BYTES

    def read(self, path: str, text: str) -> Layer:
        self._texts[path] = text
        level = [path]
        for _ in range(_DEEPEST):
            self._bring(level)
            plans = {one: layers.plan(self._text(one), one, is_top=one == path) for one in level}
            self._plans |= plans
            below = [
                folder
                for plan in plans.values()
                for folder in (*plan.resources, *plan.components)
                if folder
            ]
            self._look(
                [name for folder in below for name in (folder, *kustomization.paths_in(folder))]
            )
            found = dict.fromkeys(self._kustomization(folder) for folder in below)
            level = [one for one in found if one and one not in self._plans]
            if not level:
                break
        others = [
            one
            for plan in self._plans.values()
            for one in (*plan.configurations, *(patch.path for patch in plan.patches))
            if one
        ]
        self._look(others)
        resources = [one for plan in self._plans.values() for one in plan.resources]
        self._bring([one for one in (*resources, *others) if self._files.get(one)])
        return self._layer(path, 0)

    def _look(self, paths: Sequence[str]) -> None:
        """Find out which of these paths are files, in one request."""
        wanted = [one for one in dict.fromkeys(paths) if one not in self._files and one != "."]
        if len(self._files) + len(wanted) > _MOST_LOOKED:
            raise InputError("the overlay names too many files")
        found = self._store.listed(self._commit, wanted) if wanted else {}
        self._files |= {one: found.get(one) for one in wanted}

    def _layer(self, path: str, depth: int) -> Layer:
        plan = self._plans.get(path)
        if plan is None or not plan.is_known or depth > _DEEPEST:
            return Layer(path, is_known=False)
        bases: list[Layer] = []
        uses: list[Use] = []
        specs: list[Spec] = []
        for one in plan.resources:
            if below := self._kustomization(one):
                bases.append(self._layer(below, depth + 1))
            else:
                uses += layers.manifests(self._text(one), one)
        for patch in plan.patches:
            text = patch.text or self._text(patch.path)
            uses += layers.patched(text, patch.path or path, patch.kind)
        for one in plan.configurations:
            specs += specs_of(load_yaml(self._text(one), source=one))
        components = [self._layer(self._kustomization(one), depth + 1) for one in plan.components]
        return Layer(path, plan.images, tuple(uses), tuple(bases), tuple(components), tuple(specs))

    def _kustomization(self, folder: str) -> str:
        """Return the kustomization of a folder; empty where it has none, or is a file."""
        found = [one for one in kustomization.paths_in(folder) if self._files.get(one)]
        return found[0] if len(found) == 1 else ""

    def _bring(self, paths: list[str]) -> None:
        if len(self._texts) + len(paths) > _MOST_FILES:
            raise InputError("the overlay uses too many files")
        missing = (self._files.get(one) for one in paths if one not in self._texts)
        self._store.bring([sha for sha in missing if sha])

    def _text(self, path: str) -> str:
        """Return a file's text. Raises InputError where there is none, or it is too large."""
        if path not in self._texts:
            sha = self._files.get(path)
            if not sha:
                raise InputError(f"{path} is not in the repository")
            blob = self._store.blob(sha)
            self._left -= len(blob)
            if self._left < 0:
                raise InputError("the overlay's files are too large")
            self._texts[path] = blob.decode("utf-8", errors="replace")
        return self._texts[path]
