"""The client of a forge's REST API: its retries, its pages, and its errors as ours. By PyGithub."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from model_gitops import runner
from model_gitops.adapters.server_dialect import Dialect, dialect_of
from model_gitops.core.deploy.location import is_loopback
from model_gitops.errors import ExternalError, InputError

if TYPE_CHECKING:
    from github import GithubRetry
    from github.Requester import Requester

_REACH_SECONDS = 10
_MOST_PAGES = 100


@dataclass(frozen=True)
class Patience:
    """How often a request is made, for how many seconds each time, and how long a limit is waited for.

    A primary rate limit may last an hour; no job should sit that long, in one wait or in several.
    """

    attempts: int = 6
    seconds: int = 30
    longest_wait: float = 900


PATIENT = Patience()
# For what only advises, where somebody waits.
HURRIED = Patience(attempts=2, seconds=5, longest_wait=5)


class ApiError(ExternalError):
    """The API refused a request. `status` is the HTTP status; 0 where none came."""

    def __init__(self, message: str, *, status: int = 0, fix: str = "") -> None:
        super().__init__(message, fix=fix)
        self.status = status


class ForbiddenError(ApiError):
    """The token may not do this (401, 403), or may not even see the repository (404)."""


class AlreadyExistsError(ApiError):
    """Another writer has made the same thing meanwhile (409, 422)."""


class Client:
    """Asks the API at `api_url` about one repository, `owner/name`."""

    def __init__(
        self, repository: str, token: str, *, api_url: str = "", patience: Patience | None = None
    ) -> None:
        """Make no request yet. Without `patience` it has that of a step in a workflow, PATIENT.

        Raises InputError where `token` or `repository` is empty or odd.
        """
        self._patience = patience or PATIENT
        context = runner.context()
        self.api_url = (api_url or context.api_url or find_api(context.server_url)).rstrip("/")
        self.dialect: Dialect = dialect_of(self.api_url)
        if not token:
            raise InputError(
                f"{self.dialect.api} for {repository} needs a token, and input `token` is empty",
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
        address = urlsplit(self.api_url)
        if address.scheme != "https" and not is_loopback(address.netloc):
            problem = "the token would be sent to it in clear text"
            fix = f"GITHUB_API_URL: https://{address.netloc}{address.path}"
            raise InputError(f"{self.dialect.api} is at {self.api_url}: {problem}", fix=fix)
        self._opened: Requester | None = None

    def ask(self, path: str, query: Mapping[str, str | int] | None = None) -> Any:
        """Return the JSON at `path` of the repository, or from the top with `//path`."""
        return self._send("GET", path, query)[1]

    def pages(
        self, path: str, query: Mapping[str, str | int] | None = None, *, most: int = _MOST_PAGES
    ) -> Iterator[Any]:
        """Yield what is in the list at `path`, over at most `most` pages."""
        for page in range(1, most + 1):
            size = {self.dialect.page_size: self.dialect.largest_page}
            headers, found = self._send("GET", path, {**(query or {}), **size, "page": page})
            yield from found
            if 'rel="next"' not in str(headers.get("link", "")):
                return

    def write(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Send `body` to `path` of the repository; return the JSON of the answer, or None."""
        return self._send(method, path, None, body)[1]

    def status_of(self, method: str, path: str, body: Mapping[str, Any]) -> tuple[int, Any]:
        """As `write`; return the status too, and the JSON of a refusal as of any answer."""
        status, _, text = self._requester.requestJson(
            method, f"/repos/{self.repository}{path}", input=dict(body)
        )
        try:
            return int(status), json.loads(text or "null")
        except ValueError:
            return int(status), None

    def graphql(self, query: str) -> Any:
        """Return the answer of GraphQL, which GitHub alone has."""
        return self._requester.graphql_query(query, {})[1]

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str | int] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> tuple[Mapping[str, Any], Any]:
        top = path.startswith("//")
        address = path[1:] if top else f"/repos/{self.repository}{path}"
        headers, answer = self._requester.requestJsonAndCheck(
            method,
            address,
            parameters=dict(query) if query else None,
            input=None if body is None else dict(body),
        )
        return headers, answer

    @property
    def _requester(self) -> Requester:
        if self._opened is None:
            from github import Auth, Github

            client = Github(
                auth=Auth.Token(self._token),
                base_url=self.api_url,
                timeout=self._patience.seconds,
                user_agent="model-gitops",
                # These two make PyGithub sleep between any two requests; what GitHub asks for
                # (Retry-After, rate limits) is honoured by the retry.
                seconds_between_requests=None,
                seconds_between_writes=None,
                retry=_patient_retry(
                    self._patience.longest_wait,
                    total=self._patience.attempts,
                    # What we send by PATCH may be sent twice; PyGithub's own list lacks it.
                    allowed_methods=["DELETE", "GET", "PATCH", "POST", "PUT"],
                    backoff_factor=0.5,
                    backoff_jitter=0.5,
                    status_forcelist=[429, *range(500, 600)],
                    max_rate_limit_wait=self._patience.longest_wait,
                ),
            )
            self._opened = client.requester
        return self._opened

    @contextmanager
    def errors(self, doing: str, permission: str) -> Iterator[None]:
        """Turn what PyGithub raises into our errors, and an answer of another shape too."""
        import requests
        from github import GithubException

        try:
            yield
        except GithubException as error:
            raise self._error(error.status, error.data, doing, permission) from error
        except requests.RequestException as error:
            raise ApiError(
                f"{self.dialect.api} at {self.api_url} can't be reached to {doing}: {_cause(error)}",
                fix="look at the server's status page, then run the job again",
            ) from error
        except (KeyError, TypeError, AttributeError) as error:
            raise ApiError(
                f"{self.dialect.api} at {self.api_url} gave an answer that is none of its own to"
                f" {doing}: {error!r}",
                fix="look at GITHUB_API_URL: it must be the address of the API",
            ) from error

    def _error(self, status: int, data: Any, doing: str, permission: str) -> ApiError:
        said = _message(data)
        text = f"{self.dialect.api} refused to {doing} in {self.repository} ({status}): {said}"
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
                fix=f"give the token `{self.dialect.permission(permission)}` on {self.repository};"
                f" {self.dialect.other_repository}",
            )
        if status in self.dialect.exists and "already exists" in said:
            return AlreadyExistsError(text, status=status)
        return ApiError(text, status=status)


