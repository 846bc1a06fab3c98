"""Environments, the names of secrets, and what workflows may do by default."""

from __future__ import annotations

from model_gitops_local.forge.api.answers import Answer, ApiError, not_found, paginate
from model_gitops_local.forge.api.routing import REPO, Call, Context, Routes
from model_gitops_local.forge.shapes import Json
from model_gitops_local.forge.state import account_id

routes = Routes()
_ENVIRONMENTS = f"{REPO}/environments"
_ENVIRONMENT = f"{_ENVIRONMENTS}/{{environment_name}}"
_POLICIES = f"{_ENVIRONMENT}/deployment-branch-policies"
_WORKFLOW = f"{REPO}/actions/permissions/workflow"


def _environment(call: Call) -> Json:
    found = call.repository.guard.environments.get(call.params["environment_name"])
    if found is None:
        raise not_found()
    return found


def _page(api: Context, call: Call, key: str, items: list[Json], path: str) -> Answer:
    url = f"{api.shapes.repo_url(call.repository)}{path}"
    chosen, headers = paginate(call.query, items, url)
    return Answer(200, {"total_count": len(items), key: chosen}, headers)


@routes.add("GET", _ENVIRONMENTS, "actions:read")
def list_environments(api: Context, call: Call) -> Answer:
    """List the environments."""
    shapes = [
        api.shapes.environment(call.repository, name, one)
        for name, one in sorted(call.repository.guard.environments.items())
    ]
    return _page(api, call, "environments", shapes, "/environments")


@routes.add("GET", _ENVIRONMENT, "actions:read")
def get_environment(api: Context, call: Call) -> Answer:
    """Return an environment."""
    name = call.params["environment_name"]
    return Answer(200, api.shapes.environment(call.repository, name, _environment(call)))


@routes.add("PUT", _ENVIRONMENT, "administration:write")
def put_environment(api: Context, call: Call) -> Answer:
    """Make or change an environment. What is not given is reset; only its branches stay."""
    name = call.params["environment_name"]
    body = call.body or {}
    old = call.repository.guard.environments.get(name) or {"id": api.state.new_id()}
    policy = body.get("deployment_branch_policy")
    if policy and policy["protected_branches"] == policy["custom_branch_policies"]:
        raise ApiError(422, "protected_branches and custom_branch_policies can't be the same value")
    reviewers = [
        one | {"name": _reviewer(call, one, known=old.get("reviewers", ()))}
        for one in body.get("reviewers") or ()
    ]
    custom = bool(policy and policy["custom_branch_policies"])
    made = {**body, "id": old["id"], "reviewers": reviewers}
    made["policies"] = old.get("policies", []) if custom else []
    call.repository.guard.environments[name] = made
    return Answer(200, api.shapes.environment(call.repository, name, made))


def _reviewer(call: Call, one: Json, known: list[Json]) -> str:
    """Return the name of a reviewer; of a number that is nobody's here nobody can say one."""
    accounts = [entry["name"] for entry in known]
    accounts += ["alice", "bob", f"{call.repository.owner}/owners"]
    name = next((name for name in accounts if account_id(name) == one["id"]), None)
    if name is None:
        raise ApiError(422, f"Could not resolve to a node with the global id of '{one['id']}'")
    return str(name)


@routes.add("DELETE", _ENVIRONMENT, "administration:write")
def delete_environment(api: Context, call: Call) -> Answer:
    """Remove an environment."""
    _environment(call)
    del call.repository.guard.environments[call.params["environment_name"]]
    return Answer(204)


@routes.add("GET", _POLICIES, "actions:read")
def list_policies(api: Context, call: Call) -> Answer:
    """List which branches and tags may deploy to an environment."""
    shapes = [api.shapes.policy(one) for one in _environment(call).get("policies", [])]
    path = f"/environments/{call.params['environment_name']}/deployment-branch-policies"
    return _page(api, call, "branch_policies", shapes, path)


@routes.add("POST", _POLICIES, "administration:write")
def add_policy(api: Context, call: Call) -> Answer:
    """Let a branch or tag deploy to an environment that has policies of its own."""
    environment = _environment(call)
    if not (environment.get("deployment_branch_policy") or {}).get("custom_branch_policies"):
        raise not_found()
    name, kind = call.required("name", "DeploymentBranchPolicy"), call.text("type") or "branch"
    policies = environment["policies"]
    if any((one["name"], one["type"]) == (name, kind) for one in policies):
        return Answer(303)
    policies.append({"id": api.state.new_id(), "name": name, "type": kind})
    return Answer(200, api.shapes.policy(policies[-1]))


@routes.add("DELETE", f"{_POLICIES}/{{branch_policy_id}}", "administration:write")
def delete_policy(api: Context, call: Call) -> Answer:
    """Let a branch or tag deploy no more."""
    policies = _environment(call)["policies"]
    number = call.number("branch_policy_id")
    if not any(one["id"] == number for one in policies):
        raise not_found()
    policies[:] = [one for one in policies if one["id"] != number]
    return Answer(204)


def _secrets(api: Context, call: Call, key: str, path: str) -> Answer:
    since = call.repository.created_at
    shapes = [
        {"name": name, "created_at": since, "updated_at": since}
        for name in sorted(call.repository.guard.secrets.get(key, []))
    ]
    return _page(api, call, "secrets", shapes, path)


@routes.add("GET", f"{REPO}/actions/secrets", "secrets:read")
def list_secrets(api: Context, call: Call) -> Answer:
    """List the names of the repository's secrets."""
    return _secrets(api, call, "", "/actions/secrets")


@routes.add("GET", f"{REPO}/actions/organization-secrets", "secrets:read")
def list_organization_secrets(api: Context, call: Call) -> Answer:
    """List the names of the organization's secrets that the repository has."""
    return _secrets(api, call, "organization", "/actions/organization-secrets")


@routes.add("GET", f"{_ENVIRONMENT}/secrets", "environments:read")
def list_environment_secrets(api: Context, call: Call) -> Answer:
    """List the names of an environment's secrets."""
    _environment(call)
    name = call.params["environment_name"]
    return _secrets(api, call, name, f"/environments/{name}/secrets")


@routes.add("GET", _WORKFLOW, "administration:read")
def get_workflow_permissions(api: Context, call: Call) -> Answer:
    """Return what the token of a workflow may do by default."""
    return Answer(200, dict(call.repository.guard.workflow))


@routes.add("PUT", _WORKFLOW, "administration:write")
def put_workflow_permissions(api: Context, call: Call) -> Answer:
    """Set what the token of a workflow may do by default."""
    workflow = call.repository.guard.workflow
    workflow |= {name: call.body[name] for name in workflow if name in call.body}
    return Answer(204)
