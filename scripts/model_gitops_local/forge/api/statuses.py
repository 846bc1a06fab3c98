"""Commit statuses."""

from __future__ import annotations

from model_gitops_local.forge.api.answers import Answer, ApiError, invalid, paginate
from model_gitops_local.forge.api.routing import REPO, Call, Context, Routes, commit_of
from model_gitops_local.forge.state import Status, now

routes = Routes()


def _statuses(call: Call, sha: str) -> list[Status]:
    return [status for status in call.repository.statuses if status.sha == sha][::-1]


@routes.add("GET", f"{REPO}/commits/{{ref}}/status", "statuses:read")
def combined_status(api: Context, call: Call) -> Answer:
    """Return the newest status of each context, and what they come to together."""
    sha = commit_of(call, "ref")
    newest: dict[str, Status] = {}
    for status in _statuses(call, sha):
        newest.setdefault(status.context, status)
    states = {status.state for status in newest.values()}
    state = "failure" if states & {"failure", "error"} else "pending"
    state = "success" if states == {"success"} else state
    url = f"{api.shapes.repo_url(call.repository)}/commits/{sha}"
    shapes = [
        api.shapes.status(call.repository, status, creator=False) for status in newest.values()
    ]
    chosen, headers = paginate(call.query, shapes, f"{url}/status")
    body = {
        "state": state,
        "statuses": chosen,
        "sha": sha,
        "total_count": len(shapes),
        "repository": api.repo(call.repository),
        "commit_url": url,
        "url": f"{url}/status",
    }
    return Answer(200, body, headers)


@routes.add("GET", f"{REPO}/commits/{{ref}}/statuses", "statuses:read")
def list_statuses(api: Context, call: Call) -> Answer:
    """List every status of a commit, newest first."""
    sha = commit_of(call, "ref")
    shapes = [api.shapes.status(call.repository, status) for status in _statuses(call, sha)]
    return api.page(call, shapes, f"/commits/{sha}/statuses")


@routes.add("POST", f"{REPO}/statuses/{{sha}}", "statuses:write")
def create_status(api: Context, call: Call) -> Answer:
    """Set a commit status."""
    sha = call.bare.object(f"{call.params['sha']}^{{commit}}")
    if sha is None:
        raise ApiError(422, f"No commit found for SHA: {call.params['sha']}")
    state = call.required("state", "Status")
    if state not in ("error", "failure", "pending", "success"):
        raise invalid("Status", "custom", field="state", message="state is not included in list")
    status = Status(
        api.state.new_id(),
        sha,
        state,
        call.text("context") or "default",
        call.text("description"),
        call.text("target_url"),
        call.actor,
        now(),
    )
    if len(status.description or "") > 140:
        message = "description is too long (maximum is 140 characters)"
        raise invalid("Status", "custom", field="description", message=message)
    call.repository.statuses.append(status)
    shape = api.shapes.status(call.repository, status)
    return Answer(201, shape, {"Location": shape["url"]})
