"""GitHub's REST API for one repository: its pull requests and comments, by PyGithub."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from model_gitops import runner
from model_gitops.core.deploy.location import is_loopback
from model_gitops.core.lineage.reviews import Review
from model_gitops.errors import ExternalError, InputError

if TYPE_CHECKING:
    from github import GithubRetry
    from github.CommitComment import CommitComment
    from github.IssueComment import IssueComment
    from github.PullRequest import PullRequest as ApiPullRequest
    from github.Repository import Repository

# Who `GITHUB_TOKEN` is. Its own `GET /user` is refused, as for every installation token.
WORKFLOW_BOT = "github-actions[bot]"

_TIMEOUT_SECONDS = 30
_ATTEMPTS = 6
# A primary rate limit may last an hour; no job should sit that long, in one wait or in several.
_LONGEST_WAIT_SECONDS = 900


class ApiError(ExternalError):
    """GitHub's API refused a request. `status` is the HTTP status; 0 where none came."""

    def __init__(self, message: str, *, status: int = 0, fix: str = "") -> None:
        super().__init__(message, fix=fix)
        self.status = status


class ForbiddenError(ApiError):
    """The token may not do this (401, 403), or may not even see the repository (404)."""


class AlreadyExistsError(ApiError):
    """Another writer has made the same thing meanwhile (422)."""


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
        if not token:
            raise InputError(
                f"GitHub's API for {repository} needs a token, and input `token` is empty",
                fix="token: ${{ secrets.DEPLOY_TOKEN }}",
            )
        if not token.isascii() or not token.isprintable() or " " in token:
            # It could not be sent. The value itself stays out of the message.
            raise InputError(
                "input `token` holds a space, a line break or a character that no token has",
                fix="set the secret again, without a line break at its end",
            )
        if repository.count("/") != 1 or not all(repository.split("/")):
            raise InputError.of("repository", repository, "it is not `owner/name`")
        self.repository = repository
        self._token = token
        self._api_url = (api_url or runner.context().api_url).rstrip("/")
        address = urlsplit(self._api_url)
        if address.scheme != "https" and not is_loopback(address.netloc):
            problem = "the token would be sent to it in clear text"
            fix = f"GITHUB_API_URL: https://{address.netloc}{address.path}"
            raise InputError(f"GitHub's API is at {self._api_url}: {problem}", fix=fix)
        self._opened: Repository | None = None

    def login(self) -> str:
        """Return who the token is: a user's login, or `app[bot]`. Raises ApiError."""
        from github import GithubException

        with self._errors("ask who the token is", "metadata: read"):
            requester = self._repository.requester
            try:
                return str(requester.requestJsonAndCheck("GET", "/user")[1]["login"])
            except (GithubException, KeyError):
                pass  # an installation token: only GraphQL says whose
            try:
                _, answer = requester.graphql_query("query { viewer { login } }", {})
                return str(answer["data"]["viewer"]["login"])
            except (GithubException, KeyError, TypeError, AttributeError):
                return WORKFLOW_BOT  # servers without GraphQL

    def pull_request(self, number: int) -> PullRequest:
        """Return pull request `number`. Raises ApiError."""
        with self._errors(f"read pull request {number}", "pull-requests: read"):
            return _pull_request(self._repository.get_pull(number))

    def find_pull_request(self, head: str, base: str = "") -> PullRequest | None:
        """Return the open pull request from branch `head` (into `base`, if given), or None.

        Only branches of this repository count: a fork's branch may have the same name.
        """
        owner = self.repository.split("/", maxsplit=1)[0]
        filters = {"base": base} if base else {}
        with self._errors("list pull requests", "pull-requests: read"):
            for found in self._repository.get_pulls("open", head=f"{owner}:{head}", **filters):
                # Not every server knows the filter `head`.
                if _from_branch(found, self.repository, head) and base in ("", found.base.ref):
                    return _pull_request(found)
        return None

    def open_pull_requests(self, base: str) -> list[PullRequest]:
        """Return the open pull requests into branch `base`, oldest first."""
        with self._errors("list pull requests", "pull-requests: read"):
            listed = self._repository.get_pulls("open", base=base, sort="created", direction="asc")
            return [_pull_request(found) for found in listed if found.base.ref == base]

    def pull_requests_of_commit(self, sha: str) -> list[PullRequest]:
        """Return the pull requests that commit `sha` is in, open ones first."""
        with self._errors(f"list the pull requests of commit {sha}", "pull-requests: read"):
            found = [_pull_request(pull) for pull in self._repository.get_commit(sha).get_pulls()]
        return sorted(found, key=lambda pull: pull.state != "open")

    def reviews(self, number: int) -> list[Review]:
        """Return the reviews of pull request `number`, oldest first. Raises ApiError."""
        with self._errors(f"list the reviews of pull request {number}", "pull-requests: read"):
            return [
                Review(
                    login=found.user.login,
                    # Gitea leaves the state as it was, and says it beside.
                    verdict="DISMISSED" if found.raw_data.get("dismissed") else found.state,
                    commit=found.commit_id or "",
                    is_person=found.user.type != "Bot" and not found.user.login.endswith("[bot]"),
                )
                for found in self._repository.get_pull(number).get_reviews()
                if found.user  # the account behind a review may have been deleted
            ]

    def is_ancestor(self, ancestor: str, descendant: str) -> bool | None:
        """Whether commit `ancestor` is in the history of `descendant`; None where GitHub can't tell.

        That is so for commits it does not know, and for repositories that the token can't see. Raises
        ApiError where it gives no answer at all.
        """
        try:
            with self._errors("compare two commits", "contents: read"):
                status = self._repository.compare(ancestor, descendant).status
        except ApiError as error:
            forbidden = isinstance(error, ForbiddenError) and error.status in (403, 404)
            if forbidden or error.status == 422:
                return None
            raise
        return status in ("ahead", "identical") if status else None

    def open_pull_request(self, *, head: str, base: str, title: str, body: str) -> PullRequest:
        """Open a pull request. Raises AlreadyExistsError where `head` has an open one."""
        with self._errors(f"open a pull request into {base}", "pull-requests: write"):
            return _pull_request(
                self._repository.create_pull(base=base, head=head, title=title, body=body)
            )

    def update_pull_request(self, number: int, *, title: str, body: str) -> PullRequest:
        """Replace title and body of pull request `number`."""
        with self._errors(f"update pull request {number}", "pull-requests: write"):
            pull = self._repository.get_pull(number)
            pull.edit(title=title, body=body)
            return _pull_request(pull)

    def list_comments(self, target: int | str) -> list[Comment]:
        """Return all comments of `target`, oldest first.

        `target` is the number of a pull request or an issue, or the full hash of a commit.
        """
        with self._errors(f"list the comments of {target}", "pull-requests: read"):
            if isinstance(target, int):
                return [
                    _comment(found) for found in self._repository.get_issue(target).get_comments()
                ]
            return [_comment(found) for found in self._repository.get_commit(target).get_comments()]

    def create_comment(self, target: int | str, body: str) -> Comment:
        """Comment on `target`; see `list_comments`. Raises ForbiddenError where that is refused."""
        permission = "pull-requests: write" if isinstance(target, int) else "contents: write"
        with self._errors(f"comment on {target}", permission):
            if isinstance(target, int):
                return _comment(self._repository.get_issue(target).create_comment(body))
            return _comment(self._repository.get_commit(target).create_comment(body))

    def update_comment(self, comment: Comment, body: str) -> Comment:
        """Replace the text of `comment`."""
        permission = "contents: write" if comment.on_commit else "pull-requests: write"
        kind = "comments" if comment.on_commit else "issues/comments"
        with self._errors(f"update the comment {comment.url}", permission):
            _, answer = self._repository.requester.requestJsonAndCheck(
                "PATCH", f"{self._repository.url}/{kind}/{comment.id}", input={"body": body}
            )
            return Comment(
                id=comment.id,
                url=str(answer.get("html_url", comment.url)),
                author=comment.author,
                body=str(answer.get("body", body)),
                on_commit=comment.on_commit,
            )

    def delete_comment(self, comment: Comment) -> None:
        """Remove `comment`. Raises ForbiddenError where that is refused, or where it is gone."""
        permission = "contents: write" if comment.on_commit else "pull-requests: write"
        kind = "comments" if comment.on_commit else "issues/comments"
        with self._errors(f"delete the comment {comment.url}", permission):
            self._repository.requester.requestJsonAndCheck(
                "DELETE", f"{self._repository.url}/{kind}/{comment.id}"
            )

    @property
    def _repository(self) -> Repository:
        if self._opened is None:
            from github import Auth, Github

            client = Github(
                auth=Auth.Token(self._token),
                base_url=self._api_url,
                timeout=_TIMEOUT_SECONDS,
                per_page=100,
                lazy=True,
                user_agent="model-gitops",
                # These two make PyGithub sleep between any two requests; what GitHub asks for
                # (Retry-After, rate limits) is honoured by the retry.
                seconds_between_requests=None,
                seconds_between_writes=None,
                retry=_patient_retry(
                    total=_ATTEMPTS,
                    # What we send by PATCH may be sent twice; PyGithub's own list lacks it.
                    allowed_methods=["DELETE", "GET", "PATCH", "POST"],
                    backoff_factor=0.5,
                    backoff_jitter=0.5,
                    status_forcelist=[429, *range(500, 600)],
                    max_rate_limit_wait=_LONGEST_WAIT_SECONDS,
                ),
            )
            self._opened = client.get_repo(self.repository)
        return self._opened

    @contextmanager
    def _errors(self, doing: str, permission: str) -> Iterator[None]:
        """Turn what PyGithub raises into our errors."""
        import requests
        from github import GithubException

        try:
            yield
        except GithubException as error:
            raise self._error(error.status, error.data, doing, permission) from error
        except requests.RequestException as error:
            raise ApiError(
                f"GitHub's API at {self._api_url} can't be reached to {doing}: {_cause(error)}",
                fix="look at the server's status page, then run the job again",
            ) from error

    def _error(self, status: int, data: Any, doing: str, permission: str) -> ApiError:
        said = _message(data)
        text = f"GitHub's API refused to {doing} in {self.repository} ({status}): {said}"
        if status == 401:
            return ForbiddenError(
                text,
                status=status,
                fix="the token is wrong or has expired: give a new one as `token`",
            )
        if status in (403, 404) and "rate limit" not in said.lower():
            return ForbiddenError(
                text,
                status=status,
                fix=f"give the token `{permission}` on {self.repository}; GITHUB_TOKEN can't write"
                " another repository: use a GitHub App token",
            )
        if status == 422 and "already exists" in said:
            return AlreadyExistsError(text, status=status)
        return ApiError(text, status=status)


