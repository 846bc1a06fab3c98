"""The files of the deploy repository: of a clone in a folder, or fetched; and what overlays are made of."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from model_gitops.adapters import deploy_manifests, paths
from model_gitops.core.deploy import containers, kustomization, layers
from model_gitops.core.deploy.containers import Container
from model_gitops.core.deploy.location import check_path
from model_gitops.core.doctor.argocd import Application, Built, Project, applications, projects
from model_gitops.core.doctor.deploying import Overlay
from model_gitops.core.document import load_yaml, mapping
from model_gitops.core.flow.environment import Environment
from model_gitops.core.flow.promotion import Promotion
from model_gitops.errors import InputError

_LARGEST = 1024 * 1024
# A repository of many applications: those files are looked into first that are likely Argo CD's.
_MOST_FILES, _DEEPEST = 500, 20
_LEFT_OUT = "config.kubernetes.io/local-config"
_LIKELY = re.compile(r"argo|apps?\b|application|project|bootstrap|cluster", re.I)
_SEPARATOR = re.compile(r"(?m)^---(?:[ \t].*)?\r?$")


class Files(deploy_manifests.Files, Protocol):
    """Where the files are, and which ones there are."""

    def files(self, commit: str) -> dict[str, str]:
        """Return all files of a commit: path → hash."""


class Folder:
    """A clone's files as they lie there, changes that are not committed included."""

    def __init__(self, top: Path) -> None:
        self._top = top.resolve()
        self._known: dict[str, str] = {}

    def files(self, commit: str) -> dict[str, str]:
        """Return the paths of all files, each for itself; `commit` is not asked."""
        found = {}
        for folder, names, files in os.walk(self._top):
            names[:] = [one for one in names if one not in (".git", ".venv", "node_modules")]
            for name in files:
                path = Path(folder, name)
                if not path.is_symlink():
                    relative = path.relative_to(self._top).as_posix()
                    found[relative] = relative
        return found

    def listed(self, commit: str, paths: Sequence[str]) -> dict[str, str]:
        """Return those of `paths` that are files, each for itself; they are looked for once."""
        self._known = self._known or self.files(commit)
        return {one: one for one in paths if one in self._known}

    def bring(self, blobs: Sequence[str]) -> None:
        """Do nothing: all is here."""

    def blob(self, sha: str) -> bytes:
        """Return the bytes of the file at this path."""
        return paths.read_bounded(self._top / sha, _LARGEST)


@dataclass(frozen=True)
class Document:
    """One YAML document, and the file that it is in. `unread` is what may change it, and is not applied."""

    file: str
    data: Any
    unread: str = ""


