"""GitHub's REST API: each route is a path template of GitHub's own OpenAPI description."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from model_gitops_local.forge import pulls
from model_gitops_local.forge.bare import NULL, Bare
from model_gitops_local.forge.shapes.repositories import Json, Shapes
from model_gitops_local.forge.state import (
    Comment,
    Issue,
    Pull,
    Repository,
    Review,
    State,
    Status,
    Token,
    now,
)

MAX_BODY = 65536
_DOCS = "https://docs.github.com/rest"
# Path parameters that may hold slashes.
_WIDE = {"ref", "path", "basehead", "branch"}


@dataclass
class Answer:
    """What goes back: a status, a JSON value (None for no content) and headers."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


class ApiError(Exception):
    """An answer of 4xx, in GitHub's form."""

    def __init__(self, status: int, message: str, errors: list[Json] | None = None) -> None:
        super().__init__(message)
        body: Json = {"message": message}
        if errors is not None:
            body["errors"] = errors
        self.answer = Answer(status, body | {"documentation_url": _DOCS, "status": str(status)})


def not_found() -> ApiError:
    """Return GitHub's answer for what is not there, or must not be known to be there."""
    return ApiError(404, "Not Found")


def invalid(resource: str, code: str, *, field: str = "", message: str = "") -> ApiError:
    """Return GitHub's 422 with one error."""
    error = {"resource": resource, "code": code}
    error |= {"field": field} if field else {}
    error |= {"message": message} if message else {}
    return ApiError(422, "Validation Failed", [error])


@dataclass(frozen=True)
class Route:
    """An operation of the API and what it needs: any one of `needs`, as `issues:write`."""

    method: str
    template: str
    needs: tuple[str, ...]
    handler: Callable[[Api, Call], Answer]

    @property
    def pattern(self) -> re.Pattern[str]:
        """The template as a regular expression with one group a parameter."""
        return re.compile(
            re.sub(
                r"\\{(\w+)\\}",
                lambda found: f"(?P<{found[1]}>{'.+' if found[1] in _WIDE else '[^/]+'})",
                re.escape(self.template),
            )
        )


@dataclass
class Call:
    """One request, matched and allowed. `params` are the template's, decoded."""

    method: str
    params: Mapping[str, str]
    query: Mapping[str, str]
    body: Any
    token: Token | None
    repository: Repository
    bare: Bare

    @property
    def actor(self) -> str:
        """The login that the token stands for; writing always has one."""
        return self.token.login if self.token else ""

    def number(self, name: str) -> int:
        """Return a path parameter that is a number."""
        try:
            return int(self.params[name])
        except ValueError as error:
            raise not_found() from error

    def text(self, name: str) -> str | None:
        """Return a text of the body, or None."""
        if not isinstance(self.body, dict):
            raise ApiError(422, "Invalid request.\n\nThe body is no object.")
        value = self.body.get(name)
        if value is not None and not isinstance(value, str):
            raise ApiError(422, f"Invalid request.\n\nFor '{name}', {value!r} is not a string.")
        return value

    def required(self, name: str, resource: str) -> str:
        """Return a text of the body that must be there and not be blank."""
        value = self.text(name)
        if not value or not value.strip():
            raise invalid(resource, "missing_field", field=name)
        return value

    def comment_body(self, resource: str) -> str:
        """Return the text of a comment: not blank, not too long."""
        return check_length(self.required("body", resource), resource)


def check_length(body: str, resource: str) -> str:
    """Refuse a body of more than 65,536 characters, as GitHub does."""
    if len(body) > MAX_BODY:
        message = f"Body is too long (maximum is {MAX_BODY} characters)"
        raise invalid(resource, "unprocessable", field="data", message=message)
    return body


ROUTES: list[Route] = []
Handler = Callable[["Api", Call], Answer]


def route(method: str, template: str, *needs: str) -> Callable[[Handler], Handler]:
    """Register a handler for an operation."""

    def register(handler: Handler) -> Handler:
        ROUTES.append(Route(method, template, needs or ("metadata:read",), handler))
        return handler

    return register