def _patient_retry(**options: Any) -> GithubRetry:
    """Return PyGithub's retry, with an end to what the server's Retry-After may make us wait."""
    from github import GithubRetry
    from urllib3.exceptions import MaxRetryError, ResponseError

    class PatientRetry(GithubRetry):  # type: ignore[misc, unused-ignore]
        def __init__(self, *, waited: float = 0.0, **kw: Any) -> None:
            super().__init__(**kw)
            self._waited = waited

        def new(self, **kw: Any) -> Any:
            return super().new(waited=self._waited, **kw)

        def increment(self, *args: Any, **kw: Any) -> Any:
            # Its own arguments are: method, url, response, …
            response = kw.get("response") or (args[2] if len(args) > 2 else None)
            asked = (self.get_retry_after(response) if response else None) or 0.0
            waited = self._waited + asked
            if response and waited > _LONGEST_WAIT_SECONDS:
                text = f"too many {response.status} error responses: it asks to wait {asked:.0f} s"
                raise MaxRetryError(kw["_pool"], str(args[1]), ResponseError(text))
            following: Any = super().increment(*args, **kw)
            following._waited = waited
            return following

    return PatientRetry(**options)


def _cause(error: Exception) -> str:
    """Return what was wrong with the last of all attempts; addresses and queries are left out."""
    last = getattr(error.args[0] if error.args else None, "reason", None) or error
    said = str(last)
    # Only for a limit, primary or secondary, is a 403 sent again.
    if said.startswith("too many 403"):
        return "its rate limit was reached, and waiting as it asked was not enough (403)"
    # Such as "too many 502 error responses".
    return said if said.startswith("too many ") else type(last).__name__


