"""A forge's pull requests, reviews and comments: GitHub's, and those of Gitea and Forgejo."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from model_gitops.adapters.github_client import (
    AlreadyExistsError,
    ApiError,
    Client,
    ForbiddenError,
    find_api,
)
from model_gitops.adapters.server_dialect import WORKFLOW_BOT, Dialect
from model_gitops.core.lineage.reviews import Review

__all__ = [
    "WORKFLOW_BOT",
    "AlreadyExistsError",
    "ApiError",
    "Comment",
    "ForbiddenError",
    "GitHub",
    "PullRequest",
    "find_api",
]

# Where a server can't say which pull requests a commit is in, so many of the newest are looked at;
# of each so many commits are.
_MOST_PULLS_PAGES = 4
_MOST_PULLS_WHOSE_COMMITS = 20


@dataclass(frozen=True)
class PullRequest:
    """A pull request. `url` is the page for people, `head_ref` and `base_ref` are branch names.

    `head_repository` is the `owner/name` that `head_ref` is in, empty for a fork that was deleted, and
    `author` the login of who opened it, empty for an account that was.
    """

    number: int
    url: str
    title: str
    body: str
    state: str
    merged: bool
    head_ref: str
    head_sha: str
    base_ref: str
    head_repository: str
    author: str


@dataclass(frozen=True)
class Comment:
    """A comment on a pull request, an issue or a commit. `author` is the login."""

    id: int
    url: str
    author: str
    body: str
    on_commit: bool


class GitHub:
    """One repository, `owner/name`, on the server with the API at `api_url`."""

    def __init__(self, repository: str, token: str, *, api_url: str = "") -> None:
        """Make no request yet. Raises InputError where `token` or `repository` is empty or odd."""
        self._client = Client(repository, token, api_url=api_url)
        self.repository = repository

    @property
    def client(self) -> Client:
        """What asks the server: for adapters of other things that it has."""
        return self._client

    @property
    def dialect(self) -> Dialect:
        """In what the server differs from others."""
        return self._client.dialect

    def login(self) -> str:
        """Return who the token is: a user's login, or `app[bot]`; empty where nobody says.

        Raises ApiError.
        """
        from github import GithubException

        with self._client.errors("ask who the token is", "metadata: read"):
            try:
                return str(self._client.ask("//user")["login"])
            except (GithubException, KeyError):
                pass  # an installation token: only GraphQL says whose
            if self.dialect.is_gitea:
                return ""
            try:
                answer = self._client.graphql("query { viewer { login } }")
                return str(answer["data"]["viewer"]["login"])
            except (GithubException, KeyError, TypeError, AttributeError):
                return WORKFLOW_BOT  # servers without GraphQL

    def login_by_reaction(self, comment: Comment) -> str:
        """Return who the token is, by a reaction to `comment` that is taken back at once.

        For a token of Gitea that may not read its own account. Nobody is notified of a reaction. Empty
        where that is refused.
        """
        path, reaction = f"/issues/comments/{comment.id}/reactions", {"content": "eyes"}
        login = ""
        # One that can't be taken back stays, and is there before the next time.
        with suppress(ApiError), self._client.errors("react to a comment", "comments: write"):
            status, answer = self._client.status_of("POST", path, reaction)
            login = str(answer["user"]["login"]) if status in (200, 201) else ""
            if status == 201:  # 200: it was there before
                self._client.write("DELETE", path, reaction)
        return login

    def pull_request(self, number: int) -> PullRequest:
        """Return pull request `number`. Raises ApiError."""
        with self._client.errors(f"read pull request {number}", "pull-requests: read"):
            return _pull_request(self._client.ask(f"/pulls/{number}"))

    def find_pull_request(self, head: str, base: str = "") -> PullRequest | None:
        """Return the open pull request from branch `head` (into `base`, if given), or None.

        Only branches of this repository count: a fork's branch may have the same name.
        """
        owner = self.repository.split("/", maxsplit=1)[0]
        filters = {"state": "open", "head": f"{owner}:{head}", **({"base": base} if base else {})}
        with self._client.errors("list pull requests", "pull-requests: read"):
            for found in map(_pull_request, self._client.pages("/pulls", filters)):
                # Not every server knows the filters.
                same = found.head_repository.lower() == self.repository.lower()
                if same and found.head_ref == head and base in ("", found.base_ref):
                    return found
        return None

    def open_pull_requests(self, base: str) -> list[PullRequest]:
        """Return the open pull requests into branch `base`, oldest first."""
        filters = {"state": "open", "base": base, "sort": "created", "direction": "asc"}
        if self.dialect.is_gitea:
            filters = {"state": "open", "sort": "oldest"}
        with self._client.errors("list pull requests", "pull-requests: read"):
            listed = [_pull_request(one) for one in self._client.pages("/pulls", filters)]
        return [one for one in listed if one.base_ref == base]

    def closed_pull_requests(self, base: str) -> list[PullRequest]:
        """Return those into branch `base` that were closed and not merged, of the newest few hundred."""
        filters = {"state": "closed", "base": base, "sort": "updated", "direction": "desc"}
        if self.dialect.is_gitea:
            filters = {"state": "closed", "sort": "recentupdate"}
        with self._client.errors("list pull requests", "pull-requests: read"):
            found = self._client.pages("/pulls", filters, most=_MOST_PULLS_PAGES)
            listed = [_pull_request(one) for one in found]
        return [one for one in listed if one.base_ref == base and not one.merged]

    def pull_requests_of_commit(self, sha: str) -> list[PullRequest]:
        """Return the pull requests that commit `sha` is in, open ones first."""
        with self._client.errors(f"list the pull requests of commit {sha}", "pull-requests: read"):
            if self.dialect.is_gitea:
                found = list(self._on_gitea(sha))
            else:
                listed = self._client.pages(f"/commits/{quote(sha)}/pulls")
                found = [_pull_request(one) for one in listed]
        return sorted(found, key=lambda pull: pull.state != "open")

    def _on_gitea(self, sha: str) -> Iterator[PullRequest]:
        """Yield the pull requests of a commit: Gitea itself knows only by which merge it came."""
        from github import GithubException

        try:
            yield _pull_request(self._client.ask(f"/commits/{quote(sha)}/pull"))
            return
        except GithubException as error:
            if error.status != 404:
                raise
        newest = {"state": "all", "sort": "recentupdate"}
        listed = list(self._client.pages("/pulls", newest, most=_MOST_PULLS_PAGES))
        ends = [one for one in listed if sha in (one["head"]["sha"], one.get("merge_commit_sha"))]
        if ends:
            yield from map(_pull_request, ends)
            return
        merged = [one for one in listed if one.get("merged_at")][:_MOST_PULLS_WHOSE_COMMITS]
        for one in merged:
            commits = self._client.pages(f"/pulls/{one['number']}/commits")
            if any(commit["sha"] == sha for commit in commits):
                yield _pull_request(one)

    def merged_head(self, pull: PullRequest) -> str:
        """Return the newest commit of a merged pull request. Raises ApiError.

        Gitea calls the head of a merged one what its branch is now, which may have moved on.
        """
        if not self.dialect.is_gitea:
            return pull.head_sha
        doing = f"list the commits of pull request {pull.number}"
        with self._client.errors(doing, "pull-requests: read"):
            commits = list(self._client.pages(f"/pulls/{pull.number}/commits"))
            inner = {parent["sha"] for one in commits for parent in one["parents"]}
            ends = [one["sha"] for one in commits if one["sha"] not in inner]
        return ends[0] if len(ends) == 1 else pull.head_sha

    def reviews(self, number: int) -> list[Review]:
        """Return the reviews of pull request `number`, oldest first. Raises ApiError."""
        with self._client.errors(
            f"list the reviews of pull request {number}", "pull-requests: read"
        ):
            return [
                Review(
                    login=found["user"]["login"],
                    verdict=self.dialect.verdict(found),
                    commit=found.get("commit_id") or "",
                    is_person=self._is_person(found["user"]),
                )
                for found in self._client.pages(f"/pulls/{number}/reviews")
                if found.get("user")  # the account behind a review may have been deleted
            ]

    def _is_person(self, user: Mapping[str, Any]) -> bool:
        login = str(user["login"])
        bot = user.get("type") == "Bot" or login.endswith("[bot]")
        return not bot and login.lower() not in self.dialect.bots

    def is_ancestor(self, ancestor: str, descendant: str) -> bool | None:
        """Whether commit `ancestor` is in the history of `descendant`; None where nobody can tell.

        That is so for commits that the server does not know, and for repositories that the token can't
        see. Raises ApiError where it gives no answer at all.
        """
        gitea = self.dialect.is_gitea
        # Gitea gives no status: an ancestor has no commit that the other lacks.
        first, second = (descendant, ancestor) if gitea else (ancestor, descendant)
        try:
            with self._client.errors("compare two commits", "contents: read"):
                answer = self._client.ask(f"/compare/{quote(first)}...{quote(second)}")
        except ApiError as error:
            forbidden = isinstance(error, ForbiddenError) and error.status in (403, 404)
            if forbidden or error.status == 422:
                return None
            raise
        if gitea:
            total = answer.get("total_commits")
            return None if total is None else bool(total == 0)
        status = answer.get("status")
        return status in ("ahead", "identical") if status else None

    def open_pull_request(self, *, head: str, base: str, title: str, body: str) -> PullRequest:
        """Open a pull request. Raises AlreadyExistsError where `head` has an open one."""
        values = {"head": head, "base": base, "title": title, "body": body}
        with self._client.errors(f"open a pull request into {base}", "pull-requests: write"):
            return _pull_request(self._client.write("POST", "/pulls", values))

    def update_pull_request(self, number: int, *, title: str, body: str) -> PullRequest:
        """Replace title and body of pull request `number`."""
        values = {"title": title, "body": body}
        with self._client.errors(f"update pull request {number}", "pull-requests: write"):
            return _pull_request(self._client.write("PATCH", f"/pulls/{number}", values))

    def list_comments(self, target: int | str) -> list[Comment]:
        """Return all comments of `target`, oldest first.

        `target` is the number of a pull request or an issue, or the full hash of a commit.
        """
        with self._client.errors(f"list the comments of {target}", "comments: read"):
            if isinstance(target, int) and self.dialect.is_gitea:
                # Of comments of what is not there it says 500, which is tried again and again.
                self._client.ask(f"/issues/{target}")
            listed = list(self._client.pages(_comments_of(target)))
            return [_comment(one, on_commit=isinstance(target, str)) for one in listed]

    def create_comment(self, target: int | str, body: str) -> Comment:
        """Comment on `target`; see `list_comments`. Raises ForbiddenError where that is refused."""
        on_commit = isinstance(target, str)
        permission = "contents: write" if on_commit else "comments: write"
        with self._client.errors(f"comment on {target}", permission):
            answer = self._client.write("POST", _comments_of(target), {"body": body})
            return _comment(answer, on_commit=on_commit)

    def update_comment(self, comment: Comment, body: str) -> Comment:
        """Replace the text of `comment`."""
        with self._client.errors(f"update the comment {comment.url}", _permission(comment)):
            answer = self._client.write("PATCH", _address(comment), {"body": body}) or {}
            return Comment(
                id=comment.id,
                url=str(answer.get("html_url", comment.url)),
                author=comment.author,
                body=str(answer.get("body", body)),
                on_commit=comment.on_commit,
            )

    def delete_comment(self, comment: Comment) -> None:
        """Remove `comment`. Raises ForbiddenError where that is refused, or where it is gone."""
        with self._client.errors(f"delete the comment {comment.url}", _permission(comment)):
            self._client.write("DELETE", _address(comment))


def _comments_of(target: int | str) -> str:
    kind = "issues" if isinstance(target, int) else "commits"
    return f"/{kind}/{quote(str(target))}/comments"


def _address(comment: Comment) -> str:
    return f"/{'comments' if comment.on_commit else 'issues/comments'}/{comment.id}"


def _permission(comment: Comment) -> str:
    return "contents: write" if comment.on_commit else "comments: write"


def _pull_request(pull: Mapping[str, Any]) -> PullRequest:
    home = pull["head"].get("repo")  # null for a fork that was deleted
    head = str(pull["head"]["ref"])
    if head.startswith("refs/pull/"):
        # Of a branch that was removed, Gitea has the name in the label alone.
        head = str(pull["head"].get("label") or head)
    return PullRequest(
        number=int(pull["number"]),
        url=str(pull["html_url"]),
        title=str(pull["title"]),
        body=str(pull.get("body") or ""),
        state=str(pull["state"]),
        merged=pull.get("merged_at") is not None,
        head_ref=head,
        head_sha=str(pull["head"]["sha"]),
        base_ref=str(pull["base"]["ref"]),
        head_repository=str(home["full_name"]) if home else "",
        author=_login(pull),
    )


def _comment(comment: Mapping[str, Any], *, on_commit: bool) -> Comment:
    return Comment(
        id=int(comment["id"]),
        url=str(comment["html_url"]),
        author=_login(comment),
        body=str(comment.get("body") or ""),
        on_commit=on_commit,
    )


def _login(made: Mapping[str, Any]) -> str:
    """Return who made something; the account may have been deleted."""
    user = made.get("user")
    return str(user["login"]) if user else ""
