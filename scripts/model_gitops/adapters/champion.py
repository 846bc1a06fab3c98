"""The champion: which commit an environment runs, as the deploy repository's commits say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from model_gitops import runner
from model_gitops.adapters.git import Git
from model_gitops.adapters.tracing.places import opened_overlays
from model_gitops.core.flow.environment import Environment
from model_gitops.core.flow.promotion import Promotion
from model_gitops.core.gto import tags
from model_gitops.core.lineage.facts import Deployed


@dataclass(frozen=True)
class Champion:
    """What runs, under the name that people know it by.

    `commit` is empty where something runs, and no deploy commit says from which commit: then there
    is nothing to compare with, and `problem` says why. `model_hash` is what the deploy commit says.
    """

    name: str
    commit: str = ""
    problem: str = ""
    model_hash: str = ""


def find(
    promotion: Promotion,
    environment: Environment,
    repository: Git,
    *,
    token: str,
    ssh_key: str,
    deploy_branch: str,
    registry: Callable[[], tags.Registry],
    known_hosts: str = "",
) -> Champion | None:
    """Return what `environment` runs; None where it runs nothing yet.

    Without a deploy repository the stage's tag tells, which anybody who pushes tags can move: a notice
    says so. Raises InputError, ExternalError.
    """
    if not promotion.deploy_repository:
        runner.notice(
            "promotion.yaml names no deploy repository: the champion is what the stage's tag says, and"
            " whoever may push a tag can move that"
        )
        held = registry().stage(promotion.model, environment.stage)
        return Champion(f"{environment.name} {held.version}", held.commit) if held else None
    with (
        runner.group(f"Asking what {environment.name} runs"),
        opened_overlays(
            promotion, repository, token, ssh_key, deploy_branch, known_hosts
        ) as overlays,
    ):
        deployed = overlays.deployed(environment)
    return of(deployed, environment.name, promotion.model, repository)


def of(deployed: Deployed, name: str, model: str, repository: Git) -> Champion | None:
    """Return what an overlay says is deployed, under its name; None where it runs nothing yet."""
    if deployed.runs_nothing:
        return None
    where = f"{deployed.path} of {deployed.repository}"
    if deployed.origin is None or deployed.recorded != deployed.image:
        problem = f"no deploy commit says where {deployed.image.reference} in {where} comes from"
        return Champion(name, problem=problem)
    commit = deployed.origin.commit
    version = deployed.says("model", model).partition("@")[2] or commit[:12]
    if repository.find_commit(commit) is None:
        problem = f"this repository has no commit {commit}, from which {where} was deployed"
        return Champion(f"{name} {version}", problem=problem)
    return Champion(f"{name} {version}", commit, model_hash=deployed.says("model-hash", model))
