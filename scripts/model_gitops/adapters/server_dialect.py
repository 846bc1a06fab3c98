"""In what the forges' APIs differ: GitHub's, and that of Gitea and Forgejo, which is much like it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

# The job's own token on GitHub. Its own `GET /user` is refused, as for every installation token.
WORKFLOW_BOT = "github-actions[bot]"


@dataclass(frozen=True)
class Dialect:
    """How one kind of server names things. `bots` are accounts that jobs have, and no person."""

    api: str
    bots: tuple[str, ...]
    # What a permission of GitHub's is called there; others keep their name.
    permissions: Mapping[str, str]
    # Said of a token that may not write: what to use.
    other_repository: str
    # Statuses that say "already exists".
    exists: tuple[int, ...]
    page_size: str
    largest_page: int
    is_gitea: bool = False

    def permission(self, name: str) -> str:
        """Return what the permission `name` is called."""
        return self.permissions.get(name, name)

    def verdict(self, review: Mapping[str, Any]) -> str:
        """Return what a review says; empty for one that Gitea does not count.

        Gitea leaves the state of a dismissed review as it was, and calls official what who may write
        said last, unless that person was asked again since.
        """
        if review.get("dismissed"):
            return "DISMISSED"
        counts = not self.is_gitea or review.get("official", True)
        return str(review.get("state", "")) if counts else ""


GITHUB = Dialect(
    api="GitHub's API",
    bots=(WORKFLOW_BOT,),
    permissions={
        "comments: read": "pull-requests: read",
        "comments: write": "pull-requests: write",
    },
    other_repository="GITHUB_TOKEN can't write another repository: use a GitHub App token",
    exists=(422,),
    page_size="per_page",
    largest_page=100,
)
GITEA = Dialect(
    api="Gitea's API",
    bots=("gitea-actions", "forgejo-actions"),
    permissions={
        "metadata: read": "read:user",
        "comments: read": "read:issue",
        "comments: write": "write:issue",
        "pull-requests: read": "read:repository",
        "pull-requests: write": "write:repository",
        "contents: read": "read:repository",
        "contents: write": "write:repository",
    },
    other_repository="the job's own token can't write another repository: use an access token",
    exists=(409, 422),
    page_size="limit",
    largest_page=50,
    is_gitea=True,
)


def dialect_of(api_url: str) -> Dialect:
    """Return the dialect of the API at `api_url`: Gitea's ends in its version, `/api/v1`."""
    return GITEA if urlsplit(api_url).path.rstrip("/").endswith("/api/v1") else GITHUB
