"""Repositories, their branches and files."""

from __future__ import annotations

import base64

from model_gitops_local.forge.api.answers import Answer, ApiError, not_found
from model_gitops_local.forge.api.routing import REPO, Call, Context, Routes

routes = Routes()


@routes.add("GET", REPO)
def get_repository(api: Context, call: Call) -> Answer:
    """Return the repository."""
    return Answer(200, api.repo(call.repository, call.token))


@routes.add("PATCH", REPO, "administration:write")
def edit_repository(api: Context, call: Call) -> Answer:
    """Change what a merge may be."""
    merge = call.repository.guard.merge
    merge |= {name: call.body[name] for name in merge if name in call.body}
    if not any(merge[name] for name in merge if name.startswith("allow_")):
        merge["allow_merge_commit"] = True
    return Answer(200, api.repo(call.repository, call.token))


@routes.add("GET", f"{REPO}/branches", "contents:read")
def list_branches(api: Context, call: Call) -> Answer:
    """List the branches."""
    url = api.shapes.repo_url(call.repository)
    branches = [
        {
            "name": name.removeprefix("refs/heads/"),
            "commit": {"sha": sha, "url": f"{url}/commits/{sha}"},
            "protected": False,
        }
        for name, (sha, _) in call.bare.refs("refs/heads/").items()
    ]
    return api.page(call, branches, "/branches")


@routes.add("GET", f"{REPO}/branches/{{branch}}", "contents:read")
def get_branch(api: Context, call: Call) -> Answer:
    """Return one branch."""
    name = call.params["branch"]
    sha = call.bare.branch(name)
    if sha is None:
        raise ApiError(404, "Branch not found")
    url = f"{api.shapes.repo_url(call.repository)}/branches/{name}"
    page = f"{api.shapes.page_url(call.repository)}/tree/{name}"
    commit = api.shapes.commit(call.repository, call.bare.commit(sha))
    return Answer(
        200,
        {
            "name": name,
            "commit": commit,
            "_links": {"self": url, "html": page},
            "protected": False,
            "protection": {"enabled": False},
            "protection_url": f"{url}/protection",
        },
    )


@routes.add("GET", f"{REPO}/contents/{{path}}", "contents:read")
def get_contents(api: Context, call: Call) -> Answer:
    """Return a file with its content, or list a folder."""
    path = call.params["path"].strip("/")
    sha = call.bare.resolve(call.query.get("ref") or call.bare.default_branch())
    if sha is None:
        raise ApiError(404, f"No commit found for the ref {call.query.get('ref')}")
    entries = call.bare.entries(sha, path)
    shapes = [api.shapes.content(call.repository, sha, entry) for entry in entries]
    if not entries:
        raise not_found()
    if [entry[4] for entry in entries] != [path]:
        return Answer(200, shapes)
    data = call.bare.blob(entries[0][2]) or b""
    content = base64.encodebytes(data).decode()
    return Answer(200, shapes[0] | {"encoding": "base64", "content": content})
