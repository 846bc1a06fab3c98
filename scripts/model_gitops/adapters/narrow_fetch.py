"""A fetch of the trees on the way to one folder, where the server can leave out the others.

A deploy repository of many teams has tens of thousands of folders, and a deployment changes a file of one.
The tip comes with its two upper levels of trees, then the folder of the second level with all below it:
two requests, however many files the repository has. Whoever takes other filters only (`tree:0`, as
github.com) is asked for all trees, in one.
"""

from __future__ import annotations

from collections.abc import Iterable

from model_gitops.adapters.git_store import Store, can_ask_alone
from model_gitops.core.deploy.git_tree import FOLDER, HERE, entry_of, upper_folder

# Files of an overlay's own folder come along with it; what is larger is no manifest.
_ALONG = "blob:limit=64k"
# Of more commits than that all trees are fetched: those on the way would be nearly as many.
_MOST_COMMITS = 500


class NarrowFetch:
    """What of a server's repository was fetched into a store for the sake of `folder`."""

    def __init__(self, store: Store, folder: str) -> None:
        self._git = store
        self._folder = folder
        self._possible = can_ask_alone()
        self._started = False
        # Trees that are here with all below them, and what was looked for at which commit.
        self._here: set[str] = set()
        self._looked: set[tuple[str, str]] = set()
        self._whole: set[str] = set()

    def fetch(self, refspec: str, tip: str, depth: int) -> bool:
        """Fetch as narrowly as the server lets us; `tip` is where the refspec writes. False: fetch all trees."""
        if not self._possible or depth > _MOST_COMMITS:
            return False
        # Once only: what fails may pass, and is asked for again in the other way.
        done = self._git.completed(
            "fetch", "--quiet", "--no-tags", "--filter=blob:none", f"--filter=tree:{HERE}",
            f"--depth={depth}", "--", "origin", refspec, check=False,
        )  # fmt: skip
        if done.returncode != 0 or "filtering not recognized" in done.stderr:
            self._possible = False
            # Of a server that can't leave anything out all is here.
            return done.returncode == 0
        if not self._started:
            # From now on a commit that is here does not promise its trees.
            self._git.run("config", "fetch.negotiationAlgorithm", "noop")
            self._started = True
        limit = [f"--max-count={depth}"] if depth == 1 else []
        commits = self._git.run("rev-list", *limit, tip, "--").split()
        prefix = upper_folder(f"{self._folder}/file")
        return self._bring(commits, prefix) if prefix else True

    def end(self) -> None:
        """Take note that all trees of a branch were fetched: from now on all are, of what is new."""
        self._possible = False
        if self._started:
            self._git.run("config", "fetch.negotiationAlgorithm", "default")
            self._started = False

    def forget(self) -> bool:
        """Let all trees be fetched from now on, also of what is here; False if no tree was left out.

        A server takes a commit that is here for a promise of all its trees, and so it must not be told of any.
        """
        self._possible = False
        if not self._started:
            return False
        listed = self._git.run("for-each-ref", "--format=delete %(refname)")
        self._git.run("update-ref", "--stdin", input=listed)
        (self._git.directory / "shallow").unlink(missing_ok=True)
        return True

    def is_narrow(self, commit: str) -> bool:
        """Whether trees of a commit may be missing."""
        return self._started and commit not in self._whole

    def reach(self, commit: str, paths: Iterable[str]) -> None:
        """Fetch the folders in which `paths` are at `commit`, where they are not here. Raises ProcessError."""
        if not self.is_narrow(commit):
            return
        for prefix in dict.fromkeys(upper_folder(path) for path in paths):
            if (
                prefix
                and (commit, prefix) not in self._looked
                and not self._bring([commit], prefix)
            ):
                self._all_of(commit)
                return

    def _bring(self, commits: list[str], prefix: str) -> bool:
        """Fetch the folder `prefix` of commits with all below it, in one request; False if that fails."""
        above, _, name = prefix.rpartition("/")
        wanted = []
        # With a slash at its end the name is of a folder only: no file, link or submodule is read.
        trees = self._git.each_object([f"{one}:{above}/" for one in commits], missing=True)
        for commit, content in zip(commits, trees, strict=True):
            mode, found = entry_of(content, name, len(commit) // 2)
            if mode == FOLDER and found not in self._here:
                wanted.append(found)
            self._looked.add((commit, prefix))
        wanted = list(dict.fromkeys(wanted))
        if not wanted:
            return True
        what = _ALONG if prefix == self._folder else "blob:none"
        is_given = self._git.bring(wanted, without=what)
        self._here.update(wanted if is_given else ())
        return is_given

    def _all_of(self, commit: str) -> None:
        self._git.remote(
            "fetch",
            "--quiet",
            "--no-tags",
            "--filter=blob:none",
            "--depth=1",
            "--",
            "origin",
            commit,
        )
        self._whole.add(commit)

    def need_all(self, commit: str) -> None:
        """Fetch all trees of a commit that came narrowly. Raises ProcessError."""
        if self.is_narrow(commit):
            self._all_of(commit)
