"""What an operation of Gitea's is made of: its route, and the call that it gets."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from model_gitops_local.forge.api.answers import Answer, paginate
from model_gitops_local.forge.bare import Bare
from model_gitops_local.forge.gitea import shapes
from model_gitops_local.forge.server import Forge
from model_gitops_local.forge.shapes import Json
from model_gitops_local.forge.state import Repository, Token

_LARGEST_PAGE = 50
# Parts of a path that may hold slashes.
WIDE = {"name", "path"}


class Refused(Exception):
    """An answer of 4xx or 5xx."""

    def __init__(self, status: int, said: Any) -> None:
        super().__init__(said)
        self.status, self.said = status, said


class Memory(Forge):
    """What Gitea remembers besides what GitHub does."""

    def __init__(self, root: Path, *, port: int = 0) -> None:
        super().__init__(root, port=port)
        self.dismissed: set[int] = set()
        # Who may read and comment only: they review too, but not officially.
        self.readers: set[str] = set()
        self.reactions: set[tuple[int, str, str]] = set()


class Call:
    """One request: what its path names, and the way to the forge's own API."""

    def __init__(
        self, forge: Memory, path: Mapping[str, str], query: Mapping[str, str], body: Any,
        token: Token | None,
    ) -> None:  # fmt: skip
        self.forge, self.path, self.query, self.body, self.token = forge, path, query, body, token
        self.name = f"{path.get('owner', '')}/{path.get('repo', '')}"

    def ask(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        """Ask GitHub's API of the forge about the repository."""
        data = json.dumps(body).encode() if body is not None else b""
        address = f"/repos/{self.name}{path}"
        answer = self.forge.api.handle(method, address, query, data, self.token)
        if answer.status >= 400:
            raise Refused(answer.status, answer.body)
        return answer.body

    @property
    def repository(self) -> Repository:
        """The repository that the path names."""
        found = self.forge.state.find(self.name)
        if found is None:
            raise Refused(404, "not found")
        return found

    def administered(self) -> Repository:
        """Return the repository to one who may change its settings."""
        if self.token is None or not self.token.allows("administration", "write"):
            said = "user should be an owner or a collaborator with admin write of a repository"
            raise Refused(403, said)
        return self.repository

    def page(self, items: list[Any]) -> Answer:
        """Return the page that the query asks for. `per_page` is not known here."""
        limit = str(min(int(self.query.get("limit", 30)), _LARGEST_PAGE))
        url = f"{self.forge.url}{self.forge.api_prefix}?{urlencode({'limit': limit})}"
        chosen, headers = paginate(
            {"per_page": limit, "page": self.query.get("page", "1")}, items, url
        )
        return Answer(200, chosen, headers)

    def pull(self, github: Json) -> Json:
        """Return a pull request; the head of a merged one is what its branch is now."""
        bare = Bare(Path(self.repository.path))
        fork = bare.merge_base(github["base"]["sha"], github["head"]["sha"])
        shown = shapes.pull(github, self.forge.url, fork or "")
        if shown["merged"]:
            # Its head is what the branch is now; of one that was removed the ref of the pull request.
            if tip := bare.branch(github["head"]["ref"]):
                shown["head"]["sha"] = tip
            else:
                shown["head"]["ref"] = f"refs/pull/{github['number']}/head"
        return shown


Handler = Callable[[Call], Answer]
ROUTES: list[tuple[str, str, Handler]] = []


def route(method: str, path: str) -> Callable[[Handler], Handler]:
    """Let a function answer `method` at `path` of a repository, or from the top with `//path`."""
    template = f"/repos/{{owner}}/{{repo}}{path}" if not path.startswith("//") else path[1:]

    def register(handler: Handler) -> Handler:
        ROUTES.append((method, template, handler))
        return handler

    return register
