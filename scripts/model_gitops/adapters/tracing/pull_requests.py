"""The pull requests of one repository: which one brought a commit, and which are open."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from model_gitops.adapters import github
from model_gitops.core.lineage.facts import Pull
from model_gitops.core.lineage.reviews import approvals


@dataclass(frozen=True)
class PullRequests:
    """A repository's pull requests. Without `api` nobody can be asked.

    `given_by` is the input that `api` has its token from. A server that refuses or fails is not asked
    again: each question raises the ApiError that the first one got.
    """

    api: github.GitHub | None = None
    given_by: str = "source-token"
    _failed: list[github.ApiError] = field(default_factory=list)

    def find_merged(self, commit: str, bases: Sequence[str]) -> Pull | None:
        """Return the merged pull request that brought `commit` onto one of `bases`, with approvals.

        None where there is none, or nobody to ask. Raises ApiError.
        """
        if self.api is None or not commit:
            return None
        with self._asking(self.api.repository):
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

    def merged_into(self, commit: str, base: str) -> list[github.PullRequest]:
        """Return the merged pull requests that `commit` came onto `base` by. Raises ApiError."""
        if self.api is None:
            return []
        with self._asking(self.api.repository):
            found = self.api.pull_requests_of_commit(commit)
        return [pull for pull in found if pull.merged and pull.base_ref == base]

    def _with_approvals(self, api: github.GitHub, pull: github.PullRequest) -> Pull:
        head = api.merged_head(pull)
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
        if self.api is None:
            return []
        with self._asking(self.api.repository):
            return self.api.open_pull_requests(base)

    def open_of(self, head: str, base: str) -> str | None:
        """Return the address of the open pull request of `head` into `base`; None where there is none.

        It is empty where nobody can be asked, as there may be one.
        """
        if self.api is None:
            return ""
        try:
            with self._asking(self.api.repository):
                found = self.api.find_pull_request(head, base)
        except github.ApiError:
            return ""
        return found.url if found else None

    @contextmanager
    def _asking(self, repository: str) -> Iterator[None]:
        """Remember a server that does not answer, and say what to do about it."""
        if self._failed:
            raise self._failed[0]
        try:
            yield
        except github.ApiError as error:
            if error.status == 422:
                raise  # it knows no such commit, and may well know others
            if error.status in (401, 403, 404) and isinstance(error, github.ForbiddenError):
                fix = f"give `{self.given_by}` that may read {repository} (`pull-requests: read`)"
            else:
                fix = "look at the server's status page, then run this again"
            said = f"the pull requests of {repository} can't be asked for: {error.message}"
            self._failed.append(github.ApiError(f"{said}. To do: {fix}", status=error.status))
            raise self._failed[0] from error
