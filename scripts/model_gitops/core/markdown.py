"""Text from outside in Markdown: shown as it is, never markup, a mention or a link."""

from __future__ import annotations

import re
import unicodedata

_LONGEST = 120
# Invisible, and enough to keep `@name`, `#1`, `GH-1` and `https://` from being a mention or a link.
JOINER = "\u2060"


def escape(text: object, *, longest: int = _LONGEST) -> str:
    """Make text from outside harmless in Markdown: no markup, cell end, mention, link or line."""
    plain = "".join(
        " " if character.isspace() else character
        for character in str(text)
        if character.isspace() or unicodedata.category(character) not in ("Cc", "Cf", "Co", "Cs")
    )
    if len(plain) > longest:
        plain = plain[: longest - 1] + "…"
    plain = plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    plain = re.sub(r"([\\`*_{}\[\]()|~!])", r"\\\1", plain)
    plain = re.sub(r"(://|@|#|\bwww(?=\.)|\bGH-(?=\d))", rf"\1{JOINER}", plain, flags=re.IGNORECASE)
    # A full hash is a link to the commit.
    plain = re.sub(r"\b([0-9a-f]{20})([0-9a-f]{20})\b", rf"\1{JOINER}\2", plain)
    return plain.replace(f"://{JOINER}", f":{JOINER}//")


def table(markdown: str) -> tuple[list[list[str]], str]:
    """Split Markdown that starts with a table of ours: its rows, the head's first, and what follows.

    There are no rows where it starts with none, or with one whose rows differ in length.
    """
    lines = markdown.strip("\n").split("\n")
    if len(lines) < 2 or not re.fullmatch(r"\|(:?-+:?\|)+", lines[1]):
        return [], markdown
    end = next((at for at, line in enumerate(lines) if not line.startswith("|")), len(lines))
    rows = [
        [cell.strip() for cell in re.findall(r"((?:\\.|[^\\|])*)\|", line[1:])]
        for line in (lines[0], *lines[2:end])
    ]
    if len({len(row) for row in rows}) != 1:
        return [], markdown
    return rows, "\n".join(lines[end:]).strip("\n")


def code(text: object, *, longest: int = _LONGEST) -> str:
    """Show text from outside as code: in a code span nothing is markup but the closing backtick."""
    plain = re.sub(r"[\s`|]+", " ", "".join(c for c in str(text) if c.isspace() or c.isprintable()))
    plain = plain.strip()
    return f"`{plain[:longest]}`" if plain else "–"
