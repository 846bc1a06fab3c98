"""Commit statuses, as Gitea's API has them."""

from __future__ import annotations

from itertools import groupby

from model_gitops_local.forge.api.answers import Answer
from model_gitops_local.forge.gitea import shapes
from model_gitops_local.forge.gitea.routing import Call, Refused, route


@route("GET", "/commits/{sha}/statuses")
def _listed(call: Call) -> Answer:
    # The newest second first. Which of two comes first that were made in the same second, nobody says.
    found = call.ask("GET", f"/commits/{call.path['sha']}/statuses", per_page="100")
    seconds = groupby(found, key=lambda one: one["created_at"])
    ordered = [one for _, group in seconds for one in reversed(list(group))]
    return call.page([shapes.commit_status(one, call.forge.url) for one in ordered])


@route("POST", "/statuses/{sha}")
def _create(call: Call) -> Answer:
    try:
        made = call.ask("POST", f"/statuses/{call.path['sha']}", call.body)
    except Refused as refused:
        raise Refused(
            400 if refused.status == 422 else refused.status, "no such commit"
        ) from refused
    return Answer(201, shapes.commit_status(made, call.forge.url))
