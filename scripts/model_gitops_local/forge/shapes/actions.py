"""Workflow runs."""

from __future__ import annotations

from pathlib import Path

from model_gitops_local.forge.bare import Commit
from model_gitops_local.forge.shapes.accounts import Accounts
from model_gitops_local.forge.shapes.addresses import Json, node_id
from model_gitops_local.forge.state import Repository, Run


class Actions(Accounts):
    """Shapes of workflow runs and their artifacts."""

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
            "status": "completed",
            "conclusion": run.conclusion,
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
            "workflow_id": 1,
            "check_suite_id": run.id,
            "check_suite_node_id": node_id("CheckSuite", run.id),
            "check_suite_url": suite,
            "workflow_url": f"{self.repo_url(repository)}/actions/workflows/1",
            "url": url,
            "html_url": f"{self.page_url(repository)}/actions/runs/{run.id}",
            "previous_attempt_url": None,
            **{f"{part}_url": f"{url}/{part}" for part in parts},
            **dict.fromkeys(("created_at", "updated_at", "run_started_at"), run.created_at),
        }
