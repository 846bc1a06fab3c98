"""DVC's hashes: which are of one kind, how a folder's is made, and what comparing two of them says."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping

from model_gitops.errors import InputError

# What DVC 3 writes, with `hash: md5` beside it: an MD5 of the bytes.
MD5 = "md5"
# What DVC 2 wrote: an MD5 of the text with its line endings made Unix ones.
LEGACY_HASH = "md5-dos2unix"

# `.dir`: the hash is that of a manifest, which lists a folder's files.
_MD5 = re.compile(r"[0-9a-f]{32}(?:\.dir)?")


def is_file_hash(value: str) -> bool:
    """Whether `value` is an MD5, as DVC writes that of one file."""
    return is_hash(value) and not value.endswith(".dir")


def is_hash(value: str) -> bool:
    """Whether `value` is an MD5, as DVC writes that of a file or a folder."""
    return _MD5.fullmatch(value) is not None


def of_data(data: bytes) -> str:
    """Return DVC's hash of a file's bytes."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def folder_files(content: bytes, folder: str) -> dict[str, str]:
    """Return the files in the list that DVC keeps of a folder: relative POSIX path → MD5.

    Raises InputError, naming `folder`, where one has no MD5 or is outside of it.
    """
    files: dict[str, str] = {}
    for entry in json.loads(content):
        path, md5 = str(entry["relpath"]), str(entry["md5"])
        if not is_file_hash(md5):
            raise InputError(f"the folder {folder!r} lists {path!r} without an MD5 hash")
        parts = [part for part in path.split("/") if part not in ("", ".")]
        if path.startswith("/") or ".." in parts or not parts:
            raise InputError(f"the folder {folder!r} lists a file outside of it: {path!r}")
        files["/".join(parts)] = md5
    return files


def manifest_hash(entries: Mapping[str, str]) -> str:
    """Return DVC's hash of a folder: of the list of its files (relative POSIX path → MD5)."""
    listing = [{"md5": entries[path], "relpath": path} for path in sorted(entries)]
    return of_data(json.dumps(listing, sort_keys=True).encode()) + ".dir"


def agree(one: str, kind: str, other: str, other_kind: str) -> bool | None:
    """Whether two hashes, each of a kind, are of the same content; None where that can't be told.

    Nothing follows from a hash that is missing, or from two different ones of different kinds: a text
    with Windows line endings has one of each kind.
    """
    if not one or not other:
        return None
    if kind == other_kind:
        return one == other
    # An MD5 of either kind says the same of a file without Windows line endings.
    if one == other and {kind, other_kind} == {MD5, LEGACY_HASH}:
        return True
    return None
