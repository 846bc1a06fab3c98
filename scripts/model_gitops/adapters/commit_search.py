"""Which commits changed an overlay's file, in a history too long to fetch with its trees.

In a deploy repository of many teams the last deployment of an overlay may be thousands of commits back.
A commit has some hundred bytes, its trees a few times that. So commits come alone. Those that say they
deploy from another repository are left out, and of the others only the trees on the way to the file are
fetched, in one request for each upper level of folders.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

from model_gitops.adapters.git_store import Store, can_ask_alone
from model_gitops.core.deploy.commit_log import (
    FORMAT,
    LoggedCommit,
    arrivals,
    is_of_others,
    own_line,
    read_log,
)
from model_gitops.core.deploy.git_tree import FOLDER, entry_of

# How many commits are fetched; all of them at last (git's own number for that).
_DEPTHS = (5_000, 2**31 - 1)
# Trees of this level come with all below them, as each level is a request: above may be a team or a cluster.
_WITH_ALL_BELOW = 4
# The last deployment is in one of so many as a rule; and then all their trees are not much more.
NEWEST = 50
# So many commits are looked into at once; where more may be the one, all trees are the lesser evil.
_AT_ONCE, _MOST = 100, 1_000

# Of a commit and each of its parents, what the file was: hashes, of zeros where there was none.
Pairs = tuple[tuple[str, str], ...]


def depth_of(store: Store, branch: str, repository: str) -> int:
    """Return how many commits must be fetched to see what the newest changed that does not deploy from others.

    That is more than NEWEST where none of so many is it, and 0 where that can't be told.
    """
    log = _commits(store, branch, NEWEST) if can_ask_alone() else []
    own = (number for number, one in enumerate(log) if not is_of_others(one.message, repository))
    none = NEWEST + 1 if log and store.cut_off() else len(log)
    return next(own, none - 2) + 2 if log else 0


def changing(
    store: Store, branch: str, path: str, repository: str
) -> Iterator[tuple[LoggedCommit, Pairs]]:
    """Yield the commits of `branch` that changed the file `path`, newest first, with what it was before and after.

    Commits that deploy from another repository than `repository` are not among them. It ends early where
    that can't be told at a small price: then all trees must be fetched. `store` is for commits alone.
    """
    if not can_ask_alone():
        return
    seen, looked = set[str](), 0
    for depth in _DEPTHS:
        log = _commits(store, branch, depth)
        history = _History(log)
        # Git shows a commit where history is cut off as one without parents.
        cut = store.cut_off()
        ends = (number for number, one in enumerate(log) if one.commit in cut)
        wanted = [
            one
            for one in log[: next(ends, None)]
            if one.commit not in seen and not is_of_others(one.message, repository)
        ]
        for start in range(0, len(wanted), _AT_ONCE):
            some = wanted[start : start + _AT_ONCE]
            looked += len(some)
            changed = _changed(store, history.known, some, path) if looked <= _MOST else None
            if changed is None:
                return
            seen.update(one.commit for one in some)
            for one, pairs in changed:
                kept = _is_kept(store, history, one, path)
                if kept is None:
                    return
                if kept:
                    yield one, pairs
        if not cut:
            return


class _History:
    """Commits of a branch, newest first, and how they hang together."""

    def __init__(self, log: Sequence[LoggedCommit]) -> None:
        self.known = {one.commit: one for one in log}
        self.parents = {one.commit: one.parents for one in log}
        self._tip = log[0].commit if log else ""

    @cached_property
    def arrivals(self) -> dict[str, str]:
        """By which commit of the branch's own line each came."""
        return arrivals(self.parents, own_line(self.parents, self._tip))


def _commits(store: Store, branch: str, depth: int) -> list[LoggedCommit]:
    """Fetch so many commits without their trees. None where the server sends all or nothing."""
    ref = f"refs/heads/{branch}"
    done = store.completed(
        "fetch", "--quiet", "--no-tags", "--filter=tree:0", f"--depth={depth}", "--", "origin", f"+{ref}:{ref}",
        check=False,
    )  # fmt: skip
    if done.returncode != 0 or "filtering not recognized" in done.stderr:
        return []
    return read_log(store.run("log", "-z", f"--format={FORMAT}", ref))


def _changed(
    store: Store, known: Mapping[str, LoggedCommit], some: Sequence[LoggedCommit], path: str
) -> list[tuple[LoggedCommit, Pairs]] | None:
    """Return those of `some` that changed the file, or None where the server does not give the trees."""
    at = {commit: known[commit].tree for one in some for commit in (one.commit, *one.parents)}
    left = list(some)
    parts = path.split("/")
    for level, name in enumerate(parts, 1):
        # What is as in a parent did not change here, or came by that parent.
        left = [one for one in left if at[one.commit] not in (at[parent] for parent in one.parents)]
        commits = list(dict.fromkeys(each for one in left for each in (one.commit, *one.parents)))
        wanted = {at[commit] for commit in commits if at[commit]}
        trees = _trees(store, wanted, level)
        if trees is None:
            return None
        for commit in commits:
            mode, sha = entry_of(trees.get(at[commit], b""), name, len(commit) // 2)
            at[commit] = sha if level == len(parts) or mode == FOLDER else ""
    found = []
    for one in left:
        after, before = at[one.commit], [at[parent] for parent in one.parents] or [""]
        if after not in before:
            none = "0" * len(one.commit)
            found.append((one, tuple((each or none, after or none) for each in before)))
    return found


def _is_kept(store: Store, history: _History, one: LoggedCommit, path: str) -> bool | None:
    """Whether the merge that brought a commit took the file from its side; None where that can't be told here.

    As `git log -- FILE` does, which leaves out a side whose file a merge did not take.
    """
    merge = history.known[history.arrivals[one.commit]]
    if merge is one:
        return True
    if len(merge.parents) != 2 or one.commit not in own_line(history.parents, merge.parents[1]):
        return None
    taken = _changed(store, history.known, [replace(merge, parents=merge.parents[:1])], path)
    return None if taken is None else bool(taken)


def _trees(store: Store, wanted: set[str], level: int) -> dict[str, bytes] | None:
    """Read these trees of one level, which are fetched in one request; None where that fails."""
    if not wanted:
        return {}
    names = sorted(wanted)
    without = "tree:0" if level < _WITH_ALL_BELOW else "blob:none"
    if level <= _WITH_ALL_BELOW and not store.bring(names, without=without):
        return None
    return dict(zip(names, store.each_object(names), strict=True))
