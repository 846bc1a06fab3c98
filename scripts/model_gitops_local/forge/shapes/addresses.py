"""Where things are found, which every shape tells."""

from __future__ import annotations

import base64
from typing import Any

from model_gitops_local.forge.state import Repository

Json = dict[str, Any]


def node_id(kind: str, number: int) -> str:
    """Return an opaque id, such as GraphQL would use."""
    return base64.b64encode(f"0:{kind}:{number}".encode()).decode()


class Addresses:
    """The addresses of one forge, whose web address is `web`."""

    def __init__(self, web: str, api: str = "") -> None:
        self.web = web
        self.api = api or f"{web}/api/v3"

    def repo_url(self, repository: Repository) -> str:
        """Return the API address of a repository."""
        return f"{self.api}/repos/{repository.full_name}"

    def page_url(self, repository: Repository) -> str:
        """Return the address of a repository's page."""
        return f"{self.web}/{repository.full_name}"
