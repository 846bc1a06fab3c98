"""Which commits changed an overlay's file, in a history too long to fetch with its trees.

In a deploy repository of many teams the last deployment of an overlay may be thousands of commits back.
A commit has some hundred bytes, its trees a few times that. So commits come alone. Those that say they
deploy from another repository are left out, and of the others only the trees on the way to the file are
fetched, in one request for each upper level of folders. The newest may be here already, where the tip was
fetched narrowly.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from model_gitops.adapters.git_store import Store, can_ask_alone
from model_gitops.adapters.narrow_fetch import NarrowFetch
from model_gitops.core.deploy.commit_log import (
    LoggedCommit,
    arrivals,
    is_of_others,
    own_line,
    with_parents,
)
from model_gitops.core.deploy.git_tree import FOLDER, entry_of

# How many commits are fetched: the newest, and all of them at last (git's own number for that).
NEAR = 50
_DEPTHS = (NEAR, 1_000, 2**31 - 1)
# Trees of this level come with all below them, as each level is a request: above may be a team or a cluster.
_WITH_ALL_BELOW = 4
# So many commits are looked into at once; where more may be the one, all trees are the lesser evil.
_AT_ONCE, _MOST = 100, 1_000

# Of a commit and each of its parents, what the file was: hashes, of zeros where there was none.
Pairs = tuple[tuple[str, str], ...]


class UntoldError(Exception):
    """It can't be told by commits at a small price: all trees must be fetched."""


class Commits:
    """The commits of a branch in a store for commits alone."""

    def __init__(self, store: Store, branch: str) -> None:
        self.store = store
        self.branch = branch
        self.depths: Sequence[int] = _DEPTHS
        # What was looked into.
        self.seen = set[str]()
        self._ref = f"refs/heads/{branch}"

    def log(self, depth: int, since: str) -> list[LoggedCommit]:
        """Fetch so many commits without their trees, or those after `since`. Raises UntoldError."""
        deep = [] if since else [f"--depth={depth}"]
        if not since:
            self.store.forget()
        done = self.store.completed(
            "fetch", "--quiet", "--no-tags", "--filter=tree:0", *deep, "--", "origin",
            f"+{self._ref}:{self._ref}", check=False,
        )  # fmt: skip
        if done.returncode != 0 or "filtering not recognized" in done.stderr:
            raise UntoldError  # the server sends all or nothing
        return self.store.log(self._ref, *([f"^{since}"] if since else []))

    def bring(self, trees: Sequence[str], level: int) -> bool:
        """Fetch trees of one level of folders, the top one's being 1; False if that fails."""
        without = "tree:0" if level < _WITH_ALL_BELOW else "blob:none"
        return level > _WITH_ALL_BELOW or self.store.bring(trees, without=without)

    def tip(self) -> str:
        """Return the tip that was looked at last."""
        return self.store.run("rev-parse", "--verify", "--quiet", self._ref).strip()


class NearCommits(Commits):
    """The newest commits of a branch, which came with its tip as that was fetched narrowly."""

    def __init__(self, store: Store, branch: str, narrow: NarrowFetch) -> None:
        super().__init__(store, branch)
        self.depths = (NEAR,)
        self._ref, self._narrow = f"refs/remotes/origin/{branch}", narrow

    def log(self, depth: int, since: str) -> list[LoggedCommit]:
        """Return those that are here, or those after `since`."""
        return self.store.log(self._ref, *([f"^{since}"] if since else []))

    def bring(self, trees: Sequence[str], level: int) -> bool:
        """Fetch the trees of one level that are not here."""
        return self._narrow.bring_trees(trees, level)

    def followed_by(self, store: Store) -> Commits:
        """Return the commits before these, which are to be fetched into a store for commits alone."""
        others = Commits(store, self.branch)
        others.depths, others.seen = _DEPTHS[1:], self.seen
        return others


def changing(
    commits: Commits, path: str, repository: str, since: str = ""
) -> Iterator[tuple[LoggedCommit, Pairs]]:
    """Yield the commits of a branch that changed the file `path`, newest first, with what it was before and after.

    Commits that deploy from another repository than `repository` are not among them, nor those that were looked
    into before. With `since`, a tip that was looked at before, only what came after it. Raises UntoldError.
    """
    if not can_ask_alone():
        raise UntoldError
    looked = 0
    for depth in commits.depths:
        log = commits.log(depth, since)
        history = _History(log)
        if since and log and not history.is_on(since):
            raise UntoldError
        # Git shows a commit where history is cut off as one without parents.
        cut = set[str]() if since else commits.store.cut_off()
        ends = (number for number, one in enumerate(log) if one.commit in cut)
        wanted = [
            one
            for one in log[: next(ends, None)]
            if one.commit not in commits.seen and not is_of_others(one.message, repository)
        ]
        for start in range(0, len(wanted), _AT_ONCE):
            some = wanted[start : start + _AT_ONCE]
            looked += len(some)
            if looked > _MOST:
                raise UntoldError
            commits.seen.update(one.commit for one in some)
            for one, pairs in _changed(commits, history.known, some, path):
                if _is_kept(commits, history, one, path):
                    yield one, pairs
        if not cut:
            return


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
    def has_merges(self) -> bool:
        """Whether any of these commits came by another one."""
        return any(len(one) > 1 for one in self.parents.values())

    @cached_property
    def arrivals(self) -> dict[str, str]:
        """By which commit of the branch's own line each came."""
        return arrivals(self.parents, own_line(self.parents, self._tip))


def _changed(
    place: Commits, known: Mapping[str, LoggedCommit], some: Sequence[LoggedCommit], path: str
) -> list[tuple[LoggedCommit, Pairs]]:
    """Return those of `some` that changed the file. Raises UntoldError where the server does not give the trees."""
    at = {
        one: known[one].tree if one in known else place.store.tree_of(one)
        for one in with_parents(some)
    }
    left = list(some)
    parts = path.split("/")
    for level, name in enumerate(parts, 1):
        # What is as in a parent did not change here, or came by that parent.
        left = [one for one in left if at[one.commit] not in (at[parent] for parent in one.parents)]
        commits = with_parents(left)
        wanted = {at[commit] for commit in commits if at[commit]}
        trees = _trees(place, wanted, level)
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


def _is_kept(place: Commits, history: _History, one: LoggedCommit, path: str) -> bool:
    """Whether the merge that brought a commit took the file from its side. Raises UntoldError.

    As `git log -- FILE` does, which leaves out a side whose file a merge did not take.
    """
    if not history.has_merges:
        return True
    merge = history.known[history.arrivals[one.commit]]
    if merge is one:
        return True
    if len(merge.parents) != 2 or one.commit not in own_line(history.parents, merge.parents[1]):
        raise UntoldError
    return bool(_changed(place, history.known, [merge._replace(parents=merge.parents[:1])], path))


def _trees(place: Commits, wanted: set[str], level: int) -> dict[str, bytes]:
    """Read these trees of one level, which are fetched in one request. Raises UntoldError where that fails."""
    if not wanted:
        return {}
    names = sorted(wanted)
    if not place.bring(names, level):
        raise UntoldError
    return dict(zip(names, place.store.each_object(names), strict=True))
