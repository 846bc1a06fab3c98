"""What the forge knows, as Gitea 1.26 tells it: made from the shapes of GitHub's API."""

from __future__ import annotations

from typing import Any

from model_gitops_local.forge.gitea.description import SHAPES
from model_gitops_local.forge.shapes import Json
from model_gitops_local.forge.state import account_id

# How a new repository merges.
MERGE: Json = {
    "allow_merge_commits": True,
    "allow_rebase": True,
    "allow_rebase_explicit": True,
    "allow_squash_merge": True,
    "allow_fast_forward_only_merge": True,
    "default_merge_style": "merge",
}


def _only(shape: str, values: Json) -> Json:
    """Return the fields that Gitea has of `values`."""
    return {name: values[name] for name in SHAPES[shape] if name in values}


def user(login: str, web: str) -> Json:
    """Return an account."""
    return {
        "id": account_id(login),
        "login": login,
        "full_name": "",
        "email": f"{login}@noreply.localhost",
        "avatar_url": f"{web}/avatars/{account_id(login)}",
        "html_url": f"{web}/{login}",
        "is_admin": False,
        "created": "2020-01-01T00:00:00Z",
    }


def repository(github: Json, web: str) -> Json:
    """Return a repository."""
    owner = user(github["owner"]["login"], web)
    return _only("Repository", {**github, "owner": owner})


def whole_repository(github: Json, web: str) -> Json:
    """Return a repository on its own, with how it merges."""
    owner = user(github["owner"]["login"], web)
    return _only("WholeRepository", {**MERGE, **github, "owner": owner})


def branch(github: Json, rule: Json | None) -> Json:
    """Return a branch of a list."""
    approvals = rule["required_approvals"] if rule else 0
    return {"name": github["name"], "protected": bool(rule), "required_approvals": approvals}


def content(github: Json) -> Json:
    """Return a file, or an entry of a folder: without its content."""
    return _only("ContentsResponse", {"encoding": None, "content": None, **github})


def branch_protection(name: str, given: Json) -> Json:
    """Return a rule of branches: what is not given is off."""
    empty: Json = {"string": "", "integer": 0, "boolean": False}
    off = {field: empty.get(kind, []) for field, kind in SHAPES["BranchProtection"].items()}
    return _only("BranchProtection", {**off, **given, "rule_name": name, "branch_name": name})


def pull(github: Json, web: str, merge_base: str) -> Json:
    """Return a pull request. Its `merge_commit_sha` is null until it is merged."""
    page = f"{web}/{github['base']['repo']['full_name']}/pulls/{github['number']}"
    merged = github["merged_at"] is not None
    return _only(
        "PullRequest",
        {
            **github,
            "url": page,
            "html_url": page,
            "user": user(github["user"]["login"], web),
            "body": github["body"] or "",
            "mergeable": github["state"] == "open",
            "merged": merged,
            "merge_commit_sha": github["merge_commit_sha"] if merged else None,
            "merge_base": merge_base,
            "base": _end(github["base"], web),
            "head": _end(github["head"], web),
        },
    )


def _end(github: Json, web: str) -> Json:
    home = github["repo"]
    return {
        "label": github["ref"],
        "ref": github["ref"],
        "sha": github["sha"],
        "repo_id": home["id"] if home else -1,
        "repo": repository(home, web) if home else None,
    }


def review(github: Json, web: str, *, dismissed: bool, official: bool) -> Json:
    """Return a review: a dismissed one keeps its state. Official is that of who may write."""
    state = {"CHANGES_REQUESTED": "REQUEST_CHANGES", "COMMENTED": "COMMENT"}
    return _only(
        "PullReview",
        {
            **github,
            "user": user(github["user"]["login"], web),
            "state": state.get(github["state"], github["state"]),
            "stale": False,
            "official": official,
            "dismissed": dismissed,
        },
    )


def issue(github: Json, web: str, api: str, name: str) -> Json:
    """Return an issue, or a pull request as one."""
    kind = "pulls" if "pull_request" in github else "issues"
    number = github["number"]
    return _only(
        "Issue",
        {
            **github,
            "url": f"{api}/repos/{name}/issues/{number}",
            "html_url": f"{web}/{name}/{kind}/{number}",
            "user": user(github["user"]["login"], web),
            "body": github["body"] or "",
        },
    )


def comment(github: Json, web: str, name: str, number: int) -> Json:
    """Return a comment on a pull request."""
    page = f"{web}/{name}/pulls/{number}"
    return _only(
        "Comment",
        {
            **github,
            "html_url": f"{page}#issuecomment-{github['id']}",
            "pull_request_url": page,
            "issue_url": "",
            "user": user(github["user"]["login"], web),
        },
    )


def commit(github: Json) -> Json:
    """Return a commit."""
    parents = [_only("CommitMeta", one) for one in github["parents"]]
    return _only("Commit", {**github, "parents": parents})


def changed_file(github: Json) -> Json:
    """Return a file that a pull request changes."""
    values = _only("ChangedFile", {**github, "html_url": github["blob_url"]})
    return {**values, "status": "changed" if github["status"] == "modified" else github["status"]}


def artifact(github: Json) -> Json:
    """Return an artifact."""
    return _only("ActionArtifact", github)


def workflow_run(github: Json, web: str, number: int) -> Json:
    """Return a run as the event of its end has it: of a pull request only by its path."""
    home = repository(github["repository"], web)
    login = github["actor"]["login"]
    return _only(
        "ActionWorkflowRun",
        {
            **github,
            "path": f"{github['name']}.yml@refs/pull/{number}/head",
            "display_title": "",
            "head_branch": "",
            "html_url": f"{home['html_url']}/actions/runs/{github['id']}",
            "repository": home,
            "actor": user(login, web),
            "trigger_actor": user(login, web),
        },
    )


def listed_run(github: Json) -> Json:
    """Return a run as a list has it; what is not known yet is the zero of Go's time."""
    ended = github["status"] == "completed"
    return _only(
        "ListedWorkflowRun",
        {
            **github,
            "path": f"{github['path'].rpartition('/')[2]}@refs/heads/{github['head_branch']}",
            "conclusion": github["conclusion"] or "",
            "started_at": github["run_started_at"],
            "completed_at": github["updated_at"] if ended else "0001-01-01T00:00:00Z",
        },
    )


def job(github: Json) -> Json:
    """Return a job of a run."""
    times = {key: github[key] or "0001-01-01T00:00:00Z" for key in ("started_at", "completed_at")}
    return _only("ActionWorkflowJob", {**github, **times, "conclusion": github["conclusion"] or ""})


def workflow(github: Json) -> Json:
    """Return a workflow; it is disabled by hand, or active."""
    file = github["path"].rpartition("/")[2]
    return _only("ActionWorkflow", {**github, "id": file})


def refusal(github: Any, api: str) -> Json:
    """Return a refusal; the messages of single fields are one text."""
    said = str(github.get("message", "")) if isinstance(github, dict) else str(github)
    return {"message": said, "url": f"{api}/swagger"}


def commit_status(github: Json, web: str) -> Json:
    """Return the status of a commit."""
    creator = user(github["creator"]["login"], web)
    return _only("CommitStatus", {**github, "status": github["state"], "creator": creator})
