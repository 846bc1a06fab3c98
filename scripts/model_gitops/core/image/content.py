"""Images: names, tags, labels, the content fingerprint, and the arguments of a build."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from model_gitops.errors import ExternalError, InputError

# The grammar of https://github.com/distribution/reference: what docker itself accepts.
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_HOST = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_NAME = re.compile(rf"(?:{_HOST}/)?{_PART}(?:/{_PART})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LONGEST_NAME = 255

# Our own labels. Keys are in reverse DNS, as OCI asks of everybody but itself.
MODEL_LABELS = "io.model-gitops.model"
FINGERPRINT_LABEL = "io.model-gitops.fingerprint"
SMOKE_TEST_LABEL = "io.model-gitops.smoke-test"
REVISION_LABEL = "org.opencontainers.image.revision"
# Changes when the recipe of the fingerprint does: old images are then built anew, once.
_RECIPE = "3"
_FINGERPRINT_TAG = "fp-"

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


# --- names -----------------------------------------------------------------------------------


def check_name(value: str) -> str:
    """Return the image's name `[HOST[:PORT]/]PATH`, without tag. Raises InputError with the fix."""
    if is_name(value):
        return value
    if not value:
        raise InputError.of("image", value, "it is empty", fix="image: ghcr.io/OWNER/NAME")
    if len(value) > _LONGEST_NAME:
        raise InputError.of("image", value, f"a name has at most {_LONGEST_NAME} characters")
    name, tag, digest = split_reference(value)
    if (tag or digest) and _NAME.fullmatch(name):
        raise InputError.of(
            "image",
            value,
            "it holds a tag or digest",
            fix=f"image: {name} (the tag goes into `tag`)",
        )
    problem = "an image's name is lowercase letters, digits and single separators . _ - /"
    raise InputError.of("image", value, problem, fix=f"image: {_mended_name(name)}")


def is_name(value: str) -> bool:
    """Whether `value` is an image's name, without tag or digest."""
    return _NAME.fullmatch(value) is not None and len(value) <= _LONGEST_NAME


def split_reference(value: str) -> tuple[str, str, str]:
    """Split `name:tag@digest`; what is left out is empty. Nothing is checked."""
    rest, _, digest = value.partition("@")
    # The colon of a registry's port comes before a slash, the tag's does not.
    head, colon, tag = rest.rpartition(":")
    if not colon or "/" in tag:
        return rest, "", digest
    return head, tag, digest


def _mended_name(value: str) -> str:
    """Return the nearest name that is allowed."""
    value = re.sub(r"^[a-z]+://", "", value.strip())
    host, slash, rest = value.partition("/")
    if not slash or not re.fullmatch(_HOST, host) or not any(mark in host for mark in ".:"):
        host, slash, rest = "", "", value
    parts = []
    for part in rest.lower().split("/"):
        mended = re.sub(r"[^a-z0-9._-]+", "-", part)
        mended = re.sub(r"[._-]*-[._-]*|\.[._]*|_\.[._]*|_{3,}", lambda m: m.group()[0], mended)
        if mended := mended.strip("._-"):
            parts.append(mended)
    mended = "/".join(parts) or "NAME"
    full = f"{host}{slash}{mended}"
    return full if _NAME.fullmatch(full) else "ghcr.io/OWNER/NAME"


def registry_host(name: str) -> str:
    """Return the registry that `name` is in; an empty string means Docker Hub."""
    host, slash, _ = name.partition("/")
    if slash and (
        any(mark in host for mark in ".:") or host == "localhost" or host != host.lower()
    ):
        return "" if host in ("docker.io", "index.docker.io") else host
    return ""


def check_tag(value: str, *, input_name: str = "tag") -> str:
    """Return a tag that a registry accepts. Raises InputError with the fix."""
    if _TAG.fullmatch(value):
        if re.fullmatch(rf"{_FINGERPRINT_TAG}[0-9a-f]{{40}}", value):
            raise InputError.of(
                input_name, value, "tags of this form are the content fingerprints that this action writes",
                fix=f"{input_name}: {value.removeprefix(_FINGERPRINT_TAG)}",
            )  # fmt: skip
        return value
    mended = re.sub(r"[^A-Za-z0-9_.-]+", "-", value).strip(".-")[:128] or "v1"
    problem = "a tag is 1 to 128 of letters, digits, `_`, `.` and `-`, and starts with none of `.-`"
    raise InputError.of(input_name, value, problem, fix=f"{input_name}: {mended}")


def is_digest(value: object) -> bool:
    """Whether `value` is a digest that can be pinned: `sha256:` and 64 hex digits."""
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None


def is_pinned(reference: str) -> bool:
    """Whether a reference names its content by digest, so that no look-up can tell more."""
    return _DIGEST.fullmatch(reference.rpartition("@")[2]) is not None


def is_reference_of_image(value: str) -> bool:
    """Whether `value` is an image's name, with a tag or a digest or both or neither."""
    name, at, digest = value.partition("@")
    head, colon, tag = name.rpartition(":")
    if colon and "/" not in tag:
        name = head
        if not _TAG.fullmatch(tag):
            return False
    return _NAME.fullmatch(name) is not None and (not at or is_digest(digest))


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


