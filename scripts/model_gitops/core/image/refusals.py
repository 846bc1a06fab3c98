"""What a builder says of a Dockerfile or an option that can't be built: the user's to correct."""

from __future__ import annotations

import re
from collections.abc import Collection

from model_gitops.errors import InputError

# How a reason begins that the frontend, the solver or buildx found in what it was given, before or
# while it asked anybody else.
_OF_THE_USER = re.compile(
    r"dockerfile parse error|target stage .* could not be found|no build stage in current context"
    r"|the Dockerfile cannot be empty|file with no instructions|unterminated heredoc|circular dependency"
    r"|base name \(.*\) should not be blank|failed to parse (?:platform|stage name)|failed to process \""
    r"|cannot copy from stage|failed to find target|unsupported mount type|checksum requires|secret .+: not found"
    r"|invalid (?!argument\b)|.*\bexporter requires\b|.*invalid includepatterns"
    r"|.*failed to calculate checksum of ref \S+ \".*\": not found"
    r"|.*: no match for platform in manifest"
)
# What a COPY from a stage says that is an image as it is: the builder looks into it, not into the context.
_NOT_THERE = re.compile(r"lstat (.+): no such file or directory")
_UNKNOWN_IMAGE = re.compile(r"(?:.+: )?failed to resolve source metadata for (\S+): (.*)")
_PLACE = re.compile(
    r"^\S.*:(\d+)\n-{20}\n(?:.*\n)*?[ \d]+\| >>> (.*(?:\n[ \d]+\| >>> .*)*)", re.MULTILINE
)


def input_error(said: str, target: str = "", sources: Collection[str] = ()) -> InputError | None:
    """Return what is wrong with the user's input, of a build that failed; None for other causes.

    `said` is what buildx printed, `target` the stage that was asked for, and `sources` are the names
    in the Dockerfile's `--from=` and mounts. A command that fails, and a registry or a network, are
    no input.
    """
    reason = _reason(said)
    line = _line(said)
    if plain := _unknown_stage(reason, sources):
        return InputError(
            f"the image can't be built: {line}no stage is called {plain!r}, and no image of that name"
            f" can be had: {reason}",
            fix=f"give the name after `AS` in the stage's FROM line; where an image is meant, its tag too:"
            f" --from={plain}:latest",
        )
    if (found := _UNKNOWN_IMAGE.match(reason)) and found[2].endswith(": not found"):
        return InputError(
            f"the image can't be built: {line}the registry has no image {found[1]}",
            fix="correct the name, or its tag; a tag may have been removed from the registry",
        )
    is_missing = "from=" in line and _NOT_THERE.match(reason) is not None
    if found or not (is_missing or _OF_THE_USER.match(reason)):
        return None
    if target and reason.startswith("target stage"):
        return InputError.of(
            "target", target, "the Dockerfile has no such stage",
            fix="target: a name after `AS` in one of its FROM lines, or leave `target` out for the last stage",
        )  # fmt: skip
    return InputError(f"the image can't be built: {line}{_shown(reason)}", fix=_fix(reason, line))


def _reason(said: str) -> str:
    """Return the last error's reason, less the words that every one of them begins with."""
    errors = [one for one in said.splitlines() if one.startswith("ERROR: ")]
    last = errors[-1].removeprefix("ERROR: ") if errors else ""
    return re.sub(r"^(?:failed to (?:build|solve|compute cache key): )+", "", last)


def _line(said: str) -> str:
    """Return the line of the Dockerfile that buildx points at, as the start of a sentence."""
    found = _PLACE.search(said)
    if found is None:
        return ""
    text = re.sub(r"\n[ \d]+\| >>> ", " ", found[2]).strip()
    return f"line {found[1]} (`{text[:200]}`): "


def _unknown_stage(reason: str, sources: Collection[str]) -> str:
    """Return the name in a `--from` or a mount that is no stage, and looks like no image.

    BuildKit takes it for one of Docker Hub then, and says what that answers, or that it can't be asked.
    """
    found = _UNKNOWN_IMAGE.match(reason)
    named = found and re.fullmatch(r"docker\.io/library/([^:/]+):latest", found[1])
    return named[1] if named and named[1] in sources else ""


def _shown(reason: str) -> str:
    """Return a reason without what only the builder understands."""
    reason = re.sub(r"^dockerfile parse error on line \d+: ", "", reason)
    missing = re.match(r'.*failed to calculate checksum of ref \S+ ("/?.*"): not found', reason)
    if missing:
        return f"{missing[1]} is not there"
    if missing := _NOT_THERE.fullmatch(reason):
        return f'"{missing[1]}" is not there'
    return re.sub(r"^rpc error: code = \w+ desc = ", "", reason)


def _fix(reason: str, line: str) -> str:
    if "failed to calculate checksum" in reason or _NOT_THERE.match(reason):
        if "from=" in line:
            return "copy a file that the stage or the named context has, by its path there"
        return (
            "COPY and ADD take paths from the top of the `context`: is the file there, does a step before"
            " this one make it, and does .dockerignore let it through?"
        )
    if secret := re.match(r"secret (.+): not found", reason):
        return f"secrets: {secret[1]}=${{{{ secrets.NAME }}}}"
    if "no match for platform" in reason:
        return "give `platforms` that the base image has, or another base image"
    if line:
        return "correct that line"
    return "correct the Dockerfile, or the input that the message names"
