"""The events that people are told of, and the words of each."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Literal

# How bad it is, by apprise's own names: services show it as a colour or a symbol.
Kind = Literal["info", "success", "warning", "failure"]


@dataclass(frozen=True)
class Event:
    """One event: `head` opens the title, `place` joins the environment to it, `text` is its first line."""

    name: str
    head: str
    place: str
    text: str
    kind: Kind


_ALL = (
    Event("promotion", "Deployed", "to", "The deploy repository has it now.", "success"),
    Event("approval", "Waits for approval", "to", "Somebody must say yes or no.", "info"),
    Event("refusal", "Refused", "for", "A rule says no: the run has the reason.", "warning"),
    Event(
        "failure", "Not deployed", "to", "The workflow failed: the run has the reason.", "failure"
    ),
    Event("rollback", "Rolled back", "in", "The environment is on hold.", "warning"),
    Event("hold", "On hold", "in", "No promotion until somebody releases it.", "warning"),
    Event("release", "Released", "in", "Promotions are taken again.", "success"),
    Event("drift", "Drift", "in", "The data are no longer what the model learned.", "warning"),
    Event("retraining", "Retrained", "in", "The pull request has the measured comparison.", "info"),
    Event("verification", "Failed verification", "in", "The report has the numbers.", "failure"),
    Event("audit", "Not in sync", "in", "What runs and what Git says differ.", "failure"),
    Event("health", "The pipeline needs a look", "in", "The issue has the reasons.", "warning"),
    Event("other", "News", "of", "The run says more.", "info"),
)
EVENTS = {one.name: one for one in _ALL}


def find(name: str) -> tuple[Event, str]:
    """Return the event called `name`, and what is wrong with the name, if anything.

    People are told of an unknown event too, as `other`: a typo must not hide a rollback.
    """
    if found := EVENTS.get(name):
        return found, ""
    near = difflib.get_close_matches(name[:100], EVENTS, n=1)
    shown = f"there is no event {name[:60]!r}" if name else "it is empty"
    meant = f"; is {near[0]} meant?" if near else "."
    return EVENTS["other"], f"input `event`: {shown}{meant} It is told as `other`."
