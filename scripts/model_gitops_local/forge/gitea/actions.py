"""Gitea's workflows, their runs and jobs."""

from __future__ import annotations

from model_gitops_local.forge.api.answers import Answer
from model_gitops_local.forge.gitea import shapes
from model_gitops_local.forge.gitea.routing import Call, route


@route("GET", "/actions/workflows")
def _workflows(call: Call) -> Answer:
    # All at once.
    found = call.ask("GET", "/actions/workflows", per_page="100")["workflows"]
    shown = [shapes.workflow(one) for one in found]
    return Answer(200, {"total_count": len(shown), "workflows": shown})


@route("GET", "/actions/runs")
def _runs(call: Call) -> Answer:
    found = call.ask("GET", "/actions/runs", per_page="100")["workflow_runs"]
    answer = call.page([shapes.listed_run(one) for one in found])
    answer.body = {"total_count": len(found), "workflow_runs": answer.body}
    return answer


@route("GET", "/actions/runs/{run}/jobs")
def _jobs(call: Call) -> Answer:
    found = call.ask("GET", f"/actions/runs/{call.path['run']}/jobs")["jobs"]
    return Answer(200, {"total_count": len(found), "jobs": [shapes.job(one) for one in found]})
