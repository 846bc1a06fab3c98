"""Commit statuses on a forge: GitHub's, and those of Gitea and Forgejo.

Whoever may write a repository can write one: what it says is as good as its `creator` is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

from model_gitops.adapters.git import Git
from model_gitops.adapters.github_client import Client
from model_gitops.adapters.model_place import Place
from model_gitops.core.deploy.location import is_slug
from model_gitops.core.flow.verifying import context_of
from model_gitops.core.line import shortened
from model_gitops.errors import InputError

__all__ = ["LONGEST", "CommitStatus", "State", "context_of", "latest", "opened", "write"]

State = Literal["pending", "success", "failure", "error"]
# https://docs.github.com/en/rest/commits/statuses: it refuses a longer one.
LONGEST = 140
_MOST_PAGES = 10


@dataclass(frozen=True)
class CommitStatus:
    """One status. `creator` is the login of who wrote it, empty for an account that is gone."""

    state: str
    context: str
    description: str
    target_url: str
    creator: str
    created_at: str


def opened(checkout: Git, token: str) -> Client:
    """Return the API of the model repository around us, asked with `source-token`. Raises InputError."""
    place = Place.of(checkout)
    if not is_slug(place.repository):
        raise InputError(
            "input `source-token` is given, and this clone's remote `origin` is on no forge",
            fix="run it in a clone of the model repository, or leave `source-token` out",
        )
    return Client(place.repository, token, api_url=place.api_url)


def latest(api: Client, commit: str, context: str) -> CommitStatus | None:
    """Return the newest status of `commit` under `context`; None where there is none. Raises ApiError."""
    newest: Any = None
    with api.errors(f"read the statuses of {commit[:12]}", "statuses: read"):
        for one in api.pages(f"/commits/{quote(commit)}/statuses", most=_MOST_PAGES):
            # GitHub lists the newest first. Gitea orders by seconds, and within one as it likes: the number tells.
            if newest is not None and one["created_at"] != newest["created_at"]:
                break
            if one["context"] == context and (newest is None or one["id"] > newest["id"]):
                newest = one
    if newest is None:
        return None
    # Gitea calls the state `status`.
    return CommitStatus(
        str(newest.get("state") or newest.get("status") or ""),
        str(newest["context"]),
        str(newest.get("description") or ""),
        str(newest.get("target_url") or ""),
        str((newest.get("creator") or {}).get("login") or ""),
        str(newest.get("created_at") or ""),
    )


def write(
    api: Client, commit: str, context: str, state: State, description: str, target_url: str
) -> None:
    """Set the status of `commit` under `context`; what is too long is cut. Raises ApiError."""
    said = shortened(description, LONGEST)
    body = {"state": state, "context": context, "description": said, "target_url": target_url}
    with api.errors(f"set the status {context} of {commit[:12]}", "statuses: write"):
        api.write("POST", f"/statuses/{quote(commit)}", body)
