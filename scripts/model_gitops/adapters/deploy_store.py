"""The files and branches of the deploy repository, through Git's object store, without a work tree.

Only one file of it is ever downloaded, and byte by byte: no checkout filter, hook or symbolic link
has a say.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

from model_gitops.adapters import process
from model_gitops.adapters.git_store import Store
from model_gitops.adapters.narrow_fetch import NarrowFetch
from model_gitops.core.deploy import git_tree, kustomization
from model_gitops.errors import ExternalError, InputError


class ProtectedError(ExternalError):
    """The server takes no push to a branch: it is protected."""


@dataclass(frozen=True)
class KustomizationFile:
    """A kustomization at one commit. `path` is relative to the top, `mode` is Git's."""

    path: str
    mode: str
    text: str


@dataclass(frozen=True)
class DeployFile:
    """Another file of the deploy repository, such as the one of a hold."""

    path: str
    text: str
    mode: str = "100644"


@dataclass(frozen=True)
class Refs:
    """The remote's branches that matter, as one answer: name → commit."""

    default: str
    branches: Mapping[str, str]


class DeployStore:
    """A remote repository, and the temporary object store for what is fetched of it."""

    def __init__(self, store: Store, url: str) -> None:
        self._git = store
        self.url = url
        self._here: set[str] = set()
        self._narrow: NarrowFetch | None = None
        # Of each branch how deep it was fetched, its tip, and where history was cut off then.
        self._fetched: dict[tuple[str, str], tuple[int, str, set[str]]] = {}
        self._contents: dict[str, bytes] = {}

    def only(self, folder: str, *, commits: int = 1, repository: str = "") -> None:
        """Let later fetches bring the trees on the way to `folder` only, where the server can do that.

        So many of the newest `commits` come, those that may deploy from `repository` with their trees. What else is asked for after is fetched then. History is not to be deepened after, but by `all_trees`:
        a server takes each commit that is here for a promise of all its trees.
        """
        if self._narrow is None:
            self._narrow = NarrowFetch(self._git, folder, self._here, commits, repository)

    def is_narrow(self) -> bool:
        """Whether trees were left out, as `only` has it."""
        return self._narrow is not None and self._narrow.is_used

    def all_trees(self) -> None:
        """Let later fetches bring all trees, after `only`: then history may be deepened."""
        if self._narrow is not None and self._narrow.forget():
            self._fetched.clear()

    def refs(self, *branches: str) -> Refs:
        """Ask the remote for its default branch and for `branches`: one request."""
        names = [f"refs/heads/{branch}" for branch in branches]
        # Every branch is asked for where none is named: the default branch must be among them.
        names = names or ["refs/heads/*"]
        answer = self._git.remote("ls-remote", "--symref", "--", "origin", "HEAD", *names)
        default, found = "", {}
        for line in answer.splitlines():
            value, _, name = line.partition("\t")
            if value.startswith("ref: refs/heads/") and name == "HEAD":
                default = value.removeprefix("ref: refs/heads/")
            elif name.startswith("refs/heads/"):
                found[name.removeprefix("refs/heads/")] = value
        return Refs(default, found)

    def ask_once(self) -> None:
        """Ask the remote for its HEAD, without a second attempt. Raises ProcessError."""
        self._git.completed("ls-remote", "--", "origin", "HEAD")

    def fetch(self, branch: str, *, depth: int = 1, without: str = "blob:none") -> str:
        """Fetch the tip of `branch`, trees without files, and return its commit.

        `without` is what is left out of the answer, as git's `--filter` has it. History that is here
        already stays, and is not fetched again.
        """
        local = f"refs/remotes/origin/{branch}"
        refspec = f"+refs/heads/{branch}:{local}"
        known, _, cut = self._fetched.get((branch, without), (0, "", set()))
        is_whole = depth <= known and not self._is_cut_since(local, cut)
        depth = max(depth, known)
        if self._narrow is None or not self._narrow.fetch(refspec, local, depth):
            # With `--depth` history is cut off there, also where more of it was.
            more = [] if is_whole else [f"--depth={depth}"]
            self._git.remote(
                "fetch", "--quiet", "--no-tags", f"--filter={without}", *more,
                "--", "origin", refspec,
            )  # fmt: skip
            if self._narrow is not None:
                self._narrow.end()
        tip = self._git.run("rev-parse", "--verify", "--quiet", local).strip()
        self._fetched[branch, without] = depth, tip, self._git.cut_off()
        return tip

    def at_depth(self, branch: str, depth: int) -> str:
        """Return the tip of `branch` as it was fetched last, if that was as deep; else fetch it."""
        known, tip, cut = self._fetched.get((branch, "blob:none"), (0, "", set()))
        is_here = known >= depth and not self._is_cut_since(tip, cut)
        return tip if is_here else self.fetch(branch, depth=depth)

    def _is_cut_since(self, tip: str, cut: set[str]) -> bool:
        """Whether the fetch of another branch cut the history of `tip` off, where more of it was here."""
        new = self._git.cut_off() - cut
        return bool(new) and not new.isdisjoint(self._git.run("rev-list", tip).split())

    def read_kustomization(self, commit: str, folder: str) -> KustomizationFile:
        """Read the kustomization of `folder`. Raises InputError where there is not exactly one."""
        listing = self._tree(commit, folder)
        found = [name for name in kustomization.FILE_NAMES if name in listing]
        shown = f"folder {folder!r} of {self.url}"
        if not found:
            others = ", ".join(sorted(listing)[:20]) or "nothing"
            problem = f"the {shown} has no kustomization.yaml; it holds {others}"
            raise InputError.of("path", folder, problem, fix=self._elsewhere(commit, folder))
        if len(found) > 1:
            problem = f"the {shown} has {' and '.join(found)}; kustomize takes only one"
            raise InputError.of("path", folder, problem, fix=f"git rm {found[1]}")
        mode, sha = listing[found[0]]
        path = found[0] if folder == "." else f"{folder}/{found[0]}"
        if mode not in ("100644", "100755"):
            raise InputError.of(
                "path", folder, f"{path} is a symbolic link or no file", fix="give its target"
            )
        try:
            text = self.blob(sha).decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(
                f"{path} of {self.url} is not UTF-8", fix="save it as UTF-8"
            ) from error
        return KustomizationFile(path, mode, text)

    def parents(self, commit: str) -> list[str]:
        """Return the parents that the commit names, also where history is cut off."""
        head = self._git.run("cat-file", "commit", commit).partition("\n\n")[0]
        return [line[7:] for line in head.splitlines() if line.startswith("parent ")]

    def message(self, commit: str) -> str:
        """Return the message of a commit."""
        return self._git.run("cat-file", "commit", commit).partition("\n\n")[2]

    def commit(
        self,
        parent: str,
        *files: KustomizationFile | DeployFile,
        message: str,
        removed: Sequence[str] = (),
    ) -> str:
        """Write a commit on `parent` that changes only `files`, and return its hash.

        `removed` are paths that it takes away; one that is not there is no matter.
        """
        author, committer = (self._person(role) for role in ("AUTHOR", "COMMITTER"))
        self._reach(parent, *(file.path for file in files), *removed)
        # Of the parent it reads the trees on the way to the files, and no other one.
        told = git_tree.commit_stream(
            "refs/model-gitops/made", parent, author=author, committer=committer, message=message,
            files=[(file.mode, file.path, file.text) for file in files], removed=removed,
        )  # fmt: skip
        return self._git.run("fast-import", "--quiet", "--force", "--done", input=told).strip()

    @cached_property
    def _people(self) -> dict[str, str]:
        """Who writes, as git says it: it is asked once, also where a race was lost."""
        known = self._git.identity()
        return {
            role: self._git.run("var", f"GIT_{role}_IDENT", env=known).strip()
            for role in ("AUTHOR", "COMMITTER")
        }

    def _person(self, role: str) -> str:
        """Return who writes, and when, as a commit has it."""
        name, _, zone = self._people[role].rsplit(" ", 2)
        is_set = os.environ.get(f"GIT_{role}_DATE")
        return self._people[role] if is_set else f"{name} {int(time.time())} {zone}"

    def text_at(self, commit: str, path: str) -> str | None:
        """Return the text of the file `path` at `commit`; None where there is none.

        Raises InputError where it is a link or no UTF-8.
        """
        self._reach(commit, path)
        folder, _, name = path.rpartition("/")
        expression = f"{commit}:{folder}"
        listing = self._git.completed("ls-tree", "-z", expression, "--", name, check=False)
        fields = listing.stdout.partition("\t")[0].split(" ")
        if listing.returncode != 0 or len(fields) != 3:
            return None
        mode, _, sha = fields
        if mode not in ("100644", "100755"):
            raise InputError(
                f"{path} of {self.url} is a symbolic link or no file", fix=f"git rm {path}"
            )
        try:
            return self.blob(sha).decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(
                f"{path} of {self.url} is not UTF-8", fix="save it as UTF-8"
            ) from error

    def push(self, commit: str, branch: str, *, expected: str | None = None) -> None:
        """Move `branch` to `commit`.

        Without `expected` only forward. With it, from exactly that commit (empty: the branch must
        be new) to anywhere: for a branch that is our own. Raises LostRace where somebody was first,
        ProtectedError where the server takes only pull requests.
        """
        ref = f"refs/heads/{branch}"
        lease = [] if expected is None else [f"--force-with-lease={ref}:{expected}"]
        try:
            self._git.remote(
                "push", "--quiet", "--porcelain", "--no-verify", *lease,
                "--", "origin", f"{commit}:{ref}",
            )  # fmt: skip
        except process.ProcessError as error:
            said = error.completed.stderr + error.completed.stdout
            if any(
                text in said for text in ("hook declined", "GH006", "GH013", "protected branch")
            ):
                raise ProtectedError(
                    f"{self.url} does not take a push to {branch}: {error.message}",
                    fix="the branch is protected: use `mode: pull-request`, or let the token's app"
                    " (or the deploy key) bypass the rule",
                ) from error
            raise

    def remove(self, branch: str, *, expected: str) -> None:
        """Remove a branch that is our own, if it is still at `expected`; a failure is no matter."""
        ref = f"refs/heads/{branch}"
        lease = f"--force-with-lease={ref}:{expected}"
        self._git.completed(
            "push", "--quiet", "--no-verify", lease, "--", "origin", f":{ref}", check=False
        )

    def landed(self, branch_tip: str, commit: str) -> tuple[str, int]:
        """Return the commit by which `commit` got onto the branch, and when (Unix seconds).

        Of a merged pull request that is the merge. It looks as far as history was fetched.
        """
        log = self._git.run(
            "log",
            "--first-parent",
            "--boundary",
            "--format=%m %H %ct %P",
            f"{commit}..{branch_tip}",
        )
        listed = [line.split(" ") for line in log.splitlines()]
        later = [fields for fields in reversed(listed) if fields[0] != "-"]
        made = {fields[1]: int(fields[2]) for fields in listed}
        if later and later[0][3] == commit and commit in made:
            return commit, made[commit]  # the branch's own next commit stands on it
        arrived = commit
        for _, one, *_ in later:
            # As a rule the first answers: what came later stands on what is there.
            if self._git.is_ancestor(commit, one):
                first = self.parents(one)[0]
                arrived = commit if self._git.is_ancestor(commit, first) else one
                break
        return arrived, int(self._git.run("log", "-1", "--format=%ct", arrived))

    def is_merged(self, commit: str, branch_tip: str) -> bool:
        """Whether `commit` is in the branch's history, as far as that was fetched."""
        return self._git.is_ancestor(commit, branch_tip)

    def image_at(self, commit: str, path: str, name: str) -> kustomization.Image | None:
        """Return the entry `name` of the kustomization `path` at `commit`; None where it has none."""
        self._reach(commit, path)
        found = self._git.completed(
            "rev-parse", "--verify", "--quiet", f"{commit}:{path}", check=False
        )
        if found.returncode != 0:
            return None
        try:
            text = self.blob(found.stdout.strip()).decode("utf-8")
            return kustomization.find(kustomization.read(text, source=path), name, source=path)
        except (InputError, UnicodeDecodeError):
            return None

    def files(self, commit: str) -> dict[str, str]:
        """Return all files of a commit: path → hash. Links and submodules are left out."""
        if self._narrow is not None:
            self._narrow.need_all(commit)
        return self._listing("-r", commit)

    def listed(self, commit: str, paths: Sequence[str]) -> dict[str, str]:
        """Return those of `paths` that are files of a commit: path → hash. Other folders are not read."""
        self._reach(commit, *paths)
        return self._listing(commit, "--", *(f":(top,literal){path}" for path in paths))

    def _listing(self, *words: str) -> dict[str, str]:
        listing = self._git.run("ls-tree", "-z", "--full-tree", *words)
        found = {}
        for entry in listing.split("\0"):
            fields, _, name = entry.partition("\t")
            if fields.startswith("100"):
                found[name] = fields.split(" ")[2]
        return found

    def _reach(self, commit: str, *paths: str) -> None:
        if self._narrow is not None:
            self._narrow.reach(commit, paths)

    def _elsewhere(self, commit: str, folder: str) -> str:
        """Return the fix for a folder without a kustomization: to make it, or one that is there."""
        names = (path.rpartition("/") for path in self.files(commit))
        others = sorted({at or "." for at, _, name in names if name in kustomization.FILE_NAMES})
        there = f", or give a folder that has one: {', '.join(others[:10])}" if others else ""
        return f"add {folder}/kustomization.yaml to that repository{there}"

    def _tree(self, commit: str, folder: str) -> dict[str, tuple[str, str]]:
        """List a folder: name → (mode, hash). Raises InputError where it is none."""
        self._reach(commit, f"{folder}/file")
        expression = f"{commit}:" if folder == "." else f"{commit}:{folder}"
        done = self._git.completed("ls-tree", "-z", expression, check=False)
        if done.returncode != 0:
            raise InputError.of(
                "path", folder, f"{self.url} has no such folder{self._link_in(commit, folder)}",
                fix=self._elsewhere(commit, folder),
            )  # fmt: skip
        found = {}
        for entry in done.stdout.split("\0"):
            if entry:
                fields, _, name = entry.partition("\t")
                mode, _, sha = fields.split(" ")
                found[name] = (mode, sha)
        return found

    def _link_in(self, commit: str, folder: str) -> str:
        parts = folder.split("/")
        for count in range(1, len(parts) + 1):
            prefix = "/".join(parts[:count])
            listing = self._git.completed("ls-tree", commit, "--", prefix, check=False).stdout
            if listing.startswith("120000"):
                return f": {prefix!r} is a symbolic link"
            if listing.startswith("160000"):
                return f": {prefix!r} is a submodule"
        return ""

    def bring(self, blobs: Sequence[str]) -> None:
        """Fetch the files of these hashes in one request, where the clone left them out.

        A server that refuses gives them one by one, when each is read.
        """
        wanted = sorted({one for one in blobs if one.strip("0")} - self._here)
        if len(wanted) > 1 and self._git.bring(wanted):
            self._here.update(wanted)

    def read_ahead(self, commit: str, paths: Sequence[str]) -> None:
        """Read those of `paths` that `commit` has, and that are files, in one request."""
        if not paths:
            return
        self.read_all(list(self.listed(commit, paths).values()))

    def read_all(self, blobs: Sequence[str]) -> None:
        """Read the files of these hashes, so that `blob` has them; a failure is no matter."""
        wanted = [one for one in dict.fromkeys(blobs) if one not in self._contents]
        self.bring(wanted)
        with suppress(ExternalError):
            self._contents |= zip(wanted, self._git.blobs(wanted), strict=True)

    def blob(self, sha: str) -> bytes:
        """Return a file's bytes, which are read once."""
        if sha not in self._contents:
            if sha not in self._here:
                self._git.remote("cat-file", "-s", sha)  # fetches what the clone left out
                self._here.add(sha)
            self._contents[sha] = self._git.blobs([sha])[0]
        return self._contents[sha]
