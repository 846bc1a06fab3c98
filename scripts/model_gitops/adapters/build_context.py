"""What a build reads from the disk: the files of its context, as BuildKit would send them."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Sequence
from functools import cache
from operator import attrgetter
from pathlib import Path

from model_gitops.adapters import file_hashes
from model_gitops.core.image import dockerignore
from model_gitops.core.image.content import Entry
from model_gitops.errors import InputError


def entries(folder: Path, *, build_file: Path | None = None) -> list[Entry]:
    """Read a build context as BuildKit would send it, its `.dockerignore` applied.

    BuildKit prefers an ignore file that is named after the `build_file`, the Dockerfile, where there
    is one: `NAME.dockerignore` beside it. The folder's own `.git` is left out always: it differs in each checkout of the same commit.
    Raises InputError for a file that can't be read.
    """
    walk = _Walk(folder, _rules(folder, build_file))
    walk.enter("", ())
    try:
        hashes = file_hashes.hashes(walk.files, folder)
    except file_hashes.Unreadable as error:
        raise _unreadable(error.filename, error) from error
    return [
        one if isinstance(one, Entry) else Entry(one, _kind(mode), hashes[path])
        for one, path, mode in walk.found
    ]


def sends_git(folder: Path, *, build_file: Path | None = None) -> bool:
    """Whether the builder gets the folder's own `.git`, which `entries` leaves out."""
    ignored, _ = dockerignore.decide(".git", _rules(folder, build_file))
    return not ignored and (folder / ".git").exists()


def plain_context(folder: Path, scratch: Path) -> Path:
    """Return a path to `folder` whose last part buildx can send: printable ASCII.

    buildx puts it into a header of gRPC, which takes nothing else. Where it must, the path is a link
    in `scratch`.
    """
    if folder.name.isascii() and folder.name.isprintable():
        return folder
    link = scratch / f"context-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]}"
    if not link.is_symlink():
        link.symlink_to(folder)
    return link


def layout(folder: Path) -> bytes:
    """Return the index of an OCI layout, which names all that is in it by digest.

    Raises InputError where there is none.
    """
    file = folder / "index.json"
    try:
        return file.read_bytes()
    except OSError as error:
        raise InputError.of(
            "build-contexts", f"oci-layout://{folder}", f"there is no OCI layout: {error.strerror}",
            fix="give a folder that holds an index.json, as `--output type=oci,tar=false` writes it",
        ) from error  # fmt: skip


def _rules(folder: Path, build_file: Path | None) -> list[dockerignore.Rule]:
    ignored = folder / ".dockerignore"
    if build_file is not None:
        own = build_file.with_name(f"{build_file.name}.dockerignore")
        ignored = own if own.is_file() else ignored
    try:
        text = ignored.read_text(encoding="utf-8-sig") if ignored.is_file() else ""
    except (OSError, UnicodeDecodeError) as error:
        problem = f"the file {str(ignored)!r} can't be read: {error}"
        raise InputError(problem, fix="write it as UTF-8") from error
    return dockerignore.parse(text)


# Where nothing is ignored.
_ALL: tuple[bool, tuple[bool, ...]] = (False, ())


class _Walk:
    """What the builder gets of a folder. Text instead of paths: a context may have 100,000 files."""

    def __init__(self, root: Path, rules: Sequence[dockerignore.Rule]) -> None:
        self._root = str(root)
        self._rules = rules
        # An entry, or the name of a regular file with its path and mode, in the order of names.
        self.found: list[tuple[Entry | str, str, int]] = []
        self.files: dict[str, os.stat_result] = {}

    def enter(self, inside: str, parent: Sequence[bool]) -> None:
        """Walk the folder at `inside`, where the rules matched as in `parent`."""
        folder = f"{self._root}/{inside}" if inside else self._root
        try:
            with os.scandir(folder) as listed:
                found = sorted(listed, key=attrgetter("name"))
        except OSError as error:
            raise _unreadable(folder, error) from error
        for one in found:
            name = f"{inside}/{one.name}" if inside else one.name
            if name == ".git":
                continue
            ignored, matched = (
                dockerignore.decide(name, self._rules, parent) if self._rules else _ALL
            )
            if one.is_dir(follow_symlinks=False):
                if ignored and not dockerignore.may_hold(name, self._rules):
                    continue
                before = len(self.found)
                self.enter(name, matched)
                # A folder with something in it follows from that; an empty one is content of its own.
                if len(self.found) == before and not ignored:
                    self.found.append((Entry(name, "folder", ""), "", 0))
            elif not ignored:
                self._add(name, one)

    def _add(self, name: str, one: os.DirEntry[str]) -> None:
        try:
            seen = one.stat(follow_symlinks=False)
            if stat.S_ISREG(seen.st_mode):
                self.files[one.path] = seen
                self.found.append((name, one.path, seen.st_mode))
            elif stat.S_ISLNK(seen.st_mode):
                target = os.fsencode(os.readlink(one.path))  # noqa: PTH115 - the walk is text
                link = Entry(name, "link", hashlib.sha256(target).hexdigest())
                self.found.append((link, "", 0))
        except OSError as error:
            raise _unreadable(one.path, error) from error


@cache
def _kind(mode: int) -> str:
    kind = "exec" if mode & stat.S_IXUSR else "file"
    # Bits that no umask and no checkout sets: setuid, setgid, sticky.
    return f"{kind}{mode & 0o7000:o}" if mode & 0o7000 else kind


def _unreadable(path: str, error: OSError) -> InputError:
    return InputError(
        f"the file {path!r} of the build context can't be read: {error.strerror}",
        fix="correct its permissions, or leave it out with a line in .dockerignore",
    )
