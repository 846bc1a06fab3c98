"""Say whether the workflows run, are green, and how changes are delivered."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated

from model_gitops import runner
from model_gitops.adapters import clock, deliveries, flows, git, paths, workflow_files
from model_gitops.adapters.github_client import ApiError
from model_gitops.adapters.issues import Issues
from model_gitops.adapters.kept_issue import Kept, KeptIssue
from model_gitops.adapters.model_place import Place
from model_gitops.adapters.tracing import places
from model_gitops.adapters.workflow_runs import WorkflowRuns
from model_gitops.core import document, duration
from model_gitops.core.health import picture as drawing
from model_gitops.core.health import runs, view
from model_gitops.core.health.runs import Problem, Watched
from model_gitops.core.health.view import Flow, Health
from model_gitops.core.lineage.status import notes as as_notes
from model_gitops.errors import ExternalError, InputError, RefusedError
from model_gitops.options import (
    DeployBranch,
    DeployKey,
    DeployToken,
    KnownHosts,
    flag,
    lines,
    option,
    secret,
)

OUTPUTS = ("healthy", "operation", "issue", "picture", "table", "json")
_ISSUE = "health"


def command(
    config: Annotated[
        str,
        option(
            "config",
            "promotion.yaml, or its folder. Default: each promotion.yaml of the repository.",
        ),
    ] = "",
    since: Annotated[
        str, option("since", "How far back deliveries are measured: 90d, 12h.")
    ] = "90d",
    ignore: Annotated[
        str, option("ignore", "Workflow files that are not judged, one a line: selftest.yml.")
    ] = "",
    issue: Annotated[
        bool,
        flag(
            "issue",
            "Whether one issue is opened when something is wrong, and closed when it is right again.",
        ),
    ] = False,
    check: Annotated[
        bool, flag("check", "Whether something that is wrong ends the step (code 3).")
    ] = False,
    deploy_branch: DeployBranch = "",
    token: DeployToken = "",
    ssh_key: DeployKey = "",
    known_hosts: KnownHosts = "",
    source_token: Annotated[
        str,
        secret(
            "source-token",
            "Token that may read this repository's workflow runs, and with `issue` write its issues.",
        ),
    ] = "",
    as_json: Annotated[
        bool, flag("json", "Print JSON instead of a table (its schema: health.schema.json).")
    ] = False,
) -> None:
    """Ask the server for runs and Git for deliveries, show both, and keep one issue."""
    runner.mask(source_token)
    now = clock.now()
    seconds = duration.seconds(since, "since")
    if seconds < 3600:
        raise InputError.of("since", since, "it is shorter than an hour", fix="since: 90d")
    checkout = git.open_repository(Path.cwd())
    place = Place.of(checkout)
    if issue and not (source_token and place.repository):
        raise InputError(
            "with `issue` the issues of this repository are written, and `source-token` is empty",
            fix="source-token: ${{ github.token }}, and `issues: write` under `permissions` of the job",
        )
    known = flows.find_flows(checkout, config)
    with runner.group("Asking Git what was delivered"):
        delivered: list[Flow] = []
        unasked: dict[str, str] = {}
        for flow in known:
            if flow.error and (config or len(known) == 1):
                raise flow.error
            delivered.append(
                _delivered(
                    flow, checkout, place, (token, ssh_key, known_hosts, deploy_branch),
                    since=int(now.timestamp() - seconds), now=int(now.timestamp()),
                )
            )  # fmt: skip
    branches = _branches(known)
    with runner.group("Asking the server for workflow runs"):
        watched, problems = _workflows(
            checkout, place, source_token, branches, set(lines(ignore)), now, unasked
        )
    health = Health(
        now, seconds / 86400, tuple(watched), tuple(problems), tuple(delivered),
        tuple(as_notes([unasked])),
    )  # fmt: skip
    drawn = _picture_file()
    paths.write_whole(drawn, drawing.svg(health))
    runner.say(f"picture: {drawn}")
    table, data = view.markdown(health), json.dumps(view.document(health), indent=2)
    runner.write_summary(table)
    kept = _keep(health, place, source_token) if issue and watched else Kept("none")
    runner.answer(
        {
            "healthy": "true" if health.is_well else "false",
            "operation": kept.operation,
            "issue": kept.url,
            "picture": str(drawn),
            "table": table,
            "json": data,
        },
        data if as_json else view.text(health),
    )
    if check and not health.is_well:
        raise RefusedError(
            f"{view.sentence(health)}: "
            + "; ".join(f"{one.workflow} {one.problem}" for one in problems),
            fix=next((one.fix for one in problems if one.fix), ""),
        )


def _delivered(
    flow: flows.Flow,
    checkout: git.Git,
    place: Place,
    access: tuple[str, str, str, str],
    *,
    since: int,
    now: int,
) -> Flow:
    """Return what was delivered of one flow; where nobody can tell, it says why."""
    promotion = flow.promotion
    if promotion is None:
        return Flow(flow.label, problem=flow.error.message if flow.error else "")
    token, ssh_key, known_hosts, branch = access
    try:
        with places.opened_overlays(
            promotion, checkout, token, ssh_key, branch, known_hosts
        ) as overlays:
            measures = deliveries.measure(
                overlays, checkout, place.repository, since=since, now=now
            )
    except (InputError, ExternalError) as error:
        # What the workflows do can be told all the same.
        return Flow(promotion.model, problem=error.message)
    return Flow(promotion.model, tuple(measures))


def _branches(known: Sequence[flows.Flow]) -> list[str]:
    """Return the branches whose runs are judged: the environments', and the default branch."""
    found = [one.branch for flow in known if flow.promotion for one in flow.promotion.environments]
    repository = document.mapping(runner.context().event.get("repository"))
    found.append(str(repository.get("default_branch") or ""))
    return list(dict.fromkeys(one for one in found if one))


