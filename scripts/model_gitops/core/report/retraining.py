"""The words of a retraining: its branch, its issue and its pull request. Facts of it are strangers' text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from model_gitops.core.flow import gate
from model_gitops.core.markdown import code, escape
from model_gitops.errors import InputError

PREFIX = "retrain/"
_LONGEST_REASON = 2000
_LINK = re.compile(r"https?://[^\s<>()\"'`\\|]{1,1000}")


def branch_of(folder: str, day: date) -> str:
    """Return the branch of a day: `retrain/2026-11-30`, of a model in a folder `retrain/FOLDER/…`."""
    return f"{PREFIX}{folder}/{day.isoformat()}" if folder else f"{PREFIX}{day.isoformat()}"


def is_branch(name: str, folder: str) -> bool:
    """Whether `name` is a branch of retraining for the model in `folder`."""
    start = f"{PREFIX}{folder}/" if folder else PREFIX
    return bool(re.fullmatch(re.escape(start) + r"\d{4}-\d\d-\d\d", name))


def day_of(text: str, today: date) -> date:
    """Return the date in `text`, as 2026-11-30, or `today`. Raises InputError."""
    if not text:
        return today
    try:
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            raise ValueError
        return date.fromisoformat(text)
    except ValueError as error:
        raise InputError.of(
            "date", text, "it is no date", fix="date: 2026-11-30, or leave it out for today"
        ) from error


def link_of(text: str) -> str:
    """Return `text` where it is an address that can stand in Markdown, or empty. Raises InputError."""
    if text and not is_link(text):
        raise InputError.of(
            "url", text, "it is no http(s) address", fix="leave `url` out: it is this run's then"
        )
    return text


def is_link(text: str) -> bool:
    """Whether `text` is an address that can stand in Markdown."""
    return _LINK.fullmatch(text) is not None


@dataclass(frozen=True)
class Retraining:
    """What is known of one. `model` is its name, `commit` what the branch is at, empty without one.

    `reason` is what found the drift said, `outcome` how the job that trains ended (success, failure,
    cancelled, skipped or empty), `pull_request` its address. `refused`: why none could be opened.
    `declined`: the address of the one that somebody closed. `by_engine`: a training pipeline outside of
    Actions made it, and `url` is its run.
    """

    model: str
    base: str
    branch: str = ""
    commit: str = ""
    reason: str = ""
    url: str = ""
    outcome: str = ""
    pull_request: str = ""
    refused: str = ""
    declined: str = ""
    by_engine: bool = False

    @property
    def title(self) -> str:
        """The issue's title."""
        return f"Retrain {self.model}" + (": its data has drifted" if self.reason else "")

    @property
    def pull_title(self) -> str:
        """The pull request's title."""
        return f"Retrain {self.model}, {self.branch.rpartition('/')[2]}"

    def issue(self) -> str:
        """Return the issue's text."""
        said = [self._why()]
        failed = self.outcome not in ("", "success")
        if failed:
            said.append(
                f"❌ **The training did not end well** ({escape(self.outcome)}). Look at the run above; the"
                " next run tries again."
            )
        if self.declined:
            said.append(
                f"**Somebody closed {self.declined} without a merge**, so this model is not proposed again."
                " Reopen it to go on with it, or wait for new data, which is proposed in a branch of another day."
            )
        elif self.refused:
            said.append(
                f"❌ **The model is trained, in the branch {code(self.branch)}, and the pull request could not"
                f" be opened**: {escape(self.refused, longest=1000)}"
            )
        elif self.pull_request:
            said.append(
                f"The retrained model is in {self.pull_request}. Its checks measure it and what runs now on the"
                " new test data. A comment here says what they found: no better model, no promotion."
            )
        elif not self.commit and not failed:
            said.append(
                "**There is nothing to retrain with**: no row of the monitored windows has a label that the"
                " training data lacks. Bring labels, then run the workflow `retrain` again."
            )
        said.append(
            "This issue is kept up to date, and closed when the pull request is merged or the drift is gone."
        )
        return "\n\n".join(said)

    def pull(self, issue: int) -> str:
        """Return the pull request's text; `issue` is closed with its merge."""
        return "\n\n".join(
            [
                self._why(),
                f"{'The training pipeline ran' if self.by_engine else 'The pipeline was reproduced'} with the"
                " labelled rows that came since. **Look at what the change"
                " does to the data as you look at code**: the gate measures with its test rows too.",
                f"Judged as any other change into {code(self.base)}: champion and candidate are measured on the"
                " same test data. Where the retrained model is not better, the gate refuses it.",
                f"Closes #{issue}",
            ]
        )

    def _why(self) -> str:
        link = f" ([{'run' if self.by_engine else 'report'}]({self.url}))" if self.url else ""
        reason = escape(self.reason, longest=_LONGEST_REASON)
        started = "The training pipeline ran" if self.by_engine else "Started by hand"
        return f"**{reason}**{link}" if reason else f"{started}{link}."


def verdict(outcome: str, table: str, pull_request: str) -> str:
    """Return what the gate found, as a comment; empty where it did not come to an end."""
    words = {
        "success": "✅ **The retrained model passes the gate.** Merge the pull request to promote it",
        "failure": "❌ **The retrained model is not better: the gate refuses it, and nothing is promoted**",
    }
    if outcome not in words:
        return ""
    where = f" ({pull_request})" if pull_request else ""
    known = gate.read_table(table) if table else None
    return f"{words[outcome]}{where}.\n" + (f"\n{table.strip()[:20_000]}\n" if known else "")
