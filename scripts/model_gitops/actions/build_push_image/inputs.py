"""The inputs, read and checked before anything is asked of docker or a registry."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from model_gitops import runner
from model_gitops.adapters import docker, event_checkout, paths
from model_gitops.core.image import names, smoke
from model_gitops.core.image.build import (
    is_private_address,
    is_reference,
    parse_pairs,
    parse_platforms,
    split_layout,
)
from model_gitops.errors import InputError
from model_gitops.options import existing_folder, lines


@dataclass(frozen=True)
class Inputs:
    """The inputs, read and checked.

    `tags` has the first one that is asked for, which is the commit's unless `has_own_tag`.
    """

    secrets: dict[str, str] = field(repr=False)
    name: str
    revision: str
    tags: tuple[str, ...]
    has_own_tag: bool
    build_args: dict[str, str]
    contexts: dict[str, str]
    labels: dict[str, str]
    folder: Path
    file: Path
    target: str
    platforms: tuple[str, ...]
    test: smoke.SmokeTest | None
    builder: str
    login_as: str
    password: str = field(repr=False)
    cache_from: list[str]
    cache_to: list[str]
    attestations: tuple[str, str]
    reuse: bool
    push: bool
    model: str
    model_version: str
    model_hash: str
    config: str
    deploy_branch: str
    token: str = field(repr=False)
    ssh_key: str = field(repr=False)


def mask_secrets(secrets: str) -> None:
    """Mask all of it before a message can show any: each line, and what follows each `=`."""
    runner.mask(secrets)
    for line in lines(secrets):
        runner.mask(line.partition("=")[2])


def check_tags(tag: str, more: Sequence[str], name: str) -> tuple[str, ...]:
    """Return the tags of the image `name`, each once, `tag` first.

    Entries may be whole references, and separated by commas, as docker/metadata-action writes them.
    Raises InputError for one that no registry takes, or of another image.
    """
    if not tag:
        raise InputError.of(
            "tag", tag, "no commit is known here to take it from", fix="tag: v1.2.3"
        )
    one, *others = (part.strip() for part in re.split(r"[,\n]", tag) if part.strip())
    if others:
        raise InputError.of(
            "tag", tag, "it holds more than one tag",
            fix=f"tag: {one}, and the others in `extra-tags`",
        )  # fmt: skip
    first = names.tag_of(tag, name)
    parts = [part.strip() for line in more for part in line.split(",") if part.strip()]
    checked = [names.tag_of(one, name, input_name="extra-tags") for one in parts]
    return tuple(dict.fromkeys([first, *checked]))


def read_platforms(asked: Sequence[str]) -> tuple[str, ...]:
    """Return the platforms asked for, here or by docker's own variable; empty: the builder's."""
    return parse_platforms(asked) or parse_platforms(
        [docker.default_platform()], source=docker.PLATFORM_VARIABLE
    )


def check_builder(name: str) -> str:
    """Return the builder's name or address, or an empty string.

    Raises InputError where it would be an option, or is an address that others may listen at.
    """
    if len(name.split()) > 1 or name.startswith("-"):
        raise InputError.of("builder", name, "this is no name of a builder", fix="builder: default")
    if "://" in name and not is_private_address(name):
        raise InputError.of(
            "builder", name,
            "this is no address of a BuildKit on this machine, and the registry's password goes to it in plain text",
            fix="builder: unix:///run/buildkit/buildkitd.sock; of another machine's make a builder with TLS, and give"
            " its name: docker buildx create --name=cluster --driver=remote"
            " --driver-opt=cacert=ca.pem,cert=cert.pem,key=key.pem tcp://buildkitd:1234",
        )  # fmt: skip
    return name


def commit() -> str:
    """Return the commit that is built, as `source` knows it; empty where none is known."""
    return event_checkout.of_files(runner.context(), event_checkout.around_us())


def named_contexts(value: str) -> dict[str, str]:
    """Return the named contexts, folders as absolute paths. Raises InputError for a folder that is none."""
    found = parse_pairs(
        "build-contexts",
        lines(value),
        key=r"[A-Za-z0-9_][A-Za-z0-9_./:@-]*",
        example="model=models",
    )
    for name, place in found.items():
        path = Path(place)
        # A branch that says the place could lead to what only this job may read.
        paths.refuse_a_way_out("build-contexts", Path(split_layout(place)[0] or place))
        # For buildx a folder that is called like a Git address is a folder.
        if is_reference(place) and not (place.startswith("git@") and paths.is_folder(path)):
            continue
        if paths.is_file(path):
            raise InputError.of(
                "build-contexts", place, "a named context is a folder, and this is a file",
                fix=f"build-contexts: {name}={path.parent}",
            )  # fmt: skip
        if not paths.is_folder(path):
            raise InputError.of(
                "build-contexts", place, "no such folder",
                fix=f"build-contexts: {name}=FOLDER (is the step that makes it, such as dvc-pull-model, before this one?)",
            )  # fmt: skip
        found[name] = str(path.resolve())
    return found


def context_folder(value: str) -> Path:
    """Return the absolute path of the build context. Raises InputError for none, and for a way out."""
    folder = existing_folder("context", value or ".")
    paths.refuse_a_way_out("context", folder)
    return folder.resolve()


def dockerfile(file: str, folder: Path) -> Path:
    """Return the Dockerfile's absolute path. Raises InputError where there is none."""
    path = Path(file) if file else folder / "Dockerfile"
    paths.refuse_a_way_out("file", path)
    if paths.is_file(path):
        return path.resolve()
    fix = "file: path/to/Dockerfile, from the working directory"
    if file and paths.is_file(folder / file):
        fix = f"file: {Path(folder.name) / file if folder != Path.cwd() else file}"
        fix += " (from the working directory, not from the context)"
    raise InputError.of("file", file or str(path), "no such file", fix=fix)
