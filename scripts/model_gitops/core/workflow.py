"""Workflow files: where they are, their triggers and jobs, for which branches they run, and their secrets."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import Any

# GitHub's, Gitea's and Forgejo's.
FOLDERS = (".github/workflows", ".gitea/workflows", ".forgejo/workflows")
ENDINGS = (".yml", ".yaml")
# The job's own token is none that anybody sets.
_SECRET = re.compile(
    r"\bsecrets\s*(?:\.\s*(?!github_token\b)([a-z_]\w*)|\[\s*['\"](?!github_token['\"])(\w+)['\"]\s*\])",
    re.IGNORECASE | re.ASCII,
)


def is_workflow(path: str) -> bool:
    """Whether a path, from the top of a repository, is that of a workflow."""
    return (
        path.startswith(tuple(f"{one}/" for one in FOLDERS))
        and posixpath.splitext(path)[1] in ENDINGS
    )


def jobs(data: Any) -> dict[str, Mapping[str, Any]]:
    """Return the jobs of a parsed workflow, by name."""
    found = data.get("jobs") if isinstance(data, Mapping) else None
    pairs = found.items() if isinstance(found, Mapping) else ()
    return {str(key): one for key, one in pairs if isinstance(one, Mapping)}


def triggers(data: Mapping[Any, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the events of a parsed workflow, each with its filters."""
    on = data.get("on", data.get(True))  # to a reader of YAML 1.1 the key `on` is true
    if isinstance(on, Mapping):
        return {str(key): one if isinstance(one, Mapping) else {} for key, one in on.items()}
    return {one: {} for one in texts(on)}


def runs_for(trigger: Mapping[str, Any], branch: str) -> bool:
    """Whether an event's filters let `branch` through; the last pattern that fits counts.

    Source: https://docs.github.com/actions/reference/workflow-syntax-for-github-actions#filter-pattern-cheat-sheet
    """
    for key, default in (("branches", False), ("branches-ignore", True)):
        through = default
        patterns = texts(trigger.get(key))
        for pattern in patterns:
            negative = pattern.startswith("!")
            if matches(pattern.removeprefix("!"), branch):
                through = negative is default
        if patterns:
            return through
    return "tags" not in trigger  # filters of tags alone leave every branch out


def matches(glob: str, branch: str) -> bool:
    """Whether GitHub's pattern matches: `*` stops at a slash, `**` does not."""
    pattern, rest = "", glob
    while rest:
        if rest.startswith("**"):
            pattern, rest = pattern + ".*", rest[2:]
        elif rest[0] == "*":
            pattern, rest = pattern + "[^/]*", rest[1:]
        elif rest[0] in "?+" and pattern:
            pattern, rest = pattern + rest[0], rest[1:]
        elif rest[0] == "[" and "]" in rest:
            end = rest.index("]") + 1
            pattern, rest = pattern + rest[:end], rest[end:]
        else:
            pattern, rest = pattern + re.escape(rest[0]), rest[1:]
    try:
        return re.fullmatch(pattern, branch) is not None
    except re.error:
        return glob == branch


def secrets(node: Any) -> Iterator[str]:
    """Yield the secrets that a part of a workflow names, each as often as it does."""
    if isinstance(node, str):
        yield from (one or other for one, other in _SECRET.findall(node))
    elif isinstance(node, Mapping | list):
        for one in node.values() if isinstance(node, Mapping) else node:
            yield from secrets(one)


def texts(value: Any) -> list[str]:
    """Return one text, or a list of them, as a list."""
    if isinstance(value, str):
        return [value]
    return [str(one) for one in value] if isinstance(value, list) else []
