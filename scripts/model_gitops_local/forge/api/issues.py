"""Issues. A pull request is one too."""

from __future__ import annotations

from model_gitops_local.forge import pulls
from model_gitops_local.forge.api.answers import Answer, check_length, invalid
from model_gitops_local.forge.api.labels import label_names
from model_gitops_local.forge.api.routing import (
    ISSUE,
    REPO,
    THREAD_READ,
    THREAD_WRITE,
    Call,
    Context,
    Routes,
    issue_of,
)
from model_gitops_local.forge.state import Issue, now

routes = Routes()

_REASONS = ("completed", "not_planned", "duplicate", "reopened")
_LONGEST_TITLE = 256


@routes.add("GET", f"{REPO}/issues", *THREAD_READ)
def list_issues(api: Context, call: Call) -> Answer:
    """List issues and pull requests by state, creator and labels, newest first unless asked else."""
    state = call.query.get("state", "open")
    creator = call.query.get("creator")
    labels = set(filter(None, call.query.get("labels", "").split(",")))
    key = {"updated": "updated_at", "comments": "number"}.get(call.query.get("sort", ""), "number")
    newest = call.query.get("direction", "desc") == "desc"
    shapes = [
        api.shapes.issue(call.repository, issue)
        for issue in sorted(
            call.repository.issues, key=lambda one: (getattr(one, key), one.number), reverse=newest
        )
        if state in ("all", issue.state)
        and creator in (None, issue.author)
        and labels <= set(issue.labels)
    ]
    return api.page(call, shapes, "/issues")


@routes.add("POST", f"{REPO}/issues", "issues:write")
def create_issue(api: Context, call: Call) -> Answer:
    """Open an issue."""
    title = _short(call.required("title", "Issue"))
    body = call.text("body")
    number = max((issue.number for issue in call.repository.issues), default=0) + 1
    time = now()
    if body is not None:
        check_length(body, "Issue")
    issue = Issue(number, api.state.new_id(), title, body, call.actor, time, time)
    issue.labels = label_names(call.body.get("labels", []))
    call.repository.issues.append(issue)
    shape = api.shapes.issue(call.repository, issue)
    return Answer(201, shape, {"Location": shape["url"]})


@routes.add("GET", ISSUE, *THREAD_READ)
def get_issue(api: Context, call: Call) -> Answer:
    """Return an issue or pull request as an issue."""
    return Answer(200, api.shapes.issue(call.repository, issue_of(call)))


@routes.add("PATCH", ISSUE, *THREAD_WRITE)
def update_issue(api: Context, call: Call) -> Answer:
    """Change the title, body, state, its reason, or the labels of an issue."""
    issue = issue_of(call)
    title, body, before = call.text("title"), call.text("body"), issue.state
    _short(title or "")
    if body is not None:
        check_length(body, "Issue")
    reason = call.text("state_reason")
    if reason not in (None, *_REASONS):
        raise invalid("Issue", "invalid", field="state_reason")
    set_state(issue, call.text("state"), "Issue")
    if issue.state != before and not issue.pull:  # without a change of the state it is ignored
        default = "completed" if issue.state == "closed" else "reopened"
        issue.state_reason = reason or default
    issue.title = title or issue.title
    issue.body = issue.body if body is None else body
    if "labels" in call.body:
        issue.labels = label_names(call.body["labels"])
    issue.updated_at = now()
    return Answer(200, api.shapes.issue(call.repository, issue))


def _short(title: str) -> str:
    """Refuse a title that is too long for GitHub."""
    if len(title) > _LONGEST_TITLE:
        message = f"title is too long (maximum is {_LONGEST_TITLE} characters)"
        raise invalid("Issue", "custom", field="title", message=message)
    return title


def set_state(issue: Issue, state: str | None, resource: str) -> None:
    """Open or close an issue or pull request; None leaves it. A merged one stays closed."""
    if state not in (None, "open", "closed"):
        raise invalid(resource, "invalid", field="state")
    if state == "closed" and issue.state == "open":
        pulls.close(issue)
    elif state == "open" and issue.state == "closed":
        if issue.pull and issue.pull.merged_at:
            raise invalid(resource, "custom", field="state", message="state cannot be changed.")
        issue.state, issue.closed_at = "open", None
