"""What a change does to the branches: one that is new, and histories that were torn by a squash."""

from __future__ import annotations

from dataclasses import replace

from model_gitops import runner
from model_gitops.adapters import git, merges
from model_gitops.adapters.promotion_file import Rules
from model_gitops.core.flow import squash
from model_gitops.core.flow.environment import Environment
from model_gitops.core.flow.promotion import Promotion
from model_gitops.errors import ExternalError, RefusedError


def target_of(rules: Rules, base: str, head: str) -> Environment:
    """Return the environment that the hop promotes to. Raises RefusedError.

    Where only the change's own promotion.yaml allows the hop, the error says how that file gets there.
    """
    try:
        return rules.promotion.target(base, head)
    except RefusedError as error:
        if rules.own is None or not _allows(rules.own, base, head):
            raise
        raise _allowed_later(rules.promotion, error, base) from error


def _allows(rules: Promotion, base: str, head: str) -> bool:
    try:
        rules.target(base, head)
    except RefusedError:
        return False
    return True


def _allowed_later(known: Promotion, error: RefusedError, base: str) -> RefusedError:
    """Return the error of a hop that promotion.yaml of the change allows, and that of `base` does not."""
    target = known.of_branch(base)
    if target is None:
        return RefusedError(
            f"{error.message}. The promotion.yaml of this change has {base!a}, and {base}'s own does not:"
            " the rules of the target branch count",
            fix=f"create {base!a} from a commit whose promotion.yaml has it: the branch of the environment"
            " before it, once that file is there",
        )
    before = known.before(target)
    source = before.branch if before else "a branch of your own"
    return RefusedError(
        f"{error.message}. The promotion.yaml of this change would allow it, and counts once it is on"
        f" {base}",
        fix=f"let that promotion.yaml reach {base!a} first, by a pull request from {source!a} into {base!a};"
        " a new environment before it must run the same model by then, or nothing is deployed",
    )


def nothing_deployed(promotion: Promotion, target: Environment) -> str:
    """Say why the first push of a branch deploys nothing, and what comes next."""
    before = promotion.before(target)
    source = before.branch if before else "a branch of your own"
    return (
        f"the push that creates an environment's branch deploys nothing, as nobody judged what"
        f" {target.branch} starts from. What is deployed to {target.name} first is the next pull request"
        f" from {source} into {target.branch} that is merged"
    )


def require_mergeable(
    repository: git.Git, promotion: Promotion, target: Environment, base: str, head: str | None
) -> None:
    """Refuse a pull request that a squash before it keeps from being merged, else warn of that one.

    `base` is the target's commit, empty where nobody knows it, and `head` the change's. Raises
    RefusedError.
    """
    if (
        not base
        or not head
        or (found := _squash(repository, promotion, target, base, head)) is None
    ):
        return
    said, fix = found
    if merges.conflicts(repository, base, head):
        raise RefusedError(f"{said}, and so this one has conflicts that nobody made", fix=fix)
    runner.warning(_warning(said, fix))


def warn_of_a_squash(
    repository: git.Git, promotion: Promotion, target: Environment, commit: str | None
) -> None:
    """Warn where `commit` was squashed or rebased onto the target's branch: its content is right."""
    before = promotion.before(target)
    source = _tip(repository, before.branch) if before else None
    if commit and source and (found := _squash(repository, promotion, target, commit, source)):
        runner.warning(_warning(*found))


def _squash(
    repository: git.Git, promotion: Promotion, target: Environment, commit: str, source: str
) -> tuple[str, str] | None:
    """Return what is wrong with the target's `commit` and the fix; None where both can be joined."""
    before, first = promotion.before(target), promotion.environments[0].branch
    found = merges.find_squash(repository, commit, source) if before else None
    if before is None or found is None:
        return None
    if before.branch != first and (tip := _tip(repository, first)):
        # What only the environment between has would be taken from it, too.
        found = replace(found, own=(*found.own, *merges.own(repository, source, tip)))
    said = (
        f"{target.branch} has {found.source[:12]} of {before.branch} as another commit,"
        f" {found.commit[:12]}: it was merged by a squash or a rebase, or reverted on both."
        f" A promotion into {target.branch} needs a merge commit"
    )
    return said, squash.repair(found, before.branch, target.branch, first)


def _warning(said: str, fix: str) -> str:
    return f"{said}: the next change of the same lines will conflict. To join both: {fix}"


def _tip(repository: git.Git, branch: str) -> str | None:
    """Return the server's tip of `branch`, fetched where it must be; None where it can't be had."""
    if not repository.has_remote():
        return None
    name = f"refs/heads/{branch}"
    try:
        tip = repository.remote_refs("origin", name).get(name)
        return repository.find_commit(tip) if tip else None
    except ExternalError as error:
        runner.notice(f"whether {branch} can be merged again is not known: {error.message}")
        return None
