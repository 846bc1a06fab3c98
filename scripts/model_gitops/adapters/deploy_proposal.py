"""Our own pull request into the deploy repository: its branch is moved, and it is opened or updated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from model_gitops.adapters import git, github
from model_gitops.adapters.deploy_repository import DeployRepository
from model_gitops.core.deploy.location import Location, is_on
from model_gitops.errors import InputError


@dataclass(frozen=True)
class Branch:
    """Our branch as it is now: its `tip` is empty where there is none, and `opened` its pull request."""

    head: str
    base: str
    tip: str
    opened: github.PullRequest | None


@dataclass(frozen=True)
class Proposal:
    """The pull request as it is to be. `commit` makes its one commit, and returns it."""

    title: str
    body: str
    commit: Callable[[], str]


@dataclass(frozen=True)
class Proposed:
    """What was done: `opened`, `updated` or `none`; the commit, and the pull request's address."""

    operation: str
    commit: str
    url: str


def find(deploy: DeployRepository, api: github.GitHub, head: str, base: str) -> Branch:
    """Return our branch `head`, fetched where there is one, with its open pull request into `base`."""
    existing = deploy.refs(head).branches.get(head, "")
    opened = api.find_pull_request(head, base)
    return Branch(head, base, deploy.fetch(head) if existing else "", opened)


def propose(
    deploy: DeployRepository,
    api: github.GitHub,
    branch: Branch,
    wanted: Proposal,
    *,
    holds: Callable[[str], bool],
) -> Proposed:
    """Move our branch and open or update its pull request: once.

    `holds` says of the branch's commit whether it is just what is wanted, on the base as it is now.
    Raises LostRace where somebody else was first, and ExternalError.
    """
    tip, opened = branch.tip, branch.opened
    pushed = not (tip and holds(tip))
    if pushed:
        tip = wanted.commit()
        deploy.push(tip, branch.head, expected=branch.tip)
    if opened is None:
        try:
            opened = api.open_pull_request(
                head=branch.head, base=branch.base, title=wanted.title, body=wanted.body
            )
        except github.AlreadyExistsError as error:
            raise git.LostRace(str(error)) from error
        except github.ApiError:
            if not branch.tip:
                deploy.remove(branch.head, expected=tip)
            raise
        return Proposed("opened", tip, opened.url)
    # Servers store line endings and the last newline in their own way.
    written = (opened.title, " ".join(opened.body.split()))
    if written != (wanted.title, " ".join(wanted.body.split())):
        api.update_pull_request(opened.number, title=wanted.title, body=wanted.body)
        pushed = True
    return Proposed("updated" if pushed else "none", tip, opened.url)


def check_place(location: Location, token: str, server_url: str) -> None:
    """Refuse a place that no pull request can be opened in. Raises InputError."""
    if not location.slug or not is_on(location, server_url):
        problem = f"a pull request needs a repository on {server_url}"
        raise InputError.of("repository", location.url, problem, fix="mode: push")
    if not token:
        raise InputError(
            "input `token` is empty: a pull request is opened through the server's API, which needs one",
            fix="token: ${{ secrets.DEPLOY_TOKEN }} (of a GitHub App: GITHUB_TOKEN can't write"
            " another repository)",
        )
