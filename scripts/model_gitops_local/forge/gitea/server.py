"""Gitea's REST API over the forge's state: each operation asks GitHub's of the forge, and reshapes it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from model_gitops_local.forge.api.answers import Answer
from model_gitops_local.forge.gitea import actions as _actions  # noqa: F401  its routes
from model_gitops_local.forge.gitea import description, shapes
from model_gitops_local.forge.gitea import issues as _issues  # noqa: F401  its routes
from model_gitops_local.forge.gitea import statuses as _statuses  # noqa: F401  its routes
from model_gitops_local.forge.gitea.routing import ROUTES, WIDE, Call, Memory, Refused, route
from model_gitops_local.forge.shapes import Json
from model_gitops_local.forge.state import ALL_WRITE, OWNER, Token

# What the reviews of GitHub call otherwise.
_EVENTS = {"APPROVED": "APPROVE", "REQUEST_CHANGES": "REQUEST_CHANGES", "COMMENT": "COMMENT"}


@route("GET", "//version")
def _version(call: Call) -> Answer:
    return Answer(200, {"version": f"{description.VERSION}.0"})


@route("GET", "//user")
def _user(call: Call) -> Answer:
    if call.token is None:
        raise Refused(401, "token is required")
    if not call.token.allows("user", "read"):
        scopes = "required=[read:user], token scope=write:issue,write:repository"
        raise Refused(403, f"token does not have at least one of required scope(s), {scopes}")
    return Answer(200, shapes.user(call.token.login, call.forge.url))


@route("GET", "")
def _repository(call: Call) -> Answer:
    return Answer(200, shapes.whole_repository(call.ask("GET", ""), call.forge.url))


@route("PATCH", "")
def _edit_repository(call: Call) -> Answer:
    merge = call.administered().guard.merge
    merge |= {name: one for name, one in call.body.items() if name in shapes.MERGE}
    return Answer(200, shapes.whole_repository(call.ask("GET", ""), call.forge.url))


@route("GET", "/branches")
def _branches(call: Call) -> Answer:
    rules = call.repository.guard.branches
    found = call.ask("GET", "/branches", per_page="100")
    return call.page([shapes.branch(one, rules.get(one["name"])) for one in found])


@route("GET", "/contents/{path}")
def _contents(call: Call) -> Answer:
    found = call.ask("GET", f"/contents/{call.path['path']}", **call.query)
    if isinstance(found, list):
        return Answer(200, [shapes.content(one) for one in found])
    return Answer(200, shapes.content(found))


@route("GET", "/branch_protections")
def _protections(call: Call) -> Answer:
    # All at once.
    return Answer(200, list(call.administered().guard.branches.values()))


@route("POST", "/branch_protections")
def _protect(call: Call) -> Answer:
    rules = call.administered().guard.branches
    name = call.body["rule_name"]
    if name in rules:
        raise Refused(403, "Branch protection already exist")
    rules[name] = shapes.branch_protection(name, call.body)
    return Answer(201, rules[name])


@route("PATCH", "/branch_protections/{name}")
def _edit_protection(call: Call) -> Answer:
    rules = call.administered().guard.branches
    name = call.path["name"]
    if name not in rules:
        raise Refused(404, "not found")
    rules[name] = shapes.branch_protection(name, {**rules[name], **call.body})
    return Answer(200, rules[name])


@route("GET", "/pulls")
def _pulls(call: Call) -> Answer:
    # `head` and `base` are GitHub's filters.
    found = call.ask("GET", "/pulls", state=call.query.get("state", "open"), per_page="100")
    base = call.query.get("base_branch", "")
    found = [one for one in found if base in ("", one["base"]["ref"])]
    order = {"oldest": ("number", False), "recentupdate": ("updated_at", True)}
    key, newest = order.get(call.query.get("sort", ""), ("number", True))
    found.sort(key=lambda one: one[key], reverse=newest)
    return call.page([call.pull(one) for one in found])


@route("POST", "/pulls")
def _open(call: Call) -> Answer:
    try:
        return Answer(201, call.pull(call.ask("POST", "/pulls", call.body)))
    except Refused as refused:
        if "already exists" in str(refused.said):
            raise Refused(409, "pull request already exists for these targets") from refused
        raise


@route("GET", "/pulls/{index}")
def _pull(call: Call) -> Answer:
    return Answer(200, call.pull(call.ask("GET", f"/pulls/{call.path['index']}")))


@route("PATCH", "/pulls/{index}")
def _edit(call: Call) -> Answer:
    return Answer(201, call.pull(call.ask("PATCH", f"/pulls/{call.path['index']}", call.body)))


@route("POST", "/pulls/{index}/merge")
def _merge(call: Call) -> Answer:
    body = {"merge_method": call.body["Do"]}
    call.ask("PUT", f"/pulls/{call.path['index']}/merge", body)
    return Answer(200)


@route("GET", "/pulls/{index}/commits")
def _commits(call: Call) -> Answer:
    found = call.ask("GET", f"/pulls/{call.path['index']}/commits", per_page="100")
    return call.page([shapes.commit(one) for one in found])


@route("GET", "/pulls/{index}/files")
def _files(call: Call) -> Answer:
    found = call.ask("GET", f"/pulls/{call.path['index']}/files", per_page="100")
    return call.page([shapes.changed_file(one) for one in found])


@route("GET", "/pulls/{index}/reviews")
def _reviews(call: Call) -> Answer:
    found = call.ask("GET", f"/pulls/{call.path['index']}/reviews", per_page="100")
    return call.page([_review(call, one) for one in found])


@route("POST", "/pulls/{index}/reviews")
def _new_review(call: Call) -> Answer:
    # What it does not know is a draft.
    event = _EVENTS.get(call.body.get("event", ""), "PENDING")
    body = {**call.body, "event": event}
    return Answer(
        200, _review(call, call.ask("POST", f"/pulls/{call.path['index']}/reviews", body))
    )


@route("POST", "/pulls/{index}/reviews/{id}/dismissals")
def _dismiss(call: Call) -> Answer:
    number = int(call.path["id"])
    found = call.ask("GET", f"/pulls/{call.path['index']}/reviews", per_page="100")
    review = next((one for one in found if one["id"] == number), None)
    if review is None:
        raise Refused(404, "review not found")
    call.forge.dismissed.add(number)
    return Answer(200, _review(call, review))


def _review(call: Call, github: Json) -> Json:
    dismissed = github["id"] in call.forge.dismissed
    official = github["user"]["login"] not in call.forge.readers
    return shapes.review(github, call.forge.url, dismissed=dismissed, official=official)


@route("GET", "/commits/{sha}/pull")
def _merged_by(call: Call) -> Answer:
    # Only the pull request whose merge made the commit.
    for one in call.ask("GET", "/pulls", state="closed", per_page="100"):
        if one["merged_at"] and one["merge_commit_sha"] == call.path["sha"]:
            return Answer(200, call.pull(one))
    raise Refused(404, "pull request does not exist [id: 0, issue_id: 0]")


@route("GET", "/compare/{basehead}")
def _compare(call: Call) -> Answer:
    try:
        found = call.ask("GET", f"/compare/{call.path['basehead']}", per_page="100")
    except Refused as refused:
        raise Refused(404, "not found") from refused
    commits = [shapes.commit(one) for one in found["commits"]]
    return Answer(200, {"total_commits": found["total_commits"], "commits": commits})


@route("GET", "/actions/runs/{run}/artifacts")
def _artifacts(call: Call) -> Answer:
    wanted = {"name": call.query["name"]} if "name" in call.query else {}
    found = call.ask("GET", f"/actions/runs/{call.path['run']}/artifacts", **wanted)
    shown = [shapes.artifact(one) for one in found["artifacts"]]
    return Answer(200, {"total_count": found["total_count"], "artifacts": shown})


@route("GET", "/actions/artifacts/{artifact_id}/zip")
def _artifact(call: Call) -> Answer:
    number = call.path["artifact_id"]
    if call.forge.artifact(int(number)) is None:
        raise Refused(404, "not found")
    return Answer(302, None, {"Location": f"{call.forge.url}/_forge/artifact/{number}.zip"})


class GiteaForge(Memory):
    """A stand-in for Gitea on loopback, below a path if so wished. See `Forge`."""

    api_prefix = "/api/v1"

    def __init__(self, root: Path, *, port: int = 0, base: str = "") -> None:
        super().__init__(root, port=port)
        self.base = base

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
            for known, template, handler in ROUTES:
                pattern = re.sub(
                    r"\\{(\w+)\\}",
                    lambda one: f"(?P<{one[1]}>{'.+' if one[1] in WIDE else '[^/]+'})",
                    re.escape(template),
                )
                found = re.fullmatch(pattern, path)
                if known != method or not found:
                    continue
                data = json.loads(body) if body.strip() else {}
                try:
                    answer = handler(Call(self, found.groupdict(), query, data, token))
                except Refused as refused:
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
            call = Call(
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
