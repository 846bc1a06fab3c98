"""The Git database: refs."""

from __future__ import annotations

import re

from model_gitops_local.forge.api.answers import Answer, ApiError, not_found
from model_gitops_local.forge.api.routing import REPO, Call, Context, Routes
from model_gitops_local.forge.bare import NULL

routes = Routes()


@routes.add("GET", f"{REPO}/git/ref/{{ref}}", "contents:read")
def get_ref(api: Context, call: Call) -> Answer:
    """Return one ref, by its full name less `refs/`."""
    name = f"refs/{call.params['ref']}"
    found = call.bare.refs(name).get(name)
    if found is None:
        raise not_found()
    return Answer(200, api.shapes.ref(call.repository, name, *found))


@routes.add("GET", f"{REPO}/git/matching-refs/{{ref}}", "contents:read")
def match_refs(api: Context, call: Call) -> Answer:
    """List the refs that begin with a prefix."""
    found = call.bare.refs(f"refs/{call.params['ref']}")
    shapes = [api.shapes.ref(call.repository, name, *what) for name, what in found.items()]
    return Answer(200, shapes)


@routes.add("POST", f"{REPO}/git/refs", "contents:write")
def create_ref(api: Context, call: Call) -> Answer:
    """Create a branch or tag."""
    name, sha = call.required("ref", "Reference"), call.required("sha", "Reference")
    if not re.fullmatch(r"refs/(heads|tags)/.+", name):
        raise ApiError(422, "Reference does not exist")
    kind = call.bare.git.completed("cat-file", "-t", "--", sha, check=False).stdout.strip()
    if not re.fullmatch("[0-9a-f]{40}", sha) or not kind:
        raise ApiError(422, "Object does not exist")
    if not call.bare.update_ref(name, sha, NULL):
        raise ApiError(422, "Reference already exists")
    return Answer(201, api.shapes.ref(call.repository, name, sha, kind))


@routes.add("DELETE", f"{REPO}/git/refs/{{ref}}", "contents:write")
def delete_ref(api: Context, call: Call) -> Answer:
    """Delete a branch or tag."""
    name = f"refs/{call.params['ref']}"
    if not re.match("refs/(heads|tags)/", name) or not call.bare.delete_ref(name):
        raise ApiError(422, "Reference does not exist")
    return Answer(204)
