"""Images' names, tags, digests and references: which are allowed, and what each holds."""

from __future__ import annotations

import re

from model_gitops.errors import InputError

# The grammar of https://github.com/distribution/reference: what docker itself accepts.
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_HOST = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_NAME = re.compile(rf"(?:{_HOST}/)?{_PART}(?:/{_PART})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_HUB = re.compile(r"(?:(?:index\.)?docker\.io/)?(?:library/(?=[^/]+$))?(.+)", re.DOTALL)
_COMMIT_TAG = re.compile(r"([0-9a-f]{64}|[0-9a-f]{40})(?:-[0-9a-f]{12})?")
_LONGEST_NAME = 255
_LONGEST_TAG = 128


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


def is_qualified(value: str) -> bool:
    """Whether `value` is an image's name that says which registry it is in, as not every tool adds docker.io."""
    host, slash, _ = value.partition("/")
    return is_name(value) and slash != "" and (bool({".", ":"} & set(host)) or host == "localhost")


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
    full = f"{host}{slash}{'/'.join(parts)}"
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
        return value
    mended = re.sub(r"[^A-Za-z0-9_.-]+", "-", value).strip(".-")[:_LONGEST_TAG] or "v1"
    problem = "a tag is 1 to 128 of letters, digits, `_`, `.` and `-`, and starts with none of `.-`"
    raise InputError.of(input_name, value, problem, fix=f"{input_name}: {mended}")


def is_tag(value: str) -> bool:
    """Whether `value` is a tag that a registry accepts."""
    return _TAG.fullmatch(value) is not None


def tag_of(value: str, name: str, *, input_name: str = "tag") -> str:
    """Return the tag that an entry gives: it is one, or a whole reference of the image `name`.

    Raises InputError with the fix, also for a reference of another image.
    """
    repository, tag, digest = split_reference(value)
    if not (tag or digest) and ("/" not in value or familiar(repository) != familiar(name)):
        return check_tag(value, input_name=input_name)
    if digest or not tag:
        problem = "it names a digest" if digest else "it names no tag"
        raise InputError.of(input_name, value, problem, fix=f"{input_name}: {name}:{tag or 'v1'}")
    if familiar(repository) != familiar(name):
        problem = f"it is of another image than {name}"
        fix = f"{input_name}: {name}:{tag}"
        if is_name(repository):
            fix += f", and another step for {repository}"
        else:
            problem = f"{repository!r} is no image's name"
        raise InputError.of(input_name, value, problem, fix=fix)
    return check_tag(tag, input_name=input_name)


def familiar(name: str) -> str:
    """Return an image's name in its short form, by which BuildKit compares names."""
    match = _HUB.fullmatch(name)
    return (match.group(1) if match else name).removesuffix(":latest")


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


def commit_of_tag(tag: str) -> str:
    """Return the commit that build-push-image tagged an image by, or "" for a tag of another kind.

    Where that tag could not move, the image has one of its own, which starts with it.
    """
    found = _COMMIT_TAG.fullmatch(tag)
    return found[1] if found else ""


def tag_of_its_own(tag: str, digest: str) -> str:
    """Return a tag that starts as `tag` does and that only the image of this digest has."""
    end = f"-{digest.partition(':')[2][:12]}"
    return tag[: _LONGEST_TAG - len(end)] + end
