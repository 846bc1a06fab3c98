"""What outlives a job: whether only its owner can change a folder, and whether its files are as they were.

Also a program, which the machine's own Python runs before anything of the store is used:

    tool_store.py folder FOLDER    can nobody but us (and root) write there?
    tool_store.py check FOLDER     is each file as `record` saw it?
    tool_store.py record FOLDER    write FOLDER.manifest: the hash of each file

Both questions print what is wrong and end with status 1. Standard library only: nothing that is
installed is believed yet. The manifest lies in the store: it finds what a job left there, not what
somebody did who knows the manifest and may write as this account (SECURITY.md).
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
from collections import deque
from pathlib import Path

_MOST_LINKS = 40  # as the kernel


def problem_of(path: Path, *, private: bool = False) -> str:
    """Say who else may change what is at `path`, with the fix; "" where nobody can.

    Each folder and symbolic link on the way must be ours or root's, and no folder there may let others
    write (a sticky one, such as /tmp, may: what is ours in it stays). Below a folder that others can't
    even enter, modes don't matter. `private`: `path` itself must be such a folder, mode 0700.
    """
    owners = {0, os.geteuid()}
    here = Path("/")
    ahead = deque((Path.cwd() / path).parts)
    links = 0
    closed = False
    while ahead:
        part = ahead.popleft()
        if part == "..":  # of a link's target; `here` is no link
            here, closed = here.parent, False
            continue
        one = here / part
        try:
            found = one.lstat()
            target = os.readlink(one) if stat.S_ISLNK(found.st_mode) else ""  # noqa: PTH115 - Python 3.8
        except OSError as error:
            return f"{str(one)!a} can't be looked at: {error.strerror}"
        if found.st_uid not in owners:
            return f"{str(one)!a} belongs to account {found.st_uid}, not to us or root"
        if target:
            links += 1
            if links > _MOST_LINKS:
                return f"{str(one)!a} is a circle of symbolic links"
            ahead.extendleft(reversed(Path(target).parts))
            closed = closed and not Path(target).is_absolute()
            continue
        mode = stat.S_IMODE(found.st_mode)
        sticky = stat.S_ISDIR(found.st_mode) and mode & stat.S_ISVTX and ahead
        if mode & 0o022 and not sticky and not closed:
            return (
                f"others may write to {str(one)!a} (mode {mode:04o}): chmod go-w, or another place"
            )
        closed = closed or not mode & 0o077
        here = one
    if private and not stat.S_ISDIR(found.st_mode):
        return f"{str(here)!a} is no folder"
    # A folder that root made for us must let us read it.
    if private and mode & 0o077 and found.st_uid == os.geteuid():
        return f"{str(here)!a} has mode {mode:04o}, not 0700: chmod 0700, if nobody else used it"
    return ""


def difference(folder: Path) -> str:
    """Say how the files of `folder` differ from its manifest: the first one; "" if they don't."""
    try:
        known = json.loads(_manifest(folder).read_bytes())
    except (OSError, ValueError):
        return "there is no manifest of it"
    found = _hashes(folder)
    for name in sorted(found.keys() | known.keys()):
        if name not in known:
            return f"{name!a} was added"
        if name not in found:
            return f"{name!a} was removed"
        if found[name] != known[name]:
            return f"{name!a} was changed"
    return ""


def record(folder: Path) -> None:
    """Write the manifest of `folder`, whole or not at all, beside it."""
    new = _manifest(folder).with_suffix(".new")
    new.write_text(json.dumps(_hashes(folder)), encoding="ascii")
    new.replace(_manifest(folder))


def _manifest(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.manifest")


def _hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file, and where each symbolic link leads, by relative path."""
    found: dict[str, str] = {}
    ahead = [str(folder)]
    start = len(str(folder)) + 1
    while ahead:
        with os.scandir(ahead.pop()) as entries:
            for entry in entries:
                name = entry.path[start:]
                if entry.is_symlink():
                    found[name] = f"-> {os.readlink(entry.path)}"  # noqa: PTH115
                elif entry.is_dir():
                    ahead.append(entry.path)
                elif entry.is_file():
                    # Not pathlib: this loop is the price of each step's start.
                    with open(entry.path, "rb", buffering=0) as file:  # noqa: PTH123
                        found[name] = hashlib.sha256(file.read()).hexdigest()
                else:
                    found[name] = "neither a file nor a folder"
    return found


def _main(verb: str, folder: Path) -> int:
    if verb == "record":
        record(folder)
        return 0
    said = problem_of(folder, private=True) if verb == "folder" else difference(folder)
    print(said, end="")
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1], Path(sys.argv[2])))