class Api:
    """Answers requests from, and writes to, one state."""

    def __init__(self, state: State, shapes: Shapes) -> None:
        self.state = state
        self.shapes = shapes

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

    # Helpers of the routes.

    def page(self, call: Call, items: list[Any], path: str) -> Answer:
        """Return one page of a list, with a Link header when there are more."""
        chosen, headers = paginate(call.query, items, f"{self.shapes.api}{path}")
        return Answer(200, chosen, headers)

    def repo(self, repository: Repository, token: Token | None = None) -> Json:
        """Return a repository with its default branch, and what the caller may do with it."""
        default = Bare(Path(repository.path)).default_branch()
        shape = self.shapes.repository(repository, default)
        if token:
            write = token.allows("contents", "write") and token.reaches(repository.full_name)
            shape["permissions"] = {
                "admin": False,
                "maintain": False,
                "push": write,
                "triage": write,
                "pull": token.allows("contents", "read"),
            }
        return shape

    def pull(self, repository: Repository, issue: Issue, *, details: bool) -> Json:
        """Return a pull request, as in a list or on its own."""
        pull = pull_of(issue)
        source = self.state.find(pull.head_repository)
        base = self.repo(repository)
        head = base if source is repository else self.repo(source) if source else None
        shape = self.shapes.pull(repository, issue, head, base)
        if not details:
            return shape
        bare = Bare(Path(repository.path))
        fork = bare.merge_base(pull.base_sha, pull.head_sha) or pull.base_sha
        changes = bare.changes(fork, pull.head_sha)
        return shape | self.shapes.pull_details(repository, issue, changes)


