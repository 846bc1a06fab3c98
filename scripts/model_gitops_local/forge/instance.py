"""One instance of the forge: repositories, tokens, workflow runs and the log. No socket: see server."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from model_gitops_local.forge import events, pulls
from model_gitops_local.forge.api.answers import Answer
from model_gitops_local.forge.api.dispatch import Api
from model_gitops_local.forge.api.routing import Route
from model_gitops_local.forge.bare import Bare
from model_gitops_local.forge.faults import Faults
from model_gitops_local.forge.limits import Limits
from model_gitops_local.forge.shapes import Json
from model_gitops_local.forge.state import (
    ALL_WRITE,
    OWNER,
    Repository,
    Run,
    State,
    Token,
    Workflow,
    now,
)

API = "/api/v3"


class Validator(Protocol):
    """Holds requests and answers to a description; returns what is wrong with them."""

    def check(
        self, route: Route, query: Mapping[str, str], body: bytes, answer: Answer
    ) -> list[str]:
        """Return the violations of one exchange."""
        ...


class Instance(Faults):
    """What is asked of a forge, by those who set it up and by its connections.

    With a `validator`, what breaks GitHub's description is collected in `violations`.
    """

    # Made when the server starts: its answers tell addresses, which hold the port.
    api: Api
    # Everything is below `base`, the API in it below `api_prefix`.
    base = ""
    api_prefix = API

    def __init__(self, root: Path, *, port: int = 0, validator: Validator | None = None) -> None:
        super().__init__()
        root.mkdir(parents=True, exist_ok=True)
        self.root = root
        self.port = port
        self.validator = validator
        self.violations: list[str] = []
        self.tokens: dict[str, Token] = {}
        self.state = State(root / "forge.json")
        self.log_file = root / "requests.jsonl"
        self.limits = Limits()

    # What a caller sets up.

    @property
    def url(self) -> str:
        """The web address, `http://127.0.0.1:PORT`: GITHUB_SERVER_URL."""
        return f"http://127.0.0.1:{self.port}{self.base}"

    @property
    def api_url(self) -> str:
        """The address of the REST API: GITHUB_API_URL."""
        return self.url + self.api_prefix

    def add_repository(
        self, full_name: str, path: Path, *, private: bool = True, fork_of: str | None = None
    ) -> Repository:
        """Serve the bare repository at `path` as `owner/name`."""
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", full_name):
            raise ValueError(f"{full_name!r} is not of the form owner/name")
        with self.lock:
            return self.state.add(full_name, path.resolve(), private=private, fork_of=fork_of)

    def add_token(
        self,
        secret: str,
        login: str,
        permissions: Mapping[str, str] | None = None,
        repositories: list[str] | None = None,
    ) -> Token:
        """Let `secret` stand for `login`; without limits it may write everywhere.

        A person may change the settings of the repositories too, and a bot may not.
        """
        names = None if repositories is None else frozenset(repositories)
        if permissions is None:
            permissions = ALL_WRITE if login.endswith("[bot]") else ALL_WRITE | OWNER
        token = Token(login, permissions, names)
        self.tokens[secret] = token
        return token

    def review_run(
        self, full_name: str, run: int, environment: str, login: str, state: str = "approved"
    ) -> None:
        """Let `login` approve or reject the deployment of a run to an environment, as its page does.

        Raises LookupError for a repository that is not there.
        """
        with self.lock:
            repository = self.state.find(full_name)
            if repository is None:
                raise LookupError(full_name)
            said = {"environment": environment, "login": login, "state": state, "comment": ""}
            repository.approvals.setdefault(str(run), []).append(said)
            self.state.save()

    def add_run(
        self,
        full_name: str,
        workflow: str,
        number: int,
        conclusion: str,
        artifacts: Mapping[str, Path],
    ) -> int:
        """Remember that `workflow` has ended for pull request `number`; return the run's number.

        `artifacts` are zip files by the artifact's name. Raises LookupError for what is not there.
        """
        with self.lock:
            repository = self.state.find(full_name)
            issue = repository.issue(number) if repository else None
            if repository is None or issue is None or issue.pull is None:
                raise LookupError(f"{full_name} has no pull request {number}")
            pull = issue.pull
            run = Run(
                *(self.state.new_id(), workflow, "pull_request"),
                *(pull.head_repository, pull.head, pull.head_sha, conclusion, now()),
                artifacts={name: str(path) for name, path in artifacts.items()},
                artifact_ids={name: self.state.new_id() for name in artifacts},
            )
            repository.runs.append(run)
            self.state.save()
            return run.id

    def add_workflow(
        self, full_name: str, file: str, *, name: str = "", state: str = "active", created: str = ""
    ) -> None:
        """Let the server know the workflow `.github/workflows/FILE`; again: it changes its state.

        Raises LookupError for an unknown repository.
        """
        with self.lock:
            repository = self.state.find(full_name)
            if repository is None:
                raise LookupError(f"no repository {full_name}")
            path = f".github/workflows/{file}"
            known = next((one for one in repository.workflows if one.path == path), None)
            if known is None:
                known = Workflow(self.state.new_id(), path, name or file, created or now())
                repository.workflows.append(known)
            known.state = state
            self.state.save()

    def add_workflow_run(
        self,
        full_name: str,
        workflow: str,
        *,
        event: str,
        branch: str,
        created: str,
        conclusion: str = "success",
        status: str = "completed",
        waited: int = 0,
        took: int = 0,
    ) -> int:
        """Remember a run of the workflow in the file `workflow`, without its ending; return its number.

        `created` is as GitHub writes a time, `waited` and `took` are its job's seconds. Raises
        LookupError for what is not there.
        """
        with self.lock:
            repository = self.state.find(full_name)
            sha = Bare(Path(repository.path)).branch(branch) if repository else None
            if repository is None or sha is None:
                raise LookupError(f"{full_name} has no branch {branch}")
            run = Run(
                *(self.state.new_id(), workflow, event, full_name, branch, sha),
                *(conclusion if status == "completed" else "", created),
                status=status,
                waited=waited,
                took=took,
            )
            repository.runs.append(run)
            self.state.save()
            return run.id

    def event(
        self,
        kind: str,
        full_name: str,
        number: int = 0,
        *,
        action: str = "",
        branch: str = "",
        before: str = "",
        after: str = "",
        sender: str = "",
    ) -> Json:
        """Return a webhook payload: `pull_request` (number, action), `push` (branch, …),
        `workflow_run` (number) or `schedule`.

        Raises LookupError for an unknown repository, pull request or kind.
        """
        with self.lock:
            repository = self.state.find(full_name)
            if repository is None:
                raise LookupError(f"no repository {full_name}")
            if pulls.follow(repository, self.state.find):
                self.state.save()
            if kind == "pull_request":
                return events.pull_request(self.api, repository, number, action, sender)
            if kind == "workflow_run":
                run = next((one for one in repository.runs if one.id == number), None)
                head = self.state.find(run.head_repository) if run else None
                if run is None or head is None:
                    raise LookupError(f"{full_name} has no workflow run {number}")
                return events.workflow_run(self.api, repository, head, run)
            if kind == "push":
                who = sender or repository.owner
                return events.push(self.api, repository, branch, before, after, sender=who)
            if kind == "schedule":
                return events.schedule(self.api, repository)
            raise LookupError(f"no event {kind!r}: pull_request, push, workflow_run or schedule")

    def requests(self) -> list[Json]:
        """Return the log: time, method, path, status and actor of every request."""
        if not self.log_file.exists():
            return []
        return [json.loads(line) for line in self.log_file.read_text("utf-8").splitlines()]

    # What a connection asks.

    def artifact(self, number: int) -> Path | None:
        """Return the zip file of artifact `number`."""
        with self.lock:
            for repository in self.state.repositories.values():
                for run in repository.runs:
                    for name, artifact_id in run.artifact_ids.items():
                        if artifact_id == number:
                            return Path(run.artifacts[name])
        return None

    def call_api(
        self, method: str, path: str, query: Mapping[str, str], body: bytes, token: Token | None
    ) -> Answer:
        """Answer a request of the REST API, validated if so wished."""
        method = "GET" if method == "HEAD" else method
        with self.lock:
            login = token.login if token else ""
            matched = self.api.match(method, path)
            # Asking how much is left costs nothing.
            asked = path == "/rate_limit"
            answer = None if asked else self.limits.admit(login, method)
            if answer is None:
                answer = self.api.handle(method, path, query, body, token)
            if asked and answer.status == 200:
                core = self.limits.shape(login)
                answer.body["resources"]["core"] = answer.body["rate"] = core
            if matched is not None:
                needs = "; ".join(need.replace(":", "=") for need in matched[0].needs)
                answer.headers.setdefault("X-Accepted-GitHub-Permissions", needs)
            if self.validator is not None and matched is not None:
                found = self.validator.check(matched[0], query, body, answer)
                self.violations += [f"{method} {path}: {problem}" for problem in found]
            return answer

    def log(self, method: str, path: str, status: int, actor: str) -> None:
        """Write one line to the log; neither headers nor the query, which may hold secrets."""
        entry = {
            "time": round(time.time(), 3),
            "method": method,
            "path": path,
            "status": status,
            "actor": actor,
        }
        with self.lock, self.log_file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
