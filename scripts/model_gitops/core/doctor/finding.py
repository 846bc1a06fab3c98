"""One finding of `doctor`, and how a few facts become one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from model_gitops.errors import ActionError


@dataclass(frozen=True)
class Finding:
    """What a check found. `ok` is None where it could not be asked; `fix` is what to type then."""

    check: str
    ok: bool | None
    found: str
    fix: str = ""

    @property
    def document(self) -> dict[str, Any]:
        """The finding as JSON has it."""
        return {"check": self.check, "ok": self.ok, "found": self.found, "fix": self.fix}


class NotAskedError(ActionError):
    """A check can't be asked, for what another check tells."""


@dataclass(frozen=True)
class Part:
    """What a check found of one of several things: a rule, an overlay, a workflow."""

    ok: bool | None
    found: str
    fix: str = ""


def joined(
    check: str, parts: Iterable[Part], *, nothing: str = "there is nothing to check"
) -> Finding:
    """Make one finding of its parts: what is wrong first, then what could not be asked, else all.

    Only the parts that decide are told, with the fix of each.
    """
    all_parts = list(parts)
    for ok in (False, None, True):
        told = [one for one in all_parts if one.ok is ok]
        if told:
            found = "; ".join(dict.fromkeys(one.found for one in told if one.found))
            fixes = dict.fromkeys(one.fix for one in told if one.fix)
            return Finding(check, ok, found, "\n".join(fixes) if ok is not True else "")
    return Finding(check, True, nothing)