def paginate(
    query: Mapping[str, str], items: list[Any], url: str
) -> tuple[list[Any], dict[str, str]]:
    """Return the page that the query asks for, and its Link header."""

    def number(name: str, default: int) -> int:
        try:
            return max(1, int(query.get(name, default)))
        except ValueError:
            return default

    size, page = min(100, number("per_page", 30)), number("page", 1)
    last = max(1, -(-len(items) // size))
    targets: dict[str, int] = {}
    if page > 1:
        targets |= {"prev": min(page - 1, last)}
    if page < last:
        targets |= {"next": page + 1, "last": last}
    if page > 1:
        targets |= {"first": 1}
    links = [
        f'<{url}?{urlencode({**query, "page": number})}>; rel="{name}"'
        for name, number in targets.items()
    ]
    return items[(page - 1) * size : page * size], {"Link": ", ".join(links)} if links else {}


def pull_of(issue: Issue | None) -> Pull:
    """Return the pull request of an issue, or say that there is none."""
    if issue is None or issue.pull is None:
        raise not_found()
    return issue.pull


def issue_of(call: Call, name: str = "issue_number") -> Issue:
    """Return the issue or pull request that the path names."""
    issue = call.repository.issue(call.number(name))
    if issue is None or (name == "pull_number" and issue.pull is None):
        raise not_found()
    return issue


def commit_of(call: Call, name: str) -> str:
    """Return the commit that the path names, by hash, branch or tag."""
    sha = call.bare.resolve(call.params[name].removeprefix("refs/").removeprefix("heads/"))
    if sha is None:
        raise ApiError(422, f"No commit found for SHA: {call.params[name]}")
    return sha


REPO = "/repos/{owner}/{repo}"
PULLS = f"{REPO}/pulls"
PULL = f"{PULLS}/{{pull_number}}"
ISSUE = f"{REPO}/issues/{{issue_number}}"
THREAD_READ = ("issues:read", "pull_requests:read")
THREAD_WRITE = ("issues:write", "pull_requests:write")


def _path(call: Call, tail: str) -> str:
    return f"/repos/{call.repository.full_name}{tail}"


# Accounts and limits.


@route("GET", "/user")
def get_user(api: Api, call: Call) -> Answer:
    """Return who a user's token stands for; an installation token is nobody."""
    if call.token is None:
        raise ApiError(401, "Requires authentication")
    if call.token.is_app:
        raise ApiError(403, "Resource not accessible by integration")
    created = "2020-01-01T00:00:00Z"
    return Answer(200, api.shapes.account(call.token.login, created, private=True))


@route("GET", "/users/{username}")
def get_account(api: Api, call: Call) -> Answer:
    """Return any account: every name has one here."""
    created = "2020-01-01T00:00:00Z"
    return Answer(200, api.shapes.account(call.params["username"], created, private=False))


@route("GET", "/rate_limit")
def rate_limit(api: Api, call: Call) -> Answer:
    """Return limits; the server's own counters are in the headers of every answer."""
    core = {"limit": 5000, "used": 0, "remaining": 5000, "reset": 2_000_000_000}
    search = {"limit": 30, "used": 0, "remaining": 30, "reset": 2_000_000_000}
    return Answer(200, {"resources": {"core": core, "search": search}, "rate": core})


# Repositories and Git data.


@route("GET", REPO)
def get_repository(api: Api, call: Call) -> Answer:
    """Return the repository."""
    return Answer(200, api.repo(call.repository, call.token))


@route("GET", f"{REPO}/branches", "contents:read")
def list_branches(api: Api, call: Call) -> Answer:
    """List the branches."""
    url = api.shapes.repo_url(call.repository)
    branches = [
        {
            "name": name.removeprefix("refs/heads/"),
            "commit": {"sha": sha, "url": f"{url}/commits/{sha}"},
            "protected": False,
        }
        for name, (sha, _) in call.bare.refs("refs/heads/").items()
    ]
    return api.page(call, branches, _path(call, "/branches"))


@route("GET", f"{REPO}/branches/{{branch}}", "contents:read")
def get_branch(api: Api, call: Call) -> Answer:
    """Return one branch."""
    name = call.params["branch"]
    sha = call.bare.branch(name)
    if sha is None:
        raise ApiError(404, "Branch not found")
    url = f"{api.shapes.repo_url(call.repository)}/branches/{name}"
    page = f"{api.shapes.page_url(call.repository)}/tree/{name}"
    commit = api.shapes.commit(call.repository, call.bare.commit(sha))
    return Answer(
        200,
        {
            "name": name,
            "commit": commit,
            "_links": {"self": url, "html": page},
            "protected": False,
            "protection": {"enabled": False},
            "protection_url": f"{url}/protection",
        },
    )


@route("GET", f"{REPO}/git/ref/{{ref}}", "contents:read")
def get_ref(api: Api, call: Call) -> Answer:
    """Return one ref, by its full name less `refs/`."""
    name = f"refs/{call.params['ref']}"
    found = call.bare.refs(name).get(name)
    if found is None:
        raise not_found()
    return Answer(200, api.shapes.ref(call.repository, name, *found))


@route("GET", f"{REPO}/git/matching-refs/{{ref}}", "contents:read")
def match_refs(api: Api, call: Call) -> Answer:
    """List the refs that begin with a prefix."""
    found = call.bare.refs(f"refs/{call.params['ref']}")
    shapes = [api.shapes.ref(call.repository, name, *what) for name, what in found.items()]
    return Answer(200, shapes)


@route("POST", f"{REPO}/git/refs", "contents:write")
def create_ref(api: Api, call: Call) -> Answer:
    """Create a branch or tag."""
    name, sha = call.required("ref", "Reference"), call.required("sha", "Reference")
    if not re.fullmatch(r"refs/(heads|tags)/.+", name):
        raise ApiError(422, "Reference does not exist")
    kind = call.bare.git.completed("cat-file", "-t", "--", sha, check=False).stdout.strip()
    if not re.fullmatch("[0-9a-f]{40}", sha) or not kind:
        raise ApiError(422, "Object does not exist")
    if not call.bare.update_ref(name, sha, NULL):
        raise ApiError(422, "Reference already exists")
    return Answer(201, api.shapes.ref(call.repository, name, sha, kind))


@route("DELETE", f"{REPO}/git/refs/{{ref}}", "contents:write")
def delete_ref(api: Api, call: Call) -> Answer:
    """Delete a branch or tag."""
    name = f"refs/{call.params['ref']}"
    if not re.match("refs/(heads|tags)/", name) or not call.bare.delete_ref(name):
        raise ApiError(422, "Reference does not exist")
    return Answer(204)


@route("GET", f"{REPO}/compare/{{basehead}}", "contents:read")
def compare(api: Api, call: Call) -> Answer:
    """Compare two commits: `base...head`."""
    base_name, dots, head_name = call.params["basehead"].partition("...")
    base, head = call.bare.resolve(base_name), call.bare.resolve(head_name.split(":")[-1])
    if not dots or base is None or head is None:
        raise not_found()
    fork = call.bare.merge_base(base, head)
    if fork is None:
        raise ApiError(404, f"No common ancestor between {base_name} and {head_name}.")
    commits = call.bare.commits(f"{base}..{head}")[::-1]
    behind = call.bare.count(f"{head}..{base}")
    status = {(False, False): "identical", (True, False): "ahead", (False, True): "behind"}
    shapes, repository = api.shapes, call.repository
    url = f"/compare/{base}...{head}"
    page = f"{shapes.page_url(repository)}/compare/{base_name}...{head_name}"
    shown, headers = paginate(
        {"per_page": "100", **call.query},
        [shapes.commit(repository, commit) for commit in commits],
        f"{shapes.repo_url(repository)}{url}",
    )
    body = {
        "url": f"{shapes.repo_url(repository)}{url}",
        "html_url": page,
        "permalink_url": f"{shapes.page_url(repository)}{url}",
        "diff_url": f"{page}.diff",
        "patch_url": f"{page}.patch",
        "base_commit": shapes.commit(repository, call.bare.commit(base)),
        "merge_base_commit": shapes.commit(repository, call.bare.commit(fork)),
        "status": status.get((bool(commits), bool(behind)), "diverged"),
        "ahead_by": len(commits),
        "behind_by": behind,
        "total_commits": len(commits),
        "commits": shown,
        "files": [shapes.change(repository, head, c) for c in call.bare.changes(fork, head)],
    }
    return Answer(200, body, headers)


@route("GET", f"{REPO}/contents/{{path}}", "contents:read")
def get_contents(api: Api, call: Call) -> Answer:
    """Return a file with its content, or list a folder."""
    path = call.params["path"].strip("/")
    sha = call.bare.resolve(call.query.get("ref") or call.bare.default_branch())
    if sha is None:
        raise ApiError(404, f"No commit found for the ref {call.query.get('ref')}")
    entries = call.bare.entries(sha, path)
    shapes = [api.shapes.content(call.repository, sha, entry) for entry in entries]
    if not entries:
        raise not_found()
    if [entry[4] for entry in entries] != [path]:
        return Answer(200, shapes)
    data = call.bare.blob(entries[0][2]) or b""
    content = base64.encodebytes(data).decode()
    return Answer(200, shapes[0] | {"encoding": "base64", "content": content})


# Commits, their comments and statuses.


@route("GET", f"{REPO}/commits/{{commit_sha}}/pulls", "pull_requests:read", "contents:read")
def pulls_of_commit(api: Api, call: Call) -> Answer:
    """List the pull requests that brought a commit in, or (when open) that hold it."""
    sha = commit_of(call, "commit_sha")
    found = []
    for issue in call.repository.issues:
        pull = issue.pull
        if pull is None or (issue.state == "closed" and pull.merged_at is None):
            continue
        inside = call.bare.is_ancestor(sha, pull.head_sha)
        if pull.merge_commit_sha == sha or (
            inside and not call.bare.is_ancestor(sha, pull.base_sha)
        ):
            found.append(api.pull(call.repository, issue, details=False))
    return api.page(call, found, _path(call, f"/commits/{sha}/pulls"))


@route("GET", f"{REPO}/commits/{{commit_sha}}/comments")
def list_comments_of_commit(api: Api, call: Call) -> Answer:
    """List a commit's comments."""
    sha = commit_of(call, "commit_sha")
    shapes = [
        api.shapes.commit_comment(call.repository, comment)
        for comment in call.repository.commit_comments
        if comment.sha == sha
    ]
    return api.page(call, shapes, _path(call, f"/commits/{sha}/comments"))


@route("POST", f"{REPO}/commits/{{commit_sha}}/comments", "contents:read")
def create_commit_comment(api: Api, call: Call) -> Answer:
    """Comment on a commit. On GitHub too, contents:read is enough for that."""
    if call.token is None:
        raise ApiError(401, "Requires authentication")
    sha = commit_of(call, "commit_sha")
    body = call.comment_body("CommitComment")
    comment = Comment(api.state.new_id(), body, call.actor, now(), now(), sha=sha)
    comment.path = call.text("path")
    comment.position, comment.line = call.body.get("position"), call.body.get("line")
    call.repository.commit_comments.append(comment)
    shape = api.shapes.commit_comment(call.repository, comment)
    return Answer(201, shape, {"Location": shape["url"]})


@route("GET", f"{REPO}/comments")
def list_commit_comments(api: Api, call: Call) -> Answer:
    """List the commit comments of the whole repository."""
    shapes = [
        api.shapes.commit_comment(call.repository, comment)
        for comment in call.repository.commit_comments
    ]
    return api.page(call, shapes, _path(call, "/comments"))


def _commit_comment(call: Call) -> Comment:
    wanted = call.number("comment_id")
    found = next((c for c in call.repository.commit_comments if c.id == wanted), None)
    if found is None:
        raise not_found()
    return found


@route("GET", f"{REPO}/comments/{{comment_id}}")
def get_commit_comment(api: Api, call: Call) -> Answer:
    """Return a commit comment."""
    return Answer(200, api.shapes.commit_comment(call.repository, _commit_comment(call)))


@route("PATCH", f"{REPO}/comments/{{comment_id}}", "contents:write")
def update_commit_comment(api: Api, call: Call) -> Answer:
    """Change a commit comment."""
    comment = _commit_comment(call)
    comment.body, comment.updated_at = call.comment_body("CommitComment"), now()
    return Answer(200, api.shapes.commit_comment(call.repository, comment))


@route("DELETE", f"{REPO}/comments/{{comment_id}}", "contents:write")
def delete_commit_comment(api: Api, call: Call) -> Answer:
    """Delete a commit comment."""
    call.repository.commit_comments.remove(_commit_comment(call))
    return Answer(204)


def _statuses(call: Call, sha: str) -> list[Status]:
    return [status for status in call.repository.statuses if status.sha == sha][::-1]


@route("GET", f"{REPO}/commits/{{ref}}/status", "statuses:read")
def combined_status(api: Api, call: Call) -> Answer:
    """Return the newest status of each context, and what they come to together."""
    sha = commit_of(call, "ref")
    newest: dict[str, Status] = {}
    for status in _statuses(call, sha):
        newest.setdefault(status.context, status)
    states = {status.state for status in newest.values()}
    state = "failure" if states & {"failure", "error"} else "pending"
    state = "success" if states == {"success"} else state
    url = f"{api.shapes.repo_url(call.repository)}/commits/{sha}"
    shapes = [
        api.shapes.status(call.repository, status, creator=False) for status in newest.values()
    ]
    chosen, headers = paginate(call.query, shapes, f"{url}/status")
    body = {
        "state": state,
        "statuses": chosen,
        "sha": sha,
        "total_count": len(shapes),
        "repository": api.repo(call.repository),
        "commit_url": url,
        "url": f"{url}/status",
    }
    return Answer(200, body, headers)


@route("GET", f"{REPO}/commits/{{ref}}/statuses", "statuses:read")
def list_statuses(api: Api, call: Call) -> Answer:
    """List every status of a commit, newest first."""
    sha = commit_of(call, "ref")
    shapes = [api.shapes.status(call.repository, status) for status in _statuses(call, sha)]
    return api.page(call, shapes, _path(call, f"/commits/{sha}/statuses"))


@route("POST", f"{REPO}/statuses/{{sha}}", "statuses:write")
def create_status(api: Api, call: Call) -> Answer:
    """Set a commit status."""
    sha = call.bare.object(f"{call.params['sha']}^{{commit}}")
    if sha is None:
        raise ApiError(422, f"No commit found for SHA: {call.params['sha']}")
    state = call.required("state", "Status")
    if state not in ("error", "failure", "pending", "success"):
        raise invalid("Status", "custom", field="state", message="state is not included in list")
    status = Status(
        api.state.new_id(),
        sha,
        state,
        call.text("context") or "default",
        call.text("description"),
        call.text("target_url"),
        call.actor,
        now(),
    )
    if len(status.description or "") > 140:
        message = "description is too long (maximum is 140 characters)"
        raise invalid("Status", "custom", field="description", message=message)
    call.repository.statuses.append(status)
    shape = api.shapes.status(call.repository, status)
    return Answer(201, shape, {"Location": shape["url"]})


@route("GET", f"{REPO}/commits", "contents:read")
def list_commits(api: Api, call: Call) -> Answer:
    """List the commits of a branch, or of a path on it."""
    sha = call.bare.resolve(call.query.get("sha") or call.bare.default_branch())
    if sha is None:
        raise not_found()
    paths = [call.query["path"]] if call.query.get("path") else []
    hashes = call.bare.git.run("--literal-pathspecs", "rev-list", sha, "--", *paths).split()
    answer = api.page(call, hashes, _path(call, "/commits"))
    commits = call.bare.commits("--no-walk=unsorted", *answer.body) if answer.body else []
    answer.body = [api.shapes.commit(call.repository, commit) for commit in commits]
    return answer


@route("GET", f"{REPO}/commits/{{ref}}", "contents:read")
def get_commit(api: Api, call: Call) -> Answer:
    """Return a commit with its files."""
    commit = call.bare.commit(commit_of(call, "ref"))
    shape = api.shapes.commit(call.repository, commit)
    changes = call.bare.changes(commit.parents[0], commit.sha) if commit.parents else []
    added, deleted = (sum(c.additions for c in changes), sum(c.deletions for c in changes))
    shape["stats"] = {"total": added + deleted, "additions": added, "deletions": deleted}
    shape["files"] = [api.shapes.change(call.repository, commit.sha, c) for c in changes]
    return Answer(200, shape)


# Pull requests.


@route("GET", PULLS, "pull_requests:read")
def list_pulls(api: Api, call: Call) -> Answer:
    """List pull requests by state, head (`owner:branch`) and base."""
    state, base, head = (call.query.get(name, "") for name in ("state", "base", "head"))
    owner, _, branch = head.partition(":")
    chosen = []
    for issue in call.repository.issues[::-1]:
        pull = issue.pull
        if pull is None or (state != "all" and issue.state != (state or "open")):
            continue
        if base and pull.base != base:
            continue
        # Without the owner, GitHub ignores `head`.
        from_owner = pull.head_repository.partition("/")[0].lower() == owner.lower()
        if branch and not (from_owner and pull.head == branch):
            continue
        chosen.append(issue)
    if call.query.get("direction", "asc" if call.query.get("sort") else "desc") == "asc":
        chosen.reverse()
    answer = api.page(call, chosen, _path(call, "/pulls"))
    answer.body = [api.pull(call.repository, issue, details=False) for issue in answer.body]
    return answer


@route("POST", PULLS, "pull_requests:write")
def create_pull(api: Api, call: Call) -> Answer:
    """Open a pull request."""
    repository, bare = call.repository, call.bare
    base_name = call.required("base", "PullRequest")
    owner, _, head_name = call.required("head", "PullRequest").rpartition(":")
    title = call.required("title", "PullRequest")
    body = call.text("body")
    source = _head_repository(api, call, owner or repository.owner)
    head = Bare(Path(source.path)).branch(head_name) if source else None
    base = bare.branch(base_name)
    for name, sha in (("head", head), ("base", base)):
        if sha is None:
            raise invalid("PullRequest", "invalid", field=name)
    if source is None or head is None or base is None:
        raise not_found()
    for issue in repository.issues:
        other = issue.pull
        if (
            other
            and issue.state == "open"
            and (other.head, other.base, other.head_repository)
            == (head_name, base_name, source.full_name)
        ):
            message = f"A pull request already exists for {source.owner}:{head_name}."
            raise invalid("PullRequest", "custom", message=message)
    if source is not repository:
        bare.fetch(Path(source.path), head)
    if bare.is_ancestor(head, base):
        message = f"No commits between {base_name} and {head_name}"
        raise invalid("PullRequest", "custom", message=message)
    if body is not None:
        check_length(body, "PullRequest")
    number = max((issue.number for issue in repository.issues), default=0) + 1
    pull = Pull(head_name, base_name, source.full_name, head, base, call.body.get("draft", False))
    pulls.try_merge(bare, number, pull, head, base)
    time = now()
    issue = Issue(number, api.state.new_id(), title, body, call.actor, time, time, pull=pull)
    repository.issues.append(issue)
    shape = api.pull(repository, issue, details=True)
    return Answer(201, shape, {"Location": shape["url"]})


def _head_repository(api: Api, call: Call, owner: str) -> Repository | None:
    """Return the repository of the same network that belongs to `owner`."""
    if owner.lower() == call.repository.owner.lower():
        return call.repository
    for candidate in api.state.repositories.values():
        if candidate.fork_of == call.repository.full_name and candidate.owner == owner:
            return candidate
    return None


@route("GET", PULL, "pull_requests:read")
def get_pull(api: Api, call: Call) -> Answer:
    """Return a pull request."""
    return Answer(200, api.pull(call.repository, issue_of(call, "pull_number"), details=True))


def _set_state(issue: Issue, state: str | None, resource: str) -> None:
    if state not in (None, "open", "closed"):
        raise invalid(resource, "invalid", field="state")
    if state == "closed" and issue.state == "open":
        pulls.close(issue)
    elif state == "open" and issue.state == "closed":
        if issue.pull and issue.pull.merged_at:
            raise invalid(resource, "custom", field="state", message="state cannot be changed.")
        issue.state, issue.closed_at = "open", None


@route("PATCH", PULL, "pull_requests:write")
def update_pull(api: Api, call: Call) -> Answer:
    """Change the title, body, state or base of a pull request."""
    issue = issue_of(call, "pull_number")
    pull = pull_of(issue)
    title, body, base = call.text("title"), call.text("body"), call.text("base")
    if title is not None and not title.strip():
        raise invalid("PullRequest", "missing_field", field="title")
    if body is not None:
        check_length(body, "PullRequest")
    tip = call.bare.branch(base) if base is not None else None
    if base is not None and tip is None:
        raise invalid("PullRequest", "invalid", field="base")
    _set_state(issue, call.text("state"), "PullRequest")
    issue.title = issue.title if title is None else title
    issue.body = issue.body if body is None else body
    if base is not None and tip is not None and base != pull.base:
        pull.base, pull.base_sha = base, tip
        pulls.try_merge(call.bare, issue.number, pull, pull.head_sha, tip)
    issue.updated_at = now()
    return Answer(200, api.pull(call.repository, issue, details=True))


@route("GET", f"{PULL}/merge", "pull_requests:read")
def is_merged(api: Api, call: Call) -> Answer:
    """Answer 204 when it was merged, 404 when not."""
    if pull_of(issue_of(call, "pull_number")).merged_at is None:
        raise not_found()
    return Answer(204)


@route("PUT", f"{PULL}/merge", "contents:write")
def merge_pull(api: Api, call: Call) -> Answer:
    """Merge a pull request, really: the base branch moves."""
    issue = issue_of(call, "pull_number")
    pull = pull_of(issue)
    method, wanted = call.text("merge_method") or "merge", call.text("sha")
    if method not in ("merge", "squash", "rebase"):
        raise ApiError(422, "Invalid request.\n\nmerge_method is none of merge, squash, rebase.")
    if issue.state == "closed" or pull.merge_commit_sha is None:
        raise ApiError(405, "Pull Request is not mergeable")
    if pull.draft:
        raise ApiError(405, "Pull Request is still a draft")
    if wanted is not None and wanted != pull.head_sha:
        raise ApiError(409, "Head branch was modified. Review and try the merge again.")
    title, message = call.text("commit_title"), call.text("commit_message")
    try:
        sha = pulls.merge(call.bare, issue, call.actor, method, title=title, message=message)
    except LookupError as error:
        conflict = "Base branch was modified. Review and try the merge again."
        raise ApiError(405, conflict) from error
    if sha is None:
        raise ApiError(405, "Pull Request is not mergeable")
    done = {"sha": sha, "merged": True, "message": "Pull Request successfully merged"}
    return Answer(200, done)


@route("GET", f"{PULL}/commits", "pull_requests:read")
def list_pull_commits(api: Api, call: Call) -> Answer:
    """List the commits of a pull request, oldest first."""
    issue = issue_of(call, "pull_number")
    pull = pull_of(issue)
    commits = call.bare.commits(f"{pull.base_sha}..{pull.head_sha}")[::-1]
    shapes = [api.shapes.commit(call.repository, commit) for commit in commits]
    return api.page(call, shapes, _path(call, f"/pulls/{issue.number}/commits"))


@route("GET", f"{PULL}/files", "pull_requests:read")
def list_pull_files(api: Api, call: Call) -> Answer:
    """List the files of a pull request."""
    issue = issue_of(call, "pull_number")
    pull = pull_of(issue)
    fork = call.bare.merge_base(pull.base_sha, pull.head_sha) or pull.base_sha
    changes = call.bare.changes(fork, pull.head_sha)
    shapes = [api.shapes.change(call.repository, pull.head_sha, change) for change in changes]
    return api.page(call, shapes, _path(call, f"/pulls/{issue.number}/files"))


@route("GET", f"{PULL}/reviews", "pull_requests:read")
def list_reviews(api: Api, call: Call) -> Answer:
    """List the reviews of a pull request."""
    issue = issue_of(call, "pull_number")
    shapes = [
        api.shapes.review(call.repository, review)
        for review in call.repository.reviews
        if review.number == issue.number
    ]
    return api.page(call, shapes, _path(call, f"/pulls/{issue.number}/reviews"))


@route("POST", f"{PULL}/reviews", "pull_requests:write")
def create_review(api: Api, call: Call) -> Answer:
    """Review a pull request; nobody approves their own."""
    issue = issue_of(call, "pull_number")
    event = call.text("event") or "PENDING"
    states = {
        "APPROVE": "APPROVED",
        "REQUEST_CHANGES": "CHANGES_REQUESTED",
        "COMMENT": "COMMENTED",
        "PENDING": "PENDING",
    }
    if event not in states:
        raise ApiError(422, f"Invalid request.\n\nNo such event: {event}")
    if event == "APPROVE" and issue.author == call.actor:
        raise ApiError(422, "Unprocessable Entity: Can not approve your own pull request")
    body = check_length(call.text("body") or "", "PullRequestReview")
    sha = call.text("commit_id") or pull_of(issue).head_sha
    review = Review(api.state.new_id(), issue.number, call.actor, body, states[event], sha, now())
    call.repository.reviews.append(review)
    return Answer(200, api.shapes.review(call.repository, review))


# Issues, their comments and labels. A pull request is an issue too.


@route("GET", f"{REPO}/issues", *THREAD_READ)
def list_issues(api: Api, call: Call) -> Answer:
    """List issues and pull requests by state and labels, newest first."""
    state = call.query.get("state", "open")
    labels = set(filter(None, call.query.get("labels", "").split(",")))
    shapes = [
        api.shapes.issue(call.repository, issue)
        for issue in call.repository.issues[::-1]
        if state in ("all", issue.state) and labels <= set(issue.labels)
    ]
    return api.page(call, shapes, _path(call, "/issues"))


@route("POST", f"{REPO}/issues", "issues:write")
def create_issue(api: Api, call: Call) -> Answer:
    """Open an issue."""
    title = call.required("title", "Issue")
    body = call.text("body")
    number = max((issue.number for issue in call.repository.issues), default=0) + 1
    time = now()
    if body is not None:
        check_length(body, "Issue")
    issue = Issue(number, api.state.new_id(), title, body, call.actor, time, time)
    issue.labels = _label_names(call.body.get("labels", []))
    call.repository.issues.append(issue)
    shape = api.shapes.issue(call.repository, issue)
    return Answer(201, shape, {"Location": shape["url"]})


@route("GET", f"{REPO}/issues/comments/{{comment_id}}", *THREAD_READ)
def get_comment(api: Api, call: Call) -> Answer:
    """Return a comment."""
    return Answer(200, api.shapes.comment(call.repository, _comment(call)))


@route("PATCH", f"{REPO}/issues/comments/{{comment_id}}", *THREAD_WRITE)
def update_comment(api: Api, call: Call) -> Answer:
    """Change a comment."""
    comment = _comment(call)
    comment.body, comment.updated_at = call.comment_body("IssueComment"), now()
    return Answer(200, api.shapes.comment(call.repository, comment))


@route("DELETE", f"{REPO}/issues/comments/{{comment_id}}", *THREAD_WRITE)
def delete_comment(api: Api, call: Call) -> Answer:
    """Delete a comment."""
    call.repository.comments.remove(_comment(call))
    return Answer(204)


def _comment(call: Call) -> Comment:
    wanted = call.number("comment_id")
    found = next((c for c in call.repository.comments if c.id == wanted), None)
    if found is None:
        raise not_found()
    return found


@route("GET", ISSUE, *THREAD_READ)
def get_issue(api: Api, call: Call) -> Answer:
    """Return an issue or pull request as an issue."""
    return Answer(200, api.shapes.issue(call.repository, issue_of(call)))


@route("PATCH", ISSUE, *THREAD_WRITE)
def update_issue(api: Api, call: Call) -> Answer:
    """Change the title, body, state or labels of an issue."""
    issue = issue_of(call)
    title, body = call.text("title"), call.text("body")
    if body is not None:
        check_length(body, "Issue")
    _set_state(issue, call.text("state"), "Issue")
    issue.title = title or issue.title
    issue.body = issue.body if body is None else body
    if "labels" in call.body:
        issue.labels = _label_names(call.body["labels"])
    issue.updated_at = now()
    return Answer(200, api.shapes.issue(call.repository, issue))


@route("GET", f"{ISSUE}/comments", *THREAD_READ)
def list_comments(api: Api, call: Call) -> Answer:
    """List the comments of an issue or pull request, oldest first."""
    issue = issue_of(call)
    since = call.query.get("since", "")
    shapes = [
        api.shapes.comment(call.repository, comment)
        for comment in call.repository.comments
        if comment.number == issue.number and comment.updated_at >= since
    ]
    return api.page(call, shapes, _path(call, f"/issues/{issue.number}/comments"))


@route("POST", f"{ISSUE}/comments", *THREAD_WRITE)
def create_comment(api: Api, call: Call) -> Answer:
    """Comment on an issue or pull request."""
    issue = issue_of(call)
    body = call.comment_body("IssueComment")
    comment = Comment(api.state.new_id(), body, call.actor, now(), now(), number=issue.number)
    call.repository.comments.append(comment)
    shape = api.shapes.comment(call.repository, comment)
    return Answer(201, shape, {"Location": shape["url"]})


def _label_names(labels: Any) -> list[str]:
    names = [label.get("name") if isinstance(label, dict) else label for label in labels or []]
    return [name for name in dict.fromkeys(names) if isinstance(name, str)]


def _labels(api: Api, call: Call, issue: Issue) -> Answer:
    shapes = [api.shapes.label(call.repository, name) for name in issue.labels]
    return api.page(call, shapes, _path(call, f"/issues/{issue.number}/labels"))


@route("GET", f"{ISSUE}/labels", *THREAD_READ)
def list_labels(api: Api, call: Call) -> Answer:
    """List the labels of an issue or pull request."""
    return _labels(api, call, issue_of(call))


@route("POST", f"{ISSUE}/labels", *THREAD_WRITE)
def add_labels(api: Api, call: Call) -> Answer:
    """Add labels; a label that the repository lacks is made."""
    issue = issue_of(call)
    given = call.body.get("labels") if isinstance(call.body, dict) else call.body
    issue.labels = _label_names([*issue.labels, *(given or [])])
    return _labels(api, call, issue)


@route("DELETE", f"{ISSUE}/labels/{{name}}", *THREAD_WRITE)
def remove_label(api: Api, call: Call) -> Answer:
    """Take a label off."""
    issue = issue_of(call)
    if call.params["name"] not in issue.labels:
        raise ApiError(404, "Label does not exist")
    issue.labels.remove(call.params["name"])
    return _labels(api, call, issue)


# Artifacts of workflow runs.


@route("GET", f"{REPO}/actions/runs/{{run_id}}/artifacts", "actions:read")
def list_artifacts(api: Api, call: Call) -> Answer:
    """List the artifacts of a workflow run, by name if so wished."""
    run = next((one for one in call.repository.runs if one.id == call.number("run_id")), None)
    if run is None:
        raise not_found()
    wanted = call.query.get("name")
    shapes = [
        api.shapes.artifact(call.repository, run, name)
        for name in run.artifacts
        if wanted in (None, name)
    ]
    answer = api.page(call, shapes, _path(call, f"/actions/runs/{run.id}/artifacts"))
    answer.body = {"total_count": len(shapes), "artifacts": answer.body}
    return answer


@route("GET", f"{REPO}/actions/artifacts/{{artifact_id}}/{{archive_format}}", "actions:read")
def download_artifact(api: Api, call: Call) -> Answer:
    """Send on to where the archive is; that address needs no token, and must not get one."""
    wanted = call.number("artifact_id")
    if call.params["archive_format"] != "zip" or not any(
        wanted in run.artifact_ids.values() for run in call.repository.runs
    ):
        raise not_found()
    return Answer(302, None, {"Location": f"{api.shapes.web}/_forge/artifact/{wanted}.zip"})
