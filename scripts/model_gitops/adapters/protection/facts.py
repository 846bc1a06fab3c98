"""What a server knows of a repository that decides how it is to be protected."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from model_gitops.adapters import paths
from model_gitops.adapters.github_client import ApiError, Client, ForbiddenError
from model_gitops.core import document, workflow
from model_gitops.core.protection import workflows
from model_gitops.core.protection.wanted import Facts, Mechanism
from model_gitops.errors import InputError

READ = "administration: read"
WRITE = "administration: write"
_CODE_OWNERS = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS", ".gitea/CODEOWNERS")
_MOST_FILES = 100


class Repository:
    """One repository at its server: its files on the default branch, and lists of its API.

    Before its first push `checkout` is where its files are.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self.name = client.repository
        self.checkout: Path | None = None
        with client.errors("read the repository", "metadata: read"):
            self.data: dict[str, Any] = client.ask("")
            self.default_branch = str(self.data["default_branch"])

    def text(self, path: str) -> str | None:
        """Return a file of the default branch; None where there is none."""
        try:
            if self.checkout is not None:
                return _read(self.checkout, path)
            found = self._contents(path)
            if not isinstance(found, dict) or "content" not in found:
                return None
            return base64.b64decode(found["content"]).decode()
        except ValueError as error:
            problem = f"it is not UTF-8 on {self.default_branch} of {self.name}"
            raise InputError.of("config", path, problem) from error

    def files(self, folder: str) -> list[str]:
        """Return the paths of the files in a folder of the default branch."""
        if self.checkout is not None:
            there = sorted((self.checkout / folder).glob("*"))
            return [f"{folder}/{one.name}" for one in there if paths.is_file(one)]
        found = self._contents(folder)
        listed = found if isinstance(found, list) else []
        return [str(one["path"]) for one in listed if one.get("type") == "file"]

    def _contents(self, path: str) -> Any:
        try:
            with self.client.errors(f"read {path}", "contents: read"):
                return self.client.ask(f"/contents/{quote(path)}", {"ref": self.default_branch})
        except ForbiddenError as error:
            if error.status == 404:
                return None
            raise

    def listed(self, path: str, key: str) -> Iterator[dict[str, Any]]:
        """Yield what is in the list `key` of the answers at `path`, over all pages."""
        seen = 0
        for page in range(1, 101):
            with self.client.errors(f"list {path.strip('/')}", READ):
                found = self.client.ask(path, {"per_page": 100, "page": page})
            yield from found[key]
            seen += len(found[key])
            if not found[key] or seen >= found.get("total_count", 0):
                return

    def pages(self, path: str, query: Mapping[str, str | int] | None = None) -> list[Any]:
        """Return the whole list at `path`."""
        with self.client.errors(f"list {path.strip('/')}", READ):
            return list(self.client.pages(path, query))


def _read(checkout: Path, path: str) -> str | None:
    file = checkout / path
    if not paths.is_file(file) or paths.leads_out(file, checkout):
        return None
    return paths.read_bounded(file, document.LARGEST_YAML).decode()


def workflow_files(repository: Repository) -> dict[str, str]:
    """Return the workflow files of the default branch: path → text."""
    found = {}
    for folder in workflow.FOLDERS[: None if repository.client.dialect.is_gitea else 1]:
        for path in repository.files(folder)[:_MOST_FILES]:
            if PurePosixPath(path).suffix in workflow.ENDINGS:
                text = repository.text(path)
                if text is not None:
                    found[path] = text
    return found


def has_code_owners(repository: Repository) -> bool:
    """Whether the default branch says who owns which file."""
    return any(repository.text(path) is not None for path in _CODE_OWNERS)


def mechanism(repository: Repository) -> tuple[Mechanism, frozenset[str]]:
    """Return what the server and its plan protect with, and the names of the rule sets there."""
    if repository.client.dialect.is_gitea:
        return "gitea", frozenset()
    try:
        found = repository.pages("/rulesets", {"includes_parents": "false"})
    except ForbiddenError as error:
        # Whoever may see the repository may list them: the plan or the server has none.
        if error.status in (403, 404):
            return "classic", frozenset()
        raise
    return "rulesets", frozenset(str(one["name"]) for one in found)


def secret_names(
    repository: Repository, environments: frozenset[str]
) -> Mapping[str, frozenset[str]] | None:
    """Return the names of secrets: "" the repository's, "organization", else by environment.

    None where the token can't see them.
    """
    try:
        found = {"": _names(repository, "/actions/secrets")}
        for name in environments:
            found[name] = _names(repository, f"/environments/{quote(name, safe='')}/secrets")
    except ForbiddenError:
        return None
    try:
        found["organization"] = _names(repository, "/actions/organization-secrets")
    except ApiError:
        found["organization"] = frozenset()
    return found


def _names(repository: Repository, path: str) -> frozenset[str]:
    return frozenset(str(one["name"]) for one in repository.listed(path, "secrets"))


def gather(repository: Repository, environments: frozenset[str], **more: Any) -> Facts:
    """Return the facts of a repository; `environments` are those whose secrets are asked for."""
    kind, rulesets = mechanism(repository)
    branches = frozenset(str(one["name"]) for one in repository.pages("/branches"))
    loaded = workflows.load(workflow_files(repository))
    there: frozenset[str] = frozenset()
    secrets = None
    if kind != "gitea":
        there = frozenset(
            str(one["name"]) for one in repository.listed("/environments", "environments")
        )
        secrets = secret_names(repository, environments & there) if environments else None
    return Facts(
        repository=repository.name,
        mechanism=kind,
        default_branch=repository.default_branch,
        branches=branches,
        workflows=loaded,
        has_code_owners=has_code_owners(repository),
        secrets=secrets,
        environments=there,
        rulesets=rulesets,
        **more,
    )
