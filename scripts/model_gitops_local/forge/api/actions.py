"""Workflow runs and their artifacts."""

from __future__ import annotations

from model_gitops_local.forge.api.answers import Answer, not_found
from model_gitops_local.forge.api.routing import REPO, Call, Context, Routes

routes = Routes()


@routes.add("GET", f"{REPO}/actions/runs/{{run_id}}/artifacts", "actions:read")
def list_artifacts(api: Context, call: Call) -> Answer:
    """List the artifacts of a workflow run, by name if so wished."""
    run = next((one for one in call.repository.runs if one.id == call.number("run_id")), None)
    if run is None:
        raise not_found()
    wanted = call.query.get("name")
    shapes = [
        api.shapes.artifact(call.repository, run, name)
        for name in run.artifacts
        if wanted in (None, name)
    ]
    answer = api.page(call, shapes, f"/actions/runs/{run.id}/artifacts")
    answer.body = {"total_count": len(shapes), "artifacts": answer.body}
    return answer


@routes.add("GET", f"{REPO}/actions/artifacts/{{artifact_id}}/{{archive_format}}", "actions:read")
def download_artifact(api: Context, call: Call) -> Answer:
    """Send on to where the archive is; that address needs no token, and must not get one."""
    wanted = call.number("artifact_id")
    if call.params["archive_format"] != "zip" or not any(
        wanted in run.artifact_ids.values() for run in call.repository.runs
    ):
        raise not_found()
    return Answer(302, None, {"Location": f"{api.shapes.web}/_forge/artifact/{wanted}.zip"})
