"""Comments on issues and pull requests."""

from __future__ import annotations

from model_gitops_local.forge.api.answers import Answer, not_found
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
from model_gitops_local.forge.state import Comment, now

routes = Routes()


@routes.add("GET", f"{ISSUE}/comments", *THREAD_READ)
def list_comments(api: Context, call: Call) -> Answer:
    """List the comments of an issue or pull request, oldest first."""
    issue = issue_of(call)
    since = call.query.get("since", "")
    shapes = [
        api.shapes.comment(call.repository, comment)
        for comment in call.repository.comments
        if comment.number == issue.number and comment.updated_at >= since
    ]
    return api.page(call, shapes, f"/issues/{issue.number}/comments")


@routes.add("POST", f"{ISSUE}/comments", *THREAD_WRITE)
def create_comment(api: Context, call: Call) -> Answer:
    """Comment on an issue or pull request."""
    issue = issue_of(call)
    body = call.comment_body("IssueComment")
    comment = Comment(api.state.new_id(), body, call.actor, now(), now(), number=issue.number)
    call.repository.comments.append(comment)
    shape = api.shapes.comment(call.repository, comment)
    return Answer(201, shape, {"Location": shape["url"]})


@routes.add("GET", f"{REPO}/issues/comments/{{comment_id}}", *THREAD_READ)
def get_comment(api: Context, call: Call) -> Answer:
    """Return a comment."""
    return Answer(200, api.shapes.comment(call.repository, _comment(call)))


@routes.add("PATCH", f"{REPO}/issues/comments/{{comment_id}}", *THREAD_WRITE)
def update_comment(api: Context, call: Call) -> Answer:
    """Change a comment."""
    comment = _comment(call)
    comment.body, comment.updated_at = call.comment_body("IssueComment"), now()
    return Answer(200, api.shapes.comment(call.repository, comment))


@routes.add("DELETE", f"{REPO}/issues/comments/{{comment_id}}", *THREAD_WRITE)
def delete_comment(api: Context, call: Call) -> Answer:
    """Delete a comment."""
    call.repository.comments.remove(_comment(call))
    return Answer(204)


def _comment(call: Call) -> Comment:
    wanted = call.number("comment_id")
    found = next((c for c in call.repository.comments if c.id == wanted), None)
    if found is None:
        raise not_found()
    return found