def may_move(build_context: str) -> bool:
    """Whether a named build context is of Git or a URL, and its text does not say which commit."""
    kinds = ("https://", "http://", "git@", "git://", "ssh://")
    commit = re.search(r"(?:#|[?&](?:checksum|commit)=)[0-9a-f]{40}\b", build_context)
    return build_context.startswith(kinds) and commit is None


# --- labels --------------------------------------------------------------------------------------


def labels(
    *,
    name: str,
    tag: str,
    revision: str,
    source: str,
    model: str,
    model_version: str,
    model_hash: str,
    fingerprint: str,
    smoke_test: str,
    own: Mapping[str, str],
) -> dict[str, str]:
    """Return an image's labels: OCI's, the model's, then the user's `own`, which win.

    There is no `created`: it would make each build of the same content another image.
    """
    ours = {
        "org.opencontainers.image.title": name.rpartition("/")[2],
        "org.opencontainers.image.version": model_version or tag,
        REVISION_LABEL: revision,
        "org.opencontainers.image.source": source,
        f"{MODEL_LABELS}.name": model,
        f"{MODEL_LABELS}.version": model_version,
        f"{MODEL_LABELS}.hash": model_hash,
        FINGERPRINT_LABEL: fingerprint,
        SMOKE_TEST_LABEL: smoke_test,
    }
    return {**{key: value for key, value in ours.items() if value}, **own}


# --- the content fingerprint ---------------------------------------------------------------------


@dataclass(frozen=True)
class Entry:
    """One file of a build context: POSIX path, kind (`file`, `exec`, `link`, `folder`), sha256.

    A link's hash is of its target's text; an empty folder has none. Owners and times don't count,
    and of the mode only the executable bit, as in Git: two checkouts of one commit are equal. What a
    step set beyond that (setuid, setgid, sticky) is part of the kind: `file4000`.
    """

    path: str
    kind: str
    sha256: str


@dataclass(frozen=True)
class Content:
    """All that an image is made of. Labels, tags, caches and secrets are not part of it."""

    files: Sequence[Entry]
    dockerfile: bytes
    target: str = ""
    build_args: Mapping[str, str] = field(default_factory=dict)
    # Named contexts: a folder's entries, or the reference as it was given.
    contexts: Mapping[str, Sequence[Entry] | str] = field(default_factory=dict)
    # The images that the build takes from registries → the digest, "" where it is not known.
    images: Mapping[str, str] = field(default_factory=dict)
    platforms: Sequence[str] = ()
    model_hash: str = ""
    attestations: tuple[str, str] = ("", "")


def fingerprint(content: Content) -> str:
    """Return the content's fingerprint, 40 hex digits: equal content, equal fingerprint."""
    # Canonical JSON keeps the parts apart: no value can pretend to be two.
    parts = {
        "recipe": _RECIPE,
        "files": _rows(content.files),
        "dockerfile": hashlib.sha256(content.dockerfile).hexdigest(),
        "target": content.target,
        "build-args": dict(content.build_args),
        "contexts": {
            name: value if isinstance(value, str) else _rows(value)
            for name, value in content.contexts.items()
        },
        "images": dict(content.images),
        "platforms": sorted(content.platforms),
        "model-hash": content.model_hash,
        "attestations": list(content.attestations),
    }
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:40]


def fingerprint_tag(value: str) -> str:
    """Return the tag that carries a fingerprint in the registry."""
    return _FINGERPRINT_TAG + value


def _rows(entries: Iterable[Entry]) -> list[list[str]]:
    return sorted([entry.path, entry.kind, entry.sha256] for entry in entries)


# --- decisions -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Published:
    """An image in the registry: the digest to pin, and the labels that all its platforms have."""

    digest: str
    labels: Mapping[str, str] = field(default_factory=dict)


def reusable(
    tagged: Published | None, fingerprinted: Published | None, wanted: str
) -> Published | None:
    """Return the image to use in place of a build, or None.

    An image under the wanted tag counts only when its label says that it is of the same content:
    a tag that moves (`latest`) must not bring back yesterday's image for ever.
    """
    if tagged is not None and tagged.labels.get(FINGERPRINT_LABEL) == wanted:
        return tagged
    return fingerprinted


def published(inspected: Any) -> Published:
    """Read what `imagetools inspect` says: `{"manifest": …, "image": …}`.

    Raises ExternalError for anything else.
    """
    said = inspected if isinstance(inspected, dict) else {}
    digest = (said.get("manifest") or {}).get("digest")
    if not is_digest(digest):
        raise ExternalError(f"buildx gave no digest for an image: {str(inspected)[:300]}")
    image = said.get("image") or {}
    # Of several platforms: platform → image.
    every = (
        [image] if "config" in image else [one for one in image.values() if isinstance(one, dict)]
    )
    labels = [(one.get("config") or {}).get("Labels") or {} for one in every]
    shared = {
        str(key): str(value)
        for key, value in (labels[0] if labels else {}).items()
        if all(other.get(key) == value for other in labels)
    }
    return Published(str(digest), shared)


