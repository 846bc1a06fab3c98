"""What the forge remembers besides Git: tokens, pull requests, comments, reviews, statuses."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

LEVELS = {"none": 0, "read": 1, "write": 2}
# What a workflow's token may do when nothing else is said: GitHub's "permissive" setting.
ALL_WRITE = {
    "actions": "write",
    "contents": "write",
    "issues": "write",
    "pull_requests": "write",
    "statuses": "write",
}
# What a person's token may do besides: the repositories are that person's own.
OWNER = {
    "administration": "write",
    "environments": "write",
    "members": "read",
    "secrets": "write",
}
# The one account whose number tools know by heart.
_KNOWN_IDS = {"github-actions[bot]": 41898282}


@dataclass(frozen=True)
class Token:
    """Who a secret stands for, and what it may do. `repositories` None means all of them."""

    login: str
    permissions: Mapping[str, str] = field(default_factory=lambda: dict(ALL_WRITE))
    repositories: frozenset[str] | None = None

    def __post_init__(self) -> None:
        # Workflow files write `pull-requests`, the API `pull_requests`.
        levels = {key.replace("-", "_"): level for key, level in self.permissions.items()}
        for name, level in levels.items():
            if level not in LEVELS:
                raise ValueError(f"permission {name}: {level!r} is none of {', '.join(LEVELS)}")
        object.__setattr__(self, "permissions", levels)
        if self.repositories is not None:
            names = frozenset(name.lower() for name in self.repositories)
            object.__setattr__(self, "repositories", names)

    @property
    def is_app(self) -> bool:
        """Whether this is an installation token of a GitHub App, as GITHUB_TOKEN is."""
        return self.login.endswith("[bot]")

    def reaches(self, repository: str) -> bool:
        """Whether the token can see the repository `owner/name`."""
        return self.repositories is None or repository.lower() in self.repositories

    def allows(self, permission: str, level: str) -> bool:
        """Whether the token has `permission` (as `contents`) at `level` (read or write)."""
        if permission == "metadata":
            return True
        return LEVELS[self.permissions.get(permission, "none")] >= LEVELS[level]


def account_id(login: str) -> int:
    """Return the same number for the same login, always."""
    return _KNOWN_IDS.get(login, zlib.crc32(login.encode()) & 0x7FFFFFFF)


def now() -> str:
    """Return the time as GitHub writes it, to the second, in UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Pull:
    """What makes an issue a pull request. `head` and `base` are branch names."""

    head: str
    base: str
    head_repository: str
    head_sha: str
    base_sha: str
    draft: bool = False
    merged_at: str | None = None
    merged_by: str | None = None
    # Of an open pull request: the trial merge of `head_sha` and `tried_base`; None on a conflict.
    merge_commit_sha: str | None = None
    tried_base: str = ""
    commits: int = 0


@dataclass
class Issue:
    """An issue, or a pull request when it has a `pull`."""

    number: int
    id: int
    title: str
    body: str | None
    author: str
    created_at: str
    updated_at: str
    state: str = "open"
    closed_at: str | None = None
    # Of one that is no pull request.
    state_reason: str | None = None
    labels: list[str] = field(default_factory=list)
    pull: Pull | None = None


@dataclass
class Comment:
    """A comment on an issue (`number`) or on a commit (`sha`, with `path` and `line` if on code)."""

    id: int
    body: str
    author: str
    created_at: str
    updated_at: str
    number: int = 0
    sha: str = ""
    path: str | None = None
    position: int | None = None
    line: int | None = None


@dataclass
class Review:
    """A review of a pull request: APPROVED, CHANGES_REQUESTED, COMMENTED or PENDING."""

    id: int
    number: int
    author: str
    body: str
    state: str
    sha: str
    submitted_at: str


@dataclass
class Status:
    """A commit status."""

    id: int
    sha: str
    state: str
    context: str
    description: str | None
    target_url: str | None
    author: str
    created_at: str


@dataclass
class Workflow:
    """A workflow that the server knows: its file's path, and whether it runs."""

    id: int
    path: str
    name: str
    created_at: str
    state: str = "active"


@dataclass
class Run:
    """A workflow run, and its artifacts' files (zip) by name.

    `workflow` is its file without the ending. Its one job waited and took so many seconds.
    """

    id: int
    workflow: str
    event: str
    head_repository: str
    head_branch: str
    head_sha: str
    conclusion: str
    created_at: str
    artifacts: dict[str, str] = field(default_factory=dict)
    artifact_ids: dict[str, int] = field(default_factory=dict)
    status: str = "completed"
    waited: int = 0
    took: int = 0


