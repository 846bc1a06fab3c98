"""The rules that judge what the event is about: where a branch's own word is not enough, the base's."""

from __future__ import annotations

from pathlib import Path

from model_gitops import runner
from model_gitops.adapters import event_checkout, promotion_file
from model_gitops.adapters.git import Git


def rules(
    config: Path, repository: Git, context: runner.Context, base: str, *, is_change: bool = False
) -> promotion_file.Rules:
    """Return the rules of the branch `base` for what is checked out, or its own where that is on it.

    With `is_change` it is known to be a change. Raises InputError, and ExternalError where a commit can't
    be had.
    """
    judged = is_change or event_checkout.is_change(context, repository, base)
    if not judged and event_checkout.is_of_run(context):
        promotion_file.require_environment(config, repository, base, context.sha)
    return promotion_file.read_rules(config, repository, base=base, is_change=judged)
