"""Git's own form of a folder, and how a commit on another is told to `git fast-import`. Pure."""

from __future__ import annotations

from collections.abc import Iterable

# The mode of a folder in a tree.
FOLDER = "40000"
# A folder so far above an overlay is an application's as a rule: it has the base, and the other overlays.
_ABOVE = 2
# Higher than that none is fetched with all below it.
_HIGHEST = 2


def whole_level(folder: str) -> int:
    """Return at which level a folder on the way to the overlay `folder` is fetched with all below it."""
    return max(_HIGHEST, folder.count("/") + 1 - _ABOVE)


def upper_folder(path: str, level: int) -> str:
    """Return the folder of this level that the file `path` is in, or the lowest above it."""
    return "/".join(path.removeprefix("./").split("/")[:-1][:level])


def entry_of(content: bytes, name: str, size: int) -> tuple[str, str]:
    """Return mode and hash of `name` in a tree, whose hashes have `size` bytes; two empty texts for none.

    The form: https://git-scm.com/book/en/v2/Git-Internals-Git-Objects
    """
    wanted, at = name.encode("utf-8", "surrogateescape"), 0
    while at < len(content):
        space = content.index(b" ", at)
        end = content.index(b"\0", space)
        if content[space + 1 : end] == wanted:
            return content[at:space].decode("ascii"), content[end + 1 : end + 1 + size].hex()
        at = end + 1 + size
    return "", ""


def commit_stream(
    ref: str,
    parent: str,
    *,
    author: str,
    committer: str,
    message: str,
    files: Iterable[tuple[str, str, str]],
    removed: Iterable[str],
) -> str:
    """Return what tells `git fast-import` to make a commit on `parent`, and to print its hash.

    `files` are (mode, path, text). `ref` is its own for that while, and is gone after.
    """
    parts = [f"commit {ref}\nmark :1\nauthor {author}\ncommitter {committer}\n", _data(message)]
    parts.append(f"from {parent}\n")
    parts += [f"M {mode} inline {_path(path)}\n{_data(text)}" for mode, path, text in files]
    parts += [f"D {_path(path)}\n" for path in removed]
    parts.append(f"\nget-mark :1\nreset {ref}\nfrom {'0' * len(parent)}\n\ndone\n")
    return "".join(parts)


def _data(text: str) -> str:
    return f"data {len(text.encode())}\n{text}\n"


def _path(path: str) -> str:
    escaped = path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
