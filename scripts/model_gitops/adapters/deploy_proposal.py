"""Our own pull request into the deploy repository: its branch is moved, and it is opened or updated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from model_gitops.adapters import git, github
from model_gitops.adapters.deploy_repository import DeployRepository


@dataclass(frozen=True)
class Proposal:
    """The pull request as it is to be. `commit` makes its one commit, and returns it."""

    head: str
    base: str
    title: str
    body: str
    commit: Callable[[], str]


@dataclass(frozen=True)
class Proposed:
    """What was done: `opened`, `updated` or `none`; the commit, and the pull request's address."""

    operation: str
    commit: str
    url: str


def propose(
    deploy: DeployRepository,
    api: github.GitHub,
    wanted: Proposal,
    *,
    holds: Callable[[str], bool],
) -> Proposed:
    """Move our branch and open or update its pull request: once.

    `holds` says of the branch's commit whether it is just what is wanted, on the base as it is now.
    Raises LostRace where somebody else was first, and ExternalError.
    """
    existing = deploy.refs(wanted.head).branches.get(wanted.head, "")
    open_one = api.find_pull_request(wanted.head, wanted.base)
    tip = deploy.fetch(wanted.head) if existing else ""
    pushed = not (tip and holds(tip))
    if pushed:
        tip = wanted.commit()
        deploy.push(tip, wanted.head, expected=existing)
    if open_one is None:
        try:
            opened = api.open_pull_request(
                head=wanted.head, base=wanted.base, title=wanted.title, body=wanted.body
            )
        except github.AlreadyExistsError as error:
            raise git.LostRace(str(error)) from error
        except github.ApiError:
            if not existing:
                deploy.remove(wanted.head, expected=tip)
            raise
        return Proposed("opened", tip, opened.url)
    # Servers store line endings and the last newline in their own way.
    written = (open_one.title, " ".join(open_one.body.split()))
    if written != (wanted.title, " ".join(wanted.body.split())):
        api.update_pull_request(open_one.number, title=wanted.title, body=wanted.body)
        pushed = True
    return Proposed("updated" if pushed else "none", tip, open_one.url)
