"""The parts of a verification: wait, check, record. Each hands on what it found, as JSON."""

from __future__ import annotations

import json
import posixpath
from dataclasses import replace
from pathlib import Path

from model_gitops import runner
from model_gitops.actions.verify_deployment import OUTPUTS
from model_gitops.actions.verify_deployment.inputs import Inputs
from model_gitops.actions.verify_deployment.statuses import Statuses
from model_gitops.adapters import (
    arrival,
    champion_test,
    git,
    integration_test,
    load_test,
    project_files,
    promotion_file,
    smoke_file,
)
from model_gitops.adapters.tracing.places import opened_overlays
from model_gitops.core.dvc import artifacts
from model_gitops.core.flow.building import SMOKE_TEST
from model_gitops.core.flow.environment import Environment, named
from model_gitops.core.flow.promotion import Promotion
from model_gitops.core.lineage import hop
from model_gitops.core.verify import results
from model_gitops.core.verify.results import Checked, Outcome, Waited
from model_gitops.core.verify.row import Row
from model_gitops.core.verify.running import State
from model_gitops.core.verify.target import Target
from model_gitops.errors import ExternalError, InputError, RefusedError


def run(inputs: Inputs) -> None:
    """Do the part that is asked for. Raises RefusedError and ExternalError where the verdict is bad."""
    runner.check_outputs()
    if inputs.part == "check":
        _hand_on_checked(_check(inputs, results.read_waited(inputs.results)))
        return
    if inputs.part == "record":
        _record(inputs, results.read_waited(inputs.results), _checked(inputs))
        return
    found = _wait(inputs)
    if found is None:
        return
    if inputs.part == "wait":
        _hand_on_waited(found)
    else:
        _record(inputs, found, _check(inputs, found) if _goes_on(found) else None)


def _wait(inputs: Inputs) -> Waited | None:
    """Wait for the deployment; None where nothing is asked of it, or it was verified before."""
    repository = git.open_repository(Path.cwd())
    promotion, environment = _rules(inputs, repository)
    asked = environment.verify
    if asked is None:
        said = f"promotion.yaml asks for no verification of {environment.name}"
        runner.notice(said)
        _write({"operation": "none", "check": "false", "environment": environment.name})
        runner.write_summary(f"### {environment.name} is not verified\n\n{said}.\n")
        return None
    if inputs.url:
        asked = replace(asked, url=inputs.url.rstrip("/"))
    if inputs.timeout is not None:
        asked = replace(asked, timeout=inputs.timeout)
    place = promotion.environments.index(environment) + 1
    later = promotion.environments[place] if place < len(promotion.environments) else None
    source = _source(inputs, promotion, environment, asked.url)
    target, runs = _target(inputs, repository, promotion, environment, later)
    statuses = Statuses.of(repository, inputs.source_token, environment.name, promotion.model)
    if not inputs.again and (said := statuses.settled(target)):
        runner.notice(f"{environment.name} was verified before: {said}")
        _write(
            {
                **_facts(target),
                "operation": "none",
                "check": "false",
                "verdict": statuses.known(target),
            }
        )
        runner.write_summary(f"### {environment.name} was verified before\n\n{said}.\n")
        return None
    statuses.write(target, "pending", f"{target.said} is verified ({target.short})")
    runner.say(f"waiting for {target.image}@{target.digest} in {environment.name}")
    came = arrival.wait(source, target, asked.timeout)
    state, said = came.seen.state, came.seen.said
    row, problem = results.arrived(said, came.by, came.seconds, asked.timeout), ""
    if state is State.BROKEN:
        row = replace(row, passed=False)
    elif state is not State.RUNS:
        # It may be synced by hand, later: nobody must take it back for that.
        row = replace(row, passed=None)
        problem = f"{came.by} does not say that {target.said} runs: {said}"
    champion = (asked.champion.url if asked.champion else "") or (later.url if later else "")
    return Waited(target, asked, row, problem, champion_url=champion, champion_runs=runs)


