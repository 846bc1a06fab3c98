"""Say whether this hop is allowed, and what it promotes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from model_gitops import runner
from model_gitops.adapters import git, project
from model_gitops.core import tags
from model_gitops.core.markdown import code
from model_gitops.errors import InputError
from model_gitops.options import Config, option

OUTPUTS = (
    "environment",
    "stage",
    "model",
    "image",
    "deploy-repository",
    "deploy-path",
    "deploy-mode",
    "incumbent",
)


def command(
    config: Config = "promotion.yaml",
    base_ref: Annotated[
        str, option("base-ref", "Branch that the change goes into. Default: from the event.")
    ] = "",
    head_ref: Annotated[
        str,
        option(
            "head-ref",
            "Branch that the change comes from, empty for a push. Default: from the event.",
        ),
    ] = "",
) -> None:
    """Read promotion.yaml with the event, refuse a hop that is not allowed, put out plain values."""
    context = runner.context()
    promotion = project.read_promotion(Path(config))
    base = base_ref or context.base_ref
    if not base:
        raise InputError.of(
            "base-ref", base_ref, "the event has no branch", fix="give `base-ref`, for example main"
        )
    # With an explicit base the event's head would be of another change.
    head = head_ref or ("" if base_ref else context.head_ref)
    if not head_ref and not base_ref and head and (fork := _fork(context)):
        # A fork's branch named `staging` is not our branch: nobody merged into it here.
        head = f"{fork}:{head}"
    target = promotion.target(base, head)

    repository = git.open_repository(Path.cwd())
    repository.refresh_tags()
    stage = target.name
    incumbent = tags.Registry.read(repository.tags()).stage(promotion.model, stage)
    outputs = {
        "environment": target.name,
        "stage": stage,
        "model": promotion.model,
        "image": promotion.image,
        "deploy-repository": promotion.deploy_repository,
        "deploy-path": promotion.deploy_path.replace("{environment}", target.name),
        "deploy-mode": target.deploy,
        "incumbent": incumbent.version if incumbent else "",
    }
    runner.write_outputs(outputs)
    runner.write_summary(
        f"### {promotion.model}: {code(head or 'push')} → {target.name}\n\n"
        f"This hop is allowed. {target.name} runs "
        f"{outputs['incumbent'] or 'no version yet'} now.\n"
    )


def _fork(context: runner.Context) -> str:
    """Return the owner of the pull request's fork, or an empty string for a branch of this one."""
    head = context.pull_request.get("head")
    repository = head.get("repo") if isinstance(head, dict) else None
    if not isinstance(repository, dict) or repository.get("full_name") == context.repository:
        return ""
    return str(repository.get("full_name", "")).split("/", maxsplit=1)[0]
