"""Accounts, and what is left of their rate limits."""

from __future__ import annotations

from model_gitops_local.forge.api.answers import Answer, ApiError, not_found
from model_gitops_local.forge.api.routing import Call, Context, Routes

routes = Routes()


@routes.add("GET", "/user")
def get_user(api: Context, call: Call) -> Answer:
    """Return who a user's token stands for; an installation token is nobody."""
    if call.token is None:
        raise ApiError(401, "Requires authentication")
    if call.token.is_app:
        raise ApiError(403, "Resource not accessible by integration")
    created = "2020-01-01T00:00:00Z"
    return Answer(200, api.shapes.account(call.token.login, created, private=True))


@routes.add("GET", "/users/{username}")
def get_account(api: Context, call: Call) -> Answer:
    """Return any account: every name has one here."""
    created = "2020-01-01T00:00:00Z"
    return Answer(200, api.shapes.account(call.params["username"], created, private=False))


@routes.add("GET", "/apps/{app_slug}")
def get_app(api: Context, call: Call) -> Answer:
    """Return any GitHub App but one whose name starts with `no-`: that there is not."""
    if call.params["app_slug"].startswith("no-"):
        raise not_found()
    return Answer(200, api.shapes.app(call.params["app_slug"]))


@routes.add("GET", "/orgs/{org}/teams/{team_slug}")
def get_team(api: Context, call: Call) -> Answer:
    """Return any team, to who may see them."""
    if call.token is None or not call.token.allows("members", "read"):
        raise not_found()
    return Answer(200, api.shapes.full_team(call.params["org"], call.params["team_slug"]))


@routes.add("GET", "/rate_limit")
def rate_limit(api: Context, call: Call) -> Answer:
    """Return limits; the server's own counters are in the headers of every answer."""
    core = {"limit": 5000, "used": 0, "remaining": 5000, "reset": 2_000_000_000}
    search = {"limit": 30, "used": 0, "remaining": 30, "reset": 2_000_000_000}
    return Answer(200, {"resources": {"core": core, "search": search}, "rate": core})
