"""What a person reads of a plan: what is there, each change as a diff, and what is left to decide."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence

from model_gitops.core.adopt.planned import Change, Open, Plan


def plan(found: Plan) -> str:
    """Return the plan in words and diffs."""
    parts = ["Found:", *(f"  {one}" for one in found.found), ""]
    if found.changes:
        parts += ["To be written:", ""]
        own = [one for one in found.changes if _is_of_template(one)]
        for one in found.changes:
            parts += [] if one in own else [*_diff(one), ""]
        parts += [f"+++ {one.path} (new, of the template)" for one in own]
        parts += [""] if own else []
    if found.kept:
        parts += ["These stay as they are. To take ours, remove the file and run this again:", ""]
        for one in found.kept:
            parts += [*_diff(one), ""]
    if found.open:
        parts += ["Not decided, or left to do:", *_open(found.open), ""]
    if not found.changes:
        parts += ["There is nothing to write.", ""]
    return "\n".join(parts)


def _is_of_template(change: Change) -> bool:
    """Whether it is a new file that a person need not read to agree: a workflow, or the record."""
    return change.before is None and change.path.startswith(
        (".github/", ".gitea/", ".forgejo/", ".model-")
    )


def _diff(change: Change) -> Iterator[str]:
    before = (change.before or "").splitlines()
    name = change.path if change.before is not None else "/dev/null"
    yield from difflib.unified_diff(
        before, change.after.splitlines(), name, change.path, lineterm="", n=2
    )


def _open(found: Sequence[Open]) -> Iterator[str]:
    for one in found:
        yield f"  - {one.what}"
        if one.fix:
            yield f"      {one.fix}"
