"""What the messages of a registry and of a failed build mean, and what to do about each."""

from __future__ import annotations

import re
from collections.abc import Iterable

from model_gitops.core.image.names import registry_host

_NOT_FOUND = re.compile(
    r": not found|manifest unknown|name unknown|NAME_UNKNOWN|MANIFEST_UNKNOWN|404 Not Found",
    re.IGNORECASE,
)
# A bare number may be a tag, a port or a count: a status stands by its word.
_DENIED = re.compile(
    r"status(?: code)?:? 40[13]\b|HTTP 40[13]\b|401 Unauthorized|403 Forbidden|denied|unauthorized"
    r"|authentication required|no basic auth|credential not found|insufficient_scope"
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
        return f"{host} does not let a tag move: give another `tag`, or leave it out"
    if is_transient(message):
        return f"check that {host} can be reached from this runner, and run the job again"
    if is_denied(message):
        hint = "with GITHUB_TOKEN: `permissions: packages: write` in the job"
        if host == "ghcr.io":
            hint = (
                "on ghcr.io: `permissions: packages: write` in the job, and the repository must"
                " have write access to the package, in its settings"
            )
        return f"give `username` and `password` of an account that may push to {name} ({hint})"
    return ""


def build_fix(message: str, name: str) -> str:
    """Return what to do about a failed build or an engine that is away, or an empty string.

    `name` is the image's that was to be pushed.
    """
    tail = "\n".join(message.strip().splitlines()[-20:])
    if "unsupported frontend capability" in tail:
        return (
            "this builder is too old for named build contexts: run docker/setup-buildx-action first"
        )
    if "ttestation" in tail and "not supported" in tail:
        return (
            "the engine's own builder makes no attestations: add a step docker/setup-buildx-action"
            " before this one, or give `provenance: false` and `sbom: false`"
        )
    if "ulti-platform build is not supported" in tail or "exporting manifest lists" in tail:
        return (
            "the engine's own builder makes one platform only: add a step docker/setup-buildx-action"
            " before this one, or give its name as `builder`"
        )
    if "failed to push" in tail or "failed to authorize" in tail or "push access" in tail:
        return registry_fix(name, tail)
    if "exec format error" in tail:
        return (
            "a command of the Dockerfile is of another platform than this machine: add a step"
            " docker/setup-qemu-action before this one, or build on a machine of that platform"
        )
    if "Cannot connect to the Docker daemon" in tail or "error during connect" in tail:
        return "start the Docker engine, or choose a `builder` that runs: docker buildx ls"
    if "failed to resolve source metadata" in tail:
        return (
            "check the name in FROM and that the builder can reach that registry (and is logged in)"
        )
    return ""
