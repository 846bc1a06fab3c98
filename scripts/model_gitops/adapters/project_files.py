"""The files of a project, at a commit or in the checkout, read only where they are needed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from model_gitops.adapters import git_tree, paths
from model_gitops.adapters.git import Git
from model_gitops.adapters.partial_clone import LeftOut
from model_gitops.core import document
from model_gitops.errors import InputError

# A command line may hold some 2 MB: so many hashes of commits are safe.
_COMMITS_AT_ONCE = 1000


class ProjectFiles(Mapping[str, str]):
    """Path from the repository's top → text, of dvc.yaml, dvc.lock, .dvc files and `.gto`.

    Any other file can be asked for by its path too, as params are; going through all leaves it out.
    """

    def __init__(self, git: Git, commit: str | None) -> None:
        self._git = git
        self._commit = commit
        self._objects: dict[str, str] = {}
        if commit is None:
            listing = git.run("ls-files", "-z", "--cached", "--others", "--exclude-standard")
        else:
            tree = git.run("ls-tree", "-r", "-z", "--full-tree", commit).split("\0")
            # A link's text is no file of the project: the checkout has another one there.
            entries = [one.partition("\t") for one in tree if one.startswith("100")]
            listing = "\0".join(path for _, _, path in entries)
            self._objects = {path: fields.split(" ")[2] for fields, _, path in entries}
        self._all = frozenset(listing.split("\0"))
        self._paths = dict.fromkeys(path for path in listing.split("\0") if _is_ours(path))
        self._read: dict[str, str] = {}

    def bring(self, paths: Iterable[str] | None = None) -> None:
        """Read all of a commit's, or those of `paths` that it has, in one process. Raises ExternalError."""
        wanted = [one for one in (self._paths if paths is None else paths) if one in self._objects]
        found = self._git.blobs([self._objects[path] for path in wanted]) if wanted else []
        self._read |= {path: self._real(data) for path, data in zip(wanted, found, strict=True)}

    def _real(self, data: bytes) -> str:
        if document.is_lfs_pointer(data):
            data = git_tree.real_content(self._git, data)
        return data.decode("utf-8", errors="replace")

    def __getitem__(self, path: str) -> str:
        if path not in self._all:
            raise KeyError(path)
        if path not in self._read:
            self._read[path] = self._text(path)
        return self._read[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)

    def _text(self, path: str) -> str:
        if self._commit is not None:
            text = self._git.file_at(self._commit, path) or ""
            data = text.encode("utf-8", errors="replace")
            if not document.is_lfs_pointer(data):
                return text
            return git_tree.real_content(self._git, data).decode("utf-8", errors="replace")
        file = self._git.directory / path
        if not paths.is_inside(file, self._git.directory):
            raise InputError(f"{path} is a link to a place outside of the repository")
        if not paths.is_file(file):
            return ""
        if file.stat().st_size > document.LARGEST:
            raise InputError(f"{path} is larger than {document.LARGEST} bytes")
        return file.read_text(encoding="utf-8", errors="replace")


def at(git: Git, commit: str | None) -> ProjectFiles:
    """Return the project's files at `commit`; None is the checkout, uncommitted changes included."""
    return ProjectFiles(git, commit)


def has(git: Git, text: str, commits: Sequence[str], tops: bytes) -> bool:
    """Whether `text` stands in some dvc.lock or .dvc file of these commits, whose top trees are the lines of `tops`.

    One process reads each level of folders, and one the files: what commits share once. What a partial
    clone lacks of them comes in one request.
    """
    # In the order of the commits: neighbours are stored as differences, which git keeps for a moment.
    trees = dict.fromkeys(tops.split())
    left_out = LeftOut(git, commits)
    left_out.bring_trees(trees)
    names = b"\n".join(trees)
    size = len(next(iter(trees), b"")) // 2
    del trees  # of 40,000 versions some MB
    # A tree is its entries without a break: mode, name, and the hash in bytes.
    entry = re.compile(rb"[0-7]+ [^\0]+\0.{%d}" % size, re.DOTALL)
    files: dict[bytes, None] = {}
    folders: dict[bytes, None] = {}
    while names:
        below: dict[bytes, None] = {}
        for some in git.object_chunks(names):
            # Most trees have most entries of the tree before.
            for one in dict.fromkeys(entry.findall(some)):
                if one.startswith(b"40000 "):
                    below[one[-size:]] = None
                elif one.startswith(b"100") and (
                    one.endswith(b".dvc\0", 0, -size) or one[6:-size] == b" dvc.lock\0"
                ):
                    files[one[-size:]] = None
        names = _lines([one for one in below if one not in folders], size)
        folders |= below
    wanted, names = text.encode(), _lines(files, size)
    left_out.bring_files(names.split())
    return any(wanted in some for some in git.object_chunks(names))


def _lines(objects: Iterable[bytes], size: int) -> bytes:
    """Return hashes of `size` bytes as git reads them, one a line."""
    return b"".join(objects).hex("\n", -size).encode() if size else b""


def commits_with(git: Git, text: str, commits: Iterable[str]) -> Iterator[str]:
    """Yield those of `commits` where `text` stands in some dvc.lock or .dvc file, in their order."""
    wanted = list(dict.fromkeys(commits))
    for start in range(0, len(wanted), _COMMITS_AT_ONCE):
        some = wanted[start : start + _COMMITS_AT_ONCE]
        done = git.completed(
            "grep", "-l", "-z", "-F", "-e", text, *some,
            "--", ":(glob)**/dvc.lock", ":(glob)**/*.dvc",
            check=False,
        )  # fmt: skip
        hits = {hit.split(":", 1)[0] for hit in done.stdout.split("\0") if hit}
        yield from (one for one in some if one in hits)


def read_file(git: Git, path: str, commit: str | None) -> str | None:
    """Return the text of `path`, relative to the repository's top, or None where there is none.

    `commit` None is the checkout. Raises InputError for a path out of the repository.
    """
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts:
        raise InputError.of("metric", path, "the file must be inside the repository")
    if commit is not None:
        content = git.contents_at(commit, str(pure)).get("")  # a link's text is no file
        if content is None:
            return None
        return git_tree.real_content(git, content).decode("utf-8", errors="replace")
    file = git.directory / pure
    if not paths.is_inside(file, git.directory):
        raise InputError.of("metric", path, "the file must be inside the repository")
    return file.read_text(encoding="utf-8", errors="replace") if paths.is_file(file) else None


def _is_ours(path: str) -> bool:
    pure = PurePosixPath(path)
    return pure.name in ("dvc.yaml", "dvc.lock") or pure.suffix == ".dvc" or path == ".gto"
