"""Rule sets and the protection of branches."""

from __future__ import annotations

from fnmatch import fnmatchcase

from model_gitops_local.forge.api.answers import Answer, ApiError, invalid, not_found
from model_gitops_local.forge.api.routing import REPO, Call, Context, Routes
from model_gitops_local.forge.shapes import Json

routes = Routes()
_RULESETS = f"{REPO}/rulesets"
_RULESET = f"{_RULESETS}/{{ruleset_id}}"
_PROTECTION = f"{REPO}/branches/{{branch}}/protection"
_UPGRADE = "Upgrade to GitHub Pro or make this repository public to enable this feature."


def _listed(call: Call) -> list[Json]:
    if call.repository.guard.plan != "rulesets":
        raise ApiError(403, _UPGRADE)
    return call.repository.guard.rulesets


def _one(call: Call) -> Json:
    number = call.number("ruleset_id")
    found = next((one for one in _listed(call) if one["id"] == number), None)
    if found is None:
        raise not_found()
    return found


def _shape(api: Context, call: Call, ruleset: Json, *, whole: bool = True) -> Json:
    admin = call.token is not None and call.token.allows("administration", "write")
    return api.shapes.ruleset(call.repository, ruleset, admin=admin, whole=whole)


def _check_name(call: Call, own: Json | None = None) -> None:
    if any(one["name"] == call.body["name"] for one in _listed(call) if one is not own):
        raise invalid("RepositoryRuleset", "custom", field="name", message="Name must be unique")


@routes.add("GET", _RULESETS)
def list_rulesets(api: Context, call: Call) -> Answer:
    """List the rule sets, without their rules."""
    shapes = [_shape(api, call, one, whole=False) for one in _listed(call)]
    return api.page(call, shapes, "/rulesets")


@routes.add("POST", _RULESETS, "administration:write")
def add_ruleset(api: Context, call: Call) -> Answer:
    """Add a rule set; no two have the same name."""
    _check_name(call)
    made = {**call.body, "id": api.state.new_id()}
    _listed(call).append(made)
    return Answer(201, _shape(api, call, made))


@routes.add("GET", _RULESET)
def get_ruleset(api: Context, call: Call) -> Answer:
    """Return a rule set."""
    return Answer(200, _shape(api, call, _one(call)))


@routes.add("PUT", _RULESET, "administration:write")
def put_ruleset(api: Context, call: Call) -> Answer:
    """Change a rule set: what is not given stays."""
    found = _one(call)
    if "name" in call.body:
        _check_name(call, found)
    found.update(call.body)
    return Answer(200, _shape(api, call, found))


@routes.add("DELETE", _RULESET, "administration:write")
def delete_ruleset(api: Context, call: Call) -> Answer:
    """Remove a rule set."""
    _listed(call).remove(_one(call))
    return Answer(204)


@routes.add("GET", f"{REPO}/rules/branches/{{branch}}")
def branch_rules(api: Context, call: Call) -> Answer:
    """List the rules that are in force for a branch."""
    ref = f"refs/heads/{call.params['branch']}"
    meant = {"~ALL": ref, "~DEFAULT_BRANCH": f"refs/heads/{call.bare.default_branch()}"}

    def fits(ruleset: Json, which: str) -> bool:
        refs = (ruleset.get("conditions") or {}).get("ref_name") or {}
        return any(fnmatchcase(ref, meant.get(one, one)) for one in refs.get(which, []))

    in_force = [
        one
        for one in _listed(call)
        if one.get("target", "branch") == "branch"
        and one["enforcement"] == "active"
        and fits(one, "include")
        and not fits(one, "exclude")
    ]
    source = {"ruleset_source_type": "Repository", "ruleset_source": call.repository.full_name}
    found = [
        {**rule, **source, "ruleset_id": one["id"]}
        for one in in_force
        for rule in one.get("rules") or ()
    ]
    return api.page(call, found, f"/rules/branches/{call.params['branch']}")


def _branch(call: Call) -> str:
    branch = call.params["branch"]
    if call.repository.guard.plan == "none":
        raise ApiError(403, _UPGRADE)
    if call.bare.branch(branch) is None:
        raise ApiError(404, "Branch not found")
    return branch


@routes.add("GET", _PROTECTION, "administration:read")
def get_protection(api: Context, call: Call) -> Answer:
    """Return the protection of a branch."""
    branch = _branch(call)
    given = call.repository.guard.branches.get(branch)
    if given is None:
        raise ApiError(404, "Branch not protected")
    return Answer(200, api.shapes.protection(call.repository, branch, given))


@routes.add("PUT", _PROTECTION, "administration:write")
def put_protection(api: Context, call: Call) -> Answer:
    """Protect a branch. What is not given is reset."""
    branch = _branch(call)
    call.repository.guard.branches[branch] = dict(call.body)
    return Answer(200, api.shapes.protection(call.repository, branch, call.body))


@routes.add("DELETE", _PROTECTION, "administration:write")
def delete_protection(api: Context, call: Call) -> Answer:
    """Protect a branch no more."""
    if call.repository.guard.branches.pop(_branch(call), None) is None:
        raise ApiError(404, "Branch not protected")
    return Answer(204)