@dataclass
class Guard:
    """How a repository is protected, as its forms take it.

    `plan` is what its plan has: `rulesets`, `classic` protection alone, or `none`. `secrets` are names:
    under "" the repository's, under "organization" those it shares, else by environment.
    """

    plan: str = "rulesets"
    rulesets: list[dict[str, Any]] = field(default_factory=list)
    branches: dict[str, dict[str, Any]] = field(default_factory=dict)
    environments: dict[str, dict[str, Any]] = field(default_factory=dict)
    secrets: dict[str, list[str]] = field(default_factory=dict)
    # GitHub's own defaults for a new repository of an organization that changed nothing.
    workflow: dict[str, Any] = field(
        default_factory=lambda: {
            "default_workflow_permissions": "read",
            "can_approve_pull_request_reviews": False,
        }
    )
    merge: dict[str, bool] = field(
        default_factory=lambda: {
            "allow_merge_commit": True,
            "allow_squash_merge": True,
            "allow_rebase_merge": True,
        }
    )


@dataclass
class Repository:
    """One repository of the forge; its Git data is the bare repository at `path`."""

    full_name: str
    path: str
    id: int
    created_at: str
    private: bool = True
    fork_of: str | None = None
    issues: list[Issue] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    commit_comments: list[Comment] = field(default_factory=list)
    reviews: list[Review] = field(default_factory=list)
    statuses: list[Status] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    workflows: list[Workflow] = field(default_factory=list)
    guard: Guard = field(default_factory=Guard)
    # Run's number → what reviewers of its environments said: environment, login, state, comment.
    approvals: dict[str, list[dict[str, str]]] = field(default_factory=dict)

    @property
    def owner(self) -> str:
        """The part before the slash."""
        return self.full_name.partition("/")[0]

    @property
    def name(self) -> str:
        """The part after the slash."""
        return self.full_name.partition("/")[2]

    def issue(self, number: int) -> Issue | None:
        """Return issue or pull request `number`, if there is one."""
        return next((issue for issue in self.issues if issue.number == number), None)

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> Repository:
        """Build a repository from what `asdict` made of it."""
        issues = [
            Issue(**{**item, "pull": Pull(**item["pull"]) if item["pull"] else None})
            for item in data["issues"]
        ]
        return cls(
            **{
                **data,
                "issues": issues,
                "comments": [Comment(**item) for item in data["comments"]],
                "commit_comments": [Comment(**item) for item in data["commit_comments"]],
                "reviews": [Review(**item) for item in data["reviews"]],
                "statuses": [Status(**item) for item in data["statuses"]],
                "runs": [Run(**item) for item in data.get("runs", [])],
                "workflows": [Workflow(**item) for item in data.get("workflows", [])],
                "guard": Guard(**data.get("guard", {})),
            }
        )


class State:
    """Everything that outlives a restart, in one JSON file. Tokens are never in it."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.repositories: dict[str, Repository] = {}
        self.last_id = 1000
        if file.exists():
            data = json.loads(file.read_text(encoding="utf-8"))
            self.last_id = data["last_id"]
            for item in data["repositories"]:
                repository = Repository.load(item)
                self.repositories[repository.full_name.lower()] = repository

    def new_id(self) -> int:
        """Return a number that nothing else has."""
        self.last_id += 1
        return self.last_id

    def find(self, full_name: str) -> Repository | None:
        """Return the repository `owner/name`; case does not matter, as on GitHub."""
        return self.repositories.get(full_name.lower())

    def add(self, full_name: str, path: Path, *, private: bool, fork_of: str | None) -> Repository:
        """Register a bare repository; one that is known keeps its pull requests and comments."""
        repository = self.find(full_name)
        if repository is None:
            repository = Repository(full_name, str(path), self.new_id(), now())
            self.repositories[full_name.lower()] = repository
        repository.path = str(path)
        repository.private = private
        repository.fork_of = fork_of
        self.save()
        return repository

    def save(self) -> None:
        """Write the file whole, so that a reader never sees half of it."""
        data = {
            "last_id": self.last_id,
            "repositories": [asdict(item) for item in self.repositories.values()],
        }
        self.file.parent.mkdir(parents=True, exist_ok=True)
        draft = self.file.with_name(f"{self.file.name}.{os.getpid()}.tmp")
        draft.write_text(json.dumps(data, indent=1), encoding="utf-8")
        draft.replace(self.file)
