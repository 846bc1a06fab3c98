"""One link of a lineage: two facts side by side, and whether they agree."""

from __future__ import annotations

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


def link(
    ends: tuple[str, str], left: str, right: str, holds: bool | None, *, fix: str = ""
) -> Link:
    """Return a link that holds, is broken, or (`holds` None) could not be asked about."""
    state: State = "unknown" if holds is None else "verified" if holds else "broken"
    return Link(ends, left, right, state, fix if state == "broken" else "")
