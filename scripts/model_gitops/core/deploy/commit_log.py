"""Which commits of a long history are looked into, and by which of a branch's own they came. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from model_gitops.core.deploy.trailers import read_trailers


class LoggedCommit(NamedTuple):
    """A commit as `git log --format=FORMAT -z` tells it: its top tree, its parents and its message."""

    commit: str
    tree: str
    parents: tuple[str, ...]
    message: str


FORMAT = "%H %T %P%n%B"
# How a line begins that says where an image is from.
_SOURCE = "source-repository:"
# One that says it to whoever reads trailers.
_SAID = re.compile(r"\nsource-repository: [!-~]")


def read_log(text: str) -> list[LoggedCommit]:
    """Return the commits of such a log, in its order."""
    found = []
    for record in text.split("\0"):
        head, _, message = record.partition("\n")
        if head:
            commit, tree, *parents = head.split()
            found.append(LoggedCommit(commit, tree, tuple(parents), message))
    return found


def with_parents(commits: Iterable[LoggedCommit]) -> list[str]:
    """Return these commits and their parents, each once, in their order."""
    return list(dict.fromkeys(each for one in commits for each in (one.commit, *one.parents)))


def own_line(parents: Mapping[str, Sequence[str]], tip: str) -> list[str]:
    """Return the commits of a branch's own line, newest first, as far as their `parents` are known."""
    line, at = list[str](), tip
    while at in parents:
        line.append(at)
        at = next(iter(parents[at]), "")
    return line


def arrivals(parents: Mapping[str, Sequence[str]], line: Sequence[str]) -> dict[str, str]:
    """Return for each commit by which one of a branch's own `line` it came: itself, or the first merge with it."""
    landed_by: dict[str, str] = {}
    for arrival in reversed(line):
        waiting = [arrival]
        while waiting:
            one = waiting.pop()
            if one not in landed_by:
                landed_by[one] = arrival
                waiting += parents.get(one, ())
    return landed_by


def is_of_others(message: str, repository: str) -> bool:
    """Whether a commit says that it deploys from other repositories, and not from this one."""
    # Asked of thousands of messages: only the lines that may say it are read as trailers.
    text = message.lower()
    if _SOURCE not in text:
        return False
    if _SAID.search(text) and repository.lower() not in text:
        return True
    named = [line for line in message.splitlines() if line[: len(_SOURCE)].lower() == _SOURCE]
    said = _sources("\n".join(named)) if named else ()
    return bool(said) and repository.lower() not in said


@lru_cache(maxsize=1000)
def _sources(text: str) -> tuple[str, ...]:
    return tuple(one.lower() for one in read_trailers(text).get("source-repository", ()))
