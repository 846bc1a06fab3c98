"""Gitea's issues, their comments, and reactions to both."""

from __future__ import annotations

from model_gitops_local.forge.api.answers import Answer
from model_gitops_local.forge.gitea import shapes
from model_gitops_local.forge.gitea.routing import Call, Refused, route
from model_gitops_local.forge.shapes import Json


@route("GET", "/issues")
def _issues(call: Call) -> Answer:
    # Pull requests too, unless the type is asked for.
    wanted = {"issues": [True], "pulls": [False]}.get(call.query.get("type", ""), [True, False])
    found: list[Json] = []
    state = call.query.get("state", "open")
    while page := call.ask(
        "GET", "/issues", state=state, page=str(len(found) // 100 + 1), per_page="100"
    ):
        found += page
        if len(page) < 100:
            break
    creator = call.query.get("created_by", "")
    shown = [
        _shown(call, one)
        for one in found
        if ("pull_request" not in one) in wanted and creator in ("", one["user"]["login"])
    ]
    return call.page(shown)


@route("POST", "/issues")
def _new_issue(call: Call) -> Answer:
    # Labels are numbers here.
    body = {name: call.body[name] for name in ("title", "body") if name in call.body}
    return Answer(201, _shown(call, call.ask("POST", "/issues", body)))


@route("PATCH", "/issues/{index}")
def _edit_issue(call: Call) -> Answer:
    names = ("title", "body", "state")
    body = {name: call.body[name] for name in names if name in call.body}
    path = f"/issues/{call.path['index']}"
    return Answer(201, _shown(call, call.ask("PATCH", path, body)))


def _shown(call: Call, github: Json) -> Json:
    return shapes.issue(github, call.forge.url, call.forge.api_url, call.name)


@route("POST", "/issues/{index}/reactions")
def _react_to_issue(call: Call) -> Answer:
    call.ask("GET", f"/issues/{call.path['index']}")
    return _reacted(call, -int(call.path["index"]))


@route("DELETE", "/issues/{index}/reactions")
def _take_back_of_issue(call: Call) -> Answer:
    login = call.token.login if call.token else ""
    call.forge.reactions.discard((-int(call.path["index"]), login, call.body["content"]))
    return Answer(200)


@route("GET", "/issues/{index}")
def _issue(call: Call) -> Answer:
    found = call.ask("GET", f"/issues/{call.path['index']}")
    return Answer(200, _shown(call, found))


def _comment(call: Call, github: Json) -> Json:
    number = int(github["issue_url"].rpartition("/")[2])
    return shapes.comment(github, call.forge.url, call.name, number)


@route("GET", "/issues/{index}/comments")
def _list_comments(call: Call) -> Answer:
    path = f"/issues/{call.path['index']}"
    try:
        call.ask("GET", path)
    except Refused as refused:
        raise Refused(500, "issue does not exist [id: 0]") from refused
    # All at once.
    found: list[Json] = []
    while page := call.ask(
        "GET", f"{path}/comments", page=str(len(found) // 100 + 1), per_page="100"
    ):
        found += page
        if len(page) < 100:
            break
    return Answer(200, [_comment(call, one) for one in found])


@route("POST", "/issues/{index}/comments")
def _new_comment(call: Call) -> Answer:
    made = call.ask("POST", f"/issues/{call.path['index']}/comments", call.body)
    return Answer(201, _comment(call, made))


@route("PATCH", "/issues/comments/{id}")
def _edit_comment(call: Call) -> Answer:
    # Whoever may write may edit anybody's.
    changed = call.ask("PATCH", f"/issues/comments/{call.path['id']}", call.body)
    return Answer(200, _comment(call, changed))


@route("DELETE", "/issues/comments/{id}")
def _delete_comment(call: Call) -> Answer:
    call.ask("DELETE", f"/issues/comments/{call.path['id']}")
    return Answer(204)


@route("POST", "/issues/comments/{id}/reactions")
def _react(call: Call) -> Answer:
    call.ask("GET", f"/issues/comments/{call.path['id']}")
    return _reacted(call, int(call.path["id"]))


def _reacted(call: Call, target: int) -> Answer:
    """Add a reaction to a comment by its number, or to an issue by its negative number."""
    if call.token is None or not call.token.allows("issues", "write"):
        raise Refused(403, "token does not have at least one of required scope(s)")
    reaction = (target, call.token.login, call.body["content"])
    status = 200 if reaction in call.forge.reactions else 201
    call.forge.reactions.add(reaction)
    who = shapes.user(call.token.login, call.forge.url)
    shown = {"user": who, "content": call.body["content"], "created_at": "2026-01-01T00:00:00Z"}
    return Answer(status, shown)


@route("DELETE", "/issues/comments/{id}/reactions")
def _take_back(call: Call) -> Answer:
    login = call.token.login if call.token else ""
    call.forge.reactions.discard((int(call.path["id"]), login, call.body["content"]))
    return Answer(204)
