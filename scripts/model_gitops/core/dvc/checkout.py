"""What DVC may have hashed of a file that Git keeps: a checkout writes other bytes than Git has.

Git's own changes are made here as it makes them: line endings, `working-tree-encoding`, `ident`. A
`filter` runs a program that only its user's configuration names: nothing follows from such a file.
"""

from __future__ import annotations

import codecs
import hashlib
import re
from collections.abc import Iterator, Mapping
from itertools import product

from model_gitops.core.dvc import hashes
from model_gitops.core.dvc.files import Tracked

# What has to be known of a file; see gitattributes(5).
ATTRIBUTES = ("text", "crlf", "eol", "ident", "working-tree-encoding", "filter")

# Path of a file (relative to what was asked for) → attribute → value (`set`, `unset`, or text).
Attributes = Mapping[str, Mapping[str, str]]

_IDENT = re.compile(rb"\$Id(?::[^$\n]*)?\$")
# What iconv knows too; some of Python's own take very long for a large text.
_ICONV = re.compile(
    r"(utf|iso|cp|windows|latin|ascii|shift|euc|gb|big5|koi8|mac|johab|hz|tis|ptcp)"
)
# Of these, which byte comes first depends on the machine's iconv.
_MARKED = {
    "utf16": ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")),
    "utf32": ((codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be")),
    "utf16lebom": ((codecs.BOM_UTF16_LE, "utf-16-le"),) * 2,
    "utf16bebom": ((codecs.BOM_UTF16_BE, "utf-16-be"),) * 2,
    "utf8": ((b"", "utf-8"),) * 2,
}


def as_kept(found: Mapping[str, bytes], tracked: Tracked, more: Mapping[str, str]) -> list[str]:
    """Return the hashes that DVC may have written, whatever the attributes say; the plain one first.

    A checkout may have had other line endings than Git keeps, and in a folder what DVC tracks: `more`,
    relative path → MD5.
    """
    return [one for files in _kept(found, tracked.hash_name) for one in _hashes(files, more)]


def as_checked_out(
    found: Mapping[str, bytes], attributes: Attributes, tracked: Tracked, more: Mapping[str, str]
) -> Iterator[str]:
    """Yield the hashes of what checkouts on Unix and on Windows write, by the files' attributes."""
    for files in _checked_out(found, attributes):
        yield from _hashes(_read(files, tracked.hash_name), more)


def with_hash(
    found: Mapping[str, bytes], attributes: Attributes, tracked: Tracked
) -> Mapping[str, bytes] | None:
    """Return the files as they were when DVC hashed them; None where no checkout writes such ones."""
    for files in (*_kept(found, tracked.hash_name), *_checked_out(found, attributes)):
        if tracked.hash in _hashes(_read(files, tracked.hash_name), {}):
            return files
    return None


def _read(files: Mapping[str, bytes], kind: str) -> Mapping[str, bytes]:
    """Return what DVC hashes of the files: DVC 2 made the line endings of a text Unix ones."""
    if kind != hashes.LEGACY_HASH:
        return files
    return {name: _to_unix(data) if _is_text(data) else data for name, data in files.items()}


def _kept(found: Mapping[str, bytes], kind: str) -> list[Mapping[str, bytes]]:
    unix = {name: _to_unix(data) for name, data in found.items()}
    if kind == hashes.LEGACY_HASH:
        return [found, unix]
    return [found, unix, {name: data.replace(b"\n", b"\r\n") for name, data in unix.items()}]


def _checked_out(
    found: Mapping[str, bytes], attributes: Attributes
) -> Iterator[Mapping[str, bytes]]:
    for is_windows, second_order in product((False, True), (False, True)):
        yield {
            name: _written(data, attributes.get(name, {}), is_windows, second_order)
            for name, data in found.items()
        }


def filters(attributes: Attributes) -> list[str]:
    """Return the names of the filters that change some of the files, sorted.

    Git LFS is none of them: what it keeps elsewhere is known by its pointer.
    """
    return sorted({
        name
        for one in attributes.values()
        if (name := one.get("filter", "unspecified")) not in ("set", "unset", "unspecified", "lfs")
    })  # fmt: skip


def _hashes(files: Mapping[str, bytes], more: Mapping[str, str]) -> list[str]:
    if "" in files:
        return [hashes.of_data(files[""])]
    entries = {name: hashes.of_data(data) for name, data in files.items()}
    return [
        hashes.manifest_hash(one)
        for one in ((entries, {**entries, **more}) if more else (entries,))
    ]


def _written(
    data: bytes, attributes: Mapping[str, str], is_windows: bool, second_order: bool
) -> bytes:
    """Return what a checkout writes, in Git's order: ident, line endings, encoding."""
    if attributes.get("ident") == "set":
        # The name of Git's object: a checksum, not a secret.
        blob = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
        data = _IDENT.sub(f"$Id: {blob} $".encode(), data)
    if _gets_crlf(data, attributes, is_windows):
        data = re.sub(rb"(?<!\r)\n", b"\r\n", data)
    encoding = attributes.get("working-tree-encoding", "unspecified")
    return (
        data
        if encoding in ("set", "unset", "unspecified")
        else _encoded(data, encoding, second_order)
    )


def _gets_crlf(data: bytes, attributes: Mapping[str, str], is_windows: bool) -> bool:
    text = attributes.get("text", "unspecified")
    if text == "unspecified":
        # The old name of the same.
        text = {"input": "set"}.get(old := attributes.get("crlf", "unspecified"), old)
    eol = attributes.get("eol", "unspecified")
    if attributes.get("crlf") == "input" or eol == "lf" or text == "unset":
        return False
    if eol != "crlf" and not is_windows:
        return False
    is_told = text == "set" or (text == "unspecified" and eol == "crlf")
    # Without being told Git changes no file that is no text, or that has such an ending already.
    return is_told or not (b"\0" in data or b"\r" in data)


def _encoded(data: bytes, encoding: str, second_order: bool) -> bytes:
    """Return UTF-8 in another encoding; as it is where that can't be done, as Git then keeps it."""
    try:
        text = data.decode("utf-8")
        marked = _MARKED.get(re.sub(r"[^a-z0-9]", "", encoding.lower()))
        if marked:
            mark, codec = marked[second_order]
            return mark + text.encode(codec)
        known = _ICONV.match(codecs.lookup(encoding).name)
        return text.encode(encoding) if known else data
    except (UnicodeError, LookupError):
        return data


def _to_unix(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n")


def _is_text(data: bytes) -> bool:
    """Whether DVC 2 took it for text: no zero byte where it looked."""
    return b"\0" not in data[:512]
