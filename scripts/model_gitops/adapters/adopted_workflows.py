"""The workflows of a plan: from the templates that this package brings."""

from __future__ import annotations

from dataclasses import replace

from model_gitops.adapters import template_files
from model_gitops.core.adopt import notes, ours, plan
from model_gitops.core.adopt.inventory import Inventory
from model_gitops.core.adopt.planned import Change, Plan
from model_gitops.core.scaffold import record


def added(found: Plan, there: Inventory) -> Plan:
    """Return the plan with the workflows, and the record by which `update` renders them again."""
    # A model that was adopted before is one too.
    known = [one.rpartition("/")[0] for one in there.in_git if one.rpartition("/")[2] == plan.NAME]
    folders = list(dict.fromkeys([*(one.folder for one in found.models), *sorted(known)]))
    template = "model" if len(folders) == 1 else "several-models"
    files = template_files.read(template)
    said = ours.answers(there, found)
    changes, kept, places = ours.rendered(files, said, there, folders)
    own = tuple(sorted(source for place, source in places.items() if place == source))
    left = notes.overlapping(there, list(places))
    if there.read(record.FILE) is None:
        text = record.Record(template, template_files.version(), said, own).text()
        changes.append(Change(record.FILE, None, text))
    return replace(
        found,
        changes=(*found.changes, *changes),
        kept=tuple(kept),
        open=(*found.open, *left),
    )
