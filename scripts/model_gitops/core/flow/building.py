"""`image` of promotion.yaml: how the image is built, or which one it is where it is built elsewhere."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from model_gitops.core.flow import spelling
from model_gitops.core.image.build import is_reference, split_layout
from model_gitops.core.image.names import check_name
from model_gitops.errors import InputError

# Where no `smoke-test` is said, this file is it, if it is there.
SMOKE_TEST = "tests/smoke.yaml"
_EXAMPLES = {"dockerfile": "Dockerfile", "context": ".", "smoke-test": SMOKE_TEST}
# A name, or a number: https://docs.docker.com/build/building/multi-stage/
_STAGE = re.compile(r"[a-zA-Z][a-zA-Z0-9_.-]*|[0-9]+")


@dataclass(frozen=True)
class Build:
    """How the image is built. Paths are from the repository's top.

    `smoke_test` and `contexts` are None where promotion.yaml says nothing of them; an empty `smoke_test`
    is no test. `elsewhere` is the whole image, `name:tag@digest`, where nothing is built here.
    """

    dockerfile: str = "Dockerfile"
    context: str = "."
    target: str = ""
    smoke_test: str | None = None
    contexts: Mapping[str, str] | None = field(default=None)
    elsewhere: str = ""


def parse(entry: Any, source: str, folder: str) -> tuple[str, Build]:
    """Return the image's name and how it is built, of `image` in the promotion.yaml of `folder`.

    Raises InputError, naming `source`, for a path out of the repository, and for an image that is
    built here and elsewhere.
    """
    said: dict[str, Any] = {"name": entry} if isinstance(entry, str) else entry
    name = str(said["name"])
    _check_name(name, source)

    def path(key: str, default: str) -> str:
        what = f"image.{key} (in {source})"
        given = said.get(key, default)
        if "://" in given:
            raise InputError.of(
                what, given, "it is an address, and what is built here is in the repository",
                fix=f"{key}: {_EXAMPLES[key]}; what is elsewhere is one of `build-contexts`",
            )  # fmt: skip
        return spelling.from_top(given, folder, what, f"{key}: {_EXAMPLES[key]}")

    if not said.get("build", True):
        return name, Build(elsewhere=_elsewhere(said, name, source))
    if "digest" in said or "tag" in said:
        said_too = "digest" if "digest" in said else "tag"
        raise InputError(
            f"{source}: `image` has a {said_too}, and is built by the workflows,"
            " which find out both",
            fix=f"leave out `{said_too}`; or where it is built elsewhere: build: false, and digest: sha256:…",
        )
    context = path("context", ".")
    target = said.get("target", "")
    if target and not _STAGE.fullmatch(target):
        raise InputError.of(
            f"image.target (in {source})", target, "no stage of a Dockerfile has such a name",
            fix="target: serve (of `FROM … AS serve`)",
        )  # fmt: skip
    test: Any = said.get("smoke-test")
    contexts: dict[str, str] | None = said.get("build-contexts")
    return name, Build(
        dockerfile=path("dockerfile", posixpath.join(said.get("context", "."), "Dockerfile")),
        context=context,
        target=target,
        smoke_test=path("smoke-test", "")
        if isinstance(test, str)
        else (None if test is None else ""),
        contexts=None
        if contexts is None
        else {
            key: _place(one, folder, f"image.build-contexts.{key} (in {source})")
            for key, one in contexts.items()
        },
    )


def _check_name(name: str, source: str) -> None:
    """Refuse a name that no registry takes, or that has a tag. Raises InputError."""
    try:
        check_name(name)
    except InputError as error:
        problem = error.message.partition(": ")[2]
        raise InputError.of(f"image (in {source})", name, problem, fix=error.fix) from error


def _place(context: str, folder: str, what: str) -> str:
    """Return a named context: a folder from the top, or a reference as it is. Raises InputError."""
    layout, rest = split_layout(context)
    if layout:
        return f"oci-layout://{spelling.from_top(layout, folder, what, 'models')}{rest}"
    return context if is_reference(context) else spelling.from_top(context, folder, what, "models")


def _elsewhere(said: Mapping[str, Any], name: str, source: str) -> str:
    ours = [
        one
        for one in ("dockerfile", "context", "target", "smoke-test", "build-contexts")
        if one in said
    ]
    if ours:
        raise InputError(
            f"{source}: `image` has `build: false`, so nothing is built here, and `{ours[0]}` says how",
            fix=f"leave out `build: false`, or {', '.join(f'`{one}`' for one in ours)}",
        )
    if "digest" not in said:
        raise InputError(
            f"{source}: `image` has `build: false` and no digest: nobody could tell which image is meant",
            fix="digest: sha256:… (docker buildx imagetools inspect NAME:TAG shows it)",
        )
    tag = f":{said['tag']}" if "tag" in said else ""
    return f"{name}{tag}@{said['digest']}"