def _rules(inputs: Inputs, repository: git.Git) -> tuple[Promotion, Environment]:
    """Return promotion.yaml as the environment's own branch has it. Raises InputError."""
    path = promotion_file.place(inputs.config)
    own = promotion_file.read_promotion(path, repository)
    branch = named(own.environments, inputs.environment, inputs.config).branch
    promotion = promotion_file.read_rules(path, repository, base=branch, is_change=True).promotion
    return promotion, named(promotion.environments, inputs.environment, inputs.config)


def _source(
    inputs: Inputs, promotion: Promotion, environment: Environment, url: str
) -> arrival.Source:
    """Return who is asked what runs: Argo CD, else Kubernetes, else the service. Raises InputError."""
    name = f"{promotion.name}-{environment.name}"
    if inputs.argocd_server:
        return arrival.ArgoCD(
            inputs.argocd_server, inputs.argocd_token, inputs.argocd_application or name
        )
    if inputs.kubernetes:
        namespace = inputs.namespace or inputs.kubernetes.namespace or name
        return arrival.Kubernetes(inputs.kubernetes, namespace)
    if url:
        return arrival.Service(url)
    raise InputError(
        f"nobody can be asked what {environment.name} runs: there is no `argocd-server`, no `kubeconfig`, and"
        " promotion.yaml has no `url` of the service",
        fix="verify: {url: https://churn.{environment}.example.com} in promotion.yaml, or one of the inputs",
    )


def _target(
    inputs: Inputs,
    repository: git.Git,
    promotion: Promotion,
    environment: Environment,
    later: Environment | None,
) -> tuple[Target, bool]:
    """Return what the overlay says is deployed, and whether the environment after it has a deployment.

    Raises RefusedError where no deployment says it.
    """
    with (
        runner.group(f"Asking what {environment.name} is to run"),
        opened_overlays(
            promotion,
            repository,
            inputs.token,
            inputs.ssh_key,
            inputs.deploy_branch,
            inputs.known_hosts,
        ) as overlays,
    ):
        deployed = overlays.deployed(environment)
        try:
            runs = later is not None and not overlays.deployed(later).runs_nothing
        except InputError:
            runs = False  # there is no such overlay yet
    found = hop.running(deployed, environment.name, model=promotion.model, image=promotion.image)
    if not found.commit:
        raise RefusedError(
            f"no deploy commit says which commit of this repository {environment.name} runs, so there is none"
            " that a status could be written on",
            fix="deploy again with bump-kustomize-tag, which writes the trailer Source-Commit",
        )
    target = Target(
        environment=environment.name,
        model=promotion.model,
        version=found.version,
        model_hash=found.model_hash,
        image=promotion.image,
        digest=found.image.partition("@")[2],
        commit=found.commit,
        also=_also(repository, promotion, environment, found),
        since=deployed.since,
    )
    return target, runs


def _also(
    repository: git.Git, promotion: Promotion, environment: Environment, found: hop.Promoted
) -> str:
    """Return the pushed commit that this run is for, where it has the model that runs; else empty.

    A later commit of the branch that deployed nothing, as its image is the same, is the head of the next
    pull request: the status is demanded of it.
    """
    context = runner.context()
    if (
        context.event_name != "push"
        or context.base_ref != environment.branch
        or context.sha == found.commit
    ):
        return ""
    commit = repository.find_commit(context.sha)
    if commit is None or not found.model_hash:
        return ""
    try:
        model = artifacts.find(promotion.model, project_files.at(repository, commit))
    except InputError:
        return ""
    return commit if model.hash == found.model_hash else ""


def _goes_on(waited: Waited) -> bool:
    """Whether there is something to check: not where the image does not run."""
    runs = waited.row is None or waited.row.passed is True
    return runs and not waited.problem and results.wants_checks(waited.asked)


