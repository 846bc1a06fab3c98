"""Revisions as people write them: `v1.2.3`, `name@v1.2.3`, `name#stage`, else Git's own."""

from __future__ import annotations

import re

from model_gitops.core.gto.tags import ParsedTag, Registry, Version, in_tag, parse
from model_gitops.errors import RefusedError

# What Git takes around a tag's name without reading another commit.
_AROUND = re.compile(r"(?:(?:refs/)?tags/)?(?P<name>.+?)(?:\^\{[a-z]*\}|\^0|~0)*")


def tag_name(revision: str) -> str:
    """Return the GTO tag that `revision` names in a longer spelling of Git's; any other revision as it is."""
    found = _AROUND.fullmatch(revision)
    name = found["name"] if found else revision
    return name if parse(in_tag(name)) else revision


def parts(revision: str) -> ParsedTag | None:
    """Return what the GTO tag that `revision` names says; None for any other revision."""
    return parse(in_tag(tag_name(revision)))


def find(registry: Registry, model: str, revision: str) -> Version | None:
    """Return the version of `model` that `revision` names, or None where it is of another form.

    `v1.2.3` is a version of `model`; the longer forms name their own model. A model in a folder may be
    called without it: `name` is `folder:name` where that is `model`.
    """
    name, separator, rest = revision.rpartition("#")
    if separator and (held := registry.stage(_full(name, model), rest)):
        return held
    name, separator, rest = revision.rpartition("@")
    return registry.version(_full(name, model) if separator else model, rest)


def current(registry: Registry, model: str, revision: str) -> Version | None:
    """Return what `find` does, for a model that is to be used: what was taken back is none.

    Git and DVC would still find the tag of its name. Raises RefusedError, with the tag that took it
    back.
    """
    revision = tag_name(revision)
    if of_tag := registry.taken_back_of_tag(revision):
        raise _refusal(*of_tag)
    for separator in "#@":
        name, _, rest = revision.rpartition(separator)
        name = _full(name, model) if name or separator == "#" else model
        version, stage = ("", rest) if separator == "#" else (rest, "")
        if taken := registry.taken_back(name, version=version, stage=stage):
            raise _refusal(stage, taken)
    return find(registry, model, revision)


def _refusal(stage: str, taken: Version) -> RefusedError:
    what = f"the stage {stage}" if stage else f"the version {taken.version}"
    return RefusedError(
        f"{what} of {taken.model!r} was taken back, by the tag `{taken.tag}`",
        fix=f"give another one, or its commit: {taken.commit}. If the tag is a mistake:"
        f" git push --delete origin '{taken.tag}'",
    )


def _full(name: str, model: str) -> str:
    return model if name == model.rpartition(":")[2] else name
