"""The stage of a rollback: GTO's tag, which says what the environment runs."""

from __future__ import annotations

from dataclasses import dataclass

from model_gitops import runner
from model_gitops.actions.rollback.attempts import Result
from model_gitops.adapters import git, gto_writer
from model_gitops.adapters.git_hurried import HurriedGit
from model_gitops.core.flow.environment import Environment
from model_gitops.core.flow.promotion import Promotion
from model_gitops.core.gto import registration
from model_gitops.errors import ActionError

# The overlay is rolled back: nobody waits long for a server that does not answer.
_ANSWERS_WITHIN = 20.0


@dataclass(frozen=True)
class Assigned:
    """What became of the stage `name`.

    `tag` is the one that says it now. `operation` is `assigned` where that is all that was done, else
    empty. `missing` says why there is no tag, and `fix` what to type; both empty where there is one.
    """

    name: str
    tag: str = ""
    operation: str = ""
    missing: str = ""
    fix: str = ""


def assign(
    checkout: git.Git, promotion: Promotion, environment: Environment, result: Result
) -> Assigned:
    """Assign the stage to what the overlay sets now.

    A model repository that can't be reached, or whose tags do not allow it, ends no rollback: it is said
    what is missing, and how it comes.
    """
    stage, model = environment.stage, promotion.model
    if result.pull_request:
        return Assigned(stage)  # stages.yml assigns it after the merge
    later = "stages.yml assigns it at its next run; at once: run this rollback again"
    if not result.version:
        why = "no deploy commit says which version it is"
        return Assigned(stage, missing=why, fix="run stages.yml, or gto-register-stage by hand")
    if not checkout.has_remote():
        return Assigned(stage, missing="this checkout has no remote `origin`", fix=later)
    request = registration.Request(model, stage, result.version)
    hurried = HurriedGit(checkout, _ANSWERS_WITHIN)
    try:
        registration.check(request)
        with runner.group(f"Assigning {model}#{stage}"):
            plan = gto_writer.write(hurried, request, "", registers=False)
    except ActionError as error:
        runner.warning(
            f"{environment.name} is rolled back, and the tag of its stage is missing: {error.message}",
            title="stage",
        )
        return Assigned(stage, missing=error.message, fix=later)
    alone = result.operation == "none" and plan.operation != "none"
    return Assigned(stage, plan.stage_tag, plan.operation if alone else "")
