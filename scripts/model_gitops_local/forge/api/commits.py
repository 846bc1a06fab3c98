"""Commits: lists, comparisons, and the pull requests that they belong to."""

from __future__ import annotations

from model_gitops_local.forge.api.answers import Answer, ApiError, not_found, paginate
from model_gitops_local.forge.api.routing import REPO, Call, Context, Routes, commit_of

routes = Routes()


@routes.add("GET", f"{REPO}/commits", "contents:read")
def list_commits(api: Context, call: Call) -> Answer:
    """List the commits of a branch, or of a path on it."""
    sha = call.bare.resolve(call.query.get("sha") or call.bare.default_branch())
    if sha is None:
        raise not_found()
    paths = [call.query["path"]] if call.query.get("path") else []
    hashes = call.bare.git.run("--literal-pathspecs", "rev-list", sha, "--", *paths).split()
    answer = api.page(call, hashes, "/commits")
    commits = call.bare.commits("--no-walk=unsorted", *answer.body) if answer.body else []
    answer.body = [api.shapes.commit(call.repository, commit) for commit in commits]
    return answer


@routes.add("GET", f"{REPO}/commits/{{ref}}", "contents:read")
def get_commit(api: Context, call: Call) -> Answer:
    """Return a commit with its files."""
    commit = call.bare.commit(commit_of(call, "ref"))
    shape = api.shapes.commit(call.repository, commit)
    changes = call.bare.changes(commit.parents[0], commit.sha) if commit.parents else []
    added, deleted = (sum(c.additions for c in changes), sum(c.deletions for c in changes))
    shape["stats"] = {"total": added + deleted, "additions": added, "deletions": deleted}
    shape["files"] = [api.shapes.change(call.repository, commit.sha, c) for c in changes]
    return Answer(200, shape)


@routes.add("GET", f"{REPO}/commits/{{commit_sha}}/pulls", "pull_requests:read", "contents:read")
def pulls_of_commit(api: Context, call: Call) -> Answer:
    """List the pull requests that brought a commit in, or (when open) that hold it."""
    sha = commit_of(call, "commit_sha")
    found = []
    for issue in call.repository.issues:
        pull = issue.pull
        if pull is None or (issue.state == "closed" and pull.merged_at is None):
            continue
        inside = call.bare.is_ancestor(sha, pull.head_sha)
        if pull.merge_commit_sha == sha or (
            inside and not call.bare.is_ancestor(sha, pull.base_sha)
        ):
            found.append(api.pull(call.repository, issue, details=False))
    return api.page(call, found, f"/commits/{sha}/pulls")


@routes.add("GET", f"{REPO}/compare/{{basehead}}", "contents:read")
def compare(api: Context, call: Call) -> Answer:
    """Compare two commits: `base...head`."""
    base_name, dots, head_name = call.params["basehead"].partition("...")
    base, head = call.bare.resolve(base_name), call.bare.resolve(head_name.split(":")[-1])
    if not dots or base is None or head is None:
        raise not_found()
    fork = call.bare.merge_base(base, head)
    if fork is None:
        raise ApiError(404, f"No common ancestor between {base_name} and {head_name}.")
    commits = call.bare.commits(f"{base}..{head}")[::-1]
    behind = call.bare.count(f"{head}..{base}")
    status = {(False, False): "identical", (True, False): "ahead", (False, True): "behind"}
    shapes, repository = api.shapes, call.repository
    url = f"/compare/{base}...{head}"
    page = f"{shapes.page_url(repository)}/compare/{base_name}...{head_name}"
    shown, headers = paginate(
        {"per_page": "100", **call.query},
        [shapes.commit(repository, commit) for commit in commits],
        f"{shapes.repo_url(repository)}{url}",
    )
    body = {
        "url": f"{shapes.repo_url(repository)}{url}",
        "html_url": page,
        "permalink_url": f"{shapes.page_url(repository)}{url}",
        "diff_url": f"{page}.diff",
        "patch_url": f"{page}.patch",
        "base_commit": shapes.commit(repository, call.bare.commit(base)),
        "merge_base_commit": shapes.commit(repository, call.bare.commit(fork)),
        "status": status.get((bool(commits), bool(behind)), "diverged"),
        "ahead_by": len(commits),
        "behind_by": behind,
        "total_commits": len(commits),
        "commits": shown,
        "files": [shapes.change(repository, head, c) for c in call.bare.changes(fork, head)],
    }
    return Answer(200, body, headers)
