"""What a kustomization is built of: the paths it names, and the images that stand in it itself."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from model_gitops.core.deploy import kustomization
from model_gitops.core.deploy.kustomization import Image
from model_gitops.core.deploy.manifests import Use, uses_of, uses_of_operations
from model_gitops.core.document import load_yaml
from model_gitops.errors import InputError

# What makes or changes manifests in a way that can't be read off the files.
_UNSEEN = ("generators", "transformers", "helmCharts", "helmChartInflationGenerator")
# Where a patch or a replacement changes who runs a container, what it starts, or its ports.
OF_PODS = (
    r"securityContext|runAs|command|\bargs|[pP]orts?\b|Probe|template(?:[./]spec)?(?![\w./])"
    r"|ontainers(?:/\d+|/-|\.\d+|\.\[[^\]]*\])?(?![\w./=\[])"
)


@dataclass(frozen=True)
class Patch:
    """A patch: the file that holds it, or its text, and the kind and name of what it is for."""

    path: str = ""
    text: str = ""
    kind: str = ""
    name: str = ""


@dataclass(frozen=True)
class Plan:
    """The paths that a kustomization names, relative to the top of the repository.

    `is_known` is false where it names what is not in the repository, or can't be read off its files.
    `unread` is the key by which it may change what runs in pods, and which nobody reads here.
    """

    images: tuple[Image, ...] = ()
    resources: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    patches: tuple[Patch, ...] = ()
    configurations: tuple[str, ...] = ()
    is_known: bool = True
    unread: str = ""


def plan(text: str, path: str, *, is_top: bool) -> Plan:
    """Read the kustomization `path`. What can't be read makes a plan that is not known.

    `is_top` says that it is the one that is built, and no other one's base or component.
    """
    try:
        images = tuple(one.written for one in kustomization.parse(text, path).entries)
        data = load_yaml(text, source=path)
    except InputError:
        return Plan(is_known=False)
    if not isinstance(data, Mapping):
        return Plan(is_known=False)
    folder = posixpath.dirname(path)
    found: dict[str, list[str]] = {}
    # A component changes what is not below its folder, as do images on their own.
    is_whole = data.get("kind") != "Component" or not is_top
    is_known = is_whole and not any(data.get(key) for key in _UNSEEN) and not _sets_images(data)
    for key in ("resources", "bases", "components", "configurations"):
        for one in _texts(data.get(key)):
            at = _inside(folder, one)
            is_known = is_known and bool(at)
            found.setdefault(key, []).append(at)
    patches = list(_patches(data, folder))
    if is_top and not found.get("resources") and not found.get("bases"):
        is_known = is_known and bool(found.get("components"))
    return Plan(
        images,
        (*found.get("resources", ()), *found.get("bases", ())),
        tuple(found.get("components", ())),
        tuple(patches),
        tuple(found.get("configurations", ())),
        is_known,
        _unread(data),
    )


def manifests(text: str, path: str) -> tuple[Use, ...]:
    """Return the images of the manifests in a file. Raises InputError for what is no YAML."""
    return tuple(use for data in _documents(text, path) for use in uses_of(data, path))


def patched(text: str, path: str, kind: str) -> tuple[Use, ...]:
    """Return the images that a patch sets. Raises InputError for what is no YAML, or can't be read off it."""
    found: list[Use] = []
    for data in _documents(text.removeprefix("\ufeff"), path):
        # A list is a JSON patch, a mapping a part of a manifest.
        is_list = isinstance(data, list)
        found += uses_of_operations(data, kind, path) if is_list else uses_of(data, path)
    return tuple(found)


def _documents(text: str, path: str) -> Iterator[Any]:
    # To read YAML takes long, and most documents of a large file have no image.
    for one in re.split(r"(?m)^---(?:[ \t].*)?\r?$", text):
        if re.search("image|Image|oci://", one) and not re.search(
            r"(?m)^kind:\s*[\"']?CustomResourceDefinition\b", one
        ):
            yield load_yaml(one, source=path)


def _patches(data: Mapping[str, Any], folder: str) -> Iterator[Patch]:
    for one in _texts(data.get("patchesStrategicMerge")):
        yield _patch(folder, one)
    for key in ("patches", "patchesJson6902"):
        for one in data.get(key) or ():
            if isinstance(one, Mapping):
                target = one.get("target")
                told = target if isinstance(target, Mapping) else {}
                kind, name = (str(told.get(part) or "") for part in ("kind", "name"))
                text = str(one.get("patch") or "")
                path = "" if text else _inside(folder, str(one.get("path") or ""))
                yield Patch(path, text, kind, name)
            elif isinstance(one, str):
                yield _patch(folder, one)


def _unread(data: Mapping[str, Any]) -> str:
    for key in ("transformers", "replacements", "vars"):
        told = data.get(key)
        if key == "replacements" and isinstance(told, list):
            # One in a file of its own may write anywhere.
            told = [
                one
                for one in told
                if isinstance(one, Mapping)
                and ("path" in one or re.search(OF_PODS, str(one.get("targets"))))
            ]
        if told:
            return key
    return ""


def _sets_images(data: Mapping[str, Any]) -> bool:
    """Whether a replacement writes into an image, or is in a file of its own."""
    return any(
        "path" in one or re.search("image|ontainers", str(one.get("targets")))
        for one in data.get("replacements") or ()
        if isinstance(one, Mapping)
    )


def _patch(folder: str, said: str) -> Patch:
    """Return the patch that a text is, or names."""
    if "\n" in said.strip() or said.lstrip().startswith(("[", "{", "- ")):
        return Patch(text=said)
    return Patch(_inside(folder, said))


def _texts(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _inside(folder: str, path: str) -> str:
    """Return a path relative to the top of the repository; empty for one that is not in it."""
    if "://" in path or path.startswith(("/", "git@")) or "?" in path:
        return ""
    found = posixpath.normpath(posixpath.join(folder, path.strip()))
    return "" if found.startswith("../") or found == ".." else found
