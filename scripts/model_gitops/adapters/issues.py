"""A forge's issues: GitHub's, and those of Gitea and Forgejo."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from model_gitops.adapters.github import GitHub
from model_gitops.adapters.github_client import ApiError


@dataclass(frozen=True)
class Issue:
    """An issue. `url` is the page for people, `author` the login; empty for an account that is gone."""

    number: int
    url: str
    title: str
    body: str
    author: str
    is_open: bool


class Issues:
    """The issues of one repository, `owner/name`, on the server with the API at `api_url`."""

    def __init__(self, repository: str, token: str, *, api_url: str = "") -> None:
        """Make no request yet. Raises InputError where `token` or `repository` is empty or odd."""
        self.comments = GitHub(repository, token, api_url=api_url)
        self._client = self.comments.client

    def login(self) -> str:
        """Return who the token is, as far as the server tells; else empty. Raises ApiError."""
        return self.comments.login()

    def login_by_reaction(self, number: int) -> str:
        """Return who the token is, by a reaction to issue `number` that is taken back at once.

        For a token of Gitea that may not read its own account. Empty where that is refused.
        """
        path, reaction = f"/issues/{number}/reactions", {"content": "eyes"}
        login = ""
        with suppress(ApiError), self._client.errors("react to an issue", "issues: write"):
            status, answer = self._client.status_of("POST", path, reaction)
            login = str(answer["user"]["login"]) if status in (200, 201) else ""
            if status == 201:  # 200: it was there before
                self._client.write("DELETE", path, reaction)
        return login

    def open_ones(self, creator: str = "") -> list[Issue]:
        """Return the open issues, lowest number first; of one account where `creator` is given.

        Pull requests, which GitHub counts as issues, are left out. Raises ApiError.
        """
        filters: dict[str, str | int] = {"state": "open"}
        if self._client.dialect.is_gitea:
            filters |= {"type": "issues"} | ({"created_by": creator} if creator else {})
        elif creator:
            filters |= {"creator": creator}
        with self._client.errors("list issues", "issues: read"):
            found = [
                _issue(one)
                for one in self._client.pages("/issues", filters)
                if not one.get("pull_request")
            ]
        return sorted(found, key=lambda one: one.number)

    def create(self, title: str, body: str) -> Issue:
        """Open an issue. Raises ApiError."""
        with self._client.errors("open an issue", "issues: write"):
            return _issue(self._client.write("POST", "/issues", {"title": title, "body": body}))

    def update(self, number: int, *, title: str, body: str) -> Issue:
        """Replace title and body of issue `number`. Raises ApiError."""
        return self._change(number, {"title": title, "body": body})

    def close(self, number: int, *, completed: bool = True, body: str | None = None) -> Issue:
        """Close issue `number`, and replace its body in the same request where one is given.

        GitHub shows another icon for one that is not `completed`. Raises ApiError.
        """
        values = {"state": "closed"} | ({} if body is None else {"body": body})
        if not self._client.dialect.is_gitea:
            values |= {"state_reason": "completed" if completed else "not_planned"}
        return self._change(number, values)

    def _change(self, number: int, values: Mapping[str, str]) -> Issue:
        with self._client.errors(f"change issue {number}", "issues: write"):
            return _issue(self._client.write("PATCH", f"/issues/{number}", values))


def _issue(issue: Mapping[str, Any]) -> Issue:
    user = issue.get("user")
    return Issue(
        number=int(issue["number"]),
        url=str(issue["html_url"]),
        title=str(issue["title"]),
        body=str(issue.get("body") or ""),
        author=str(user["login"]) if user else "",
        is_open=issue["state"] == "open",
    )
