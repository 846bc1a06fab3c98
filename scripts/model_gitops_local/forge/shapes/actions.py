"""Workflows and their runs."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import quote

from model_gitops_local.forge.bare import Commit
from model_gitops_local.forge.shapes.accounts import Accounts
from model_gitops_local.forge.shapes.addresses import Json, node_id
from model_gitops_local.forge.state import Repository, Run, Workflow


class Actions(Accounts):
    """Shapes of workflows, their runs, jobs and artifacts."""

    @staticmethod
    def workflow_id(repository: Repository, run: Run) -> int:
        """Return the number of a run's workflow; 1 for one that the server was not told of."""
        path = f".github/workflows/{run.workflow}.yml"
        return next((one.id for one in repository.workflows if one.path == path), 1)

    def workflow(self, repository: Repository, workflow: Workflow) -> Json:
        """Return a workflow."""
        file = workflow.path.rpartition("/")[2]
        page = f"{self.page_url(repository)}/actions/workflows/{quote(file)}"
        return {
            "id": workflow.id,
            "node_id": node_id("Workflow", workflow.id),
            "name": workflow.name,
            "path": workflow.path,
            "state": workflow.state,
            "created_at": workflow.created_at,
            "updated_at": workflow.created_at,
            "url": f"{self.repo_url(repository)}/actions/workflows/{workflow.id}",
            "html_url": page,
            "badge_url": f"{page}/badge.svg",
        }

    def job(self, repository: Repository, run: Run) -> Json:
        """Return the one job of a run."""
        url = f"{self.repo_url(repository)}/actions/jobs/{run.id}"
        created = datetime.fromisoformat(run.created_at)
        started = created + timedelta(seconds=run.waited)
        done = run.status == "completed"
        times = {
            "created_at": created,
            "started_at": started,
            "completed_at": started + timedelta(seconds=run.took) if done else None,
        }
        return {
            "id": run.id,
            "node_id": node_id("CheckRun", run.id),
            "run_id": run.id,
            "run_url": f"{self.repo_url(repository)}/actions/runs/{run.id}",
            "run_attempt": 1,
            "head_sha": run.head_sha,
            "head_branch": run.head_branch,
            "workflow_name": run.workflow,
            "name": "job",
            "status": run.status,
            "conclusion": run.conclusion or None,
            "url": url,
            "html_url": f"{self.page_url(repository)}/actions/runs/{run.id}/job/{run.id}",
            "check_run_url": f"{self.repo_url(repository)}/check-runs/{run.id}",
            "labels": ["ubuntu-latest"],
            **dict.fromkeys(("runner_id", "runner_name", "runner_group_id", "runner_group_name")),
            **{
                name: moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None
                for name, moment in times.items()
            },
        }

    def artifact(self, repository: Repository, run: Run, name: str) -> Json:
        """Return an artifact of a workflow run."""
        number = run.artifact_ids[name]
        url = f"{self.repo_url(repository)}/actions/artifacts/{number}"
        return {
            "id": number,
            "node_id": node_id("Artifact", number),
            "name": name,
            "size_in_bytes": Path(run.artifacts[name]).stat().st_size,
            "url": url,
            "archive_download_url": f"{url}/zip",
            "expired": False,
            "digest": None,
            **dict.fromkeys(("created_at", "updated_at", "expires_at"), run.created_at),
            "workflow_run": {
                "id": run.id,
                "head_branch": run.head_branch,
                "head_sha": run.head_sha,
            },
        }

    def run(self, repository: Repository, run: Run, base: Json, head: Json, commit: Commit) -> Json:
        """Return a workflow run, as the event of its end carries it."""
        url = f"{self.repo_url(repository)}/actions/runs/{run.id}"
        suite = f"{self.repo_url(repository)}/check-suites/{run.id}"
        parts = ("artifacts", "cancel", "jobs", "logs", "rerun")
        people = {
            role: {"name": who.name, "email": who.email}
            for role, who in (("author", commit.author), ("committer", commit.committer))
        }
        actor = self.user(run.head_repository.partition("/")[0])
        return {
            "id": run.id,
            "node_id": node_id("WorkflowRun", run.id),
            "name": run.workflow,
            "path": f".github/workflows/{run.workflow}.yml",
            "event": run.event,
            "status": run.status,
            "conclusion": run.conclusion or None,
            "display_title": commit.message.partition("\n")[0],
            "head_branch": run.head_branch,
            "head_sha": run.head_sha,
            "head_commit": {
                "id": commit.sha,
                "tree_id": commit.tree,
                "message": commit.message,
                "timestamp": commit.committer.date,
                **people,
            },
            "repository": base,
            "head_repository": head,
            # GitHub leaves this empty for pull requests from forks.
            "pull_requests": [],
            "actor": actor,
            "triggering_actor": actor,
            "run_attempt": 1,
            "run_number": 1,
            "workflow_id": self.workflow_id(repository, run),
            "check_suite_id": run.id,
            "check_suite_node_id": node_id("CheckSuite", run.id),
            "check_suite_url": suite,
            "workflow_url": f"{self.repo_url(repository)}/actions/workflows"
            f"/{self.workflow_id(repository, run)}",
            "url": url,
            "html_url": f"{self.page_url(repository)}/actions/runs/{run.id}",
            "previous_attempt_url": None,
            **{f"{part}_url": f"{url}/{part}" for part in parts},
            **dict.fromkeys(("created_at", "updated_at", "run_started_at"), run.created_at),
        }
