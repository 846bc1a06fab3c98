"""GTO's registry, read from Git tags. Grammar and rules: https://github.com/iterative/gto."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tag:
    """One annotated tag. GTO, and so this package, does not look at lightweight tags.

    `commit` is the full hash of the tagged commit, `created` the tagger's date in Unix seconds.
    """

    name: str
    commit: str
    created: int
