"""What the workflows run of the project's own, as `commands` of promotion.yaml says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# In the order in which a workflow runs them.
NAMES = ("env", "check", "test", "smoke", "reproduce", "push", "commit")
# What GNU make looks for, in its order: https://www.gnu.org/software/make/manual/html_node/Makefile-Names.html
MAKEFILES = ("GNUmakefile", "makefile", "Makefile")
# A rule's targets, at the start of a line: `test lint: env`. An assignment (`test := x`) is none.
_RULE = re.compile(r"^([^\s#:=][^#:=]*?)\s*::?(?![:=])", re.MULTILINE)


@dataclass(frozen=True)
class Planned:
    """One command: the line that bash runs, or why there is nothing to run."""

    name: str
    line: str = ""
    skipped: str = ""


def parse(entry: Mapping[str, Any]) -> dict[str, str]:
    """Return the lines of `commands` by name, an empty one for what is to be skipped."""
    return {name: str(line).strip() if line else "" for name, line in entry.items()}


def plan(name: str, said: Mapping[str, str], makefile: str | None) -> Planned:
    """Return what command `name` is, with the project's `said` and the text of its Makefile, if any."""
    if name in said:
        line = said[name]
        skipped = "" if line else f"promotion.yaml says `{name}: false`"
        return Planned(name, line, skipped)
    if makefile is None:
        return Planned(name, skipped=f"there is neither `commands.{name}` nor a Makefile")
    if name not in targets(makefile):
        return Planned(
            name, skipped=f"there is no `commands.{name}`, and no target in the Makefile"
        )
    return Planned(name, f"make {name}")


def targets(makefile: str) -> frozenset[str]:
    """Return the names of the rules that stand in a Makefile. What it includes is not read."""
    joined = makefile.replace("\\\n", " ")
    return frozenset(name for found in _RULE.findall(joined) for name in found.split())
