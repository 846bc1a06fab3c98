"""Hold an environment so that it takes no promotion, or release it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated

from model_gitops import runner
from model_gitops.adapters import clock, deploy_proposal, git, person, promotion_file
from model_gitops.adapters.deploy_repository import DeployRepository
from model_gitops.adapters.deploy_store import DeployFile, KustomizationFile, ProtectedError
from model_gitops.adapters.github import GitHub
from model_gitops.adapters.tracing.places import opened_overlays
from model_gitops.core.deploy import deployment, hold
from model_gitops.core.deploy.hold import Decision, Hold
from model_gitops.core.deploy.location import check_path
from model_gitops.core.deploy.trailers import is_rollback, read_trailers
from model_gitops.core.flow.environment import Environment, named
from model_gitops.core.markdown import code, escape
from model_gitops.errors import ActionError, ExternalError, InputError
from model_gitops.options import (
    Config,
    DeployBranch,
    DeployWriteKey,
    DeployWriteToken,
    HoldUntil,
    KnownHosts,
    option,
)

OUTPUTS = ("operation", "environment", "reason", "by", "until", "commit", "pull-request")

_HOLD, _RELEASE = "hold", "release"


@dataclass(frozen=True)
class _Asked:
    """What the inputs ask for. `wanted` is None for a release, and `why` then may be empty."""

    environment: Environment
    folder: str
    by: str
    why: str
    now: datetime
    wanted: Hold | None
    is_length: bool

    def decide(self, before: Hold | None) -> Decision:
        if self.wanted is None:
            return hold.release(before)
        return hold.set_to(before, self.wanted, self.now, is_length=self.is_length)


@dataclass(frozen=True)
class _Result:
    """What was done. `moved` are the branches of deploy pull requests that are checked again for it.

    `state` says what the environment is until our pull request is merged, where there is one.
    """

    decision: Decision
    commit: str
    pull_request: str = ""
    moved: tuple[str, ...] = ()
    state: str = ""


def command(
    *,
    environment: Annotated[
        str, option("environment", "Environment to hold or release, as promotion.yaml names it.")
    ] = "",
    operation: Annotated[str, option("operation", "`hold` or `release`.")] = _HOLD,
    reason: Annotated[
        str,
        option(
            "reason",
            "Why, in one sentence, for everybody whom the hold stops. A release may lack it.",
        ),
    ] = "",
    until: HoldUntil = "",
    config: Config = "promotion.yaml",
    deploy_branch: DeployBranch = "",
    token: DeployWriteToken = "",
    ssh_key: DeployWriteKey = "",
    known_hosts: KnownHosts = "",
) -> None:
    """Write or remove hold.yaml beside the overlay, by a push; where only pull requests are taken, by one."""
    checkout = git.open_repository(Path.cwd())
    promotion = promotion_file.read_promotion(promotion_file.place(config), checkout)
    one = named(promotion.environments, environment, config)
    asked = _asked(one, operation, reason, until, person.who(checkout))
    with (
        opened_overlays(
            promotion, checkout, token, ssh_key, deploy_branch, known_hosts, with_pulls=True
        ) as overlays,
        runner.group(f"{operation.capitalize()} {one.name}"),
    ):
        deploy, branch, api = overlays.repository, overlays.branch, overlays.pulls.api
        result = git.until_won(
            lambda: _attempt(deploy, branch, api, asked), f"{operation} of {one.name}"
        )
    decision, held = result.decision, result.decision.hold
    if decision.kept:
        runner.notice(f"{one.name}: {decision.kept}", title="held longer")
    if result.pull_request:
        runner.warning(
            f"{one.name} is {result.state} until this pull request is merged: {result.pull_request}",
            title="merge it",
        )
    runner.write_outputs(
        {
            "operation": decision.operation,
            "environment": one.name,
            "reason": held.reason if held else asked.why,
            "by": held.by if held else asked.by,
            "until": held.until.isoformat() if held and held.until else "",
            "commit": result.commit,
            "pull-request": result.pull_request,
        }
    )
    runner.write_summary(_summary(one.name, result))


def _asked(environment: Environment, operation: str, reason: str, until: str, by: str) -> _Asked:
    """Check what the inputs say. Raises InputError."""
    now = clock.now().replace(microsecond=0)
    if operation not in (_HOLD, _RELEASE):
        problem = "it is neither `hold` nor `release`"
        raise InputError.of("operation", operation, problem, fix="operation: hold")
    folder = check_path(environment.overlay)
    if operation == _RELEASE:
        if until.strip():
            problem = "a release has no end: it holds no more"
            raise InputError.of("until", until, problem, fix="leave `until` out")
        why = hold.reason(reason) if reason.strip() else ""
        return _Asked(environment, folder, by, why, now, None, is_length=False)
    why = hold.reason(reason)
    wanted = Hold(why, by, now, hold.parse_until(until, now), runner.context().run)
    return _Asked(environment, folder, by, why, now, wanted, is_length=hold.is_length(until))


def _attempt(deploy: DeployRepository, branch: str, api: GitHub | None, asked: _Asked) -> _Result:
    """Fetch, decide, write, push: once. Raises LostRace, InputError, ExternalError."""
    tip = deploy.fetch(branch)
    deploy.read_kustomization(tip, asked.folder)  # a hold beside nothing would hold nothing
    decision = asked.decide(deploy.hold_at(tip, asked.folder))
    if decision.operation == "none":
        return _Result(decision, tip, moved=_check_again(deploy, api, branch, tip, asked))
    line, trailers = hold.commit_text(decision, asked.environment.name, asked.by, asked.why)
    path = hold.path_of(asked.folder)
    files = [DeployFile(path, hold.write(decision.hold))] if decision.hold else []
    make = partial(
        deploy.commit,
        tip,
        *files,
        message=deployment.commit_message(line, "", trailers),
        removed=() if files else (path,),
    )
    commit = make()
    try:
        deploy.push(commit, branch)
    except ProtectedError:
        if api is None:
            raise
        runner.notice(f"{branch} of {deploy.url} takes no push: a pull request is opened")
        return _proposed(deploy, api, branch, tip, asked, decision, line, make)
    return _Result(decision, commit, moved=_check_again(deploy, api, branch, commit, asked))


def _proposed(
    deploy: DeployRepository, api: GitHub, base: str, tip: str, asked: _Asked, decision: Decision,
    line: str, make: partial[str],
) -> _Result:  # fmt: skip
    """Open or update the pull request that holds, or releases. Raises LostRace, ExternalError."""
    head, wanted = hold.branch_name(asked.folder, base), decision.hold

    def holds(commit: str) -> bool:
        """Whether our branch is one commit on the base that means the same, by whichever run."""
        there = deploy.hold_at(commit, asked.folder)
        if deploy.parents(commit) != [tip]:
            return False
        return asked.decide(there).operation == "none" if wanted and there else there is wanted

    ours = deploy_proposal.find(deploy, api, head, base)
    if wanted and ours.tip and holds(ours.tip):
        wanted = deploy.hold_at(ours.tip, asked.folder)  # with the end of the run before
    what = f"is to be {escape(wanted.sentence, longest=2000)}" if wanted else "is to be released"
    body = (
        f"{code(asked.environment.name)} {what}.\n\nAsked for by {escape(asked.by)}. It counts from the merge on,"
        f" as {code(hold.path_of(asked.folder))} does."
    )
    done = deploy_proposal.propose(
        deploy, api, ours, deploy_proposal.Proposal(line, body, make), holds=holds
    )
    state = {"held": "not held", "updated": "held as before"}.get(decision.operation, "still held")
    operation = "none" if done.operation == "none" else "proposed"
    return _Result(replace(decision, operation=operation), done.commit, done.url, state=state)


def _check_again(
    deploy: DeployRepository, api: GitHub | None, base: str, tip: str, asked: _Asked
) -> tuple[str, ...]:
    """Move the branches of open deployments of the overlay onto `tip`: their checks see the hold, or its end.

    A check that was green before the hold would stay so. What is held or released stays so, whatever
    comes of it: anybody may push a branch of such a name. Who moves one at the same time is checked anew.
    """
    moved, name = [], "(all)"
    try:
        branches = deploy.refs().branches
        ours = hold.branch_name(asked.folder, base)
        other = api.find_pull_request(ours, base) if api and ours in branches else None
        if other:
            runner.warning(
                f"this pull request would still change that, it was opened before: {other.url}",
                title="close it",
            )
    except ExternalError as error:
        _warn_of(name, asked.environment.name, error)
        return ()
    for name in branches:
        if not deployment.may_propose(name, asked.folder):
            continue
        try:
            is_moved = _move(deploy, name, tip, asked.folder)
        except git.LostRace:
            continue
        except ActionError as error:
            _warn_of(name, asked.environment.name, error)
            continue
        if is_moved:
            runner.say(
                f"{name}: moved onto {tip[:12]}, so that its checks see the hold, or its end"
            )
            moved.append(name)
    return tuple(moved)


def _warn_of(branch: str, environment: str, error: ActionError) -> None:
    runner.warning(
        f"the checks of an open deployment to {environment} (branch {branch}) do not run again: {error.message}."
        " Fix: run them again before you merge it",
        title="not checked again",
    )


def _move(deploy: DeployRepository, name: str, tip: str, folder: str) -> bool:
    """Move the branch `name` onto `tip`, if it is a deployment of ours that saw another hold.

    Only branches with one commit are moved, whose parent has another hold than `tip`. Raises LostRace,
    InputError where it has no kustomization, ExternalError.
    """
    head = deploy.fetch(name, depth=2)
    message, parents = deploy.message(head), deploy.parents(head)
    if len(parents) != 1 or parents[0] == tip or is_rollback(read_trailers(message)):
        return False
    if deploy.hold_at(parents[0], folder) == deploy.hold_at(tip, folder):
        return False
    before, after, now = _kustomizations(deploy, folder, [parents[0], head, tip])
    if after in (before, now) or before != now:
        return False  # it changes another overlay, is merged, or was overtaken: the next bump sees to it
    deploy.push(deploy.commit(tip, after, message=message), name, expected=head)
    return True


def _kustomizations(
    deploy: DeployRepository, folder: str, commits: Sequence[str]
) -> list[KustomizationFile]:
    return [deploy.read_kustomization(one, folder) for one in commits]


def _summary(environment: str, result: _Result) -> str:
    held = result.decision.hold
    where = (
        f"[pull request]({result.pull_request})"
        if result.pull_request
        else f"`{result.commit[:12]}`"
    )
    text = f"It is {escape(held.sentence, longest=2000)}." if held else "It takes promotions."
    if result.pull_request:
        text = f"From the merge on: {text}"
    lines = [f"### {code(environment)}: {result.decision.operation} ({where})", "", text]
    lines += ["", f"{escape(result.decision.kept)}."] if result.decision.kept else []
    if result.moved:
        lines += ["", f"Checked again: {', '.join(map(code, result.moved))}"]
    return "\n".join(lines) + "\n"
