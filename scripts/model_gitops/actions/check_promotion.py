"""Say whether this hop is allowed, and what it promotes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from model_gitops import runner
from model_gitops.adapters import git, promotion_file
from model_gitops.core.gto import tags
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
    promotion = promotion_file.read_promotion(Path(config))
    base = base_ref or context.base_ref
    if not base:
        raise InputError.of(
            "base-ref", base_ref, "the event has no branch", fix="give `base-ref`, for example main"
        )
    head = _head(context, base_ref, head_ref)
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
        "deploy-path": target.overlay,
        "deploy-mode": target.deploy,
        "incumbent": incumbent.version if incumbent else "",
    }
    runner.write_outputs(outputs)
    runner.write_summary(
        f"### {promotion.model}: {code(head or 'push')} → {target.name}\n\n"
        f"This hop is allowed. {target.name} runs "
        f"{outputs['incumbent'] or 'no version yet'} now.\n"
    )


def _head(context: runner.Context, base_ref: str, head_ref: str) -> str:
    """Return the branch that the change comes from: `owner:branch` for a fork's."""
    # With an explicit base the event's head would be of another change.
    head = head_ref or ("" if base_ref else context.head_ref)
    # A fork's branch named `staging` is not our branch: nobody merged into it here. The same where
    # a workflow hands on the event's name; another name is of another change.
    is_of_event = head != "" and head == context.head_ref
    return f"{fork}:{head}" if is_of_event and (fork := _fork(context)) else head


def _fork(context: runner.Context) -> str:
    """Return the owner of the pull request's fork, or an empty string for a branch of this one."""
    head = context.pull_request.get("head")
    if not isinstance(head, dict) or "repo" not in head:
        return ""
    repository = head["repo"]
    if not isinstance(repository, dict):
        return "unknown"  # a fork that was deleted meanwhile
    name = str(repository.get("full_name", ""))
    return "" if name == context.repository else name.split("/", maxsplit=1)[0] or "unknown"
