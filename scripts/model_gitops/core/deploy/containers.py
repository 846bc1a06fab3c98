"""The containers of manifests that have an image: who runs them, what they start, and what is probed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from model_gitops.core import document

PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


@dataclass(frozen=True)
class Probe:
    """One probe: its name, the port that it asks (a number, or a name of the container's), the path."""

    name: str
    port: str
    path: str = ""


@dataclass(frozen=True)
class Container:
    """A container as a manifest has it. `user` is None where it sets none; `ports` is name → number.

    `unread` is what may change it, and was not applied: a key of a kustomization, a JSON patch.
    """

    file: str
    kind: str
    name: str
    image: str
    user: int | None = None
    not_root: bool = False
    command: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    ports: Mapping[str, int] | None = None
    probes: tuple[Probe, ...] = ()
    unread: str = ""


def read(data: Any, file: str) -> Iterator[Container]:
    """Yield the containers of a manifest: of each pod template in it, whatever its kind is."""
    if not isinstance(data, Mapping):
        return
    kind = str(data.get("kind") or "")
    items = data.get("items")
    if kind.endswith("List") and isinstance(items, list):
        for item in items:
            yield from read(item, file)
        return
    for pod in _pods(data.get("spec")):
        for one in pod["containers"]:
            if isinstance(one, Mapping):
                yield _container(one, pod, kind, file)


def merged(manifest: Any, patch: Any) -> Any:
    """Return a manifest with a strategic-merge patch: lists of named things are merged by their names."""
    if isinstance(manifest, Mapping) and isinstance(patch, Mapping):
        made = dict(manifest)
        for key, value in patch.items():
            if value is None:
                made.pop(key, None)
            else:
                made[key] = merged(made[key], value) if key in made else value
        return made
    if isinstance(manifest, list) and isinstance(patch, list):
        names = [_name(one) for one in manifest]
        if all(names) and all(map(_name, patch)):
            listed = list(manifest)
            for one in patch:
                if (name := _name(one)) in names:
                    listed[names.index(name)] = merged(listed[names.index(name)], one)
                else:
                    listed.append(one)
            return listed
    return patch


def is_patch_of(patch: Any, manifest: Any) -> bool:
    """Whether a patch names this manifest, by kind and name."""

    def key(data: Any) -> tuple[Any, Any]:
        metadata = data.get("metadata") if isinstance(data, Mapping) else None
        return (
            data.get("kind") if isinstance(data, Mapping) else None,
            metadata.get("name") if isinstance(metadata, Mapping) else None,
        )

    return None not in key(patch) and key(patch) == key(manifest)


def is_target(kind: str, name: str, manifest: Any) -> bool:
    """Whether a patch's target is this manifest: kind and name are regular expressions, of the whole."""
    if not isinstance(manifest, Mapping):
        return False
    own = str(document.mapping(manifest.get("metadata")).get("name") or "")
    pairs = ((kind, str(manifest.get("kind") or "")), (name, own))
    try:
        return all(not pattern or re.fullmatch(pattern, text) for pattern, text in pairs)
    except re.error:
        return True


def _name(one: Any) -> str:
    return str(one.get("name") or "") if isinstance(one, Mapping) else ""


def _pods(node: Any, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """Yield each pod's spec: a mapping that has `containers`."""
    if not isinstance(node, Mapping) or depth > 6:
        return
    if isinstance(node.get("containers"), list):
        yield node
        return
    for one in node.values():
        yield from _pods(one, depth + 1)


def _container(one: Mapping[str, Any], pod: Mapping[str, Any], kind: str, file: str) -> Container:
    own, of_pod = (
        document.mapping(one.get("securityContext")),
        document.mapping(pod.get("securityContext")),
    )
    user = own.get("runAsUser", of_pod.get("runAsUser"))
    ports = [each for each in document.sequence(one.get("ports")) if isinstance(each, Mapping)]
    return Container(
        file=file,
        kind=kind,
        name=str(one.get("name") or ""),
        image=str(one.get("image") or ""),
        user=user if isinstance(user, int) and not isinstance(user, bool) else None,
        not_root=own.get("runAsNonRoot", of_pod.get("runAsNonRoot")) is True,
        command=tuple(map(str, document.sequence(one.get("command")))),
        arguments=tuple(map(str, document.sequence(one.get("args")))),
        ports={
            str(each.get("name") or each["containerPort"]): int(each["containerPort"])
            for each in ports
            if str(each.get("containerPort", "")).isdecimal()
        },
        probes=tuple(
            probe for name in PROBES for probe in _probes(name, document.mapping(one.get(name)))
        ),
    )


def _probes(name: str, data: Mapping[str, Any]) -> Iterator[Probe]:
    for key in ("httpGet", "tcpSocket", "grpc"):
        asked = document.mapping(data.get(key))
        if "port" in asked:
            yield Probe(name, str(asked["port"]), str(asked.get("path") or ""))