class Manifests:
    """What the deploy repository has at one commit."""

    def __init__(self, source: Files, commit: str = "") -> None:
        self._source = source
        self._commit = commit
        self._files = source.files(commit)
        # YAML takes long to read: each file is read once.
        self._parsed: dict[str, list[Document]] = {}
        self._made: dict[str, list[Document]] = {}
        # Environment and folder: of several models each has its own.
        self._seen: dict[tuple[str, str], Overlay] = {}

    def overlay(self, environment: Environment) -> Overlay:
        """Return an environment's overlay; one that is not there has no path."""
        key = (environment.name, environment.overlay)
        if key not in self._seen:
            self._seen[key] = self._overlay(environment)
        return self._seen[key]

    def _overlay(self, environment: Environment) -> Overlay:
        folder = check_path(environment.overlay)
        names = self._kustomizations(folder)
        if len(names) > 1:
            return Overlay(
                environment.name, folder,
                problem=f"{folder} has {' and '.join(names)}; kustomize takes only one",
                fix=f"in the deploy repository: git rm {names[1]}",
            )  # fmt: skip
        if not names:
            there = any(one.startswith(f"{folder}/") for one in self._files)
            problem = f"{folder} has no kustomization.yaml" if there else ""
            return Overlay(environment.name, folder, problem=problem)
        text = self._text(names[0])
        layer = deploy_manifests.layer_of(self._source, self._commit, names[0], text)
        problem, fix = next(self._problems(names[0], is_top=True, depth=0), ("", ""))
        return Overlay(environment.name, folder, names[0], text, layer, problem, fix)

    def _problems(self, path: str, *, is_top: bool, depth: int) -> Iterator[tuple[str, str]]:
        """Yield what no build can read below a kustomization, and what mends it."""
        plan = layers.plan(self._text(path), path, is_top=is_top)
        patches = [one.path for one in plan.patches]
        for one in (*plan.resources, *plan.components, *patches):
            below = self._kustomizations(one)
            if below and depth < _DEEPEST:
                yield from self._problems(below[0], is_top=False, depth=depth + 1)
            elif one in self._files:
                try:
                    for text in _SEPARATOR.split(self._text(one).removeprefix("\ufeff")):
                        load_yaml(text, source=one)
                except InputError as error:
                    # What is too large to be read here is none the worse for it.
                    if "is not valid YAML" in error.message:
                        yield error.message, f"correct {one} of the deploy repository"
            elif one and not below:
                name = posixpath.relpath(one, posixpath.dirname(path) or ".")
                yield (
                    f"{path} names {name}, which is not there",
                    f"in {path}: take {name} out, or add it to the deploy repository",
                )

    def base_of(self, promotion: Promotion) -> str:
        """Return the folder that an overlay is built on; empty where none says so."""
        for environment in promotion.environments:
            for path in self._kustomizations(check_path(environment.overlay)):
                plan = layers.plan(self._text(path), path, is_top=True)
                for one in plan.resources:
                    if self._kustomizations(one):
                        return one
        found = self._kustomizations("base")
        names = (promotion.name, promotion.image)
        # It may be another model's.
        is_ours = any(self._containers(path, names) for path in found)
        return "base" if is_ours else ""

    @property
    def folders(self) -> list[str]:
        """All folders that have a kustomization."""
        parts = (path.rpartition("/") for path in self._files)
        return sorted({at or "." for at, _, name in parts if name in kustomization.FILE_NAMES})

    def documents(self, path: str) -> list[Document]:
        """Return what the kustomization at `path` makes, as far as files tell: patches merged in."""
        if path not in self._made:
            self._made[path] = self._built(path, is_top=True, depth=0)
        return self._made[path]

    def containers(self, overlay: Overlay, names: Sequence[str]) -> list[Container]:
        """Return an overlay's containers whose image has one of these names."""
        return self._containers(overlay.path, names)

    def _containers(self, path: str, names: Sequence[str]) -> list[Container]:
        return [
            replace(container, unread=one.unread)
            for one in self.documents(path)
            for container in containers.read(one.data, one.file)
            if container.image.partition("@")[0].rpartition(":")[0] in names
            or container.image in names
        ]

    def built(self, overlay: Overlay) -> Built:
        """Return the namespace and the kinds of what an overlay makes."""
        kinds = dict.fromkeys(
            (str(one.data.get("apiVersion") or "").rpartition("/")[0], str(one.data["kind"]))
            for one in self.documents(overlay.path)
            if isinstance(one.data, dict) and one.data.get("kind") and not _is_left_out(one.data)
        )
        return Built(overlay.folder, self._namespace(overlay.path, 0), tuple(kinds))

    def argocd(self, repository: str) -> tuple[list[Application], list[Project]]:
        """Return Argo CD's Applications and AppProjects; `repository` is how this one is called."""
        found = [
            one
            for one in self._files
            if one.endswith((".yaml", ".yml")) and not one.startswith(".")
        ]
        found = sorted(found, key=lambda one: (_LIKELY.search(one) is None, one))[:_MOST_FILES]
        self._source.bring([self._files[one] for one in found])
        named = [path for path in found if "argoproj.io/" in self._text(path)]
        known = [one for path in named for one in self._documents(path)]
        parents = {str(one) for path in self._files for one in PurePosixPath(path).parents}
        folders = sorted(parents - {"."})
        return (
            [
                each
                for one in known
                for each in applications(one.data, one.file, repository, folders)
            ],
            [each for one in known for each in projects(one.data, one.file)],
        )

    def _kustomizations(self, folder: str) -> list[str]:
        return [one for one in kustomization.paths_in(folder) if one in self._files]

    def _text(self, path: str) -> str:
        return self._source.blob(self._files[path]).decode("utf-8", errors="replace")

    def _documents(self, path: str) -> list[Document]:
        """Return the documents of a file that are YAML."""
        if path not in self._parsed:
            text = self._text(path) if path in self._files else ""
            self._parsed[path] = list(_parsed(text.removeprefix("\ufeff"), path))
        return self._parsed[path]

    def _built(
        self, path: str, *, is_top: bool, depth: int, before: Sequence[Document] = ()
    ) -> list[Document]:
        """Return what a kustomization makes. A component changes what its parent has `before`."""
        found = list(before)
        if depth > _DEEPEST:
            return found
        plan = layers.plan(self._text(path), path, is_top=is_top)
        for one in plan.resources:
            below = self._kustomizations(one)
            if below:
                found += self._built(below[0], is_top=False, depth=depth + 1)
            else:
                found += self._documents(one)
        for one in plan.components:
            for component in self._kustomizations(one)[:1]:
                found = self._built(component, is_top=False, depth=depth + 1, before=found)
        for patch in plan.patches:
            texts = _parsed(patch.text, path) if patch.text else self._documents(patch.path)
            for each in texts:
                found = [_patched(one, patch, each.data, path) for one in found]
        if plan.unread:
            found = [replace(one, unread=f"`{plan.unread}` of {path}") for one in found]
        return found

    def _namespace(self, path: str, depth: int) -> str:
        """Return the namespace that a kustomization gives to all: its own, else its base's."""
        text = self._text(path)
        try:
            data = load_yaml(text, source=path)
        except InputError:
            return ""
        if isinstance(data, dict) and isinstance(data.get("namespace"), str):
            return str(data["namespace"])
        for one in layers.plan(text, path, is_top=depth == 0).resources:
            for below in self._kustomizations(one)[:1]:
                if depth < _DEEPEST and (found := self._namespace(below, depth + 1)):
                    return found
        return ""


