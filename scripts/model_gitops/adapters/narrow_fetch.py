"""A fetch of the trees on the way to one folder, where the server can leave out the others.

A deploy repository of many teams has tens of thousands of folders, and a deployment changes a file of one.
The tip comes with its top tree, then each folder on the way alone, and one near the overlay with all below
it: a request for each level, however many files the repository has. Newest commits may come with it, and in
the same requests the folders of those that say nothing of another repository. One filter a request: of two
git looks into every tree, also where one of them wants none. Whoever takes other filters only (`tree:0`, as
github.com) is asked for all trees, in one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from model_gitops.adapters.git_store import Store, can_ask_alone, negotiating
from model_gitops.core.deploy import kustomization
from model_gitops.core.deploy.commit_log import LoggedCommit, is_of_others, with_parents
from model_gitops.core.deploy.git_tree import FOLDER, entry_of, upper_folder, whole_level

# Files of a small folder come along with it; what is larger is no manifest.
_ALONG, _SMALL = "blob:limit=64k", 60


class NarrowFetch:
    """What of a server's repository was fetched into a store for the sake of `folder`."""

    def __init__(
        self, store: Store, folder: str, files: set[str], commits: int = 1, repository: str = ""
    ) -> None:
        """`files` takes the hashes of the files that came along.

        So many of the newest `commits` come; those that may deploy from `repository` with their folders.
        """
        self._git = store
        self._folder = folder
        self._depth, self._repository = commits, repository
        self._files = files
        self._level = whole_level(folder)
        self._possible = can_ask_alone()
        self._started = False
        # Trees that are here, and whether with all below them; and what was looked for at which commit.
        self._here: set[tuple[str, bool]] = set()
        self._looked: set[tuple[str, str]] = set()
        self._whole: set[str] = set()
        # Of each branch its tip, and what came of it after a lost race.
        self._tips: dict[str, str] = {}
        self._came: set[str] = set()

    def fetch(self, refspec: str, tip: str, depth: int) -> bool:
        """Fetch one commit as narrowly as the server lets us; `tip` is where the refspec writes.

        False: so many commits are to be fetched with all their trees.
        """
        if not self._possible:
            return False
        if tip in self._tips:
            return self._fetch_new(refspec, tip)
        # Once only: what fails may pass, and is asked for again in the other way.
        done = self._git.completed(
            "fetch", "--quiet", "--no-tags", "--filter=tree:1", f"--depth={self._depth}",
            "--", "origin", refspec, check=False,
        )  # fmt: skip
        if done.returncode != 0 or "filtering not recognized" in done.stderr:
            self._possible = False
            # Of a server that can't leave anything out all is here.
            return done.returncode == 0 and depth <= self._depth
        if not self._started:
            # From now on a commit that is here does not promise its trees.
            self._git.run("config", "fetch.negotiationAlgorithm", "noop")
            self._started = True
        if self._depth == 1:
            self._tips[tip] = self._git.run("rev-parse", tip).strip()
            return self._bring_own(tip)
        log = self._git.log(tip)
        self._tips[tip] = log[0].commit
        self._here.update((one.tree, False) for one in log)
        return self._bring_own(tip, self._may_be(log))

    def _may_be(self, log: Sequence[LoggedCommit]) -> list[LoggedCommit]:
        """Return the commits that may have deployed from the repository, but the last, whose parents are not here."""
        cut = self._git.cut_off()
        return [
            one
            for one in log
            if one.commit not in cut and not is_of_others(one.message, self._repository)
        ]

    def _bring_own(self, tip: str, near: Sequence[LoggedCommit] = ()) -> bool:
        prefix = upper_folder(f"{self._folder}/file", self._level)
        return self._bring(self._tips[tip], prefix, near)

    def bring_trees(self, trees: Iterable[str], level: int) -> bool:
        """Fetch trees of this level, the top one's being 1, that are not here; False if that fails."""
        whole = level > self._level
        wanted = (
            []
            if level > self._level + 1
            else [one for one in trees if not self._is_here(one, whole)]
        )
        if wanted and not self._git.bring(wanted, without="blob:none" if whole else "tree:0"):
            return False
        self._here.update((one, whole) for one in wanted)
        return True

    def _fetch_new(self, refspec: str, tip: str) -> bool:
        """Fetch what came since, as after a lost race: a few commits, with all that they changed, in one request."""
        done = self._git.completed(
            "fetch", "--quiet", "--no-tags", f"--filter={_ALONG}", "--", "origin", refspec,
            check=False, env=negotiating("default"),
        )  # fmt: skip
        if done.returncode != 0:
            return False
        came = self._git.here_below([tip, f"^{self._tips[tip]}"])
        self._tips[tip] = came[0] if came else self._tips[tip]
        self._files.update(came)
        self._here.update((one, False) for one in came)
        self._came.update(came)
        return self._bring_own(tip)

    def end(self) -> None:
        """Take note that all trees of a branch were fetched: from now on all are, of what is new."""
        self._possible = False
        if self._started:
            self._git.run("config", "fetch.negotiationAlgorithm", "default")
            self._started = False

    def forget(self) -> bool:
        """Let all trees be fetched from now on, also of what is here; False if no tree was left out."""
        self._possible = False
        if not self._started:
            return False
        self._git.forget()
        return True

    @property
    def is_used(self) -> bool:
        """Whether the server leaves trees out for us."""
        return self._started and self._possible

    @property
    def has_commits(self) -> bool:
        """Whether the newest commits came with the tip."""
        return self._depth > 1

    def is_narrow(self, commit: str) -> bool:
        """Whether trees of a commit may be missing."""
        return self._started and commit not in self._whole

    def reach(self, commit: str, paths: Iterable[str]) -> None:
        """Fetch the folders in which `paths` are at `commit`, where they are not here. Raises ProcessError."""
        if not self.is_narrow(commit):
            return
        for prefix in dict.fromkeys(upper_folder(path, self._level) for path in paths):
            is_known = "\n" in prefix or (commit, prefix) in self._looked
            if not is_known and not self._bring(commit, prefix):
                self._all_of(commit)
                return

    def _bring(self, commit: str, prefix: str, near: Sequence[LoggedCommit] = ()) -> bool:
        """Fetch the folders on the way to `prefix`, and it with all below it; False if that fails.

        With them come those of the commits `near` that changed something in them.
        """
        above = ""
        for name in prefix.split("/") if prefix else ():
            commits = with_parents(near)
            # With a slash at its end the name is of a folder only: no file, link or submodule is read.
            names = [f"{one}:{above}" for one in (commit, *commits)]
            contents = self._git.each_object(names, missing=True)
            entries = [entry_of(content, name, len(commit) // 2) for content in contents]
            (mode, found), *others = entries
            if mode != FOLDER:
                break
            above += f"{name}/"
            at = dict(
                zip(commits, (sha if mode == FOLDER else "" for mode, sha in others), strict=True)
            )
            near = [one for one in near if at[one.commit] not in (at[each] for each in one.parents)]
            is_whole = above == f"{prefix}/" and (
                prefix == self._folder or prefix.count("/") + 1 == self._level
            )
            more = {at[one] for one in with_parents(near)} - {"", found}
            more = {one for one in more if not self._is_here(one, is_whole)}
            if not more and self._is_here(found, is_whole):
                continue
            if not self._brought(found, more, prefix if is_whole else "", near):
                return False
            self._here.update((one, is_whole) for one in (found, *more))
        self._looked.add((commit, prefix))
        return True

    def _is_here(self, tree: str, whole: bool) -> bool:
        """Whether a tree is here, or with all below it: one that came newly may have one that was elsewhere."""
        if (tree, whole) in self._here or (tree, True) in self._here:
            return True
        return whole and tree in self._came and self._git.has_trees_below(tree)

    def _brought(
        self, tree: str, more: Collection[str], folder: str, near: Sequence[LoggedCommit]
    ) -> bool:
        """Fetch trees alone, or those of `folder` with all below them; False if that fails.

        Of the one at the tip, `tree`, its files come along if they are few, and of those `near` the overlay's.
        """
        if not folder:
            return self._git.bring([tree, *more], without="tree:0")
        along = folder == self._folder
        if not self._git.bring([tree, *more], without=_ALONG if along else "blob:none"):
            return False
        if not along and (files := self._few(tree)):
            # Git asks for no tree that is here, unless it asks for something else too.
            files = [*{*files, *self._overlays(near)}]
            along = self._git.bring([tree, *files], without=_ALONG)
        self._files.update(self._git.here_below([tree, *more]) if along else ())
        return True

    def _overlays(self, near: Sequence[LoggedCommit]) -> set[str]:
        """Return the overlay's kustomization at these commits and their parents."""
        names = [f"{one}:{self._folder}/" for one in with_parents(near)]
        return {
            sha
            for content in self._git.each_object(names, missing=True)
            for name in kustomization.FILE_NAMES
            for mode, sha in (entry_of(content, name, len(near[0].commit) // 2),)
            if mode.startswith("100")
        }

    def _few(self, tree: str) -> list[str]:
        """Return the kustomizations below a tree, if it has few files."""
        listing = self._git.run("ls-tree", "-r", "-z", tree).split("\0")[:-1]
        entries = [entry.partition("\t") for entry in listing]
        return [
            fields.split(" ")[2]
            for fields, _, name in entries
            if name.rpartition("/")[2] in kustomization.FILE_NAMES
            and fields.startswith("100")
            and len(entries) <= _SMALL
        ]

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
