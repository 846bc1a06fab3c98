"""Pictures, and what kind of one bytes are: by their content, as a name may say anything."""

from __future__ import annotations

import re
from dataclasses import dataclass

SHOWN = "PNG, JPEG, GIF, WebP and SVG"
_STARTS = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpg", b"GIF8": "gif"}
# Read off only to say what a file is that can't be shown.
_OTHERS = {
    b"%PDF": "a PDF",
    b"BM": "a BMP picture",
    b"II*\0": "a TIFF picture",
    b"MM\0*": "a TIFF picture",
    b"\x1f\x8b": "a compressed file",
    b"version https://git-lfs.github.com/spec/": "a pointer of Git LFS, not the picture itself "
    "(`lfs: true` for actions/checkout gets it)",
}
# What may stand before the first element of an SVG: a declaration, comments, a document type.
_PROLOGUE = re.compile(
    r"(?:\s++|<\?(?:(?!\?>).)*+\?>|<!--(?:(?!-->).)*+-->|<!DOCTYPE[^\[>]*+(?:\[[^\]]*+\])?+[^>]*+>)*+"
    r"<(?:[\w.-]++:)?+svg[\s/>]",
    re.DOTALL | re.IGNORECASE,
)


@dataclass(frozen=True)
class Picture:
    """A picture: its title, and the file's name, which is made of its content."""

    title: str
    file: str


def kind(content: bytes) -> str:
    """Return the file's ending for a picture that browsers show, or an empty string."""
    for start, ending in _STARTS.items():
        if content.startswith(start):
            return ending
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "webp"
    return "svg" if _PROLOGUE.match(_text(content[: 64 * 1024])) else ""


def why_not(content: bytes) -> str:
    """Say what `content` is, that `kind` does not know."""
    if not content:
        return "it is empty"
    for start, what in _OTHERS.items():
        if content.startswith(start):
            return f"it is {what}; shown are {SHOWN}" if "LFS" not in what else f"it is {what}"
    if content[4:8] == b"ftyp":
        brand = content[8:12].decode("ascii", "replace").strip()
        return f"it is a picture or film of the kind {brand}; shown are {SHOWN}"
    return f"it is none of {SHOWN}"


def _text(content: bytes) -> str:
    wide = content[:2] in (b"\xff\xfe", b"\xfe\xff")
    return content.decode("utf-16" if wide else "utf-8-sig", errors="replace")
