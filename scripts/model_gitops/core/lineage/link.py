"""One link of a lineage: two facts that must agree, and whether they do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

State = Literal["verified", "broken", "pending", "unknown"]


@dataclass(frozen=True)
class Link:
    """One link of the chain: its two ends, what each says, and whether they agree."""

    ends: tuple[str, str]
    left: str
    right: str
    state: State
    fix: str = ""

    @property
    def name(self) -> str:
        """The link as people read it."""
        return " → ".join(self.ends)

    @property
    def sentence(self) -> str:
        """Both sides, in one sentence."""
        return f"{self.name}: {self.left}, and {self.right}"


def broken(links: Sequence[Link]) -> tuple[Link, ...]:
    """Return the links that do not hold."""
    return tuple(link for link in links if link.state == "broken")


def made(
    ends: tuple[str, str], left: str, right: str, holds: bool | None, *, fix: str = ""
) -> Link:
    """Return a link that is verified, broken, or, where `holds` is None, unknown.

    Only a broken one keeps its `fix`.
    """
    state: State = "unknown" if holds is None else "verified" if holds else "broken"
    return Link(ends, left, right, state, fix if state == "broken" else "")
