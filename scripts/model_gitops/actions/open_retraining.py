"""Keep one issue, one branch and one pull request of a retraining."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from model_gitops import runner
from model_gitops.adapters import clock, git, promotion_file, retraining_branch
from model_gitops.adapters.github import AlreadyExistsError, ForbiddenError, GitHub, PullRequest
from model_gitops.adapters.issues import Issues
from model_gitops.adapters.kept_issue import Kept, KeptIssue
from model_gitops.core.flow.promotion import Promotion
from model_gitops.core.report import comment, kept, retraining
from model_gitops.core.report.retraining import Retraining
from model_gitops.errors import InputError
from model_gitops.options import Config, option, secret

OUTPUTS = ("operation", "branch", "issue", "pull-request")

_OUTCOMES = ("", "success", "failure", "cancelled", "skipped")


@dataclass(frozen=True)
class _Place:
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
        return _key(self.promotion)

    def pull_request(self) -> PullRequest | None:
        """Return the open pull request of a retraining into the base, the oldest where there are several."""
        return next(filter(self._is_own, self.pulls.open_pull_requests(self.base)), None)

    def declined(self, branch: str, commit: str) -> PullRequest | None:
        """Return the pull request that somebody closed and that proposed this: by its branch, or the same model."""
        for one in filter(self._is_own, self.pulls.closed_pull_requests(self.base)):
            lock = posixpath.join(self.promotion.folder, "dvc.lock")
            if one.head_ref == branch or retraining_branch.is_same(
                self.checkout, lock, one.head_sha, commit
            ):
                return one
        return None

    def _is_own(self, pull: PullRequest) -> bool:
        """Whether it is from a branch of a retraining of this model, here and in no fork."""
        here = pull.head_repository.lower() == self.pulls.repository.lower()
        return here and retraining.is_branch(pull.head_ref, self.promotion.folder)


def command(
    operation: Annotated[
        str,
        option(
            "operation",
            "start: check the branch out. open: keep the issue and the pull request. judge: say what the gate"
            " found.",
        ),
    ] = "",
    config: Config = "promotion.yaml",
    base: Annotated[
        str, option("base", "Branch to change. Default: the first environment's.")
    ] = "",
    branch: Annotated[
        str, option("branch", "With `open`: the branch that has the retrained model, from `start`.")
    ] = "",
    date: Annotated[
        str, option("date", "With `start`: the day in the branch's name. Default: today, in UTC.")
    ] = "",
    drift: Annotated[
        str,
        option(
            "drift",
            "With `open`: true or false, as gate-drift puts it out. false closes the issue. Empty: nobody looked.",
        ),
    ] = "",
    reason: Annotated[
        str, option("reason", "What drifted, in some words. Empty: somebody started it by hand.")
    ] = "",
    url: Annotated[
        str, option("url", "Address of the drift's report. Default: this workflow run.")
    ] = "",
    outcome: Annotated[
        str,
        option(
            "outcome",
            "With `open`: how the job that trains ended: success, failure, cancelled or skipped.",
        ),
    ] = "",
    gate: Annotated[
        str, option("gate", "With `judge`: the outcome of the gate's step: success or failure.")
    ] = "",
    gate_table: Annotated[
        str,
        option("gate-table", "With `judge`: the gate's verdicts, as gate-metrics puts them out."),
    ] = "",
    token: Annotated[
        str,
        secret("token", "Token that may write issues and pull requests. Always of one account."),
    ] = "",
    pull_request_token: Annotated[
        str,
        secret(
            "pull-request-token",
            "Token of a GitHub App that opens the pull request, so that its checks run. Default: token.",
        ),
    ] = "",
) -> None:
    """Begin or go on with a branch, keep the issue and the pull request, or say what the gate found."""
    runner.mask(token)
    runner.mask(pull_request_token)
    if operation not in ("start", "open", "judge"):
        raise InputError.of(
            "operation", operation, "it is none of start, open, judge", fix="operation: open"
        )
    for name, value, known in (
        ("drift", drift, ("", "true", "false")),
        ("outcome", outcome, _OUTCOMES),
        ("gate", gate, _OUTCOMES),
    ):
        if value not in known:
            raise InputError.of(
                name, value, f"it is none of {', '.join(known[1:])}", fix=f"{name}: {known[1]}"
            )
    day = retraining.day_of(date, clock.now().date())
    address = retraining.link_of(url)
    checkout = git.open_repository(Path.cwd())
    promotion = promotion_file.read_promotion(promotion_file.place(config), checkout)
    today = retraining.branch_of(promotion.folder, day)
    if branch and not retraining.is_branch(branch, promotion.folder):
        raise InputError.of(
            "branch",
            branch,
            "it is no branch of a retraining of this model",
            fix=f"branch: {today}",
        )
    target = base.removeprefix("refs/heads/") or promotion.environments[0].branch
    if promotion.of_branch(target) is None:
        names = ", ".join(one.branch for one in promotion.environments)
        raise InputError.of(
            "base", base, f"it is no environment's branch: these are {names}", fix="leave it out"
        )
    if operation == "judge" and not retraining.verdict(gate, "", ""):
        _told("none", branch)  # the gate came to no end
        return
    place = _place(checkout, promotion, target, token, pull_request_token)
    if operation == "start":
        _start(place, today)
    elif operation == "open":
        facts = Retraining(
            promotion.name, target, branch, reason=" ".join(reason.split()),
            url=address or runner.context().run_url, outcome=outcome,
        )  # fmt: skip
        _open(place, facts, drift)
    else:
        _judge(place, gate, gate_table)


def _place(
    checkout: git.Git, promotion: Promotion, base: str, token: str, pull_request_token: str
) -> _Place:
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
    return _Place(promotion, checkout, base, pulls, KeptIssue(issues, _key(promotion)), opener)


def _key(promotion: Promotion) -> str:
    return f"retrain {promotion.model}"


def _start(place: _Place, today: str) -> None:
    """Check out the branch of the open pull request, else today's. Never two are open."""
    base = retraining_branch.base_tip(place.checkout, place.base)
    pull = place.pull_request()
    branch = pull.head_ref if pull else today
    done = retraining_branch.start(place.checkout, branch, base, place.promotion.folder)
    runner.say(f"{branch}: {done}")
    _told(done, branch, pull_request=pull.url if pull else "")