def _message(data: Any) -> str:
    """Return what GitHub said, the messages of single fields included."""
    if not isinstance(data, dict):
        return str(data)[:500]
    parts = [str(data.get("message", ""))]
    for error in data.get("errors") or []:
        if isinstance(error, dict):
            words = (error.get("message") or error.get("field"), error.get("code"))
            parts.append(" ".join(str(word) for word in words if word))
        else:
            parts.append(str(error))
    return "; ".join(part for part in parts if part)[:500]


def _from_branch(pull: ApiPullRequest, repository: str, branch: str) -> bool:
    # The repository of a deleted fork is null.
    home = pull.head.repo
    same = home is not None and home.full_name.lower() == repository.lower()
    return same and pull.head.ref == branch


def _pull_request(pull: ApiPullRequest) -> PullRequest:
    return PullRequest(
        number=pull.number,
        url=pull.html_url,
        title=pull.title,
        body=pull.body or "",
        state=pull.state,
        merged=pull.merged_at is not None,
        head_ref=pull.head.ref,
        head_sha=pull.head.sha,
        base_ref=pull.base.ref,
        head_repository=pull.head.repo.full_name if pull.head.repo else "",
        author=pull.user.login if pull.user else "",
    )


def _comment(comment: IssueComment | CommitComment) -> Comment:
    from github.CommitComment import CommitComment

    # The account behind a comment may have been deleted.
    author = comment.user.login if comment.user else ""
    return Comment(
        id=comment.id,
        url=comment.html_url,
        author=author,
        body=comment.body or "",
        on_commit=isinstance(comment, CommitComment),
    )
