"""What a person who must say yes or no is shown beside the comparison: the stage before, and the way back."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from model_gitops.core.lineage.facts import Pull
from model_gitops.core.markdown import code, escape

# How a commit status says what came of a verification.
_SIGNS = {
    "success": "✅ passed",
    "failure": "❌ failed",
    "error": "❌ not finished",
    "pending": "⏳ runs",
}
_NONE = "❔ no result yet"
_LONGEST = 200


@dataclass(frozen=True)
class Verified:
    """What the commit status of an environment says of what it runs; `state` is empty where there is none.

    Whoever may write statuses in the repository can have written it.
    """

    environment: str
    state: str = ""
    description: str = ""
    url: str = ""


def row(verified: Verified) -> tuple[str, str, str]:
    """Return the row of the comparison: what came of the verification in the environment before."""
    shown = _SIGNS.get(verified.state, _NONE)
    if verified.state and verified.description:
        shown += f": {escape(verified.description, longest=_LONGEST)}"
    if verified.state and _is_address(verified.url):
        shown += f" ([report]({verified.url}))"
    return f"verified in {escape(verified.environment)}", "–", shown


def linked(pull: Pull | None) -> str:
    """Return the link to a merged pull request, and who approved it; empty without one."""
    if pull is None or not _is_address(pull.url):
        return ""
    approved = ", ".join(escape(login) for login in pull.approved_by) or "nobody"
    return f"[#{pull.number}]({pull.url}), approved by {approved}"


def brought(pull: Pull | None) -> str:
    """Return the same of what is decided, with what its report has beside this table."""
    link = linked(pull)
    more = "its report has the gate, the measured comparison and the params"
    return f"{link}: {more}" if link else ""


def way_back(environment: str, version: str) -> list[str]:
    """Return the lines that say how to go back to what runs now; none where nothing does."""
    if not version:
        return []
    given = (("environment", environment), ("version", version), ("reason", "WHY"))
    words = [f"-f {shlex.quote(f'{key}={value}')}" for key, value in given]
    command = " ".join(("gh workflow run rollback.yml", *words))
    return [
        f"To go back to {escape(version)} afterwards: {code(command, longest=300)}, or the same by"
        " hand: Actions → rollback → Run workflow.",
        "",
    ]


def _is_address(url: str) -> bool:
    return re.fullmatch(r"https?://[^\s()<>|\"'`\\]{1,500}", url) is not None
