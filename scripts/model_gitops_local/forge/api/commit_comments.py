"""Comments on commits."""

from __future__ import annotations

from model_gitops_local.forge.api.answers import Answer, ApiError, not_found
from model_gitops_local.forge.api.routing import REPO, Call, Context, Routes, commit_of
from model_gitops_local.forge.state import Comment, now

routes = Routes()


@routes.add("GET", f"{REPO}/commits/{{commit_sha}}/comments")
def list_comments_of_commit(api: Context, call: Call) -> Answer:
    """List a commit's comments."""
    sha = commit_of(call, "commit_sha")
    shapes = [
        api.shapes.commit_comment(call.repository, comment)
        for comment in call.repository.commit_comments
        if comment.sha == sha
    ]
    return api.page(call, shapes, f"/commits/{sha}/comments")


@routes.add("POST", f"{REPO}/commits/{{commit_sha}}/comments", "contents:read")
def create_commit_comment(api: Context, call: Call) -> Answer:
    """Comment on a commit. On GitHub too, contents:read is enough for that."""
    if call.token is None:
        raise ApiError(401, "Requires authentication")
    sha = commit_of(call, "commit_sha")
    body = call.comment_body("CommitComment")
    comment = Comment(api.state.new_id(), body, call.actor, now(), now(), sha=sha)
    comment.path = call.text("path")
    comment.position, comment.line = call.body.get("position"), call.body.get("line")
    call.repository.commit_comments.append(comment)
    shape = api.shapes.commit_comment(call.repository, comment)
    return Answer(201, shape, {"Location": shape["url"]})


@routes.add("GET", f"{REPO}/comments")
def list_commit_comments(api: Context, call: Call) -> Answer:
    """List the commit comments of the whole repository."""
    shapes = [
        api.shapes.commit_comment(call.repository, comment)
        for comment in call.repository.commit_comments
    ]
    return api.page(call, shapes, "/comments")


def _commit_comment(call: Call) -> Comment:
    wanted = call.number("comment_id")
    found = next((c for c in call.repository.commit_comments if c.id == wanted), None)
    if found is None:
        raise not_found()
    return found


@routes.add("GET", f"{REPO}/comments/{{comment_id}}")
def get_commit_comment(api: Context, call: Call) -> Answer:
    """Return a commit comment."""
    return Answer(200, api.shapes.commit_comment(call.repository, _commit_comment(call)))


@routes.add("PATCH", f"{REPO}/comments/{{comment_id}}", "contents:write")
def update_commit_comment(api: Context, call: Call) -> Answer:
    """Change a commit comment."""
    comment = _commit_comment(call)
    comment.body, comment.updated_at = call.comment_body("CommitComment"), now()
    return Answer(200, api.shapes.commit_comment(call.repository, comment))


@routes.add("DELETE", f"{REPO}/comments/{{comment_id}}", "contents:write")
def delete_commit_comment(api: Context, call: Call) -> Answer:
    """Delete a commit comment."""
    call.repository.commit_comments.remove(_commit_comment(call))
    return Answer(204)
