"""What a retraining proposes: one branch, one pull request and one issue of a model, whoever trained it."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, replace
from typing import NamedTuple

from model_gitops import runner
from model_gitops.adapters import git, retraining_branch
from model_gitops.adapters.github import AlreadyExistsError, ForbiddenError, GitHub, PullRequest
from model_gitops.adapters.issues import Issues
from model_gitops.adapters.kept_issue import Kept, KeptIssue
from model_gitops.core.flow.promotion import Promotion
from model_gitops.core.report import comment, kept, retraining
from model_gitops.core.report.retraining import Retraining
from model_gitops.errors import InputError


class Told(NamedTuple):
    """What was done: the operation, the branch, and the addresses of the issue and the pull request."""

    operation: str
    branch: str = ""
    issue: str = ""
    pull_request: str = ""


@dataclass(frozen=True)
class Place:
    """Where all of it is: the model's rules, the checkout, and the ways to the server."""

    promotion: Promotion
    checkout: git.Git
    base: str
    pulls: GitHub
    issue: KeptIssue
    # Whose pull requests get checks; None without a token of its own.
    opener: GitHub | None = None

    @property
    def key(self) -> str:
        """What the issue and the pull request are found by."""
        return _key(self.promotion)

    def pull_request(self) -> PullRequest | None:
        """Return the open pull request of a retraining into the base, the oldest where there are several."""
        return next(filter(self._is_own, self.pulls.open_pull_requests(self.base)), None)

    def declined(self, branch: str, commit: str) -> PullRequest | None:
        """Return the pull request that somebody closed and that proposed this: by its branch, or the same model."""
        for one in filter(self._is_own, self.pulls.closed_pull_requests(self.base)):
            lock = posixpath.join(self.promotion.folder, "dvc.lock")
            if self.checkout.commit_of(one.head_sha) is None:
                # A clone of ours has no other branches; one that is gone has nothing to compare.
                self.checkout.try_fetch(one.head_sha)
            if one.head_ref == branch or retraining_branch.is_same(
                self.checkout, lock, one.head_sha, commit
            ):
                return one
        return None

    def _is_own(self, pull: PullRequest) -> bool:
        """Whether it is from a branch of a retraining of this model, here and in no fork."""
        here = pull.head_repository.lower() == self.pulls.repository.lower()
        return here and retraining.is_branch(pull.head_ref, self.promotion.folder)


def target_of(promotion: Promotion, base: str) -> str:
    """Return the branch that is retrained: `base`, by default the first environment's. Raises InputError."""
    target = base.removeprefix("refs/heads/") or promotion.environments[0].branch
    if promotion.of_branch(target) is None:
        names = ", ".join(one.branch for one in promotion.environments)
        raise InputError.of(
            "base", base, f"it is no environment's branch: these are {names}", fix="leave it out"
        )
    return target


def place_of(
    checkout: git.Git, promotion: Promotion, base: str, token: str, pull_request_token: str
) -> Place:
    """Return where the retraining of a model is. Makes no request. Raises InputError."""
    context = runner.context()
    if not context.repository:
        raise InputError(
            "this is no workflow run: GITHUB_REPOSITORY says in which repository the issue is",
            fix="export GITHUB_REPOSITORY=owner/name",
        )
    api = context.api_url
    pulls = GitHub(context.repository, token, api_url=api)
    own = pull_request_token
    opener = GitHub(context.repository, own, api_url=api) if own else None
    issues = Issues(context.repository, token, api_url=api)
    return Place(promotion, checkout, base, pulls, KeptIssue(issues, _key(promotion)), opener)


def _key(promotion: Promotion) -> str:
    return f"retrain {promotion.model}"


def begin(place: Place, today: str) -> Told:
    """Check out the branch of the open pull request, else `today`. Never two are open."""
    base = retraining_branch.base_tip(place.checkout, place.base)
    pull = place.pull_request()
    branch = pull.head_ref if pull else today
    done = retraining_branch.start(place.checkout, branch, base, place.promotion.folder)
    runner.say(f"{branch}: {done}")
    return Told(done, branch, pull_request=pull.url if pull else "")


