"""What Gitea 1.26 says of the operations that we use, and the check of each exchange against it.

Written down from its API description and its answers: of each operation the query that it knows, and what
it answers; of each shape the fields that we need, or must know to be absent. A type with `?` may be null.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

VERSION = "1.26"
_REPO = "/repos/{owner}/{repo}"
_PAGES = ("page", "limit")

SHAPES: dict[str, dict[str, str]] = {
    "ServerVersion": {"version": "string"},
    # No `type`: a bot can't be told from a person.
    "User": {
        "id": "integer", "login": "string", "full_name": "string", "email": "string",
        "avatar_url": "string", "html_url": "string", "is_admin": "boolean", "created": "string",
    },
    "Permission": {"admin": "boolean", "push": "boolean", "pull": "boolean"},
    "Repository": {
        "id": "integer", "owner": "User", "name": "string", "full_name": "string", "private": "boolean",
        "fork": "boolean", "html_url": "string", "url": "string", "clone_url": "string",
        "default_branch": "string",
    },
    "WholeRepository": {
        "id": "integer", "owner": "User", "name": "string", "full_name": "string", "private": "boolean",
        "fork": "boolean", "html_url": "string", "url": "string", "clone_url": "string",
        "default_branch": "string", "allow_merge_commits": "boolean", "allow_rebase": "boolean",
        "allow_rebase_explicit": "boolean", "allow_squash_merge": "boolean",
        "allow_fast_forward_only_merge": "boolean", "default_merge_style": "string",
    },
    "Branch": {"name": "string", "protected": "boolean", "required_approvals": "integer"},
    # `content` of a file is base64; in the list of a folder it is null.
    "ContentsResponse": {
        "name": "string", "path": "string", "sha": "string", "type": "string", "size": "integer",
        "encoding": "string?", "content": "string?",
    },
    # `branch_name` is deprecated, and the same.
    "BranchProtection": {
        "branch_name": "string", "rule_name": "string", "priority": "integer", "enable_push": "boolean",
        "enable_push_whitelist": "boolean", "push_whitelist_usernames": "[string]",
        "push_whitelist_teams": "[string]", "push_whitelist_deploy_keys": "boolean",
        "enable_force_push": "boolean", "enable_force_push_allowlist": "boolean",
        "enable_merge_whitelist": "boolean", "merge_whitelist_usernames": "[string]",
        "enable_status_check": "boolean", "status_check_contexts": "[string]",
        "required_approvals": "integer", "block_on_rejected_reviews": "boolean",
        "block_on_official_review_requests": "boolean", "block_on_outdated_branch": "boolean",
        "dismiss_stale_approvals": "boolean", "ignore_stale_approvals": "boolean",
        "require_signed_commits": "boolean", "protected_file_patterns": "string",
        "unprotected_file_patterns": "string", "block_admin_merge_override": "boolean",
    },
    "PRBranchInfo": {
        "label": "string", "ref": "string", "sha": "string", "repo_id": "integer", "repo": "Repository?",
    },
    # `url` is the page, not the API's address.
    "PullRequest": {
        "id": "integer", "url": "string", "number": "integer", "user": "User", "title": "string",
        "body": "string", "state": "string", "draft": "boolean", "html_url": "string",
        "mergeable": "boolean", "merged": "boolean", "merged_at": "string?",
        "merge_commit_sha": "string?", "base": "PRBranchInfo", "head": "PRBranchInfo",
        "merge_base": "string", "created_at": "string", "updated_at": "string", "closed_at": "string?",
    },
    "PullReview": {
        "id": "integer", "user": "User?", "state": "string", "body": "string", "commit_id": "string",
        "stale": "boolean", "official": "boolean", "dismissed": "boolean", "submitted_at": "string",
        "html_url": "string", "pull_request_url": "string",
    },
    "Issue": {
        "id": "integer", "url": "string", "html_url": "string", "number": "integer", "user": "User",
        "title": "string", "body": "string", "state": "string",
    },
    "Comment": {
        "id": "integer", "html_url": "string", "pull_request_url": "string", "issue_url": "string",
        "user": "User", "body": "string", "created_at": "string", "updated_at": "string",
    },
    "Reaction": {"user": "User", "content": "string", "created_at": "string"},
    "ChangedFile": {
        "filename": "string", "status": "string", "additions": "integer", "deletions": "integer",
        "changes": "integer", "html_url": "string", "raw_url": "string",
    },
    "Commit": {
        "sha": "string", "url": "string", "html_url": "string", "parents": "[CommitMeta]",
    },
    "CommitMeta": {"sha": "string", "url": "string"},
    # No `status`, and no common ancestor.
    # No `state`: Gitea calls it `status`.
    "CommitStatus": {
        "id": "integer", "status": "string", "target_url": "string", "description": "string", "url": "string",
        "context": "string", "creator": "User", "created_at": "string", "updated_at": "string",
    },
    "Compare": {"total_commits": "integer", "commits": "[Commit]"},
    "ActionArtifact": {
        "id": "integer", "name": "string", "size_in_bytes": "integer", "url": "string",
        "archive_download_url": "string", "expired": "boolean", "created_at": "string",
    },
    "ActionArtifactsResponse": {"total_count": "integer", "artifacts": "[ActionArtifact]"},
    # Its number is the name of its file.
    "ActionWorkflow": {
        "id": "string", "name": "string", "path": "string", "state": "string", "created_at": "string",
        "updated_at": "string", "url": "string", "html_url": "string", "badge_url": "string",
    },
    "ActionWorkflowResponse": {"total_count": "integer", "workflows": "[ActionWorkflow]"},
    # No `created_at`: a run says when it was started, and when it ended.
    "ListedWorkflowRun": {
        "id": "integer", "url": "string", "html_url": "string", "path": "string", "event": "string",
        "display_title": "string", "head_branch": "string", "head_sha": "string", "status": "string",
        "conclusion": "string", "run_number": "integer", "run_attempt": "integer",
        "started_at": "string", "completed_at": "string",
    },
    "ActionWorkflowRunsResponse": {
        "total_count": "integer", "workflow_runs": "[ListedWorkflowRun]",
    },
    "ActionWorkflowJob": {
        "id": "integer", "run_id": "integer", "name": "string", "status": "string",
        "conclusion": "string", "head_sha": "string", "created_at": "string", "started_at": "string",
        "completed_at": "string",
    },
    "ActionWorkflowJobsResponse": {"total_count": "integer", "jobs": "[ActionWorkflowJob]"},
    # In the event of its end there is no `head_repository`, and `head_branch` is empty for a pull request.
    "ActionWorkflowRun": {
        "id": "integer", "url": "string", "html_url": "string", "path": "string", "event": "string",
        "display_title": "string", "head_branch": "string", "head_sha": "string", "status": "string",
        "conclusion": "string", "run_number": "integer", "repository": "Repository", "actor": "User",
        "trigger_actor": "User",
    },
}  # fmt: skip


@dataclass(frozen=True)
class Operation:
    """One operation: the query it knows, and by the status what it answers ("" for no body)."""

    answers: Mapping[int, str]
    query: tuple[str, ...] = ()


OPERATIONS: dict[tuple[str, str], Operation] = {
    ("GET", "/version"): Operation({200: "ServerVersion"}),
    ("GET", "/user"): Operation({200: "User"}),
    ("GET", _REPO): Operation({200: "WholeRepository"}),
    ("PATCH", _REPO): Operation({200: "WholeRepository"}),
    ("GET", f"{_REPO}/branches"): Operation({200: "[Branch]"}, _PAGES),
    ("GET", f"{_REPO}/contents/{{path}}"): Operation({200: "ContentsResponse|"}, ("ref",)),
    ("GET", f"{_REPO}/branch_protections"): Operation({200: "[BranchProtection]"}),
    ("POST", f"{_REPO}/branch_protections"): Operation({201: "BranchProtection"}),
    ("PATCH", f"{_REPO}/branch_protections/{{name}}"): Operation({200: "BranchProtection"}),
    ("GET", f"{_REPO}/pulls"): Operation(
        {200: "[PullRequest]"}, ("base_branch", "state", "sort", "poster", *_PAGES)
    ),
    ("POST", f"{_REPO}/pulls"): Operation({201: "PullRequest"}),
    ("GET", f"{_REPO}/pulls/{{index}}"): Operation({200: "PullRequest"}),
    ("PATCH", f"{_REPO}/pulls/{{index}}"): Operation({201: "PullRequest"}),
    ("GET", f"{_REPO}/pulls/{{index}}/commits"): Operation({200: "[Commit]"}, _PAGES),
    ("GET", f"{_REPO}/pulls/{{index}}/files"): Operation({200: "[ChangedFile]"}, _PAGES),
    ("GET", f"{_REPO}/pulls/{{index}}/reviews"): Operation({200: "[PullReview]"}, _PAGES),
    ("POST", f"{_REPO}/pulls/{{index}}/reviews"): Operation({200: "PullReview"}),
    ("POST", f"{_REPO}/pulls/{{index}}/reviews/{{id}}/dismissals"): Operation({200: "PullReview"}),
    ("POST", f"{_REPO}/pulls/{{index}}/merge"): Operation({200: ""}),
    ("GET", f"{_REPO}/commits/{{sha}}/pull"): Operation({200: "PullRequest"}),
    ("GET", f"{_REPO}/commits/{{sha}}/statuses"): Operation({200: "[CommitStatus]"}, _PAGES),
    ("POST", f"{_REPO}/statuses/{{sha}}"): Operation({201: "CommitStatus"}),
    ("GET", f"{_REPO}/compare/{{basehead}}"): Operation({200: "Compare"}),
    ("GET", f"{_REPO}/issues"): Operation(
        {200: "[Issue]"}, ("state", "type", "created_by", "labels", "q", *_PAGES)
    ),
    ("POST", f"{_REPO}/issues"): Operation({201: "Issue"}),
    ("GET", f"{_REPO}/issues/{{index}}"): Operation({200: "Issue"}),
    # No `state_reason`.
    ("PATCH", f"{_REPO}/issues/{{index}}"): Operation({201: "Issue"}),
    ("POST", f"{_REPO}/issues/{{index}}/reactions"): Operation({200: "Reaction", 201: "Reaction"}),
    ("DELETE", f"{_REPO}/issues/{{index}}/reactions"): Operation({200: ""}),
    ("GET", f"{_REPO}/issues/{{index}}/comments"): Operation({200: "[Comment]"}, ("since",)),
    ("POST", f"{_REPO}/issues/{{index}}/comments"): Operation({201: "Comment"}),
    ("PATCH", f"{_REPO}/issues/comments/{{id}}"): Operation({200: "Comment"}),
    ("DELETE", f"{_REPO}/issues/comments/{{id}}"): Operation({204: ""}),
    ("POST", f"{_REPO}/issues/comments/{{id}}/reactions"): Operation(
        {200: "Reaction", 201: "Reaction"}
    ),
    ("DELETE", f"{_REPO}/issues/comments/{{id}}/reactions"): Operation({204: ""}),
    ("GET", f"{_REPO}/actions/workflows"): Operation({200: "ActionWorkflowResponse"}),
    ("GET", f"{_REPO}/actions/runs"): Operation(
        {200: "ActionWorkflowRunsResponse"},
        ("event", "branch", "status", "actor", "head_sha", *_PAGES),
    ),
    ("GET", f"{_REPO}/actions/runs/{{run}}/jobs"): Operation(
        {200: "ActionWorkflowJobsResponse"}, ("status", *_PAGES)
    ),
    ("GET", f"{_REPO}/actions/runs/{{run}}/artifacts"): Operation(
        {200: "ActionArtifactsResponse"}, ("name",)
    ),
    ("GET", f"{_REPO}/actions/artifacts/{{artifact_id}}/zip"): Operation({302: ""}),
}
_TYPES = {"string": str, "integer": int, "boolean": bool}


def errors(value: Any, shape: str, *, where: str = "answer", exact: bool = True) -> list[str]:
    """Return what is wrong with `value` for `shape`; unless `exact`, it may have more fields."""
    if shape.endswith("?"):
        return [] if value is None else errors(value, shape[:-1], where=where, exact=exact)
    if shape.endswith("|"):
        # One of them, or a list.
        inner = f"[{shape[:-1]}]" if isinstance(value, list) else shape[:-1]
        return errors(value, inner, where=where, exact=exact)
    if shape.startswith("["):
        if not isinstance(value, list):
            return [f"{where} is no list"]
        inner = shape[1:-1]
        return [
            one
            for number, item in enumerate(value)
            for one in errors(item, inner, where=f"{where}[{number}]", exact=exact)
        ]
    if shape in _TYPES:
        good = isinstance(value, _TYPES[shape]) and (shape != "integer" or value is not True)
        return [] if good else [f"{where} is {value!r:.60}, not {shape}"]
    if not isinstance(value, dict):
        return [f"{where} is no {shape}"]
    fields = SHAPES[shape]
    found = [f"{where} lacks {name}" for name in fields if name not in value]
    if exact:
        found += [f"{where} has {name}, which {shape} has not" for name in value.keys() - fields]
    for name, kind in fields.items():
        if name in value:
            found += errors(value[name], kind, where=f"{where}.{name}", exact=exact)
    return found


def check(method: str, template: str, status: int, body: Any) -> list[str]:
    """Return what is wrong with an answer of the stand-in."""
    if status >= 400:
        known = body == "404 page not found\n" or (isinstance(body, dict) and "message" in body)
        return [] if known else [f"a refusal ({status}) has no message"]
    operation = OPERATIONS[method, template]
    if status not in operation.answers:
        return [f"status {status}: not in Gitea's description"]
    shape = operation.answers[status]
    if not shape:
        return [] if body is None else [f"status {status} has a body"]
    return errors(body, shape)
