"""Who approved a pull request: the last verdict of each person, on the commit that was merged."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

# As GitHub and Gitea write them. What is none of these, a comment for one, is no verdict.
_VERDICTS = ("APPROVED", "CHANGES_REQUESTED", "REQUEST_CHANGES", "DISMISSED")


@dataclass(frozen=True)
class Review:
    """One review. `commit` is what the person looked at; empty where the server has it no more."""

    login: str
    verdict: str
    commit: str = ""
    is_person: bool = True


@dataclass(frozen=True)
class Approvals:
    """Who approved the merged commit, sorted; and who only an `older` one: (login, commit)."""

    by: tuple[str, ...] = ()
    older: tuple[tuple[str, str], ...] = ()


def approvals(reviews: Iterable[Review], *, author: str, head: str) -> Approvals:
    """Return who approves a pull request of `author` whose merged commit is `head`.

    `reviews` are in their order. Of each person the last verdict counts; neither the author's own nor
    a bot's, which whoever may run a workflow can make, ever does. An approval of an older commit is
    none of what was merged, whether the server dismissed it or not.
    """
    last: dict[str, Review] = {}
    for one in reviews:
        if one.is_person and one.verdict in _VERDICTS and one.login.lower() != author.lower():
            last[one.login] = one
    approved = sorted(
        (one for one in last.values() if one.verdict == "APPROVED"), key=lambda one: one.login
    )
    return Approvals(
        by=tuple(one.login for one in approved if one.commit == head),
        older=tuple((one.login, one.commit) for one in approved if one.commit != head),
    )