def propose(place: Place, facts: Retraining) -> Told:
    """Open or update the issue and the pull request of what the branch brings.

    Raises RefusedError, ForbiddenError and ApiError.
    """
    pull = place.pull_request()
    base = retraining_branch.base_tip(place.checkout, place.base)
    name = facts.branch or (pull.head_ref if pull else "")
    commit = retraining_branch.tip(place.checkout, name) if name else None
    if commit and not retraining_branch.brings(place.checkout, commit, base):
        commit = None
    facts = replace(facts, branch=name, commit=commit or "")
    if commit is None:
        return _without_a_model(place, facts)
    if pull is None and (declined := place.declined(name, commit)):
        return decline(place, replace(facts, declined=declined.url))
    if pull:
        facts = replace(facts, pull_request=pull.url)
    issue = place.issue.keep(facts.title, facts.issue())
    try:
        operation, pull = _kept_pull(place, facts, issue.number, pull)
    except ForbiddenError as error:
        refused = replace(facts, refused=error.message)
        place.issue.keep(refused.title, refused.issue())
        raise
    facts = replace(facts, pull_request=pull.url)
    final = place.issue.keep(facts.title, facts.issue())
    if operation == "opened" and place.opener is None:
        runner.warning(
            f"{pull.url} was opened by the job's own token, so GitHub starts no check on it: close and reopen"
            " it, or set the secret COMMIT_TOKEN to a GitHub App's token",
            title="No checks run on the pull request",
        )
    if operation == "none":
        operation = next(
            (one.operation for one in (issue, final) if one.operation != "none"), "none"
        )
    return Told(operation, name, issue.url, pull.url)


def _without_a_model(place: Place, facts: Retraining) -> Told:
    """Nothing was trained that the base lacks: say why, where somebody waits for it."""
    failed = facts.outcome in ("failure", "cancelled")
    if facts.reason or failed:
        done = place.issue.keep(facts.title, facts.issue())
    elif place.issue.find():
        done = place.issue.close(
            f"Nothing is left to do: {place.promotion.name} is trained with all rows that have a label."
        )
    else:
        done = Kept("none")
    runner.notice(
        f"there is nothing to propose: {place.base} has all that the pipeline makes of the data there is"
    )
    return Told(done.operation, facts.branch, done.url)


def decline(place: Place, facts: Retraining) -> Told:
    """Somebody closed what would be proposed: that is a no. An issue that is open says so; none is opened."""
    done = place.issue.keep(facts.title, facts.issue()) if place.issue.find() else Kept("none")
    runner.notice(
        f"{facts.declined} was closed without a merge, so this model is not proposed again: reopen it, or"
        " wait for new data, which is proposed in a branch of another day"
    )
    return Told(done.operation, facts.branch, done.url, facts.declined)


def _kept_pull(
    place: Place, facts: Retraining, issue: int, pull: PullRequest | None
) -> tuple[str, PullRequest]:
    """Open the pull request, or renew the text of the one that is there. Raises ApiError."""
    text = kept.marked(facts.pull(issue), place.key)
    if pull is None:
        try:
            return "opened", _opened(place, facts, text)
        except AlreadyExistsError:
            # Another run was first, or the answer to our own request was lost.
            pull = place.pulls.find_pull_request(facts.branch, place.base)
            if pull is None:
                raise
    if not kept.has_mark(pull.body, place.key) or comment.same(pull.body, text):
        return "none", pull
    return "updated", place.pulls.update_pull_request(pull.number, title=pull.title, body=text)


def _opened(place: Place, facts: Retraining, text: str) -> PullRequest:
    """Open the pull request: by the token of its own, where that may. Raises ApiError."""
    told = {"head": facts.branch, "base": place.base, "title": facts.pull_title, "body": text}
    if place.opener is not None:
        try:
            return place.opener.open_pull_request(**told)
        except ForbiddenError as error:
            runner.warning(
                f"{error.message}. It is opened by the job's own token, so GitHub starts no check on it: give"
                " the App of COMMIT_TOKEN `pull-requests: write`; for now close and reopen the pull request",
                title="No checks run on the pull request",
            )
    return place.pulls.open_pull_request(**told)
