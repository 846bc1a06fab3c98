"""Keep one issue, one branch and one pull request of a retraining."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from model_gitops import runner
from model_gitops.adapters import clock, git, promotion_file, retraining_proposal
from model_gitops.adapters.retraining_proposal import Place, Told
from model_gitops.core.report import retraining
from model_gitops.core.report.retraining import Retraining
from model_gitops.errors import InputError
from model_gitops.options import Config, option, secret

OUTPUTS = ("operation", "branch", "issue", "pull-request")

_OUTCOMES = ("", "success", "failure", "cancelled", "skipped")


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
    target = retraining_proposal.target_of(promotion, base)
    if operation == "judge" and not retraining.verdict(gate, "", ""):
        _tell(Told("none", branch))  # the gate came to no end
        return
    place = retraining_proposal.place_of(checkout, promotion, target, token, pull_request_token)
    if operation == "start":
        told = retraining_proposal.begin(place, today)
    elif operation == "open" and drift == "false":
        told = _closed(place, branch)
    elif operation == "open":
        facts = Retraining(
            promotion.name, target, branch, reason=" ".join(reason.split()),
            url=address or runner.context().run_url, outcome=outcome,
        )  # fmt: skip
        told = retraining_proposal.propose(place, facts)
    else:
        told = _judged(place, gate, gate_table)
    _tell(told)


def _closed(place: Place, branch: str) -> Told:
    """Close the issue: there is no drift."""
    pull = place.pull_request()
    done = place.issue.close(
        f"The drift is gone: the last windows of {place.promotion.name} look as its training data does."
    )
    return Told(done.operation, branch, done.url, pull.url if pull else "")


def _judged(place: Place, outcome: str, table: str) -> Told:
    """Say in the issue what the gate found. No issue is fine: nobody waits for it."""
    issue, pull = place.issue.find(), place.pull_request()
    text = retraining.verdict(outcome, table, pull.url if pull else "")
    said = bool(issue and text) and place.issue.say(issue, text) if issue else False
    return Told(
        "commented" if said else "none",
        pull.head_ref if pull else "",
        issue.url if issue else "",
        pull.url if pull else "",
    )


def _tell(told: Told) -> None:
    runner.write_outputs(dict(zip(OUTPUTS, told, strict=True)))
    if told.issue or told.pull_request:
        places = " and ".join(one for one in (told.issue, told.pull_request) if one)
        runner.write_summary(f"### Retraining: {told.operation}\n\n{places}\n")
