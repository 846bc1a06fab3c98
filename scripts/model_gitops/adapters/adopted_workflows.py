"""The workflows of a plan: from the templates that this package brings."""

from __future__ import annotations

from model_gitops.adapters import template_files
from model_gitops.core.adopt import ours
from model_gitops.core.adopt.inventory import Inventory
from model_gitops.core.adopt.planned import Plan


def added(found: Plan, there: Inventory) -> Plan:
    """Return the plan with the workflows, and the record by which `update` renders them again."""
    folders = ours.folders(found, there)
    files = template_files.read(ours.template(folders))
    return ours.added(found, there, files, template_files.version())
