"""Which commits changed an overlay's file, in a history too long to fetch with its trees.

In a deploy repository of many teams the last deployment of an overlay may be thousands of commits back.
A commit has some hundred bytes, its trees a few times that. So commits come alone. Those that say they
deploy from another repository are left out, and of the others only the trees on the way to the file are
fetched, in one request for each upper level of folders.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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

# How many commits are fetched: the newest, and all of them at last (git's own number for that).
_DEPTHS = (50, 1_000, 2**31 - 1)
# Trees of this level come with all below them, as each level is a request: above may be a team or a cluster.
_WITH_ALL_BELOW = 4
# So many commits are looked into at once; where more may be the one, all trees are the lesser evil.
_AT_ONCE, _MOST = 100, 1_000

# Of a commit and each of its parents, what the file was: hashes, of zeros where there was none.
Pairs = tuple[tuple[str, str], ...]


class UntoldError(Exception):
    """It can't be told by commits at a small price: all trees must be fetched."""


def changing(
    store: Store, branch: str, path: str, repository: str, since: str = ""
) -> Iterator[tuple[LoggedCommit, Pairs]]:
    """Yield the commits of `branch` that changed the file `path`, newest first, with what it was before and after.

    Commits that deploy from another repository than `repository` are not among them. `store` is for commits
    alone. With `since`, a tip that was looked at before, only what came after it. Raises UntoldError.
    """
    if not can_ask_alone():
        raise UntoldError
    seen, looked = set[str](), 0
    for depth in _DEPTHS:
        log = _commits(store, branch, depth, since)
        history = _History(log)
        if since and log and not history.is_on(since):
            raise UntoldError
        # Git shows a commit where history is cut off as one without parents.
        cut = set[str]() if since else store.cut_off()
        ends = (number for number, one in enumerate(log) if one.commit in cut)
        wanted = [
            one
            for one in log[: next(ends, None)]
            if one.commit not in seen and not is_of_others(one.message, repository)
        ]
        for start in range(0, len(wanted), _AT_ONCE):
            some = wanted[start : start + _AT_ONCE]
            looked += len(some)
            if looked > _MOST:
                raise UntoldError
            seen.update(one.commit for one in some)
            for one, pairs in _changed(store, history.known, some, path):
                if _is_kept(store, history, one, path):
                    yield one, pairs
        if not cut:
            return


def tip_of(store: Store, branch: str) -> str:
    """Return the tip that was looked at last."""
    return store.run("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}").strip()


class _History:
    """Commits of a branch, newest first, and how they hang together."""

    def __init__(self, log: Sequence[LoggedCommit]) -> None:
        self.known = {one.commit: one for one in log}
        self.parents = {one.commit: one.parents for one in log}
        self._tip = log[0].commit if log else ""

    def is_on(self, commit: str) -> bool:
        """Whether these commits stand on another one."""
        last = own_line(self.parents, self._tip)[-1]
        return self.parents[last][:1] == (commit,)

    @cached_property
    def arrivals(self) -> dict[str, str]:
        """By which commit of the branch's own line each came."""
        return arrivals(self.parents, own_line(self.parents, self._tip))


def _commits(store: Store, branch: str, depth: int, since: str) -> list[LoggedCommit]:
    """Fetch so many commits without their trees, or those after `since`."""
    ref = f"refs/heads/{branch}"
    deep = [] if since else [f"--depth={depth}"]
    if not since:
        store.forget()
    done = store.completed(
        "fetch", "--quiet", "--no-tags", "--filter=tree:0", *deep, "--", "origin", f"+{ref}:{ref}",
        check=False,
    )  # fmt: skip
    if done.returncode != 0 or "filtering not recognized" in done.stderr:
        raise UntoldError  # the server sends all or nothing
    after = [f"^{since}"] if since else []
    return read_log(store.run("log", "-z", f"--format={FORMAT}", ref, *after))


def _changed(
    store: Store, known: Mapping[str, LoggedCommit], some: Sequence[LoggedCommit], path: str
) -> list[tuple[LoggedCommit, Pairs]]:
    """Return those of `some` that changed the file. Raises UntoldError where the server does not give the trees."""
    commits = [commit for one in some for commit in (one.commit, *one.parents)]
    at = {one: known[one].tree if one in known else store.tree_of(one) for one in commits}
    left = list(some)
    parts = path.split("/")
    for level, name in enumerate(parts, 1):
        # What is as in a parent did not change here, or came by that parent.
        left = [one for one in left if at[one.commit] not in (at[parent] for parent in one.parents)]
        commits = list(dict.fromkeys(each for one in left for each in (one.commit, *one.parents)))
        wanted = {at[commit] for commit in commits if at[commit]}
        trees = _trees(store, wanted, level)
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


def _is_kept(store: Store, history: _History, one: LoggedCommit, path: str) -> bool:
    """Whether the merge that brought a commit took the file from its side. Raises UntoldError.

    As `git log -- FILE` does, which leaves out a side whose file a merge did not take.
    """
    merge = history.known[history.arrivals[one.commit]]
    if merge is one:
        return True
    if len(merge.parents) != 2 or one.commit not in own_line(history.parents, merge.parents[1]):
        raise UntoldError
    return bool(_changed(store, history.known, [merge._replace(parents=merge.parents[:1])], path))


def _trees(store: Store, wanted: set[str], level: int) -> dict[str, bytes]:
    """Read these trees of one level, which are fetched in one request. Raises UntoldError where that fails."""
    if not wanted:
        return {}
    names = sorted(wanted)
    without = "tree:0" if level < _WITH_ALL_BELOW else "blob:none"
    if level <= _WITH_ALL_BELOW and not store.bring(names, without=without):
        raise UntoldError
    return dict(zip(names, store.each_object(names), strict=True))
