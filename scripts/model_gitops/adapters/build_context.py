"""What a build reads from the disk: the files of its context, as BuildKit would send them."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from model_gitops.core.image import dockerignore
from model_gitops.core.image.content import Entry
from model_gitops.errors import InputError


def entries(folder: Path, *, build_file: Path | None = None) -> list[Entry]:
    """Read a build context as BuildKit would send it, its `.dockerignore` applied.

    BuildKit prefers an ignore file that is named after the `build_file`, the Dockerfile, where there
    is one: `NAME.dockerignore` beside it. The folder's own `.git` is left out always: it differs in each checkout of the same commit.
    Raises InputError for a file that can't be read.
    """
    return list(_entries(folder, "", _rules(folder, build_file), ()))


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


def _entries(
    root: Path, inside: str, rules: Sequence[dockerignore.Rule], parent: Sequence[bool]
) -> Iterator[Entry]:
    folder = root / inside
    try:
        found = sorted(os.scandir(folder), key=lambda one: one.name)
    except OSError as error:
        raise _unreadable(folder, error) from error
    for one in found:
        path = f"{inside}/{one.name}".lstrip("/")
        if path == ".git":
            continue
        ignored, matched = dockerignore.decide(path, rules, parent)
        if one.is_dir(follow_symlinks=False):
            if ignored and not dockerignore.may_hold(path, rules):
                continue
            held = list(_entries(root, path, rules, matched))
            yield from held
            # A folder with something in it follows from that; an empty one is content of its own.
            if not held and not ignored:
                yield Entry(path, "folder", "")
        elif not ignored:
            file = root / path
            try:
                mode = file.lstat().st_mode
                if stat.S_ISLNK(mode):
                    target = os.fsencode(file.readlink())
                    yield Entry(path, "link", hashlib.sha256(target).hexdigest())
                elif stat.S_ISREG(mode):
                    with file.open("rb") as stream:
                        digest = hashlib.file_digest(stream, "sha256").hexdigest()
                    kind = "exec" if mode & stat.S_IXUSR else "file"
                    # Bits that no umask and no checkout sets: setuid, setgid, sticky.
                    kind += f"{mode & 0o7000:o}" if mode & 0o7000 else ""
                    yield Entry(path, kind, digest)
            except OSError as error:
                raise _unreadable(file, error) from error


def _unreadable(path: Path, error: OSError) -> InputError:
    return InputError(
        f"the file {str(path)!r} of the build context can't be read: {error.strerror}",
        fix="correct its permissions, or leave it out with a line in .dockerignore",
    )
