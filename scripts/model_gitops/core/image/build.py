"""A build by buildx: the inputs that it takes, the words of its command, and what the builder answers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from model_gitops.core.image.names import is_digest
from model_gitops.errors import ExternalError, InputError

_CONTEXT_SCHEMES = (
    "docker-image://",
    "oci-layout://",
    "target:",
    "https://",
    "http://",
    "git@",
    "git://",
    "ssh://",
)


# --- inputs of several lines --------------------------------------------------------------------


def parse_pairs(
    input_name: str, lines: Iterable[str], *, key: str, example: str, secret: bool = False
) -> dict[str, str]:
    """Parse lines `key=value`; each key matches the pattern `key` and stands once.

    Raises InputError naming the line. Of `secret` ones it shows no key either: a line that should
    not be there is the second of a value.
    """
    pairs: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        name, equals, value = line.partition("=")
        # The value may be secret: a message shows the key only.
        if not equals:
            problem, fix = "a line has no `=`", f"{input_name}: {example}"
        elif not re.fullmatch(key, name):
            problem, fix = "this is no name that can be used here", f"{input_name}: {example}"
        elif name in pairs:
            problem, fix = "it is given twice", "leave one of the lines out"
        else:
            pairs[name] = value
            continue
        if secret:
            raise InputError(
                f"input `{input_name}`: entry {number}: {problem}",
                fix=f"{input_name}: {example} (a value is one line: encode a longer one, as by base64 -w0)",
            )
        if not equals:
            raise InputError(f"input `{input_name}`: {problem}", fix=fix)
        raise InputError.of(input_name, name, problem, fix=fix)
    return pairs


def parse_platforms(lines: Iterable[str], *, source: str = "platforms") -> tuple[str, ...]:
    """Parse platforms, one a line or separated by commas, such as `linux/amd64`."""
    found = [part.strip() for line in lines for part in line.split(",") if part.strip()]
    for platform in found:
        if not re.fullmatch(r"[a-z0-9]+/[a-z0-9_]+(?:/[a-z0-9]+)?", platform):
            raise InputError.of(
                source, platform, "this is no platform", fix=f"{source}: linux/amd64,linux/arm64"
            )
    return tuple(dict.fromkeys(found))


def is_reference(build_context: str) -> bool:
    """Whether a named build context is a reference (image, Git, URL), not a folder here."""
    return build_context.startswith(_CONTEXT_SCHEMES)


def split_layout(build_context: str) -> tuple[str, str]:
    """Split `oci-layout://FOLDER[:TAG][@DIGEST]` into the folder and the rest; both empty for others."""
    scheme = "oci-layout://"
    if not build_context.startswith(scheme):
        return "", ""
    place = build_context.removeprefix(scheme)
    folder = re.split("[:@]", place, maxsplit=1)[0]
    return folder, place.removeprefix(folder)


def is_private_address(builder: str) -> bool:
    """Whether a builder's address is a socket or a port of this machine (of this Pod, in a cluster)."""
    loopback = r"tcp://(?:localhost|127(?:\.\d{1,3}){3}|\[::1\]):\d{1,5}"
    return re.fullmatch(rf"unix:///[^\s,]+|{loopback}", builder) is not None


def may_move(build_context: str) -> bool:
    """Whether a named build context is of Git or a URL, and its text does not say which commit."""
    kinds = ("https://", "http://", "git@", "git://", "ssh://")
    commit = re.search(r"(?:#|[?&](?:checksum|commit)=)[0-9a-f]{40}\b", build_context)
    return build_context.startswith(kinds) and commit is None


# --- the build's arguments -----------------------------------------------------------------------


@dataclass(frozen=True)
class Build:
    """A build, all inputs validated. `secrets` maps an id to the variable that holds its value."""

    context: str
    file: str
    target: str = ""
    build_args: Mapping[str, str] = field(default_factory=dict)
    contexts: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    cache_from: Sequence[str] = ()
    cache_to: Sequence[str] = ()
    builder: str = ""
    pull: bool = False


def build_arguments(
    build: Build,
    *,
    metadata_file: str,
    output: Sequence[str],
    platforms: Sequence[str],
    attestations: Sequence[str],
    cache_to: bool,
) -> list[str]:
    """Return the words after `docker`. Every value is tied to its option by `=`: none can be one."""
    words = ["buildx", "build", "--progress=plain", f"--metadata-file={metadata_file}"]
    words += [f"--builder={build.builder}"] if build.builder else []
    words += ["--pull"] if build.pull else []
    words += [f"--file={build.file}"]
    words += [f"--target={build.target}"] if build.target else []
    words += [f"--platform={','.join(platforms)}"] if platforms else []
    words += [f"--build-arg={key}={value}" for key, value in build.build_args.items()]
    words += [f"--build-context={key}={value}" for key, value in build.contexts.items()]
    words += [f"--secret=id={key},env={variable}" for key, variable in build.secrets.items()]
    words += [f"--label={key}={value}" for key, value in build.labels.items()]
    words += [f"--cache-from={value}" for value in build.cache_from]
    words += [f"--cache-to={value}" for value in build.cache_to] if cache_to else []
    return [*words, *attestations, *output, "--", build.context]


def attestation_arguments(provenance: str, sbom: str) -> list[str]:
    """Return the options for the attestations that were asked for; buildx's defaults otherwise."""
    return [
        f"--{name}={value}" for name, value in (("provenance", provenance), ("sbom", sbom)) if value
    ]


# --- what the builder answers --------------------------------------------------------------------


@dataclass(frozen=True)
class Builder:
    """What `docker buildx inspect` says: the driver, the platform that it builds by default, what fails."""

    driver: str
    platform: str
    error: str = ""

    @property
    def is_engines_own(self) -> bool:
        """Whether it is the engine's own, which pushes nothing by digest and takes the engine's images."""
        return self.driver == "docker"


def parse_builder(text: str) -> Builder:
    """Read the text of `docker buildx inspect`."""
    driver = re.search(r"^Driver:[ \t]*(\S+)", text, re.MULTILINE)
    platforms = re.search(r"^[ \t]*Platforms:[ \t]*([a-z0-9/_]+)", text, re.MULTILINE)
    error = re.search(r"^[ \t]*Error:[ \t]*(.+)", text, re.MULTILINE)
    return Builder(*(found.group(1) if found else "" for found in (driver, platforms, error)))


def tested_config(metadata: Mapping[str, Any], image_id: str) -> str:
    """Return the config digest of the image that the engine runs, from the metadata of its build.

    Docker's own store names an image by its config's digest, containerd's by its manifest's.
    Raises ExternalError where the engine holds another image than the one built.
    """
    config = metadata.get("containerimage.config.digest", "")
    if image_id == config or (
        is_digest(config) and image_id == metadata.get("containerimage.digest")
    ):
        return str(config)
    if not config and is_digest(image_id):  # the engine's own builder leaves it out
        return image_id
    raise ExternalError(
        f"the engine loaded {image_id}, but {config or 'another image'} was built",
        fix="run the job again; does another job load images under the same name?",
    )


def native_or_first(platforms: Sequence[str], native: str) -> str:
    """Return the platform to smoke-test: the engine's own where it is built, else the first."""
    for platform in platforms:
        if platform == native or platform.startswith(f"{native}/"):
            return platform
    return platforms[0] if platforms else ""
