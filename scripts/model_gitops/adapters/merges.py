"""How a branch was merged into another one, as Git's history tells."""

from __future__ import annotations

from model_gitops.adapters.git import Git
from model_gitops.core.flow import squash
from model_gitops.core.flow.squash import Squash

# So far back a squash is looked for: each later promotion would have found it before.
_MOST = 1000


def find_squash(repository: Git, target: str, source: str) -> Squash | None:
    """Return the squash or rebase that keeps commit `source` from merging into `target`, or None.

    Both histories are looked at from where they were last joined: a merge after a squash mends it. In a
    shallow checkout only what is there is compared first: the rest is fetched for a suspicion alone.
    """
    found = _found(repository, target, source)
    if found and repository.is_shallow():
        # Where they were joined may be cut off: an empty commit has the content of its own parent.
        for tip in (source, target):
            if repository.is_shallow():
                repository.try_fetch(tip, "--unshallow")
        return None if repository.is_shallow() else _found(repository, target, source)
    return found


def _found(repository: Git, target: str, source: str) -> Squash | None:
    joined = repository.run("merge-base", target, source, check=False).split()
    trees = {tree: commit for commit, tree in reversed(_commits(repository, source, joined))}
    alone = [
        (commit, tree)
        for commit, tree in _commits(repository, target, [*joined, source])
        if _has_one_parent(repository, commit)
    ]
    return squash.find(alone, trees)


def own(repository: Git, branch: str, of: str) -> tuple[str, ...]:
    """Return the commits, no merges, that `branch` has and `of` has not, newest first."""
    alone = [commit for commit, _ in _commits(repository, branch, [of])]
    return tuple(one for one in alone if _has_one_parent(repository, one))


def conflicts(repository: Git, target: str, source: str) -> bool:
    """Whether a merge of both has conflicts; Git older than 2.38 can't say, and is believed to."""
    done = repository.completed("merge-tree", "--write-tree", target, source, check=False)
    return done.returncode != 0


def _commits(repository: Git, tip: str, without: list[str]) -> list[tuple[str, str]]:
    """Return hash and tree of the newest commits of `tip` that are not in `without`."""
    listing = repository.run(
        "log", "--no-show-signature", f"--max-count={_MOST}", "--format=%H %T",
        tip, *(f"^{one}" for one in without), "--",
    )  # fmt: skip
    pairs = (line.split(" ") for line in listing.splitlines())
    return [(commit, tree) for commit, tree in pairs]


def _has_one_parent(repository: Git, commit: str) -> bool:
    """Whether the commit itself says so: a shallow checkout hides parents from `git log`."""
    head = repository.run("cat-file", "commit", commit).partition("\n\n")[0]
    return sum(line.startswith("parent ") for line in head.splitlines()) == 1
