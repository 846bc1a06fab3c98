"""What outlives a job: whether only its owner can change a folder, and whether its files are as they were.

Also a program, which the machine's own Python runs before anything of the store is used:

    tool_store.py check FOLDER [STORE]  can nobody but us (and root) write to the folder STORE (status 2), and
                                        is each file of FOLDER as `record` saw it (status 1)?
    tool_store.py record FOLDER         write FOLDER.manifest: the hash of each file, and when it was changed

A question prints what is wrong. Standard library only, and little of it, for each step asks: nothing that is
installed is believed yet. The manifest lies in the store: it finds what a job left there, not what
somebody did who knows the manifest and may write as this account (SECURITY.md).
"""

from __future__ import annotations

import os
import stat
import sys

TYPE_CHECKING = False  # typing itself would be imported in each step
if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_LINKS = 40  # as the kernel
_LONGEST_TICK = 5  # seconds in which a file system's clock goes on


def problem_of(path: str | os.PathLike[str], *, private: bool = False) -> str:
    """Say who else may change what is at `path`, with the fix; "" where nobody can.

    Each folder and symbolic link on the way must be ours or root's, and no folder there may let others
    write (a sticky one, such as /tmp, may: what is ours in it stays). Below a folder that others can't
    even enter, modes don't matter. `private`: `path` itself must be such a folder, mode 0700.
    """
    owners = {0, os.geteuid()}
    here = "/"
    ahead = ["/", *_parts(os.path.join(os.getcwd(), path))]  # noqa: PTH109, PTH118
    links = 0
    closed = False
    while ahead:
        part = ahead.pop(0)
        if part == "..":  # of a link's target; `here` is no link
            here, closed = os.path.dirname(here), False  # noqa: PTH120
            continue
        one = os.path.join(here, part)  # noqa: PTH118
        try:
            found = os.lstat(one)
            target = os.readlink(one) if stat.S_ISLNK(found.st_mode) else ""  # noqa: PTH115
        except OSError as error:
            return f"{one!a} can't be looked at: {error.strerror}"
        if found.st_uid not in owners:
            return f"{one!a} belongs to account {found.st_uid}, not to us or root"
        if target:
            links += 1
            if links > _MOST_LINKS:
                return f"{one!a} is a circle of symbolic links"
            absolute = target.startswith("/")
            ahead[:0] = [*(["/"] if absolute else []), *_parts(target)]
            closed = closed and not absolute
            continue
        mode = stat.S_IMODE(found.st_mode)
        sticky = stat.S_ISDIR(found.st_mode) and mode & stat.S_ISVTX and ahead
        if mode & 0o022 and not sticky and not closed:
            return f"others may write to {one!a} (mode {mode:04o}): chmod go-w, or another place"
        closed = closed or not mode & 0o077
        here = one
    if private and not stat.S_ISDIR(found.st_mode):
        return f"{here!a} is no folder"
    # A folder that root made for us must let us read it.
    if private and mode & 0o077 and found.st_uid == os.geteuid():
        return f"{here!a} has mode {mode:04o}, not 0700: chmod 0700, if nobody else used it"
    return ""


def difference(folder: str) -> str:
    """Say how the files of `folder` differ from its manifest: the first one; "" if they don't.

    Where nothing was changed since, by what no account can set, no file is read.
    """
    try:
        with open(_manifest(folder), "rb") as file:  # noqa: PTH123
            hashes, _, seen = file.read().partition(b"\n")
    except OSError:
        return "there is no manifest of it"
    try:
        if seen and seen == ascii(_listing(folder)).encode():
            return ""
        import json

        known, found = json.loads(hashes), _hashes(folder)
    except OSError as error:
        return f"{error.filename!a} can't be read: {error.strerror}"
    except ValueError:
        return "there is no manifest of it"
    for name in sorted(found.keys() | known.keys()):
        if name not in known:
            return f"{name!a} was added"
        if name not in found:
            return f"{name!a} was removed"
        if found[name] != known[name]:
            return f"{name!a} was changed"
    return ""


def record(folder: str) -> None:
    """Write the manifest of `folder`, whole or not at all, beside it."""
    import json

    new = f"{_manifest(folder)}.new"
    seen = _listing(folder)
    newest = max((one[-1] for one in seen), default=0)
    with open(new, "w", encoding="ascii") as file:  # noqa: PTH123
        # A change from here on has a later time than all that was seen. One before is in the hashes.
        told = ascii(seen) if _goes_on(file.fileno(), newest) else ""
        file.write(f"{json.dumps(_hashes(folder))}\n{told}")
    os.replace(new, _manifest(folder))  # noqa: PTH105


def _manifest(folder: str) -> str:
    return f"{folder}.manifest"


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _entries(folder: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield what is in `folder` and no folder, each with its relative path."""
    ahead = [folder]
    start = len(folder) + 1
    while ahead:
        with os.scandir(ahead.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    ahead.append(entry.path)
                else:
                    yield entry.path[start:], entry


def _listing(folder: str) -> list[tuple[str, int, int, int, int, int]]:
    """Return what tells whether a file was changed: name, mode, inode, size, and two times in nanoseconds.

    The last, the change time, is the kernel's: unlike the time of modification no account can set it.
    """
    found = []
    for name, entry in _entries(folder):
        one = entry.stat(follow_symlinks=False)
        found.append((name, one.st_mode, one.st_ino, one.st_size, one.st_mtime_ns, one.st_ctime_ns))
    return found


def _goes_on(file: int, newest: int) -> bool:
    """Wait until the file system's clock is past `newest`; False: it stands, or was set back."""
    import time

    end = time.monotonic() + _LONGEST_TICK
    while time.monotonic() < end:
        os.utime(file)
        if os.fstat(file).st_ctime_ns > newest:
            return True
        time.sleep(0.001)
    return False


def _hashes(folder: str) -> dict[str, str]:
    """Return the SHA-256 of each file, and where each symbolic link leads, by relative path."""
    import hashlib

    found: dict[str, str] = {}
    for name, entry in _entries(folder):
        if entry.is_symlink():
            found[name] = f"-> {os.readlink(entry.path)}"  # noqa: PTH115
        elif entry.is_file():
            with open(entry.path, "rb", buffering=0) as file:  # noqa: PTH123
                found[name] = hashlib.sha256(file.read()).hexdigest()
        else:
            found[name] = "neither a file nor a folder"
    return found


def _main(verb: str, folder: str, store: str = "") -> int:
    if verb == "record":
        record(folder)
        return 0
    said = problem_of(store, private=True) if store else ""
    status = 2 if said else 1
    said = said or difference(folder)
    print(said, end="")
    return status if said else 0


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