def digest_said(text: str) -> str:
    """Return the digest that `imagetools inspect` prints, or an empty string."""
    found = re.search(r"^Digest:\s*(sha256:[0-9a-f]{64})\s*$", text, re.MULTILINE)
    return found.group(1) if found else ""


def manifests_of(index: Any) -> list[str]:
    """Return the digests of an index's images, attestations left out; empty for a plain image."""
    return [
        str(one["digest"])
        for one in index.get("manifests") or []
        if "vnd.docker.reference.type" not in (one.get("annotations") or {})
    ]


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


@dataclass(frozen=True)
class Builder:
    """What `docker buildx inspect` says: the driver, the platform that it builds by default, what fails."""

    driver: str
    platform: str
    error: str = ""


def parse_builder(text: str) -> Builder:
    """Read the text of `docker buildx inspect`."""
    driver = re.search(r"^Driver:[ \t]*(\S+)", text, re.MULTILINE)
    platforms = re.search(r"^[ \t]*Platforms:[ \t]*([a-z0-9/_]+)", text, re.MULTILINE)
    error = re.search(r"^[ \t]*Error:[ \t]*(.+)", text, re.MULTILINE)
    return Builder(*(found.group(1) if found else "" for found in (driver, platforms, error)))


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


# --- what a registry says ------------------------------------------------------------------------

_NOT_FOUND = re.compile(
    r": not found|manifest unknown|name unknown|NAME_UNKNOWN|MANIFEST_UNKNOWN|404 Not Found",
    re.IGNORECASE,
)
# A bare number may be a tag, a port or a count: a status stands by its word.
_DENIED = re.compile(
    r"status(?: code)?:? 40[13]\b|HTTP 40[13]\b|401 Unauthorized|403 Forbidden|denied|unauthorized"
    r"|authentication required|no basic auth|insufficient_scope"
    r"|authorization failed|incorrect username or password",
    re.IGNORECASE,
)
_IMMUTABLE = re.compile(
    r"immutable|cannot be overwritten|can't be overwritten|already exists.*tag|tag.*already exists"
    r"|status(?: code)?:? 409\b|HTTP 409\b|409 Conflict",
    re.IGNORECASE,
)
_TRANSIENT = re.compile(
    r"unexpected status.*\b(?:429|5\d\d)\b|too many requests|TOOMANYREQUESTS|i/o timeout|\bEOF\b|timeout"
    r"|connection (?:refused|reset)|broken pipe|no such host|temporary failure|bad gateway"
    r"|service unavailable|internal server error|network is unreachable",
    re.IGNORECASE,
)


def without_names(message: str, names: Iterable[str]) -> str:
    """Return a registry's message without addresses and the names it is about: `app:403` is no status."""
    for name in sorted(names, key=len, reverse=True):
        if re.search("[:/@]", name):
            message = message.replace(name, "")
    return re.sub(r"https?://\S+", "", message)


def is_not_found(message: str) -> bool:
    """Whether a registry's message says that there is no such image."""
    return _NOT_FOUND.search(message) is not None


def is_denied(message: str) -> bool:
    """Whether a registry's message says that these credentials, or their lack, don't suffice."""
    return _DENIED.search(message) is not None


def is_immutable(message: str) -> bool:
    """Whether a registry's message says that a tag exists and may not move."""
    return _IMMUTABLE.search(message) is not None


def is_transient(message: str) -> bool:
    """Whether a registry's message names a fault that may pass."""
    return _TRANSIENT.search(message) is not None


def is_limited(message: str) -> bool:
    """Whether a registry's message says that too much was asked of it."""
    return (
        re.search(
            r"status(?: code)?:? 429\b|too many requests|TOOMANYREQUESTS", message, re.IGNORECASE
        )
        is not None
    )


def is_passing_build_failure(message: str) -> bool:
    """Whether a build failed for a registry's fault that may pass, not for a command of its own."""
    errors = [line for line in message.splitlines() if line.startswith("ERROR: ")]
    last = errors[-1] if errors else ""
    return is_transient(last) and not is_not_found(last) and "did not complete" not in last


def registry_fix(name: str, message: str) -> str:
    """Return what to do about a registry's refusal, or an empty string."""
    host = registry_host(name) or "docker.io"
    if is_immutable(message):
        return f"{host} does not let a tag move: give another `tag`, or `reuse: true` with unchanged content"
    if is_transient(message):
        return f"check that {host} can be reached from this runner, and run the job again"
    if is_denied(message):
        hint = (
            " (on ghcr.io: `permissions: packages: write` in the job, and the repository must have"
        )
        hint += " write access to the package, in its settings)" if host == "ghcr.io" else ""
        if host != "ghcr.io":
            hint = " (with GITHUB_TOKEN: `permissions: packages: write` in the job)"
        return f"give `username` and `password` of an account that may push to {name}{hint}"
    return ""
