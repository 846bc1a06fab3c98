"""The text of an issue that is kept up to date: the hidden mark by which it is found, and its bounds."""

from __future__ import annotations

from urllib.parse import quote

from model_gitops.core.line import plain, shortened

# GitHub's limits are 256 and 65,536 characters.
LONGEST_TITLE = 200
LONGEST_BODY = 65_000


def mark(key: str) -> str:
    """Return the hidden line of the issue `key`: one key, one issue. `retrain`, `retrain proj`."""
    return f"<!-- model-gitops:{quote(key, safe=' /')} -->"


def has_mark(body: str, key: str) -> bool:
    """Whether a line of `body` is the mark of `key`, and nothing else: elsewhere it is a quotation."""
    return mark(key) in (line.strip() for line in body.splitlines())


def marked(body: str, key: str) -> str:
    """Return `body` with the mark of `key` as its last line, cut where it is too long for a server."""
    text = body.strip()
    if len(text) > LONGEST_BODY:
        text = text[:LONGEST_BODY].rpartition("\n")[0] + "\n\n…"
    return f"{text}\n\n{mark(key)}\n"


def title(text: str) -> str:
    """Return `text` as a title: one line without control characters, not too long."""
    return shortened(plain(text), LONGEST_TITLE)
