"""Text from outside as one line: what all who show or keep it in one do."""

from __future__ import annotations


def plain(value: str) -> str:
    """Return text from outside as one line without control characters, for a terminal or a file."""
    line = " ".join(value.split())
    return "".join(character for character in line if character.isprintable())


def shortened(text: str, longest: int) -> str:
    """Return `text`, and of one with more than `longest` characters the start and an ellipsis."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
