"""Protection on GitHub: rule sets or classic protection, environments, and settings of the repository."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from model_gitops.adapters.github_client import ApiError, ForbiddenError
from model_gitops.adapters.protection.facts import READ, WRITE, Repository
from model_gitops.core.protection import classic, names, rulesets
from model_gitops.core.protection.settings import Desired, Subject, Value
from model_gitops.core.protection.wanted import Mechanism
from model_gitops.errors import InputError, RefusedError

Json = dict[str, Any]
Values = dict[str, Value]
_METHODS = {
    "merge": "allow_merge_commit",
    "squash": "allow_squash_merge",
    "rebase": "allow_rebase_merge",
}
_MOST_REVIEWERS = 6
_WORKFLOW = "/actions/permissions/workflow"


class GitHub:
    """Reads and writes the protection of one repository on GitHub."""

    def __init__(self, repository: Repository, mechanism: Mechanism) -> None:
        self.repository = repository
        self.client = repository.client
        self.mechanism = mechanism
        self.app: int | None = self._actions_app()
        # What was read, to be sent back with what changes in it.
        self._raw: dict[Subject, Json | None] = {}
        self._policies: dict[Subject, list[Json]] = {}

    def found(self, desired: Desired) -> dict[Subject, Values]:
        """Return the settings of the subjects that are there. What can't be seen is left out."""
        found = {}
        readers = {
            "branch": self._ruleset if self.mechanism == "rulesets" else self._protection,
            "tags": self._ruleset,
            "environment": self._environment,
            "repository": self._settings,
        }
        self._listed: list[Json] | None = None
        for subject in desired.subjects:
            values = readers[subject.kind](subject)
            if values is not None:
                found[subject] = values
        return found

    def write(self, subject: Subject, values: Mapping[str, Value]) -> None:
        """Set the wanted settings of a subject, and keep the others as they are."""
        if subject.kind == "repository":
            self._write_settings(values)
        elif subject.kind == "environment":
            self._write_environment(subject, values)
        elif self.mechanism == "rulesets":
            self._write_ruleset(subject, values)
        else:
            body = classic.body(values, self._raw.get(subject), self.app)
            with self.client.errors(f"protect {subject.name}", WRITE):
                self.client.write("PUT", f"{_branch(subject)}/protection", body)

    # Rule sets.

    def _ruleset(self, subject: Subject) -> Values | None:
        if self._listed is None:
            self._listed = self.repository.pages("/rulesets", {"includes_parents": "false"})
        wanted = rulesets.name_of(subject)
        number = next((one["id"] for one in self._listed if one["name"] == wanted), None)
        self._raw[subject] = None
        if number is None:
            return None
        with self.client.errors(f"read the rule set {wanted!r}", READ):
            raw: Json = self.client.ask(f"/rulesets/{number}")
            self._raw[subject] = raw
            return rulesets.values(raw, subject, self.app)

    def _write_ruleset(self, subject: Subject, values: Mapping[str, Value]) -> None:
        for attempt in (1, 2):
            old = self._raw.get(subject)
            body = rulesets.body(subject, values, old, self.app)
            method, path = ("PUT", f"/rulesets/{old['id']}") if old else ("POST", "/rulesets")
            try:
                with self.client.errors(f"set the rule set {body['name']!r}", WRITE):
                    self.client.write(method, path, body)
                return
            except ApiError as error:
                # Another run has made, or removed, the same one since it was read.
                self._listed = None
                before = old is not None
                if attempt == 2 or error.status not in (404, 422):
                    raise
                self._ruleset(subject)
                if (self._raw[subject] is not None) is before:
                    raise

    # Classic protection.

    def _protection(self, subject: Subject) -> Values | None:
        self._raw[subject] = None
        try:
            with self.client.errors(f"read the protection of {subject.name}", READ):
                raw: Json = self.client.ask(f"{_branch(subject)}/protection")
                self._raw[subject] = raw
                return classic.values(raw, self.app)
        except ForbiddenError as error:
            if error.status == 404:
                return None
            if "upgrade" in error.message.lower():
                raise RefusedError(
                    f"the plan of {self.repository.name} has no protection of branches, as GitHub says: "
                    f"{error.message.partition('): ')[2]}",
                    fix="make the repository public, or take a plan that protects private ones",
                ) from error
            if error.status == 403:
                return {}
            raise

    # Environments.

    def _environment(self, subject: Subject) -> Values | None:
        path = _environment(subject)
        self._raw[subject] = None
        try:
            with self.client.errors(f"read the environment {subject.name}", "actions: read"):
                raw: Json = self.client.ask(path)
        except ForbiddenError as error:
            return None if error.status == 404 else {}
        self._raw[subject] = raw
        values: Values = {names.REVIEWERS: frozenset(self._reviewers(raw))}
        policy = raw.get("deployment_branch_policy")
        self._policies[subject] = []
        if not policy:
            values[names.DEPLOYS_FROM] = frozenset({"any branch"})
        elif policy["protected_branches"]:
            values[names.DEPLOYS_FROM] = frozenset({"each protected branch"})
        else:
            with suppress(ForbiddenError):
                listed = list(
                    self.repository.listed(f"{path}/deployment-branch-policies", "branch_policies")
                )
                self._policies[subject] = listed
                values[names.DEPLOYS_FROM] = frozenset(map(_policy_name, listed))
        return values

    def _write_environment(self, subject: Subject, values: Mapping[str, Value]) -> None:
        path = _environment(subject)
        raw = self._raw.get(subject) or {}
        rules = {one["type"]: one for one in raw.get("protection_rules") or ()}
        body: Json = {
            "deployment_branch_policy": {
                "protected_branches": False,
                "custom_branch_policies": True,
            }
        }
        if wait := rules.get("wait_timer", {}).get("wait_timer"):
            body["wait_timer"] = wait
        reviewers = self._wanted_reviewers(raw, values.get(names.REVIEWERS))
        if reviewers:
            asked = rules.get("required_reviewers", {})
            body["reviewers"] = reviewers
            body["prevent_self_review"] = bool(asked.get("prevent_self_review", False))
        with self.client.errors(f"set the environment {subject.name}", WRITE):
            self.client.write("PUT", path, body)
        wanted = values.get(names.DEPLOYS_FROM)
        if not isinstance(wanted, frozenset):
            return
        policies = f"{path}/deployment-branch-policies"
        there = {_policy_name(one) for one in self._policies.get(subject, ())}
        with self.client.errors(f"set the branches of environment {subject.name}", WRITE):
            for name in sorted(wanted - there):
                self.client.write("POST", policies, {"name": name, "type": "branch"})
        for policy in self._policies.get(subject, ()):
            if _policy_name(policy) not in wanted:
                self._delete(f"{policies}/{policy['id']}", f"set the branches of {subject.name}")

    def _delete(self, path: str, doing: str) -> None:
        """Remove what another run may have removed meanwhile."""
        try:
            with self.client.errors(doing, WRITE):
                self.client.write("DELETE", path)
        except ForbiddenError as error:
            if error.status != 404:
                raise

    def _reviewers(self, environment: Json) -> dict[str, Json]:
        """Return who reviews deployments: name → the entry to send."""
        owner = self.repository.name.partition("/")[0]
        found = {}
        for rule in environment.get("protection_rules") or ():
            for one in rule.get("reviewers") or ():
                who = one["reviewer"]
                name = who["login"] if one["type"] == "User" else f"{owner}/{who['slug']}"
                found[name.lower()] = {"type": one["type"], "id": who["id"]}
        return found

    def _wanted_reviewers(self, environment: Json, wanted: Value | None) -> list[Json]:
        entries = self._reviewers(environment)
        for name in sorted(wanted) if isinstance(wanted, frozenset) else ():
            if name not in entries:
                owner, slash, team = name.partition("/")
                place = f"//orgs/{owner}/teams/{team}" if slash else f"//users/{name}"
                with self.client.errors(f"find the reviewer {name}", "members: read"):
                    number = int(self.client.ask(place)["id"])
                entries[name] = {"type": "Team" if slash else "User", "id": number}
        if len(entries) > _MOST_REVIEWERS:
            raise InputError.of(
                "reviewer", ", ".join(sorted(entries)), f"GitHub takes at most {_MOST_REVIEWERS}",
                fix="name a team in place of its members",
            )  # fmt: skip
        return list(entries.values())

    # The repository.

    def _settings(self, subject: Subject) -> Values:
        data = self.repository.data
        values: Values = {}
        if "allow_merge_commit" in data:
            values[names.MERGE_COMMITS] = bool(data["allow_merge_commit"])
            allowed = (name for name, key in _METHODS.items() if data.get(key))
            values[names.METHODS] = frozenset(allowed)
        with suppress(ForbiddenError), self.client.errors("read the settings of Actions", READ):
            said = self.client.ask(_WORKFLOW)
            values[names.READ_TOKEN] = said["default_workflow_permissions"] == "read"
            by_actions = bool(said["can_approve_pull_request_reviews"])
            values[names.PULL_REQUESTS_BY_ACTIONS] = by_actions
        return values

    def _write_settings(self, values: Mapping[str, Value]) -> None:
        changes: Json = {}
        if values.get(names.MERGE_COMMITS):
            changes["allow_merge_commit"] = True
        methods = values.get(names.METHODS)
        if isinstance(methods, frozenset):
            changes = {key: name in methods for name, key in _METHODS.items()}
        if changes:
            with self.client.errors("set the merge methods", WRITE):
                self.repository.data = self.client.write("PATCH", "", changes)
        if names.READ_TOKEN in values:
            said = {
                "default_workflow_permissions": "read",
                "can_approve_pull_request_reviews": values[names.PULL_REQUESTS_BY_ACTIONS],
            }
            with self.client.errors("set what workflows may do", WRITE):
                self.client.write("PUT", _WORKFLOW, said)

    def _actions_app(self) -> int | None:
        """Return the number of the app that checks of workflows come from; None where nobody tells."""
        try:
            with self.client.errors("find the app of GitHub Actions", "metadata: read"):
                return int(self.client.ask("//apps/github-actions")["id"])
        except ForbiddenError:
            return None


def _branch(subject: Subject) -> str:
    return f"/branches/{quote(subject.name, safe='')}"


def _environment(subject: Subject) -> str:
    return f"/environments/{quote(subject.name, safe='')}"


def _policy_name(policy: Mapping[str, Any]) -> str:
    name = str(policy.get("name", ""))
    return f"tag {name}" if policy.get("type") == "tag" else name
