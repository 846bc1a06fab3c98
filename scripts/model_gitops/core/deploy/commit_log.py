"""Which commits of a long history are looked into. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from model_gitops.core.deploy.trailers import read_trailers


@dataclass(frozen=True)
class LoggedCommit:
    """A commit as `git log --format=FORMAT -z` tells it: its top tree, its parents and its message."""

    commit: str
    tree: str
    parents: tuple[str, ...]
    message: str


FORMAT = "%H %T %P%n%B"


def read_log(text: str) -> list[LoggedCommit]:
    """Return the commits of such a log, in its order."""
    found = []
    for record in text.split("\0"):
        head, _, message = record.partition("\n")
        commit, tree, *parents = head.split(" ") if head else ("", "")
        if commit:
            found.append(LoggedCommit(commit, tree, tuple(one for one in parents if one), message))
    return found


def is_of_others(message: str, repository: str) -> bool:
    """Whether a commit says that it deploys from other repositories, and not from this one."""
    if "source-repository" not in message.lower():
        return False
    said = read_trailers(message).get("source-repository", ())
    return bool(said) and repository.lower() not in (one.lower() for one in said)
