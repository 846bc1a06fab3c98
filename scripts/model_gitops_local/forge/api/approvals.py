"""Who approved the deployments of a workflow run: the reviewers of its environments."""

from __future__ import annotations

from model_gitops_local.forge.api.answers import Answer
from model_gitops_local.forge.api.routing import REPO, Call, Context, Routes
from model_gitops_local.forge.state import now

routes = Routes()


@routes.add("GET", f"{REPO}/actions/runs/{{run_id}}/approvals", "actions:read")
def list_approvals(api: Context, call: Call) -> Answer:
    """List what reviewers said to the deployments of a run; of any number, as act makes its own up."""
    said = call.repository.approvals.get(str(call.number("run_id")), [])
    shapes = []
    for one in said:
        given = {"id": 1, "created_at": now(), "updated_at": now()}
        known = call.repository.guard.environments.get(one["environment"]) or given
        environment = api.shapes.environment(
            call.repository, one["environment"], {**given, **known}
        )
        kept = ("id", "node_id", "name", "url", "html_url", "created_at", "updated_at")
        shapes.append(
            {
                "environments": [{key: environment[key] for key in kept}],
                "state": one["state"],
                "user": api.shapes.user(one["login"]),
                "comment": one["comment"],
            }
        )
    return Answer(200, shapes)
