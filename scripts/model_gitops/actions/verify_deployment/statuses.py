"""The commit statuses of a verification: what was written before, and what is written now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from model_gitops import runner
from model_gitops.adapters import clock, commit_statuses
from model_gitops.adapters.commit_statuses import CommitStatus
from model_gitops.adapters.git import Git
from model_gitops.adapters.github_client import Client
from model_gitops.core.verify.target import Target

# Events that nobody started: one of them must not do again what has an answer. stages.yml starts by
# workflow_dispatch; a person who does has the input `again`.
_BY_ITSELF = ("schedule", "repository_dispatch", "workflow_dispatch")
# A run that was killed leaves `pending`: after so long nobody is at work any more.
_ABANDONED_SECONDS = 2 * 3600


@dataclass
class Statuses:
    """The statuses of one environment. Without an API nothing is read or written."""

    api: Client | None
    context: str

    @classmethod
    def of(cls, checkout: Git, token: str, environment: str, model: str) -> Statuses:
        """Open the API where there is a token. Raises InputError."""
        if not token:
            runner.notice("without `source-token` no commit status is read or written")
        api = commit_statuses.opened(checkout, token) if token else None
        return cls(api, commit_statuses.context_of(environment, model))

    def settled(self, target: Target) -> str:
        """Say why this deployment needs no verification now; empty where it does. Raises ApiError.

        A success stands. A failure, and a run that is at work, stand for runs that nobody started.
        """
        known = self._latest(target)
        if known is None or target.short not in known.description:
            return ""
        by_itself = runner.context().event_name in _BY_ITSELF
        if known.state == "success" or (by_itself and known.state == "failure"):
            if target.also and known.state == "success":
                self._set(target.also, "success", known.description)
            return f"{known.description}, {known.target_url}"
        if by_itself and known.state == "pending" and _age(known) < _ABANDONED_SECONDS:
            return f"a verification is at work, {known.target_url}"
        return ""

    def known(self, target: Target) -> str:
        """Return the verdict that stands; empty for one that is not there yet."""
        known = self._latest(target)
        return known.state if known and known.state != "pending" else ""

    def write(self, target: Target, state: commit_statuses.State, description: str) -> None:
        """Write a status on the commit that was deployed, and on the one that stands for it. Raises ApiError."""
        for commit in filter(None, (target.commit, target.also)):
            self._set(commit, state, description)

    def _latest(self, target: Target) -> CommitStatus | None:
        return commit_statuses.latest(self.api, target.commit, self.context) if self.api else None

    def _set(self, commit: str, state: commit_statuses.State, description: str) -> None:
        if self.api:
            context = runner.context()
            run = context.run_url if context.repository else ""
            commit_statuses.write(self.api, commit, self.context, state, description, run)


def _age(status: CommitStatus) -> float:
    """Return how many seconds ago a status was written; a great number where it does not say when."""
    try:
        made = datetime.fromisoformat(status.created_at.replace("Z", "+00:00"))
    except ValueError:
        return float("inf")
    made = made if made.tzinfo else made.replace(tzinfo=UTC)
    return (clock.now() - made).total_seconds()
