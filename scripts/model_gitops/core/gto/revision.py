"""Revisions as people write them: `v1.2.3`, `name@v1.2.3`, `name#stage`, else Git's own."""

from __future__ import annotations

from model_gitops.core.gto.tags import Registry, Version


def find(registry: Registry, model: str, revision: str) -> Version | None:
    """Return the version of `model` that `revision` names, or None where it is of another form.

    `v1.2.3` is a version of `model`; the longer forms name their own model.
    """
    name, separator, rest = revision.rpartition("#")
    if separator and (held := registry.stage(name, rest)):
        return held
    name, separator, rest = revision.rpartition("@")
    return registry.version(name if separator else model, rest)
