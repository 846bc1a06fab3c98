"""Show what each environment runs, if all agrees, and what waits."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from model_gitops import runner
from model_gitops.adapters import clock, git, promotion_file
from model_gitops.adapters.tracing import places
from model_gitops.adapters.tracing.gatherer import Gatherer
from model_gitops.core.deploy.hold import Hold
from model_gitops.core.flow.environment import Environment, named
from model_gitops.core.lineage import facts as lineage
from model_gitops.core.lineage import status as view
from model_gitops.core.lineage.links import check as check_links
from model_gitops.core.lineage.status import Candidate, Status
from model_gitops.errors import InputError, RefusedError
from model_gitops.options import (
    Config,
    DeployBranch,
    DeployKey,
    DeployToken,
    KnownHosts,
    RegistryPassword,
    RegistryUser,
    flag,
    option,
    secret,
)

OUTPUTS = ("in-sync", "deployed", "unassigned", "to-verify", "table", "json")


def command(
    environment: Annotated[
        str, option("environment", "Only this environment. Default: all of promotion.yaml.")
    ] = "",
    candidate: Annotated[
        str,
        option(
            "candidate",
            "Git revision to show beside what `environment` runs, such as HEAD in a pull request.",
        ),
    ] = "",
    candidate_image: Annotated[
        str, option("candidate-image", "The candidate's image, as build-push-image puts it out.")
    ] = "",
    check: Annotated[
        bool, flag("check", "Whether an environment that is not in sync ends the step (code 3).")
    ] = False,
    config: Config = "promotion.yaml",
    deploy_branch: DeployBranch = "",
    token: DeployToken = "",
    ssh_key: DeployKey = "",
    known_hosts: KnownHosts = "",
    source_token: Annotated[
        str,
        secret(
            "source-token",
            "Token that may read this repository's pull requests. Without one they are left out.",
        ),
    ] = "",
    username: RegistryUser = "",
    password: RegistryPassword = "",
    as_json: Annotated[
        bool, flag("json", "Print JSON instead of a table (its schema: status.schema.json).")
    ] = False,
) -> None:
    """Ask overlays, tags, registry and pull requests, and show them in one view."""
    promotion = promotion_file.read_promotion(
        promotion_file.place(config), git.open_repository(Path.cwd())
    )
    names = ", ".join(one.name for one in promotion.environments)
    if environment:
        named(promotion.environments, environment, config)
    if (candidate or candidate_image) and not environment:
        raise InputError(
            "input `candidate` is compared with one environment, and `environment` is empty",
            fix=f"environment: one of {names}",
        )
    asked = promotion.environments
    if environment:
        place = [one.name for one in asked].index(environment)
        # With the one before, whose version may wait; a comparison does not show that.
        asked = asked[place if candidate or candidate_image else max(place - 1, 0) : place + 1]
    credentials = places.Credentials(token, ssh_key, source_token, username, password, known_hosts)
    proposed: Candidate | None = None
    with (
        runner.group("Asking what runs where"),
        places.opened(
            promotion, credentials, deploy_branch=deploy_branch, tolerant=True
        ) as gatherer,
    ):
        found = [replace(_status(gatherer, one), hold=_hold(gatherer, one)) for one in asked]
        if candidate or candidate_image:
            proposed = _candidate(gatherer, asked[0], candidate or "HEAD", candidate_image)
    waiting = view.waiting(replace(promotion, environments=asked), found)
    statuses = [
        replace(one, waiting=more)
        for one, more in zip(found, waiting, strict=True)
        if environment in ("", one.environment)
    ]
    said = [*(one.trace.unasked for one in statuses if one.trace), gatherer.unasked]
    notes = view.notes(said)
    document = json.dumps(view.document(promotion.model, statuses), indent=2)
    table = (
        view.comparison(statuses[0], proposed, promotion, notes)
        if proposed
        else view.markdown(promotion.model, statuses, notes)
    )
    in_sync = all(one.in_sync for one in statuses)
    runner.answer(
        {
            "in-sync": "true" if in_sync else "false",
            "deployed": json.dumps([one.environment for one in statuses if one.trace]),
            "unassigned": json.dumps(view.unassigned(promotion.model, statuses)),
            "to-verify": json.dumps(view.to_verify(promotion, statuses, config)),
            "table": table,
            "json": document,
        },
        document if as_json else view.text(promotion.model, statuses, notes),
    )
    alone = environment and not proposed
    last_line = f"\n{view.sentence(promotion.model, statuses[0])}\n" if alone else ""
    runner.write_summary(table + last_line)
    if check and not in_sync:
        wrong = [(one.environment, *problem) for one in statuses for problem in one.problems]
        raise RefusedError(
            f"{promotion.model} is not in sync: "
            + "; ".join(f"{name}: {problem}" for name, problem, _ in wrong),
            fix=next((fix for _, _, fix in wrong if fix), ""),
        )


def _status(gatherer: Gatherer, environment: Environment) -> Status:
    try:
        trace = gatherer.environment(environment)
    except lineage.NothingDeployed as nothing:
        pulls = [*gatherer.open_pulls(environment), *filter(None, [nothing.waiting])]
        return Status(
            environment.name,
            environment.branch,
            waiting=tuple(pulls),
            said=nothing.said,
            proposal=(nothing.waiting, nothing.proposed_in),
        )
    except InputError as error:
        # One overlay that can't be read must not hide the others.
        return Status(environment.name, environment.branch, problem=error.message, fix=error.fix)
    waiting = gatherer.open_pulls(environment)
    if trace.deployed and trace.deployed.waiting:
        waiting.append(trace.deployed.proposal)
    known = trace.source if trace.source and trace.source.known else None
    return Status(
        environment.name,
        environment.branch,
        trace=trace,
        links=check_links(trace),
        metrics=gatherer.repository.metrics(known.commit) if known else {},
        waiting=tuple(waiting),
        proposal=(trace.deployed.proposal, trace.deployed.proposed_in)
        if trace.deployed
        else ("", ""),
    )


def _hold(gatherer: Gatherer, environment: Environment) -> Hold | None:
    """Return what holds the environment now; None for nothing, and for a hold that ran out."""
    found = gatherer.overlays.hold(environment)
    return found if found and found.is_active(clock.now()) else None


def _candidate(
    gatherer: Gatherer, environment: Environment, revision: str, image: str
) -> Candidate:
    commit = gatherer.repository.checkout.find_commit(revision)
    if commit is None:
        raise InputError.of(
            "candidate", revision, "neither this checkout nor its remote has such a revision",
            fix="candidate: HEAD",
        )  # fmt: skip
    model_hash = gatherer.repository.model_hash(commit)
    version = gatherer.repository.version_of(model_hash)
    head = runner.context().head_ref
    return Candidate(
        name=head or commit[:12],
        commit=commit,
        version=version.version if version else "",
        model_hash=model_hash,
        image=image,
        metrics=gatherer.repository.metrics(commit),
        verified=gatherer.verified_before(environment),
        # The report of a pull request that is open is where this is shown.
        pull=None if head else gatherer.brought(commit, environment),
    )
