"""What was delivered to each environment of a flow, from the deploy repository and the checkout alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from model_gitops.adapters.git import Git
from model_gitops.adapters.tracing.overlays import Overlays
from model_gitops.core.deploy import kustomization
from model_gitops.core.deploy.location import check_path
from model_gitops.core.flow.environment import Environment
from model_gitops.core.health import deliveries
from model_gitops.core.health.deliveries import Deployment, Landing, Measures
from model_gitops.core.lineage.facts import pick
from model_gitops.errors import InputError

# Of one deployment so many of its commits are timed.
_MOST_COMMITS = 500


def measure(
    overlays: Overlays, checkout: Git, repository: str, *, since: int, now: int
) -> list[Measures]:
    """Return the measures of each environment; `repository` is the model's, `owner/name`.

    Times are in Unix seconds. An overlay that can't be read says so, and is no error.
    """
    found = []
    for environment in overlays.promotion.environments:
        try:
            deployed = _deployments(overlays, environment)
        except InputError as error:
            days = (now - since) / 86400
            found.append(Measures(environment.name, days, problem=error.message))
            continue
        timed = _timed(deployed, checkout, repository, since)
        found.append(deliveries.measure(environment.name, timed, since=since, now=now))
    return found


def _deployments(overlays: Overlays, environment: Environment) -> list[Deployment]:
    promotion, repository = overlays.promotion, overlays.repository

    def ours(entries: Sequence[kustomization.Image]) -> kustomization.Image | None:
        try:
            return pick(entries, promotion.name, promotion.image, source="")
        except InputError:
            return None

    tip = repository.fetch(overlays.branch)
    path = repository.read_kustomization(tip, check_path(environment.overlay)).path
    landings = repository.landings(overlays.branch, path, ours)
    return deliveries.deployments((Landing(change, at) for change, at in landings), promotion.model)


def _timed(
    found: Sequence[Deployment], checkout: Git, repository: str, since: int
) -> list[Deployment]:
    """Return the deployments with the times of the commits that each brought, where they are here."""
    brought = deliveries.ranges(found, repository)
    timed = []
    for one in found:
        before, commit = brought.get(one.commit, ("", ""))
        if not commit or one.at < since:
            timed.append(one)
            continue
        # Of the first one all that was before it is as old as the project: its newest tells.
        words = [f"{before}..{commit}"] if before else ["-1", commit]
        done = checkout.completed(
            "log", "--no-merges", "--format=%ct", f"--max-count={_MOST_COMMITS}", *words, "--",
            check=False,
        )  # fmt: skip
        made = done.stdout.split() if done.returncode == 0 else []
        timed.append(replace(one, changed=tuple(int(moment) for moment in made)))
    return timed
