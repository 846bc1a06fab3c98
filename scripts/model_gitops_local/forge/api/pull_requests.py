"""Pull requests: opening, changing and merging them."""

from __future__ import annotations

from pathlib import Path

from model_gitops_local.forge import pulls
from model_gitops_local.forge.api.answers import Answer, ApiError, check_length, invalid, not_found
from model_gitops_local.forge.api.issues import set_state
from model_gitops_local.forge.api.routing import (
    PULL,
    PULLS,
    Call,
    Context,
    Routes,
    issue_of,
    pull_of,
)
from model_gitops_local.forge.bare import Bare
from model_gitops_local.forge.state import Issue, Pull, Repository, now

routes = Routes()


@routes.add("GET", PULLS, "pull_requests:read")
def list_pulls(api: Context, call: Call) -> Answer:
    """List pull requests by state, head (`owner:branch`) and base."""
    state, base, head = (call.query.get(name, "") for name in ("state", "base", "head"))
    owner, _, branch = head.partition(":")
    chosen = []
    for issue in call.repository.issues[::-1]:
        pull = issue.pull
        if pull is None or (state != "all" and issue.state != (state or "open")):
            continue
        if base and pull.base != base:
            continue
        # Without the owner, GitHub ignores `head`.
        from_owner = pull.head_repository.partition("/")[0].lower() == owner.lower()
        if branch and not (from_owner and pull.head == branch):
            continue
        chosen.append(issue)
    if call.query.get("direction", "asc" if call.query.get("sort") else "desc") == "asc":
        chosen.reverse()
    answer = api.page(call, chosen, "/pulls")
    answer.body = [api.pull(call.repository, issue, details=False) for issue in answer.body]
    return answer


@routes.add("POST", PULLS, "pull_requests:write")
def create_pull(api: Context, call: Call) -> Answer:
    """Open a pull request."""
    repository, bare = call.repository, call.bare
    base_name = call.required("base", "PullRequest")
    owner, _, head_name = call.required("head", "PullRequest").rpartition(":")
    title = call.required("title", "PullRequest")
    body = call.text("body")
    source = _head_repository(api, call, owner or repository.owner)
    head = Bare(Path(source.path)).branch(head_name) if source else None
    base = bare.branch(base_name)
    for name, sha in (("head", head), ("base", base)):
        if sha is None:
            raise invalid("PullRequest", "invalid", field=name)
    if source is None or head is None or base is None:
        raise not_found()
    for issue in repository.issues:
        other = issue.pull
        if (
            other
            and issue.state == "open"
            and (other.head, other.base, other.head_repository)
            == (head_name, base_name, source.full_name)
        ):
            message = f"A pull request already exists for {source.owner}:{head_name}."
            raise invalid("PullRequest", "custom", message=message)
    if source is not repository:
        bare.fetch(Path(source.path), head)
    if bare.is_ancestor(head, base):
        message = f"No commits between {base_name} and {head_name}"
        raise invalid("PullRequest", "custom", message=message)
    if body is not None:
        check_length(body, "PullRequest")
    number = max((issue.number for issue in repository.issues), default=0) + 1
    pull = Pull(head_name, base_name, source.full_name, head, base, call.body.get("draft", False))
    pulls.try_merge(bare, number, pull, head, base)
    time = now()
    issue = Issue(number, api.state.new_id(), title, body, call.actor, time, time, pull=pull)
    repository.issues.append(issue)
    shape = api.pull(repository, issue, details=True)
    return Answer(201, shape, {"Location": shape["url"]})


@routes.add("GET", PULL, "pull_requests:read")
def get_pull(api: Context, call: Call) -> Answer:
    """Return a pull request."""
    return Answer(200, api.pull(call.repository, issue_of(call, "pull_number"), details=True))


