"""What the workflows run of the project's own, as `commands` of promotion.yaml says."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

# In the order in which a workflow runs them.
NAMES = ("env", "check", "test", "smoke", "reproduce", "push", "commit")
# What GNU make looks for, in its order: https://www.gnu.org/software/make/manual/html_node/Makefile-Names.html
MAKEFILES = ("GNUmakefile", "makefile", "Makefile")
# Who commits what a workflow made, as GitHub's own actions do.
_COMMITTER = (
    "-c user.name='github-actions[bot]'"
    " -c user.email='41898282+github-actions[bot]@users.noreply.github.com'"
)
# experiment.yml knows the commit by it.
_MESSAGE = "Reproduce the pipeline"
# A rule's targets, at the start of a line: `test lint: env`. An assignment (`test := x`) is none.
_RULE = re.compile(r"^([^\s#:=][^#:=]*?)\s*::?(?![:=])", re.MULTILINE)

# What make's own listing names, and nobody can make.
_NO_TARGET = re.compile(r"^# Not a target:\n.*$", re.MULTILINE)
_INCLUDE = re.compile(r"^[ ]*[-s]?include\s", re.MULTILINE)


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


def includes(makefile: str) -> bool:
    """Whether a Makefile takes rules from other files, so that its text does not say all."""
    return _INCLUDE.search(makefile) is not None


def targets(makefile: str) -> frozenset[str]:
    """Return the names of the rules that stand in a Makefile, or in what `make --print-data-base` prints."""
    joined = _NO_TARGET.sub("", makefile.replace("\\\n", " "))
    return frozenset(name for found in _RULE.findall(joined) for name in found.split())


def commit_line(paths: Iterable[str]) -> str:
    """Return the line that commits `paths`, which are from the repository's top, and nothing else."""
    named = " ".join(shlex.quote(f":(top,literal){path}") for path in paths)
    return (
        f"git add --all -- {named} && {{ git diff --cached --quiet ||"
        f" git {_COMMITTER} commit --quiet --message '{_MESSAGE}'; }}"
    )
