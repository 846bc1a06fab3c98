"""Gitea's REST API over the forge's state: each operation asks GitHub's of the forge, and reshapes it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from model_gitops_local.forge.api.answers import Answer, paginate
from model_gitops_local.forge.bare import Bare
from model_gitops_local.forge.gitea import description, shapes
from model_gitops_local.forge.server import Forge
from model_gitops_local.forge.shapes import Json
from model_gitops_local.forge.state import ALL_WRITE, OWNER, Repository, Token

_LARGEST_PAGE = 50
# Parts of a path that may hold slashes.
_WIDE = {"name", "path"}
# What the reviews of GitHub call otherwise.
_EVENTS = {"APPROVED": "APPROVE", "REQUEST_CHANGES": "REQUEST_CHANGES", "COMMENT": "COMMENT"}


class _Refused(Exception):
    """An answer of 4xx or 5xx."""

    def __init__(self, status: int, said: Any) -> None:
        super().__init__(said)
        self.status, self.said = status, said


class _Call:
    """One request: what its path names, and the way to the forge's own API."""

    def __init__(
        self, forge: GiteaForge, path: Mapping[str, str], query: Mapping[str, str], body: Any,
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
            raise _Refused(answer.status, answer.body)
        return answer.body

    @property
    def repository(self) -> Repository:
        found = self.forge.state.find(self.name)
        if found is None:
            raise _Refused(404, "not found")
        return found

    def administered(self) -> Repository:
        """Return the repository to one who may change its settings."""
        if self.token is None or not self.token.allows("administration", "write"):
            said = "user should be an owner or a collaborator with admin write of a repository"
            raise _Refused(403, said)
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


Handler = Callable[[_Call], Answer]
_ROUTES: list[tuple[str, str, Handler]] = []


def _route(method: str, path: str) -> Callable[[Handler], Handler]:
    template = f"/repos/{{owner}}/{{repo}}{path}" if not path.startswith("//") else path[1:]

    def register(handler: Handler) -> Handler:
        _ROUTES.append((method, template, handler))
        return handler

    return register


@_route("GET", "//version")
def _version(call: _Call) -> Answer:
    return Answer(200, {"version": f"{description.VERSION}.0"})


@_route("GET", "//user")
def _user(call: _Call) -> Answer:
    if call.token is None:
        raise _Refused(401, "token is required")
    if not call.token.allows("user", "read"):
        scopes = "required=[read:user], token scope=write:issue,write:repository"
        raise _Refused(403, f"token does not have at least one of required scope(s), {scopes}")
    return Answer(200, shapes.user(call.token.login, call.forge.url))


@_route("GET", "")
def _repository(call: _Call) -> Answer:
    return Answer(200, shapes.whole_repository(call.ask("GET", ""), call.forge.url))


@_route("PATCH", "")
def _edit_repository(call: _Call) -> Answer:
    merge = call.administered().guard.merge
    merge |= {name: one for name, one in call.body.items() if name in shapes.MERGE}
    return Answer(200, shapes.whole_repository(call.ask("GET", ""), call.forge.url))


@_route("GET", "/branches")
def _branches(call: _Call) -> Answer:
    rules = call.repository.guard.branches
    found = call.ask("GET", "/branches", per_page="100")
    return call.page([shapes.branch(one, rules.get(one["name"])) for one in found])


@_route("GET", "/contents/{path}")
def _contents(call: _Call) -> Answer:
    found = call.ask("GET", f"/contents/{call.path['path']}", **call.query)
    if isinstance(found, list):
        return Answer(200, [shapes.content(one) for one in found])
    return Answer(200, shapes.content(found))


@_route("GET", "/branch_protections")
def _protections(call: _Call) -> Answer:
    # All at once.
    return Answer(200, list(call.administered().guard.branches.values()))


@_route("POST", "/branch_protections")
def _protect(call: _Call) -> Answer:
    rules = call.administered().guard.branches
    name = call.body["rule_name"]
    if name in rules:
        raise _Refused(403, "Branch protection already exist")
    rules[name] = shapes.branch_protection(name, call.body)
    return Answer(201, rules[name])


@_route("PATCH", "/branch_protections/{name}")
def _edit_protection(call: _Call) -> Answer:
    rules = call.administered().guard.branches
    name = call.path["name"]
    if name not in rules:
        raise _Refused(404, "not found")
    rules[name] = shapes.branch_protection(name, {**rules[name], **call.body})
    return Answer(200, rules[name])


@_route("GET", "/pulls")
def _pulls(call: _Call) -> Answer:
    # `head` and `base` are GitHub's filters.
    found = call.ask("GET", "/pulls", state=call.query.get("state", "open"), per_page="100")
    base = call.query.get("base_branch", "")
    found = [one for one in found if base in ("", one["base"]["ref"])]
    order = {"oldest": ("number", False), "recentupdate": ("updated_at", True)}
    key, newest = order.get(call.query.get("sort", ""), ("number", True))
    found.sort(key=lambda one: one[key], reverse=newest)
    return call.page([call.pull(one) for one in found])


@_route("POST", "/pulls")
def _open(call: _Call) -> Answer:
    try:
        return Answer(201, call.pull(call.ask("POST", "/pulls", call.body)))
    except _Refused as refused:
        if "already exists" in str(refused.said):
            raise _Refused(409, "pull request already exists for these targets") from refused
        raise


@_route("GET", "/pulls/{index}")
def _pull(call: _Call) -> Answer:
    return Answer(200, call.pull(call.ask("GET", f"/pulls/{call.path['index']}")))


@_route("PATCH", "/pulls/{index}")
def _edit(call: _Call) -> Answer:
    return Answer(201, call.pull(call.ask("PATCH", f"/pulls/{call.path['index']}", call.body)))


@_route("POST", "/pulls/{index}/merge")
def _merge(call: _Call) -> Answer:
    body = {"merge_method": call.body["Do"]}
    call.ask("PUT", f"/pulls/{call.path['index']}/merge", body)
    return Answer(200)


@_route("GET", "/pulls/{index}/commits")
def _commits(call: _Call) -> Answer:
    found = call.ask("GET", f"/pulls/{call.path['index']}/commits", per_page="100")
    return call.page([shapes.commit(one) for one in found])


@_route("GET", "/pulls/{index}/files")
def _files(call: _Call) -> Answer:
    found = call.ask("GET", f"/pulls/{call.path['index']}/files", per_page="100")
    return call.page([shapes.changed_file(one) for one in found])


@_route("GET", "/pulls/{index}/reviews")
def _reviews(call: _Call) -> Answer:
    found = call.ask("GET", f"/pulls/{call.path['index']}/reviews", per_page="100")
    return call.page([_review(call, one) for one in found])


@_route("POST", "/pulls/{index}/reviews")
def _new_review(call: _Call) -> Answer:
    # What it does not know is a draft.
    event = _EVENTS.get(call.body.get("event", ""), "PENDING")
    body = {**call.body, "event": event}
    return Answer(
        200, _review(call, call.ask("POST", f"/pulls/{call.path['index']}/reviews", body))
    )


@_route("POST", "/pulls/{index}/reviews/{id}/dismissals")
def _dismiss(call: _Call) -> Answer:
    number = int(call.path["id"])
    found = call.ask("GET", f"/pulls/{call.path['index']}/reviews", per_page="100")
    review = next((one for one in found if one["id"] == number), None)
    if review is None:
        raise _Refused(404, "review not found")
    call.forge.dismissed.add(number)
    return Answer(200, _review(call, review))


def _review(call: _Call, github: Json) -> Json:
    dismissed = github["id"] in call.forge.dismissed
    official = github["user"]["login"] not in call.forge.readers
    return shapes.review(github, call.forge.url, dismissed=dismissed, official=official)


@_route("GET", "/commits/{sha}/pull")
def _merged_by(call: _Call) -> Answer:
    # Only the pull request whose merge made the commit.
    for one in call.ask("GET", "/pulls", state="closed", per_page="100"):
        if one["merged_at"] and one["merge_commit_sha"] == call.path["sha"]:
            return Answer(200, call.pull(one))
    raise _Refused(404, "pull request does not exist [id: 0, issue_id: 0]")


@_route("GET", "/compare/{basehead}")
def _compare(call: _Call) -> Answer:
    try:
        found = call.ask("GET", f"/compare/{call.path['basehead']}", per_page="100")
    except _Refused as refused:
        raise _Refused(404, "not found") from refused
    commits = [shapes.commit(one) for one in found["commits"]]
    return Answer(200, {"total_commits": found["total_commits"], "commits": commits})


@_route("GET", "/issues/{index}")
def _issue(call: _Call) -> Answer:
    found = call.ask("GET", f"/issues/{call.path['index']}")
    return Answer(200, shapes.issue(found, call.forge.url, call.forge.api_url, call.name))


def _comment(call: _Call, github: Json) -> Json:
    number = int(github["issue_url"].rpartition("/")[2])
    return shapes.comment(github, call.forge.url, call.name, number)


@_route("GET", "/issues/{index}/comments")
def _list_comments(call: _Call) -> Answer:
    path = f"/issues/{call.path['index']}"
    try:
        call.ask("GET", path)
    except _Refused as refused:
        raise _Refused(500, "issue does not exist [id: 0]") from refused
    # All at once.
    found: list[Json] = []
    while page := call.ask(
        "GET", f"{path}/comments", page=str(len(found) // 100 + 1), per_page="100"
    ):
        found += page
        if len(page) < 100:
            break
    return Answer(200, [_comment(call, one) for one in found])


@_route("POST", "/issues/{index}/comments")
def _new_comment(call: _Call) -> Answer:
    made = call.ask("POST", f"/issues/{call.path['index']}/comments", call.body)
    return Answer(201, _comment(call, made))


@_route("PATCH", "/issues/comments/{id}")
def _edit_comment(call: _Call) -> Answer:
    # Whoever may write may edit anybody's.
    changed = call.ask("PATCH", f"/issues/comments/{call.path['id']}", call.body)
    return Answer(200, _comment(call, changed))


@_route("DELETE", "/issues/comments/{id}")
def _delete_comment(call: _Call) -> Answer:
    call.ask("DELETE", f"/issues/comments/{call.path['id']}")
    return Answer(204)


@_route("POST", "/issues/comments/{id}/reactions")
def _react(call: _Call) -> Answer:
    call.ask("GET", f"/issues/comments/{call.path['id']}")
    if call.token is None or not call.token.allows("issues", "write"):
        raise _Refused(403, "token does not have at least one of required scope(s)")
    reaction = (int(call.path["id"]), call.token.login, call.body["content"])
    status = 200 if reaction in call.forge.reactions else 201
    call.forge.reactions.add(reaction)
    who = shapes.user(call.token.login, call.forge.url)
    shown = {"user": who, "content": call.body["content"], "created_at": "2026-01-01T00:00:00Z"}
    return Answer(status, shown)


@_route("DELETE", "/issues/comments/{id}/reactions")
def _take_back(call: _Call) -> Answer:
    login = call.token.login if call.token else ""
    call.forge.reactions.discard((int(call.path["id"]), login, call.body["content"]))
    return Answer(204)


@_route("GET", "/actions/runs/{run}/artifacts")
def _artifacts(call: _Call) -> Answer:
    wanted = {"name": call.query["name"]} if "name" in call.query else {}
    found = call.ask("GET", f"/actions/runs/{call.path['run']}/artifacts", **wanted)
    shown = [shapes.artifact(one) for one in found["artifacts"]]
    return Answer(200, {"total_count": found["total_count"], "artifacts": shown})


@_route("GET", "/actions/artifacts/{artifact_id}/zip")
def _artifact(call: _Call) -> Answer:
    number = call.path["artifact_id"]
    if call.forge.artifact(int(number)) is None:
        raise _Refused(404, "not found")
    return Answer(302, None, {"Location": f"{call.forge.url}/_forge/artifact/{number}.zip"})


class GiteaForge(Forge):
    """A stand-in for Gitea on loopback, below a path if so wished. See `Forge`."""

    api_prefix = "/api/v1"

    def __init__(self, root: Path, *, port: int = 0, base: str = "") -> None:
        super().__init__(root, port=port)
        self.base = base
        self.dismissed: set[int] = set()
        # Who may read and comment only: they review too, but not officially.
        self.readers: set[str] = set()
        self.reactions: set[tuple[int, str, str]] = set()

    def add_token(
        self,
        secret: str,
        login: str,
        permissions: Mapping[str, str] | None = None,
        repositories: list[str] | None = None,
    ) -> Token:
        """Let `secret` stand for `login`; `user: read` is to ask who that is."""
        if permissions is None:
            own = {} if login.endswith("-actions") else OWNER
            permissions = {**ALL_WRITE, **own, "user": "read"}
        return super().add_token(secret, login, permissions, repositories)

    def call_api(
        self, method: str, path: str, query: Mapping[str, str], body: bytes, token: Token | None
    ) -> Answer:
        """Answer a request of the REST API, held to its description."""
        with self.lock:
            for known, template, handler in _ROUTES:
                pattern = re.sub(
                    r"\\{(\w+)\\}",
                    lambda one: f"(?P<{one[1]}>{'.+' if one[1] in _WIDE else '[^/]+'})",
                    re.escape(template),
                )
                found = re.fullmatch(pattern, path)
                if known != method or not found:
                    continue
                data = json.loads(body) if body.strip() else {}
                try:
                    answer = handler(_Call(self, found.groupdict(), query, data, token))
                except _Refused as refused:
                    said = shapes.refusal(refused.said, self.api_url)
                    answer = Answer(refused.status, said)
                wrong = description.check(method, template, answer.status, answer.body)
                self.violations += [f"{method} {path}: {one}" for one in wrong]
                return answer
            return Answer(404, "404 page not found\n")

    def event(self, kind: str, full_name: str, number: int = 0, **rest: str) -> Json:
        """Return a webhook payload as Gitea's runner has it."""
        event = super().event(kind, full_name, number, **rest)
        if kind == "pull_request":
            token = Token("gitea-actions")
            call = _Call(
                self, dict(zip(("owner", "repo"), full_name.split("/"), strict=True)), {}, {}, token
            )
            event["pull_request"] = call.pull(event["pull_request"])
        if kind == "workflow_run":
            repository = self.state.find(full_name)
            run = event["workflow_run"]
            pull = next(
                issue.number
                for issue in (repository.issues if repository else ())
                if issue.pull
                and issue.pull.head == run["head_branch"]
                and issue.pull.head_repository == run["head_repository"]["full_name"]
            )
            event["workflow_run"] = shapes.workflow_run(run, self.url, pull)
        return event


@contextmanager
def strict_gitea(root: Path, *, base: str = "") -> Iterator[GiteaForge]:
    """Run a stand-in that is held to Gitea's description; AssertionError at the end if it broke it."""
    with GiteaForge(root, base=base) as forge:
        yield forge
    if forge.violations:
        raise AssertionError("\n".join(forge.violations))
