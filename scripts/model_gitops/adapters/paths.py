"""Paths from outside, asked about: too long, a loop of links or a NUL is "no", not an exception."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from model_gitops.errors import InputError


def is_file(path: Path) -> bool:
    """Whether `path` is a file, or a link to one."""
    return os.path.isfile(path)  # noqa: PTH113 - Path.is_file raises for a name that is too long


def is_folder(path: Path) -> bool:
    """Whether `path` is a folder, or a link to one."""
    return os.path.isdir(path)  # noqa: PTH112 - as above


def is_inside(path: Path, top: Path) -> bool:
    """Whether `path`, its links followed, is `top` or in it."""
    try:
        # Not Path.resolve, which raises for a loop of links.
        return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(top))
    except (OSError, ValueError):
        return False


def leads_out(path: Path, top: Path) -> bool:
    """Whether `path` is in `top` as it is written, and by its links leads out: a branch may do that."""
    written = Path(os.path.normpath(Path.cwd() / path))
    return written.is_relative_to(os.path.normpath(top)) and not is_inside(path, top)


def read_bounded(path: Path, most: int) -> bytes:
    """Read a file of at most `most` bytes; one more is returned of a longer one.

    Raises OSError; a device or a pipe, which may have no end, or never begin, is "no file" too.
    """
    if path.exists() and not is_file(path):
        raise OSError(errno.EINVAL, "it is no file")
    with path.open("rb") as stream:
        return stream.read(most + 1)


def write_whole(file: Path, text: str) -> None:
    """Write a file at once: after a full disk or a kill the old one is there, never a half."""
    fresh = file.with_name(f".{file.name}.new")
    try:
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(file)
    finally:
        fresh.unlink(missing_ok=True)


def refuse_a_way_out(name: str, path: Path) -> None:
    """Refuse a link that leads out: what can't be parsed is shown, and must be no file of the machine.

    Raises InputError, naming the input `name`.
    """
    if leads_out(path, Path.cwd()):
        problem = "it is a link that leads out of the working directory"
        raise InputError.of(name, str(path), problem, fix="commit the file itself")
