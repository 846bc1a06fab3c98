"""Moments that differ: two commits of a test never have one hash, however fast they are made."""

from __future__ import annotations

import itertools

_seconds = itertools.count(1_700_000_000)


def next_moment() -> dict[str, str]:
    """The variables that give a commit an author's date of its own; the committer's is the clock's.

    Without it two commits of the same second, parent, files and message are one commit.
    """
    return {"GIT_AUTHOR_DATE": f"{next(_seconds)} +0000"}
