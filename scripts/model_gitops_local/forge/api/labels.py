"""Labels of issues and pull requests."""

from __future__ import annotations

from typing import Any

from model_gitops_local.forge.api.answers import Answer, ApiError
from model_gitops_local.forge.api.routing import (
    ISSUE,
    THREAD_READ,
    THREAD_WRITE,
    Call,
    Context,
    Routes,
    issue_of,
)
from model_gitops_local.forge.state import Issue

routes = Routes()


@routes.add("GET", f"{ISSUE}/labels", *THREAD_READ)
def list_labels(api: Context, call: Call) -> Answer:
    """List the labels of an issue or pull request."""
    return _labels(api, call, issue_of(call))


@routes.add("POST", f"{ISSUE}/labels", *THREAD_WRITE)
def add_labels(api: Context, call: Call) -> Answer:
    """Add labels; a label that the repository lacks is made."""
    issue = issue_of(call)
    given = call.body.get("labels") if isinstance(call.body, dict) else call.body
    issue.labels = label_names([*issue.labels, *(given or [])])
    return _labels(api, call, issue)


@routes.add("DELETE", f"{ISSUE}/labels/{{name}}", *THREAD_WRITE)
def remove_label(api: Context, call: Call) -> Answer:
    """Take a label off."""
    issue = issue_of(call)
    if call.params["name"] not in issue.labels:
        raise ApiError(404, "Label does not exist")
    issue.labels.remove(call.params["name"])
    return _labels(api, call, issue)


def label_names(labels: Any) -> list[str]:
    """Return each name once, of labels that are names or objects with one."""
    names = [label.get("name") if isinstance(label, dict) else label for label in labels or []]
    return [name for name in dict.fromkeys(names) if isinstance(name, str)]


def _labels(api: Context, call: Call, issue: Issue) -> Answer:
    shapes = [api.shapes.label(call.repository, name) for name in issue.labels]
    return api.page(call, shapes, f"/issues/{issue.number}/labels")
