"""The table of resources, and the way of a request to its route: match, allow, answer."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from model_gitops_local.forge import pulls
from model_gitops_local.forge.api import (
    actions,
    approvals,
    commit_comments,
    commits,
    environments,
    git,
    issue_comments,
    issues,
    labels,
    protection,
    pull_requests,
    repositories,
    reviews,
    statuses,
    users,
)
from model_gitops_local.forge.api.answers import Answer, ApiError, not_found
from model_gitops_local.forge.api.routing import Call, Context, Route, Routes
from model_gitops_local.forge.bare import Bare
from model_gitops_local.forge.state import Repository, Token

RESOURCES: tuple[Routes, ...] = (
    actions.routes,
    approvals.routes,
    commit_comments.routes,
    commits.routes,
    environments.routes,
    git.routes,
    issue_comments.routes,
    issues.routes,
    labels.routes,
    protection.routes,
    pull_requests.routes,
    repositories.routes,
    reviews.routes,
    statuses.routes,
    users.routes,
)
# The longest template first, whatever the order above: `/commits/{ref}` would take
# `/commits/x/status` too, as a branch named `x/status`.
ROUTES: list[Route] = sorted(
    (route for routes in RESOURCES for route in routes),
    key=lambda route: route.template.count("/"),
    reverse=True,
)


class Api(Context):
    """Answers requests from, and writes to, one state."""

    def match(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """Return the route of a decoded path (without `/api/v3`) and its parameters."""
        if method == "GET":  # a legacy route that PyGithub uses
            path = re.sub(
                r"^(/repos/[^/]+/[^/]+)/statuses/([^/]+)$", r"\1/commits/\2/statuses", path
            )
        for candidate in ROUTES:
            found = candidate.pattern.fullmatch(path) if candidate.method == method else None
            if found:
                return candidate, found.groupdict()
        return None

    def handle(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: bytes,
        token: Token | None,
    ) -> Answer:
        """Answer one request. Never raises for what a client did wrong."""
        try:
            return self._handle(method, path, query, body, token)
        except ApiError as error:
            return error.answer

    def _handle(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: bytes,
        token: Token | None,
    ) -> Answer:
        matched = self.match(method, path)
        if matched is None:
            raise not_found()
        found, params = matched
        try:
            data = json.loads(body) if body.strip() else {}
        except ValueError as error:
            raise ApiError(400, "Problems parsing JSON") from error
        repository = self._allowed(found, params, token)
        bare = Bare(Path(repository.path)) if repository.path else Bare(Path())
        call = Call(method, params, query, data, token, repository, bare)
        if repository.path and pulls.follow(repository, self.state.find):
            self.state.save()
        answer = found.handler(self, call)
        if method != "GET":
            self.state.save()
        return answer

    def _allowed(self, found: Route, params: Mapping[str, str], token: Token | None) -> Repository:
        if "owner" not in params:
            return Repository("", "", 0, "")
        repository = self.state.find(f"{params['owner']}/{params['repo']}")
        if repository is None or (
            repository.private and (token is None or not token.reaches(repository.full_name))
        ):
            raise not_found()
        needs = [need.partition(":")[::2] for need in found.needs]
        if all(level == "read" for _, level in needs) and not repository.private:
            return repository
        if token is None:
            raise ApiError(401, "Requires authentication")
        inside = token.reaches(repository.full_name)
        if not inside or not any(token.allows(name, level) for name, level in needs):
            who = "integration" if token.is_app else "personal access token"
            raise ApiError(403, f"Resource not accessible by {who}")
        return repository
