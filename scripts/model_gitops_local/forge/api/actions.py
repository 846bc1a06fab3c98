"""Workflows, their runs, jobs and artifacts."""

from __future__ import annotations

from pathlib import Path

from model_gitops_local.forge.api.answers import Answer, not_found
from model_gitops_local.forge.api.routing import REPO, Call, Context, Routes
from model_gitops_local.forge.bare import Bare
from model_gitops_local.forge.shapes import Json
from model_gitops_local.forge.state import Run

routes = Routes()


@routes.add("GET", f"{REPO}/actions/workflows", "actions:read")
def list_workflows(api: Context, call: Call) -> Answer:
    """List the workflows that the server knows."""
    found = call.repository.workflows
    shapes = [api.shapes.workflow(call.repository, one) for one in found]
    return _counted(api, call, shapes, "workflows", "/actions/workflows")


@routes.add("GET", f"{REPO}/actions/workflows/{{workflow_id}}/runs", "actions:read")
def list_runs_of_workflow(api: Context, call: Call) -> Answer:
    """List the runs of a workflow, by its number or its file's name, newest first."""
    wanted = call.params["workflow_id"]
    workflow = next(
        (
            one
            for one in call.repository.workflows
            if wanted in (str(one.id), one.path.rpartition("/")[2])
        ),
        None,
    )
    if workflow is None:
        raise not_found()
    name = workflow.path.rpartition("/")[2].rpartition(".")[0]
    runs = [one for one in call.repository.runs if one.workflow == name]
    return _runs(api, call, runs, f"/actions/workflows/{workflow.id}/runs")


@routes.add("GET", f"{REPO}/actions/runs", "actions:read")
def list_runs(api: Context, call: Call) -> Answer:
    """List all runs, newest first."""
    return _runs(api, call, call.repository.runs, "/actions/runs")


@routes.add("GET", f"{REPO}/actions/runs/{{run_id}}/jobs", "actions:read")
def list_jobs(api: Context, call: Call) -> Answer:
    """List the jobs of a run: one."""
    run = _run(call)
    shapes = [api.shapes.job(call.repository, run)]
    return _counted(api, call, shapes, "jobs", f"/actions/runs/{run.id}/jobs")


def _run(call: Call) -> Run:
    run = next((one for one in call.repository.runs if one.id == call.number("run_id")), None)
    if run is None:
        raise not_found()
    return run


def _runs(api: Context, call: Call, runs: list[Run], path: str) -> Answer:
    """Return a page of runs, by event and branch if so wished."""
    event, branch = call.query.get("event"), call.query.get("branch")
    found = [
        one for one in runs if event in (None, one.event) and branch in (None, one.head_branch)
    ]
    found.sort(key=lambda one: (one.created_at, one.id), reverse=True)
    base = api.repo(call.repository)
    bare = Bare(Path(call.repository.path))
    shapes = []
    for one in found:
        head = api.state.find(one.head_repository)
        shapes.append(
            api.shapes.run(
                call.repository,
                one,
                base,
                base if head is None else api.repo(head),
                bare.commit(one.head_sha),
            )
        )
    return _counted(api, call, shapes, "workflow_runs", path)


def _counted(api: Context, call: Call, shapes: list[Json], key: str, path: str) -> Answer:
    answer = api.page(call, shapes, path)
    answer.body = {"total_count": len(shapes), key: answer.body}
    return answer


@routes.add("GET", f"{REPO}/actions/runs/{{run_id}}/artifacts", "actions:read")
def list_artifacts(api: Context, call: Call) -> Answer:
    """List the artifacts of a workflow run, by name if so wished."""
    run = _run(call)
    wanted = call.query.get("name")
    shapes = [
        api.shapes.artifact(call.repository, run, name)
        for name in run.artifacts
        if wanted in (None, name)
    ]
    return _counted(api, call, shapes, "artifacts", f"/actions/runs/{run.id}/artifacts")


@routes.add("GET", f"{REPO}/actions/artifacts/{{artifact_id}}/{{archive_format}}", "actions:read")
def download_artifact(api: Context, call: Call) -> Answer:
    """Send on to where the archive is; that address needs no token, and must not get one."""
    wanted = call.number("artifact_id")
    if call.params["archive_format"] != "zip" or not any(
        wanted in run.artifact_ids.values() for run in call.repository.runs
    ):
        raise not_found()
    return Answer(302, None, {"Location": f"{api.shapes.web}/_forge/artifact/{wanted}.zip"})