@routes.add("PATCH", PULL, "pull_requests:write")
def update_pull(api: Context, call: Call) -> Answer:
    """Change the title, body, state or base of a pull request."""
    issue = issue_of(call, "pull_number")
    pull = pull_of(issue)
    title, body, base = call.text("title"), call.text("body"), call.text("base")
    if title is not None and not title.strip():
        raise invalid("PullRequest", "missing_field", field="title")
    if body is not None:
        check_length(body, "PullRequest")
    tip = call.bare.branch(base) if base is not None else None
    if base is not None and tip is None:
        raise invalid("PullRequest", "invalid", field="base")
    set_state(issue, call.text("state"), "PullRequest")
    issue.title = issue.title if title is None else title
    issue.body = issue.body if body is None else body
    if base is not None and tip is not None and base != pull.base:
        pull.base, pull.base_sha = base, tip
        pulls.try_merge(call.bare, issue.number, pull, pull.head_sha, tip)
    issue.updated_at = now()
    return Answer(200, api.pull(call.repository, issue, details=True))


@routes.add("GET", f"{PULL}/merge", "pull_requests:read")
def is_merged(api: Context, call: Call) -> Answer:
    """Answer 204 when it was merged, 404 when not."""
    if pull_of(issue_of(call, "pull_number")).merged_at is None:
        raise not_found()
    return Answer(204)


@routes.add("PUT", f"{PULL}/merge", "contents:write")
def merge_pull(api: Context, call: Call) -> Answer:
    """Merge a pull request, really: the base branch moves."""
    issue = issue_of(call, "pull_number")
    pull = pull_of(issue)
    method, wanted = call.text("merge_method") or "merge", call.text("sha")
    if method not in ("merge", "squash", "rebase"):
        raise ApiError(422, "Invalid request.\n\nmerge_method is none of merge, squash, rebase.")
    if issue.state == "closed" or pull.merge_commit_sha is None:
        raise ApiError(405, "Pull Request is not mergeable")
    if pull.draft:
        raise ApiError(405, "Pull Request is still a draft")
    if wanted is not None and wanted != pull.head_sha:
        raise ApiError(409, "Head branch was modified. Review and try the merge again.")
    title, message = call.text("commit_title"), call.text("commit_message")
    try:
        sha = pulls.merge(call.bare, issue, call.actor, method, title=title, message=message)
    except LookupError as error:
        conflict = "Base branch was modified. Review and try the merge again."
        raise ApiError(405, conflict) from error
    if sha is None:
        raise ApiError(405, "Pull Request is not mergeable")
    done = {"sha": sha, "merged": True, "message": "Pull Request successfully merged"}
    return Answer(200, done)


@routes.add("GET", f"{PULL}/commits", "pull_requests:read")
def list_pull_commits(api: Context, call: Call) -> Answer:
    """List the commits of a pull request, oldest first."""
    issue = issue_of(call, "pull_number")
    pull = pull_of(issue)
    commits = call.bare.commits(f"{pull.base_sha}..{pull.head_sha}")[::-1]
    shapes = [api.shapes.commit(call.repository, commit) for commit in commits]
    return api.page(call, shapes, f"/pulls/{issue.number}/commits")


@routes.add("GET", f"{PULL}/files", "pull_requests:read")
def list_pull_files(api: Context, call: Call) -> Answer:
    """List the files of a pull request."""
    issue = issue_of(call, "pull_number")
    pull = pull_of(issue)
    fork = call.bare.merge_base(pull.base_sha, pull.head_sha) or pull.base_sha
    changes = call.bare.changes(fork, pull.head_sha)
    shapes = [api.shapes.change(call.repository, pull.head_sha, change) for change in changes]
    return api.page(call, shapes, f"/pulls/{issue.number}/files")


def _head_repository(api: Context, call: Call, owner: str) -> Repository | None:
    """Return the repository of the same network that belongs to `owner`."""
    if owner.lower() == call.repository.owner.lower():
        return call.repository
    for candidate in api.state.repositories.values():
        if candidate.fork_of == call.repository.full_name and candidate.owner == owner:
            return candidate
    return None
