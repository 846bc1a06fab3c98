"""One issue that says how something is: opened, updated and closed again, never a second one.

It is found by a hidden mark in a body that we wrote: whoever may open an issue may write the mark too,
so an issue of somebody else is never taken. Whoever can run a workflow with the same account (any branch,
for `github-actions[bot]`) can write such an issue: nothing may be decided by what stands in it.

    kept = KeptIssue(Issues(repository, token), "retrain")
    kept.keep("The data of diabetes has drifted", body)    # opened, updated or none
    kept.close("The drift is gone.")                       # closed or none
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from model_gitops.adapters.github_client import ApiError
from model_gitops.adapters.issues import Issue, Issues
from model_gitops.core.report import comment, kept


@dataclass(frozen=True)
class Kept:
    """What was done: opened, updated, closed or none; and to which issue (0 and empty: there is none)."""

    operation: str
    number: int = 0
    url: str = ""


class KeptIssue:
    """The one open issue of `key` that the account of the token keeps."""

    def __init__(self, issues: Issues, key: str) -> None:
        """Make no request yet. `key` is a word, and of several models with the model after it."""
        self._issues = issues
        self._key = key
        self._login: str | None = None
        # Who we are, learned from what we wrote.
        self._learned: set[str] = set()

    def find(self) -> Issue | None:
        """Return the open issue, or None. Changes nothing. Raises ApiError."""
        return next(iter(self._own()), None)

    def keep(self, title: str, body: str) -> Kept:
        """Let the issue say `body` (Markdown without the mark), and open it where there is none.

        A server has no compare-and-swap for issues: another run may open one at the same moment, and a
        request that is sent again after a cut may be done twice. All agree on the lowest number; the
        others are closed. The same text but for the run's address is no change. Raises ApiError.
        """
        title, text = kept.title(title), kept.marked(body, self._key)
        own = self._own()
        if not own:
            made = self._issues.create(title, text)
            self._learned.add(made.author)
            own = self._own(made)
            if own[0].number == made.number:
                self._close_doubles(own)
                return Kept("opened", made.number, made.url)
        first = own[0]
        self._close_doubles(own)
        if first.title == title and comment.same(first.body, text):
            return Kept("none", first.number, first.url)
        self._issues.update(first.number, title=title, body=text)
        return Kept("updated", first.number, first.url)

    def close(self, why: str) -> Kept:
        """Close the issue with the comment `why` (Markdown); none is fine. Raises ApiError.

        Killed between the two, the next run finds its comment there and closes.
        """
        own = self._own()
        if not own:
            return Kept("none")
        first = own[0]
        self._close_doubles(own)
        self.say(first, why)
        self._issues.close(first.number)
        return Kept("closed", first.number, first.url)

    def say(self, issue: Issue, text: str) -> bool:
        """Comment on `issue`, unless our last comment there says the same. Raises ApiError."""
        written = self._issues.comments.list_comments(issue.number)
        ours = comment.find_own(written, {issue.author, self._account(), *self._learned})
        if ours and comment.same(ours[-1].body, text):
            return False
        self._issues.comments.create_comment(issue.number, text)
        return True

    def _own(self, made: Issue | None = None) -> list[Issue]:
        """Return our open issues of the key, lowest number first; `made` is one that is there for sure."""
        marked = self._marked(self._account())
        if made and all(one.number != made.number for one in marked):
            # Should a server not know who made it under that name, or be slow to list it.
            marked = self._marked("")
        if marked and not self._account() and not self._learned:
            self._learned.add(self._issues.login_by_reaction(marked[-1].number))
        known = {self._account().lower(), *(one.lower() for one in self._learned)} - {""}
        own = [one for one in marked if one.author.lower() in known]
        if made and all(one.number != made.number for one in own):
            own.append(made)
        return sorted(own, key=lambda one: one.number)

    def _marked(self, creator: str) -> list[Issue]:
        return [
            one for one in self._issues.open_ones(creator) if kept.has_mark(one.body, self._key)
        ]

    def _account(self) -> str:
        if self._login is None:
            self._login = self._issues.login()
        return self._login

    def _close_doubles(self, own: list[Issue]) -> None:
        """Close all but the first, in one request each: without the mark nobody finds it again."""
        for one in own[1:]:
            # Another run may have done so.
            with suppress(ApiError):
                said = f"Duplicate of #{own[0].number}."
                self._issues.close(one.number, completed=False, body=said)
