"""The model that promotion.yaml names, held against the dvc.yaml of the commit that is judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches

from model_gitops import runner
from model_gitops.adapters import project_files
from model_gitops.adapters.git import Git
from model_gitops.adapters.promotion_file import Rules
from model_gitops.core.dvc import artifacts
from model_gitops.core.flow import spelling
from model_gitops.core.flow.promotion import Promotion
from model_gitops.errors import InputError, RefusedError


def settled(repository: Git, rules: Rules, commit: str | None) -> Promotion:
    """Return the rules for `commit`, whose dvc.yaml must have the model that they name.

    Without any artifact and anything that DVC tracks there is no model yet, and no name is wrong. Where
    the base's dvc.yaml does not have the base's name either, nothing was ever deployed under it: a
    change may correct it. Raises InputError for a wrong name, RefusedError for another model than the
    base's rules name.
    """
    promotion = rules.promotion
    if commit is None:
        return promotion
    files = project_files.at(repository, commit)
    there = artifacts.names(files)
    if promotion.model in there or artifacts.is_empty(files):
        return promotion
    own = rules.own.model if rules.own else ""
    if own in there and own != promotion.model:
        at_base = artifacts.names(project_files.at(repository, rules.commit))
        if promotion.model in at_base:
            name = spelling.shown_name(promotion.model, promotion.folder)
            raise RefusedError(
                f"the rules of the target branch promote the model {promotion.model}, and this change's"
                f" dvc.yaml has no such artifact any more: {', '.join(there)}",
                fix=f"keep {name!r} under `artifacts:` beside the new name until promotion.yaml with the new"
                " name is merged; remove it in a change after that",
            )
        runner.notice(
            f"the target branch's own dvc.yaml has no model {promotion.model}: this change names its"
            f" model, {own}"
        )
        return replace(promotion, model=own)
    raise _unknown(promotion, there)


def _unknown(promotion: Promotion, there: Sequence[str]) -> InputError:
    shown = [spelling.shown_name(one, promotion.folder) for one in there]
    wrong = spelling.shown_name(promotion.model, promotion.folder)
    by_lowercase = {one.lower(): one for one in reversed(shown)}
    close = get_close_matches(wrong.lower(), by_lowercase, n=1)
    same_name = [one for one in shown if one.rpartition(":")[2] == promotion.name]
    meant = [*(by_lowercase[one] for one in close), *same_name, *shown][:1]
    return InputError.of(
        "model (in promotion.yaml)",
        wrong,
        f"dvc.yaml has no such artifact{_beside(promotion)}. The artifacts that there are:"
        f" {', '.join(map(repr, shown)) or 'none'}",
        fix=f"model: {meant[0]}" if meant
        else f"add to dvc.yaml: `artifacts: {{{promotion.name}: {{path: PATH, type: model}}}}`",
    )  # fmt: skip


def _beside(promotion: Promotion) -> str:
    return f" in {promotion.folder}, the folder of promotion.yaml" if promotion.folder else ""