def _is_left_out(data: dict[str, Any]) -> bool:
    """Whether kustomize reads a manifest and does not print it."""
    annotations = mapping(mapping(data.get("metadata")).get("annotations"))
    return str(annotations.get(_LEFT_OUT)).lower() == "true"


def _patched(one: Document, patch: layers.Patch, data: Any, path: str) -> Document:
    """Return a document with a patch; what only kustomize can apply is noted."""
    has_target = bool(patch.kind or patch.name)
    if isinstance(data, list):
        if not containers.is_target(patch.kind, patch.name, one.data):
            return one
        steps = {str(each.get("path")): each for each in data if isinstance(each, dict)}
        # A Component may make another kind of it: a Deployment becomes a Rollout.
        top = {
            key: steps[f"/{key}"].get("value")
            for key in ("apiVersion", "kind")
            if f"/{key}" in steps
        }
        if any(re.search(layers.OF_PODS, step) for step in steps):
            return replace(one, unread=f"the JSON patch of {path}")
        if f"/metadata/annotations/{_LEFT_OUT.replace('/', '~1')}" in steps:
            # Nobody sees another kind of it, and its pod is what another one takes.
            left_out = {"annotations": {_LEFT_OUT: "true"}}
            top = {"metadata": containers.merged(one.data.get("metadata") or {}, left_out)}
        return replace(one, data={**one.data, **top}) if top else one
    meant = (
        containers.is_target(patch.kind, patch.name, one.data)
        if has_target
        else containers.is_patch_of(data, one.data)
    )
    if not meant or not isinstance(data, dict):
        return one
    if "'$patch'" in str(data) or "'$retainKeys'" in str(data):
        return replace(one, unread=f"the patch of {path}")
    # A patch with a target renames nothing.
    made = {**containers.merged(one.data, data), "metadata": one.data.get("metadata")}
    if list(containers.read(made, "")) == list(containers.read(one.data, "")):
        return replace(one, data=made)
    # Who mends what runs in the pods looks there.
    return replace(one, data=made, file=patch.path or path)


def _parsed(text: str, path: str) -> Iterator[Document]:
    for one in _SEPARATOR.split(text):
        if one.strip():
            try:
                yield Document(path, load_yaml(one, source=path))
            except InputError:
                continue