def reach(api_url: str) -> None:
    """Connect to an API once, without a token. Raises ApiError where nobody answers at all."""
    import requests

    try:
        requests.get(api_url, timeout=_REACH_SECONDS, allow_redirects=False, stream=True).close()
    except requests.RequestException as error:
        raise ApiError(
            f"the API at {api_url} can't be reached: {_cause(error)}",
            fix="look at the network of this machine, and at the server's status page",
        ) from error


def find_api(server_url: str) -> str:
    """Return the API of the server at `server_url`: Gitea answers below `/api/v1`, GitHub does not.

    The request carries no token. Where nobody answers, it is GitHub Enterprise Server's.
    """
    import requests

    if server_url == "https://github.com":
        return "https://api.github.com"
    try:
        address = f"{server_url}/api/v1/version"
        answer = requests.get(address, timeout=PATIENT.seconds, allow_redirects=False)
        # One that shows nothing to strangers refuses in JSON too.
        gitea = answer.status_code in (200, 401, 403) and isinstance(answer.json(), dict)
    except (requests.RequestException, ValueError):
        gitea = False
    return f"{server_url}/api/{'v1' if gitea else 'v3'}"


def _patient_retry(longest: float, **options: Any) -> GithubRetry:
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
            if response and waited > longest:
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
    # `data` is what PyGithub calls a text that is no JSON, as Gitea's "404 page not found".
    parts = [str(data.get("message") or str(data.get("data", "")).strip()[:200])]
    for error in data.get("errors") or []:
        if isinstance(error, dict):
            words = (error.get("message") or error.get("field"), error.get("code"))
            parts.append(" ".join(str(word) for word in words if word))
        else:
            parts.append(str(error))
    return "; ".join(part for part in parts if part)[:500]
