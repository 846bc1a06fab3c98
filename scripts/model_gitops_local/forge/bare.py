"""What the forge asks of, and does to, a bare Git repository: no work tree is ever made."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryFile
from typing import ClassVar

from model_gitops.adapters import process
from model_gitops.adapters.git import Git

NULL = "0" * 40
_FIELDS = "%H%x1f%T%x1f%P%x1f%an%x1f%ae%x1f%at%x1f%cn%x1f%ce%x1f%ct%x1f%B%x1e"
_HASH = re.compile("[0-9a-f]{40}")
_STATUS = {"A": "added", "D": "removed", "M": "modified", "R": "renamed", "C": "copied"}


@dataclass(frozen=True)
class Person:
    """Name, e-mail and time (seconds since 1970) of an author or committer."""

    name: str
    email: str
    time: int

    @property
    def date(self) -> str:
        """The time as GitHub writes it."""
        return datetime.fromtimestamp(self.time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Commit:
    """A commit, as `git log` has it."""

    sha: str
    tree: str
    parents: tuple[str, ...]
    author: Person
    committer: Person
    message: str


@dataclass(frozen=True)
class Change:
    """One file of a diff."""

    path: str
    previous: str | None
    status: str
    sha: str
    additions: int
    deletions: int


class Bare:
    """One bare repository."""

    # (repository, commit, commit) → is_ancestor.
    _ancestors: ClassVar[dict[tuple[Path, str, str], bool]] = {}

    def __init__(self, path: Path) -> None:
        self.path = path
        self.git = Git(path)

    def _ask(self, *args: str, env: dict[str, str] | None = None) -> str | None:
        done = self.git.completed(*args, check=False, env=env)
        return done.stdout.strip() if done.returncode == 0 else None

    def default_branch(self) -> str:
        """Return the branch that HEAD names."""
        return self._ask("symbolic-ref", "--short", "HEAD") or "main"

    def resolve(self, name: str) -> str | None:
        """Return the commit that a hash, branch, tag or `refs/…` names; a branch goes first."""
        for candidate in (f"refs/heads/{name}", f"refs/tags/{name}", name):
            if found := self.object(f"{candidate}^{{commit}}"):
                return found
        return None

    def object(self, expression: str) -> str | None:
        """Return the hash of one object."""
        if expression.startswith("-"):
            return None
        return self._ask("rev-parse", "--verify", "--quiet", "--end-of-options", expression)

    def branch(self, name: str) -> str | None:
        """Return the tip of a branch."""
        # Not rev-parse, which takes `main^` for the parent of a branch.
        return self._ask("show-ref", "--verify", "--hash", "--", f"refs/heads/{name}")

    def refs(self, prefix: str) -> dict[str, tuple[str, str]]:
        """Return full ref name → (hash, object type) of all refs that start with `prefix`."""
        pattern = prefix.rpartition("/")[0] or "refs"
        lines = self.git.run(
            "for-each-ref", "--format=%(refname)%00%(objectname)%00%(objecttype)", "--", pattern
        )
        rows = (line.split("\0") for line in lines.splitlines())
        return {name: (sha, kind) for name, sha, kind in rows if name.startswith(prefix)}

    def commits(self, *revisions: str, limit: int | None = None) -> list[Commit]:
        """Return the commits of `git log REVISIONS`, newest first."""
        count = [] if limit is None else [f"--max-count={limit}"]
        text = self.git.run("log", *count, f"--format={_FIELDS}", *revisions, "--")
        return [_commit(record) for record in text.split("\x1e") if record.strip()]

    def commit(self, sha: str) -> Commit:
        """Return one commit."""
        return self.commits(sha, limit=1)[0]

    def is_ancestor(self, ancestor: str, descendant: str) -> bool:
        """Whether `ancestor` can be reached from `descendant`."""
        asked = (self.path, ancestor, descendant)
        if asked not in self._ancestors:
            words = ("merge-base", "--is-ancestor", ancestor, descendant)
            status = self.git.completed(*words, check=False).returncode
            # Of two commits that are here the answer is for ever, and each listing of pull requests asks again.
            if status > 1 or not (_HASH.fullmatch(ancestor) and _HASH.fullmatch(descendant)):
                return status == 0
            self._ancestors[asked] = status == 0
        return self._ancestors[asked]

    def merge_base(self, one: str, other: str) -> str | None:
        """Return the best common ancestor, or None for unrelated histories."""
        found = self._ask("merge-base", one, other)
        return found.split("\n")[0] if found else None

    def count(self, revisions: str) -> int:
        """Return the number of commits in a range."""
        return int(self.git.run("rev-list", "--count", revisions, "--"))

    def changes(self, base: str, head: str) -> list[Change]:
        """Return the files that differ between two commits (or trees)."""
        raw = self.git.run("diff-tree", "-r", "-z", "-M", "--raw", "--no-abbrev", base, head)
        numbers = self.git.run("diff-tree", "-r", "-z", "-M", "--numstat", base, head)
        counts = _numstat(numbers)
        fields = iter(raw.split("\0"))
        result = []
        for meta in fields:
            if not meta:
                break
            _, _, _, new, letter = meta.split(" ")
            first = next(fields)
            moved = letter[0] in "RC"
            path = next(fields) if moved else first
            added, deleted = counts.get(path, (0, 0))
            previous = first if moved else None
            status = _STATUS.get(letter[0], "changed")
            result.append(Change(path, previous, status, new, added, deleted))
        return result

    def merge_tree(self, ours: str, theirs: str) -> str | None:
        """Return the tree that merging two commits gives, or None on a conflict."""
        found = self._ask("merge-tree", "--write-tree", "--allow-unrelated-histories", ours, theirs)
        return found.split("\n")[0] if found else None

    def commit_tree(
        self, tree: str, parents: Sequence[str], message: str, author: Person, committer: Person
    ) -> str:
        """Write a commit object and return its hash."""
        flags = [word for parent in parents for word in ("-p", parent)]
        return self.git.run(
            "commit-tree",
            tree,
            *flags,
            input=message.rstrip("\n") + "\n",
            env={
                "GIT_AUTHOR_NAME": author.name,
                "GIT_AUTHOR_EMAIL": author.email,
                "GIT_AUTHOR_DATE": f"@{author.time} +0000",
                "GIT_COMMITTER_NAME": committer.name,
                "GIT_COMMITTER_EMAIL": committer.email,
                "GIT_COMMITTER_DATE": f"@{committer.time} +0000",
            },
        ).strip()

    def cherry_pick(self, commit: Commit, onto: str, committer: Person) -> str | None:
        """Write `commit` again on top of `onto`; None on a conflict.

        `merge-tree --merge-base` came with Git 2.40; here the three trees get a history of their
        own, in which the commit's parent is the common ancestor.
        """
        parent = f"{commit.parents[0]}^{{tree}}" if commit.parents else _EMPTY_TREE
        trees = [self.object(parent) or parent, self.object(f"{onto}^{{tree}}"), commit.tree]
        base = self.commit_tree(str(trees[0]), [], "base", committer, committer)
        ours = self.commit_tree(str(trees[1]), [base], "ours", committer, committer)
        theirs = self.commit_tree(str(trees[2]), [base], "theirs", committer, committer)
        tree = self.merge_tree(ours, theirs)
        if tree is None:
            return None
        return self.commit_tree(tree, [onto], commit.message, commit.author, committer)

    def update_ref(self, ref: str, new: str, old: str | None = None) -> bool:
        """Move `ref` to `new`, from `old` if given (NULL: absent); False if that is not its value."""
        return self._ask("update-ref", ref, new, *([] if old is None else [old])) is not None

    def delete_ref(self, ref: str) -> bool:
        """Delete `ref`; False if there was none."""
        return self.object(ref) is not None and self._ask("update-ref", "-d", ref) is not None

    def fetch(self, other: Path, sha: str) -> None:
        """Bring the history of a commit here from a fork."""
        self.git.run(
            "-c",
            "protocol.file.allow=always",
            "-c",
            "uploadpack.allowAnySHA1InWant=true",
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-write-fetch-head",
            "--upload-pack=git -c uploadpack.allowAnySHA1InWant=true upload-pack",
            str(other),
            sha,
        )

    def entries(self, sha: str, path: str) -> list[tuple[str, str, str, int, str]]:
        """Return (mode, type, hash, size, path) of a file, or of what a folder holds."""
        kind = self._ask("cat-file", "-t", f"{sha}:{path}") if path else "tree"
        if kind is None:
            return []
        where = [f"{path}/"] if kind == "tree" and path else [path] if path else []
        text = self.git.run(
            "--literal-pathspecs", "ls-tree", "-z", "--long", "--full-tree", sha, "--", *where
        )
        result = []
        for row in text.split("\0"):
            if row:
                meta, _, name = row.partition("\t")
                mode, what, item, size = meta.split()
                result.append((mode, what, item, 0 if size == "-" else int(size), name))
        return result

    def blob(self, expression: str) -> bytes | None:
        """Return the bytes of a blob, as `SHA` or `COMMIT:PATH`."""
        with TemporaryFile() as nothing, TemporaryFile() as output:
            args = ["git", "-C", str(self.path), "cat-file", "blob", expression]
            if expression.startswith("-") or process.pipe(args, stdin=nothing, stdout=output):
                return None
            output.seek(0)
            return output.read()


_EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


def _commit(record: str) -> Commit:
    words = record.lstrip("\n").split("\x1f")
    sha, tree, parents, *people, message = words
    return Commit(
        sha,
        tree,
        tuple(parents.split()),
        Person(people[0], people[1], int(people[2])),
        Person(people[3], people[4], int(people[5])),
        message.strip("\n"),
    )


def _numstat(text: str) -> dict[str, tuple[int, int]]:
    """Read `--numstat -z`: path → (added, deleted); binary files count as 0."""
    fields = iter(text.split("\0"))
    result = {}
    for meta in fields:
        if not meta:
            break
        added, deleted, path = meta.split("\t")
        if not path:  # a rename: the old and the new path follow
            next(fields)
            path = next(fields)
        result[path] = (0, 0) if added == "-" else (int(added), int(deleted))
    return result
