"""The SHA-256 of a model, beside DVC's MD5: two files can be made to have the same MD5."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from model_gitops.errors import InputError

_SHA256 = re.compile(r"[0-9a-f]{64}")
# What `sha256sum` writes for these characters in a name, so that a line stays a line.
_ESCAPES = {0x5C: "\\\\", 0x0A: "\\n", 0x0D: "\\r"}


def is_sha256(value: str) -> bool:
    """Whether `value` is a SHA-256 as `sha256sum` prints it: 64 lowercase hex digits."""
    return _SHA256.fullmatch(value) is not None


def check(name: str, value: str) -> None:
    """Refuse a value of input `name` that is neither empty nor a SHA-256. Raises InputError."""
    if value and not is_sha256(value):
        raise InputError.of(
            name,
            value,
            "a SHA-256 is 64 lowercase hex digits",
            fix="give what `sha256sum FILE` prints first, or leave it out",
        )


def listing(files: Mapping[str, str]) -> bytes:
    """Return what `sha256sum` prints for a folder's files (relative POSIX path → SHA-256).

    One line a file, in the order of the paths' bytes. A name with a line break is written as
    `sha256sum` does, with a backslash before the line: no two folders have the same listing.
    """
    lines = []
    for path, sha256 in files.items():
        shown = path.translate(_ESCAPES)
        mark = "\\" if shown != path else ""
        lines.append((_bytes(path), _bytes(f"{mark}{sha256}  {shown}\n")))
    return b"".join(line for _, line in sorted(lines))


def of_folder(files: Mapping[str, str]) -> str:
    """Return the SHA-256 of a folder: that of the `listing` of its files."""
    return hashlib.sha256(listing(files)).hexdigest()


def _bytes(text: str) -> bytes:
    # A name that is no UTF-8 has its own bytes again.
    return text.encode("utf-8", errors="surrogateescape")
