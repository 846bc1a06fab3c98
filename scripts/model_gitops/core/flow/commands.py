"""What the workflows run of the project's own, as `commands` of promotion.yaml says."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from model_gitops.errors import InputError

# In the order in which a workflow runs them.
NAMES = ("env", "check", "test", "smoke", "reproduce", "push", "commit")
# What monitor.yml, the retraining and components.yml run besides: no project needs them.
WATCHING = ("collect", "monitor", "label", "component")
STEPS = (*NAMES, *WATCHING)
# What verify-deployment runs, with an address and thresholds in the environment: no run-command does.
LOAD = "load"
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
_RULE = re.compile(r"^ *([^\s#:=][^#:=]*?)\s*(?:&:|::?)(?![:=])(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Makefile:
    """What a Makefile has: the names of its `targets`.

    `files`: those that make takes for files which need nothing else, so that it runs nothing where a file or
    folder of that name is there. `broken`: make can't read it, and says why when it is run.
    """

    targets: frozenset[str] = frozenset()
    files: frozenset[str] = frozenset()
    broken: bool = False


@dataclass(frozen=True)
class Planned:
    """One command: the line that bash runs, or why there is nothing to run."""

    name: str
    line: str = ""
    skipped: str = ""


def parse(entry: Mapping[str, Any], source: str) -> dict[str, str]:
    """Return the lines of `commands` by name, an empty one for what is to be skipped.

    Raises InputError, naming `source`, for several lines, as a step's `run: |` has them.
    """
    for name, line in entry.items():
        if line and "\n" in line:
            lines = [one.strip() for one in line.splitlines() if one.strip()]
            raise InputError(
                f"{source}: `commands.{name}` is written as a block, and a command is one line of bash",
                fix=f"{name}: {' && '.join(lines)[:1000]}"
                + (" (or a script of your own that has these lines)" if len(lines) > 1 else ""),
            )
    return {name: str(line).strip() if line else "" for name, line in entry.items()}


def plan(name: str, said: Mapping[str, str], makefile: Makefile | None) -> Planned:
    """Return what command `name` is, with the project's `said` and its Makefile, if any."""
    if name in said:
        line = said[name]
        skipped = "" if line else f"promotion.yaml says `{name}: false`"
        return Planned(name, line, skipped)
    if makefile is None:
        return Planned(name, skipped=f"there is neither `commands.{name}` nor a Makefile")
    if name not in makefile.targets and not makefile.broken:
        return Planned(
            name, skipped=f"there is no `commands.{name}`, and no target in the Makefile"
        )
    return Planned(name, f"make {name}")


def read(text: str) -> Makefile:
    """Return what stands in the text of a Makefile: less than make itself knows of it."""
    found = _RULE.findall(text.replace("\\\n", " "))
    return Makefile(frozenset(name for names, _ in found for name in names.split()))


def listed(database: str, *, broken: bool) -> Makefile:
    """Return what `make --print-data-base` prints of a Makefile: what it includes, computes and leaves out counts.

    Its last part has a paragraph for each file: its rule, then comments, then the recipe.
    """
    targets, files = set(), set()
    for paragraph in database.rpartition("\n# Files\n")[2].split("\n\n"):
        rules = [] if "# Not a target:" in paragraph else _RULE.findall(paragraph)
        if not rules:
            continue
        name, needs = rules[-1]  # variables of that target stand before it
        has_recipe = " to execute (from" in paragraph
        if has_recipe or needs.strip():
            targets.add(name)
        if has_recipe and not needs.strip() and "Phony target" not in paragraph:
            files.add(name)
    return Makefile(frozenset(targets), frozenset(files), broken)


def commit_line(paths: Iterable[str]) -> str:
    """Return the line that commits `paths`, which are from the repository's top, and nothing else."""
    named = " ".join(shlex.quote(f":(top,literal){path}") for path in paths)
    return (
        f"git add --all -- {named} && {{ git diff --cached --quiet ||"
        f" git {_COMMITTER} commit --quiet --message '{_MESSAGE}'; }}"
    )