def _workflows(
    checkout: git.Git,
    place: Place,
    token: str,
    branches: Sequence[str],
    ignored: set[str],
    now: datetime,
    unasked: dict[str, str],
) -> tuple[list[Watched], list[Problem]]:
    """Return what the server says of each workflow, and what is wrong; nothing where nobody is asked."""
    expected, problems = workflow_files.expected(checkout.directory.resolve(), branches)
    expected = [one for one in expected if one.file not in ignored]
    problems = [one for one in problems if one.workflow not in ignored]
    if not token or not place.repository:
        unasked["workflow runs"] = "without `source-token` nobody was asked"
        return [], problems
    asked = WorkflowRuns.of(place.repository, token, api_url=place.api_url)
    try:
        watched = asked.watched(expected)
    except ApiError as error:
        if error.status not in (403, 404):
            raise
        unasked["workflow runs"] = error.message
        return [], problems
    runner.say(f"{asked.requests} requests for the runs of {len(watched)} workflows")
    return watched, problems + [
        problem for one in watched for problem in runs.judge(one, branches, now)
    ]


def _keep(health: Health, place: Place, token: str) -> Kept:
    """Open, update or close the one issue, as it is to be."""
    kept = KeptIssue(Issues(place.repository, token, api_url=place.api_url), _ISSUE)
    run = runner.context().run_url if runner.in_workflow() else ""
    by = f"Found by [this run]({run}).\n" if run else ""
    if health.is_well:
        return kept.close(f"The workflows run again, and are green. {by}".strip())
    said = view.sentence(health)
    body = [
        "Something of this repository's pipeline does not run as its workflow files say.",
        "",
        *view.problem_lines(health),
        by,
        "This issue is closed by itself when all of it is right again.",
    ]
    return kept.keep(f"{said[:1].upper()}{said[1:]}", "\n".join(body))


def _picture_file() -> Path:
    """Return where the picture goes."""
    folder = runner.temporary_folder()
    if folder is None:
        folder = Path(tempfile.mkdtemp(prefix="model-gitops-"))
    folder /= "model-gitops-reports"
    folder.mkdir(exist_ok=True)
    return folder / "pipeline-health.svg"