def _check(inputs: Inputs, waited: Waited) -> Checked:
    """Run the checks that promotion.yaml asks for against the service. What goes wrong is handed on."""
    asked, url = waited.asked, waited.asked.url
    rows: list[Row] = []
    try:
        if file := _smoke_test(waited):
            with runner.group(f"Integration: {file}"):
                rows += integration_test.run(smoke_file.read(file, "integration"), url)
        if asked.load:
            if runner.in_workflow() and (held := inputs.held):
                runner.warning(
                    "the load test runs the project's code in a job that holds "
                    f"{', '.join(f'`{name}`' for name in held)}, and may read them: give it a job of its own,"
                    " with `part: check`"
                )
            path = promotion_file.place(inputs.config)
            commands = promotion_file.read_promotion(path, git.open_repository(Path.cwd())).commands
            rows += load_test.run(asked.load, url, path.parent, commands).rows
        if asked.champion:
            found = champion_test.compare(
                asked.champion, waited.champion_url, url, Path.cwd(), expected=waited.champion_runs
            )
            rows += found.rows
    except (InputError, ExternalError) as error:
        return Checked(rows, error.message)
    return Checked(rows)


def _smoke_test(waited: Waited) -> str:
    """Return the file of the integration test; empty for none."""
    if waited.asked.integration is not None:
        return waited.asked.integration
    folder = waited.target.model.rpartition(":")[0]
    default = posixpath.join(folder, SMOKE_TEST)
    return default if Path(default).is_file() else ""


def _hand_on_waited(waited: Waited) -> None:
    goes_on = _goes_on(waited)
    outcome = results.outcome(waited, Checked() if not goes_on else None)
    facts = {"operation": "waited", "check": _boolean(goes_on), "results": waited.text()}
    _write({**_facts(waited.target), **facts})
    if not goes_on:
        _end(outcome)


def _hand_on_checked(checked: Checked) -> None:
    _write({"operation": "checked", "results": checked.text()})
    for one in checked.rows:
        runner.say(f"{'✗' if one.passed is False else '✓'} {one.check}: {one.measured}")
    if checked.problem:
        raise ExternalError(f"the checks could not be made: {checked.problem}")
    broken = [one for one in checked.rows if one.passed is False]
    if broken:
        raise RefusedError(f"the checks failed: {broken[0].check}: {broken[0].measured}")


def _checked(inputs: Inputs) -> Checked | None:
    """Return what the job that checks handed on; None for nothing.

    What can't be read is a problem of its own: the status must not stay `pending`.
    """
    try:
        return results.read_checked(inputs.checked) if inputs.checked else None
    except InputError as error:
        return Checked(problem=error.message)


def _record(inputs: Inputs, waited: Waited, checked: Checked | None) -> None:
    """Write the commit status and the report, and end as the verdict is."""
    found = results.outcome(waited, checked)
    context = runner.context()
    rollback = found.verdict == "failure" and waited.asked.rollback
    statuses = Statuses.of(
        git.open_repository(Path.cwd()),
        inputs.source_token,
        waited.target.environment,
        waited.target.model,
    )
    problem: ExternalError | None = None
    try:
        statuses.write(waited.target, found.verdict, found.description)
    except ExternalError as error:
        problem = error
    table = results.table(found)
    report = json.dumps(found.document(context.run_url if context.repository else ""), indent=2)
    _write(
        {
            **_facts(waited.target),
            "verdict": found.verdict,
            "operation": "verified",
            "check": "false",
            "reason": found.reason,
            "rollback": _boolean(rollback),
            "table": table,
            "report": report,
        }
    )
    runner.say(results.text(found))
    runner.write_summary(table)
    if problem:
        raise problem
    _end(found)


def _end(found: Outcome) -> None:
    if found.verdict == "failure":
        raise RefusedError(
            f"the deployment of {found.target.said} to {found.target.environment} failed its verification:"
            f" {found.reason}",
            fix="mend it and deploy again; or run rollback.yml, which takes it back",
        )
    if found.verdict == "error":
        raise ExternalError(
            f"whether {found.target.environment} runs {found.target.said} well could not be found out:"
            f" {found.reason}",
            fix="mend what the message names, then run this job again",
        )


def _facts(target: Target) -> dict[str, str]:
    return {
        "environment": target.environment,
        "commit": target.commit,
        "version": target.version,
        "image": f"{target.image}@{target.digest}",
        "model": target.model,
    }


def _write(outputs: dict[str, str]) -> None:
    """Write each output, an empty one too: a later step must not find one of another time."""
    runner.write_outputs({name: outputs.get(name, "") for name in OUTPUTS})


def _boolean(value: bool) -> str:
    return "true" if value else "false"