def _open(place: _Place, facts: Retraining, drift: str) -> None:
    pull = place.pull_request()
    if drift == "false":
        closed = place.issue.close(
            f"The drift is gone: the last windows of {place.promotion.name} look as its training data does."
        )
        _told(closed.operation, facts.branch, closed.url, pull.url if pull else "")
        return
    base = retraining_branch.base_tip(place.checkout, place.base)
    name = facts.branch or (pull.head_ref if pull else "")
    commit = retraining_branch.tip(place.checkout, name) if name else None
    if commit and not retraining_branch.brings(place.checkout, commit, base):
        commit = None
    facts = replace(facts, branch=name, commit=commit or "")
    if commit is None:
        _without_a_model(place, facts)
        return
    if pull is None and (declined := place.declined(name, commit)):
        _declined(place, replace(facts, declined=declined.url))
        return
    if pull:
        facts = replace(facts, pull_request=pull.url)
    issue = place.issue.keep(facts.title, facts.issue())
    try:
        operation, pull = _propose(place, facts, issue.number, pull)
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
    _told(operation, name, issue.url, pull.url)


def _without_a_model(place: _Place, facts: Retraining) -> None:
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
    _told(done.operation, facts.branch, done.url)


def _declined(place: _Place, facts: Retraining) -> None:
    """Somebody closed what would be proposed: that is a no. An issue that is open says so; none is opened."""
    done = place.issue.keep(facts.title, facts.issue()) if place.issue.find() else Kept("none")
    runner.notice(
        f"{facts.declined} was closed without a merge, so this model is not proposed again: reopen it, or"
        " wait for new data, which is proposed in a branch of another day"
    )
    _told(done.operation, facts.branch, done.url, facts.declined)


def _propose(
    place: _Place, facts: Retraining, issue: int, pull: PullRequest | None
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


def _opened(place: _Place, facts: Retraining, text: str) -> PullRequest:
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


def _judge(place: _Place, outcome: str, table: str) -> None:
    """Say in the issue what the gate found. No issue is fine: nobody waits for it."""
    issue, pull = place.issue.find(), place.pull_request()
    text = retraining.verdict(outcome, table, pull.url if pull else "")
    said = bool(issue and text) and place.issue.say(issue, text) if issue else False
    _told(
        "commented" if said else "none",
        pull.head_ref if pull else "",
        issue.url if issue else "",
        pull.url if pull else "",
    )


def _told(operation: str, branch: str, issue: str = "", pull_request: str = "") -> None:
    values = (operation, branch, issue, pull_request)
    runner.write_outputs(dict(zip(OUTPUTS, values, strict=True)))
    if issue or pull_request:
        places = " and ".join(one for one in (issue, pull_request) if one)
        runner.write_summary(f"### Retraining: {operation}\n\n{places}\n")
