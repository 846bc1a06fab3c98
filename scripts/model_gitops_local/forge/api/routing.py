"""What a resource of the API is made of: its routes, the call that a route gets, and the context."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_gitops_local.forge.api.answers import (
    Answer,
    ApiError,
    check_length,
    invalid,
    not_found,
    paginate,
)
from model_gitops_local.forge.bare import Bare
from model_gitops_local.forge.shapes import Json, Shapes
from model_gitops_local.forge.state import Issue, Pull, Repository, State, Token

# Templates of paths, and the permissions on what is an issue and a pull request at once.
REPO = "/repos/{owner}/{repo}"
PULLS = f"{REPO}/pulls"
PULL = f"{PULLS}/{{pull_number}}"
ISSUE = f"{REPO}/issues/{{issue_number}}"
THREAD_READ = ("issues:read", "pull_requests:read")
THREAD_WRITE = ("issues:write", "pull_requests:write")
# Path parameters that may hold slashes.
_WIDE = {"ref", "path", "basehead", "branch"}


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


class Context:
    """What every route answers from: one state, and the shapes of its JSON."""

    def __init__(self, state: State, shapes: Shapes) -> None:
        self.state = state
        self.shapes = shapes

    def page(self, call: Call, items: list[Any], path: str) -> Answer:
        """Return one page of a list at `path` of the repository, with a Link header for more."""
        url = f"{self.shapes.repo_url(call.repository)}{path}"
        chosen, headers = paginate(call.query, items, url)
        return Answer(200, chosen, headers)

    def repo(self, repository: Repository, token: Token | None = None) -> Json:
        """Return a repository with its default branch, and what the caller may do with it."""
        default = Bare(Path(repository.path)).default_branch()
        shape = self.shapes.repository(repository, default)
        if token:
            write = token.allows("contents", "write") and token.reaches(repository.full_name)
            if token.allows("administration", "read") and token.reaches(repository.full_name):
                # Shown to those alone who may see the settings.
                shape |= repository.guard.merge
            shape["permissions"] = {
                "admin": token.allows("administration", "write"),
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


Handler = Callable[[Context, Call], Answer]


@dataclass(frozen=True)
class Route:
    """An operation of the API and what it needs: any one of `needs`, as `issues:write`."""

    method: str
    template: str
    needs: tuple[str, ...]
    handler: Handler

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


class Routes(list[Route]):
    """The routes of one resource."""

    def add(self, method: str, template: str, *needs: str) -> Callable[[Handler], Handler]:
        """Make a function the handler of an operation; without `needs`, metadata:read is enough."""

        def register(handler: Handler) -> Handler:
            self.append(Route(method, template, needs or ("metadata:read",), handler))
            return handler

        return register


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
