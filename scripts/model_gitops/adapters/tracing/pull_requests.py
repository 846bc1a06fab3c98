"""The pull requests of one repository: which one brought a commit, and which are open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from model_gitops.adapters import github
from model_gitops.core.lineage.facts import Pull
from model_gitops.core.lineage.reviews import approvals


@dataclass(frozen=True)
class PullRequests:
    """A repository's pull requests. Without `api` nobody can be asked."""

    api: github.GitHub | None = None

    def find_merged(self, commit: str, bases: Sequence[str]) -> Pull | None:
        """Return the merged pull request that brought `commit` onto one of `bases`, with approvals.

        None where there is none, or nobody to ask. Raises ApiError.
        """
        if self.api is None or not commit:
            return None
        for pull in self.api.pull_requests_of_commit(commit):
            if pull.merged and pull.base_ref in bases:
                return self._with_approvals(self.api, pull)
        return None

    def merged_with(self, commit: str) -> list[int]:
        """Return the numbers of the merged pull requests that brought `commit`; none where nobody tells."""
        if self.api is None:
            return []
        try:
            return [one.number for one in self.api.pull_requests_of_commit(commit) if one.merged]
        except github.ApiError:
            return []

    def _with_approvals(self, api: github.GitHub, pull: github.PullRequest) -> Pull:
        head = pull.head_sha
        approved = approvals(api.reviews(pull.number), author=pull.author, head=head)
        home = pull.head_repository or "a repository that is gone"
        return Pull(
            number=pull.number,
            url=pull.url,
            base=pull.base_ref,
            approved_by=approved.by,
            approved_older=approved.older,
            head=pull.head_ref,
            fork="" if home.lower() == api.repository.lower() else home,
            commit=head,
        )

    def open_into(self, base: str) -> list[github.PullRequest]:
        """Return the open pull requests into branch `base`. Raises ApiError."""
        return self.api.open_pull_requests(base) if self.api else []

    def may_be_open(self, head: str, base: str) -> bool:
        """Whether `head` has an open pull request into `base`; also where nobody can be asked."""
        if self.api is None:
            return True
        try:
            return self.api.find_pull_request(head, base) is not None
        except github.ApiError:
            return True
