"""Webhook payloads, as GitHub puts them into a workflow's event.json."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from model_gitops_local.forge.api.routing import Context
from model_gitops_local.forge.bare import NULL, Bare, Commit
from model_gitops_local.forge.shapes import Json
from model_gitops_local.forge.state import Repository, Run


def pull_request(
    api: Context, repository: Repository, number: int, action: str, sender: str
) -> Json:
    """Return a `pull_request` event. `action` as `opened`, `synchronize`, `closed`."""
    issue = repository.issue(number)
    if issue is None or issue.pull is None:
        raise LookupError(f"{repository.full_name} has no pull request {number}")
    action = action or ("closed" if issue.state == "closed" else "opened")
    event: Json = {
        "action": action,
        "number": number,
        "pull_request": api.pull(repository, issue, details=True),
        "repository": api.repo(repository),
        "sender": api.shapes.user(sender or issue.pull.merged_by or issue.author),
    }
    if action == "synchronize":
        parents = Bare(Path(repository.path)).commit(issue.pull.head_sha).parents
        event |= {"before": parents[0] if parents else NULL, "after": issue.pull.head_sha}
    return event


def push(
    api: Context, repository: Repository, branch: str, before: str, after: str, *, sender: str
) -> Json:
    """Return a `push` event for a branch, or for any ref that starts with `refs/`.

    An empty `before` is the first parent of `after`; an empty `after` is the ref's tip.
    """
    bare = Bare(Path(repository.path))
    ref = branch if branch.startswith("refs/") else f"refs/heads/{branch}"
    after = after or bare.object(f"{ref}^{{commit}}") or NULL
    if not before:
        parents = bare.commit(after).parents if after != NULL else ()
        before = parents[0] if parents else NULL
    commits: list[Commit] = []
    if after != NULL:
        revisions = [after] if before == NULL else [after, f"^{before}"]
        commits = bare.commits(*revisions, limit=2048)[::-1]
    forced = NULL not in (before, after) and not bare.is_ancestor(before, after)
    person = {"name": sender, "email": f"{sender}@users.noreply.github.com"}
    shape = api.repo(repository)
    created = int(datetime.fromisoformat(repository.created_at).timestamp())
    shape |= {"created_at": created, "pushed_at": created, "master_branch": shape["default_branch"]}
    shape["owner"] |= {"name": repository.owner, "email": None}
    shape["stargazers"] = 0
    page = api.shapes.page_url(repository)
    return {
        "ref": ref,
        "before": before,
        "after": after,
        "base_ref": None,
        "created": before == NULL,
        "deleted": after == NULL,
        "forced": forced,
        "compare": f"{page}/compare/{before[:12]}...{after[:12]}",
        "commits": [_commit(page, bare, commit) for commit in commits],
        "head_commit": _commit(page, bare, bare.commit(after)) if after != NULL else None,
        "pusher": person,
        "sender": api.shapes.user(sender),
        "repository": shape,
    }


def workflow_run(api: Context, repository: Repository, head: Repository, run: Run) -> Json:
    """Return the event of a workflow run's end; `head` is the repository of the run's commit."""
    base = api.repo(repository)
    commit = Bare(Path(repository.path)).commit(run.head_sha)
    page = f"{api.shapes.page_url(repository)}/actions/workflows/{run.workflow}.yml"
    return {
        "action": "completed",
        "workflow_run": api.shapes.run(repository, run, base, api.repo(head), commit),
        "workflow": {
            "id": 1,
            "node_id": "",
            "name": run.workflow,
            "path": f".github/workflows/{run.workflow}.yml",
            "state": "active",
            **dict.fromkeys(("url", "html_url", "badge_url"), page),
            **dict.fromkeys(("created_at", "updated_at"), run.created_at),
        },
        "repository": base,
        "sender": api.shapes.user(run.head_repository.partition("/")[0]),
    }


def schedule(api: Context, repository: Repository) -> Json:
    """Return the event of a workflow's schedule, which nobody sends."""
    return {"schedule": "23 4 * * *", "repository": api.repo(repository)}


def _commit(page: str, bare: Bare, commit: Commit) -> Json:
    base = commit.parents[0] if commit.parents else None
    changes = bare.changes(base, commit.sha) if base else []
    paths = {
        kind: [change.path for change in changes if change.status == kind]
        for kind in ("added", "removed", "modified")
    }
    return {
        "id": commit.sha,
        "tree_id": commit.tree,
        "distinct": True,
        "message": commit.message,
        "timestamp": commit.committer.date,
        "url": f"{page}/commit/{commit.sha}",
        "author": {"name": commit.author.name, "email": commit.author.email},
        "committer": {"name": commit.committer.name, "email": commit.committer.email},
        **paths,
    }
