"""A promotion that was squashed or rebased: found by its content, and how both histories are joined."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Squash:
    """A commit of a later environment's branch that is another one's content over again.

    `commit` is not in the history of the branch that the environment takes changes from, and `source`,
    which is, has the same files. `own` are commits of the branch after it, whose content is nowhere else.
    """

    commit: str
    source: str
    own: tuple[str, ...] = ()


def find(target: Sequence[tuple[str, str]], source: Mapping[str, str]) -> Squash | None:
    """Return the newest squash on a branch, or None.

    `target` are the commits (hash, tree) that only the target's branch has, newest first, without
    merges. `source` are the trees that the other branch got since both were joined: tree → commit.
    """
    for place, (commit, tree) in enumerate(target):
        if tree in source:
            return Squash(commit, source[tree], tuple(one for one, _ in target[:place]))
    return None


def repair(squash: Squash, source: str, target: str, first: str) -> str:
    """Return what to type so that `source` merges into `target` again. `first` takes pull requests.

    Without commits of its own the target's content is in the source's history: nothing of it is needed.
    """
    branch = shlex.quote(f"join-{target.replace('/', '-')}")
    merge = "git merge -s ours --no-edit" if not squash.own else "git merge --no-edit"
    joined = (
        f"git fetch origin && git switch --no-track -C {branch} {shlex.quote(f'origin/{first}')} &&"
        f" {merge} {shlex.quote(f'origin/{target}')} && git push origin {branch}"
    )
    own = (
        f" (solve its conflicts, and keep what {', '.join(one[:12] for one in squash.own)} brought)"
        if squash.own
        else ""
    )
    chain = f"; then promote {first} as always" if first != source else ""
    return (
        f"{joined}{own}; open a pull request from {branch} into {first}, and merge it with a merge commit"
        f"{chain}"
    )
