"""Protection on Gitea and Forgejo: rules of branches, and the repository's merge methods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from model_gitops.adapters.protection.facts import WRITE, Repository
from model_gitops.core.protection import gitea, names
from model_gitops.core.protection.settings import Desired, Subject, Value

Json = dict[str, Any]


class Gitea:
    """Reads and writes the protection of one repository on Gitea."""

    # Its checks name no app.
    app: int | None = None

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        self.client = repository.client
        self._rules: dict[str, Json] = {}

    def found(self, desired: Desired) -> dict[Subject, dict[str, Value]]:
        """Return the settings of the subjects that are there."""
        listed = self.repository.pages("/branch_protections")
        self._rules = {str(one.get("rule_name") or one.get("branch_name")): one for one in listed}
        found: dict[Subject, dict[str, Value]] = {}
        for subject in desired.subjects:
            if subject.kind == "repository":
                found[subject] = {names.METHODS: gitea.methods(self.repository.data)}
            elif subject.name in self._rules:
                found[subject] = gitea.values(self._rules[subject.name])
        return found

    def write(self, subject: Subject, values: Mapping[str, Value]) -> None:
        """Set the wanted settings of a subject, and keep the others as they are."""
        if subject.kind == "repository":
            methods = values[names.METHODS]
            if isinstance(methods, frozenset):
                with self.client.errors("set the merge methods", WRITE):
                    self.repository.data = self.client.write(
                        "PATCH", "", gitea.methods_body(methods)
                    )
            return
        is_new = subject.name not in self._rules
        body = gitea.body(subject.name, values, is_new=is_new)
        path = "/branch_protections"
        with self.client.errors(f"protect {subject.name}", WRITE):
            if is_new:
                self.client.write("POST", path, body)
            else:
                self.client.write("PATCH", f"{path}/{quote(subject.name, safe='')}", body)
