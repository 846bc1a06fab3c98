"""What a partial clone left out, fetched in one request.

Git itself asks its server for each object that it lacks as it is read: a search in the files of a thousand
versions would be a thousand requests.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

from model_gitops.adapters.git import Git
from model_gitops.adapters.git_store import bring, can_ask_alone

# To look what is missing takes as long as a few requests.
_FEW = 20
# A command line may hold some 2 MB.
_AT_ONCE = 10_000


def may_be(git: Git) -> bool:
    """Whether the checkout may be a partial clone. Of a linked work tree it is not known."""
    store = git.directory / ".git"
    return not store.is_dir() or _has_left_out(git)


def _has_left_out(git: Git) -> bool:
    """Whether what is here came from a server that left something out: so git marks it."""
    return any((git.directory / ".git/objects/pack").glob("*.promisor"))


class LeftOut:
    """What is missing here of the trees and files of `commits`, where the checkout is a partial clone."""

    def __init__(self, git: Git, commits: Sequence[str]) -> None:
        self._git, self._commits = git, commits
        self._remote, self._missing = "", frozenset[bytes]()
        # A linked work tree is not looked into.
        if len(commits) > _FEW and can_ask_alone() and _has_left_out(git):
            told = git.run(
                "config", "--null", "--get-regexp", r"^remote\..*\.promisor$", check=False
            )
            if found := re.match(r"remote\.(.+)\.promisor\n", told):
                self._remote = found[1]
                self._look()

    def _look(self) -> None:
        """Ask what is missing, which fetches nothing."""
        listing = self._git.run(
            "rev-list", "--objects", "--no-object-names", "--no-walk", "--missing=print", "--ignore-missing",
            "--stdin",
            check=False, input="".join(f"{one}\n" for one in self._commits),
        )  # fmt: skip
        self._missing = frozenset(one.encode() for one in re.findall(r"^\?(\w+)$", listing, re.M))

    def bring_trees(self, tops: Collection[bytes]) -> None:
        """Fetch those of the commits' top trees that are missing, with all trees below them."""
        if self._bring(tops):
            self._look()

    def bring_files(self, files: Iterable[bytes]) -> None:
        """Fetch those of these files that are missing."""
        self._bring(files)

    def _bring(self, objects: Iterable[bytes]) -> bool:
        """Fetch what is missing of these. What fails is left to git, which asks one by one."""
        wanted = [one.decode() for one in objects if one in self._missing]
        for start in range(0, len(wanted), _AT_ONCE):
            bring(self._git, self._remote, wanted[start : start + _AT_ONCE])
        return bool(wanted)
