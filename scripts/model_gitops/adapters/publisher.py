"""The report's comment on the server, written by us or by CML's command line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from model_gitops import runner
from model_gitops.adapters import cml, event_checkout, git, github
from model_gitops.core.report import comment
from model_gitops.core.report.comment import Target
from model_gitops.errors import InputError
from model_gitops.events import Kind


class NotAllowed(Exception):
    """Commenting is not possible here; says why, in a sentence."""


@dataclass
class Publisher:
    """Comments on `target`, in the repository of `context`, as who `token` is."""

    context: runner.Context
    checkout: git.Git
    token: str
    target: Target
    # Who we are, learned from what we wrote.
    _learned: set[str] = field(default_factory=set)

    def look(self) -> None:
        """Find the target, before anything is written. Raises as `publish` does."""
        with self._explained():
            self._api.list_comments(self._place)

    def told(self) -> runner.Context:
        """Return the event with what the server says of a pull request that it has only the number of.

        The event as it is where nobody may ask, or there is no need to.
        """
        subject = self.context.subject
        if not subject.number or subject.base:
            return self.context
        try:
            found = self._api.pull_request(subject.number)
        except (NotAllowed, github.ApiError) as error:
            runner.notice(f"the branches of pull request {subject.number} are not known: {error}")
            return self.context
        known = replace(subject, commit=found.head_sha, base=found.base_ref, head=found.head_ref)
        return replace(self.context, subject=known)

    def publish(self, title: str, text: str) -> tuple[str, str]:
        """Create or update our comment of `title`; return the operation and the comment's address.

        Raises NotAllowed, InputError for a target that is not there, ApiError for other faults.
        """
        api = self._api
        with self._explained():
            place = self._place
            own = self._own(title)
            if not own:
                created = api.create_comment(place, text)
                # Whoever the server says wrote it is who we are.
                self._learned.add(created.author)
                # Another job may have been looking for it at the same moment, and a request that is
                # sent again after a cut may be done twice. All agree on the oldest.
                own = self._own(title) or [created]
                if own[0].id == created.id:
                    self._remove(own[1:])
                    return "created", created.url
            self._remove(own[1:])
            if comment.same(own[0].body, text):
                return "none", own[0].url
            return "updated", api.update_comment(own[0], text).url

    def publish_with_cml(self, title: str, file: Path) -> tuple[str, str]:
        """Hand the report in `file` to CML; otherwise as `publish`.

        CML updates the newest comment with its watermark, whoever wrote it: it is asked to only
        where that one is ours.
        """
        api = self._api
        with self._explained():
            place = self._place
            watermark = comment.cml_watermark(title)
            marked = [one for one in api.list_comments(place) if watermark in one.body]
            ours = bool(marked) and bool(self._ours(marked[-1:]))
        text = file.read_text(encoding="utf-8")
        if ours and comment.same(comment.without_cml_watermark(marked[-1].body), text):
            return "none", marked[-1].url
        kind = self.target.kind
        if kind == "auto":
            kind = "pr" if isinstance(place, int) else "commit"
        url = cml.comment(
            "update" if ours else "create",
            file,
            target=f"{kind}/{place}",
            title=title,
            token=self.token,
            repository_url=f"{self.context.server_url}/{self.context.repository}",
        )
        return ("updated" if ours else "created"), url

    def _own(self, title: str) -> list[github.Comment]:
        """Return our comments of `title`, oldest first."""
        listed = self._api.list_comments(self._place)
        marked = [one for one in listed if comment.has_mark(one.body, title)]
        return sorted(self._ours(marked), key=lambda one: one.id)

    def _ours(self, marked: list[github.Comment]) -> list[github.Comment]:
        """Return those of `marked` that we wrote: a mark in another's is a copy, or a trap.

        May the token edit a comment, that says nothing: on Gitea whoever may write may edit any.
        """
        if not marked:
            return []  # who we are takes a request, and is of interest only then
        if not self._login and not self._learned:
            self._learned.add(self._api.login_by_reaction(marked[-1]))
        return comment.find_own(marked, {self._login, *self._learned})

    def _remove(self, comments: list[github.Comment]) -> None:
        """Remove our doubles of a comment; what another job has removed is gone."""
        for one in comments:
            with suppress(github.ForbiddenError):
                self._api.delete_comment(one)

    @cached_property
    def _login(self) -> str:
        """Who the token is, as far as the server tells."""
        return self._api.login()

    @cached_property
    def _api(self) -> github.GitHub:
        if not self.context.repository:
            raise NotAllowed("this is no workflow run (GITHUB_REPOSITORY is not set)")
        if not self.token:
            raise NotAllowed("input `token` is empty")
        return github.GitHub(self.context.repository, self.token, api_url=self.context.api_url)

    @cached_property
    def _place(self) -> int | str:
        """The number of the pull request or issue, or the commit, that gets the comment."""
        target = self.target
        if target.id and target.kind == "commit":
            return self.checkout.commit_of(target.id) or target.id
        if target.id:
            return int(target.id)
        subject = self.context.subject
        commit = event_checkout.of_event(self.context, self.checkout)
        if target.kind != "commit":
            if subject.number:
                return subject.number
            if commit and (number := self._found(commit)):
                return number
        if not commit:
            raise NotAllowed(
                f"the event {self.context.event_name} names no commit to comment on: give target"
            )
        if target.kind == "pr":
            raise InputError.of(
                "target", "pr", f"no open pull request has commit {commit[:10]}", fix="target: auto"
            )
        return commit

    def _found(self, commit: str) -> int | None:
        """Return the open pull request that an event which names none is about."""
        subject = self.context.subject
        # What is queued for a branch, or compared with it, does not come from it.
        branch = "" if subject.is_change else subject.base
        return (
            None
            if subject.source.kind is Kind.QUEUED
            else _open_pull_request(self._api, branch, commit)
        )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn a refusal of the API into NotAllowed, or into a wrong `target`."""
        try:
            yield
        except github.ApiError as error:
            missing = error.status in (404, 422) and self.target.id
            if missing and not (self._api.dialect.is_gitea and self.target.kind == "commit"):
                raise InputError.of(
                    "target",
                    f"{self.target.kind}/{self.target.id}",
                    f"the server has it not, or does not show it to this token: {error.message}",
                    fix="target: auto",
                ) from error
            if not isinstance(error, github.ForbiddenError):
                raise
            if self._api.dialect.is_gitea and isinstance(self.__dict__.get("_place"), str):
                raise NotAllowed("this server has no comments on commits") from error
            needed = self._api.dialect.permission("comments: write")
            raise NotAllowed(
                f"{error.message}. The token needs `{needed}`; in a pull request from a fork it may"
                " only read"
            ) from error


def _open_pull_request(api: github.GitHub, branch: str, commit: str) -> int | None:
    """Return the open pull request from `branch`, if given, else the one whose head is `commit`."""
    try:
        if branch and (found := api.find_pull_request(branch)):
            return found.number
        pulls = api.pull_requests_of_commit(commit)
    except github.ApiError as error:
        if not isinstance(error, github.ForbiddenError) and error.status != 422:
            raise
        return None  # the token may not list them, or the server can't
    return next(
        (one.number for one in pulls if one.state == "open" and one.head_sha == commit), None
    )
