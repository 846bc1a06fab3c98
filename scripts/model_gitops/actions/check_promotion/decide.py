"""The hop: by which rules it is judged, and what it promotes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from model_gitops import runner
from model_gitops.actions.check_promotion import branches, image, waits
from model_gitops.actions.check_promotion.overlays import Overlays
from model_gitops.adapters import (
    event_checkout,
    git,
    judging,
    named_model,
    project_files,
    promotion_file,
    registry_client,
)
from model_gitops.adapters.cosign import Cosign
from model_gitops.adapters.gto_registry import Tags
from model_gitops.core.dvc import artifacts
from model_gitops.core.flow import rules
from model_gitops.core.flow.environment import Environment
from model_gitops.core.flow.promotion import Promotion
from model_gitops.core.image import signature
from model_gitops.core.image.names import split_reference
from model_gitops.core.lineage import hop
from model_gitops.core.markdown import code
from model_gitops.errors import ActionError, InputError, RefusedError
from model_gitops.events import Kind, Subject


def run(
    *,
    config: str,
    base_ref: str,
    head_ref: str,
    environment: str,
    deploy_branch: str,
    token: str,
    ssh_key: str,
    known_hosts: str,
    username: str,
    password: str,
    source_token: str,
) -> None:
    """Read the rules of the base, refuse a hop that is not allowed, put out plain values."""
    context = runner.context()
    repository = git.open_repository(Path.cwd())
    asked = _hop(context, repository, base_ref, head_ref)
    head = asked.head
    found = judging.rules(
        promotion_file.place(config), repository, context, asked.base, is_change=asked.is_change
    )
    target = branches.target_of(found, asked.base, head)
    if environment:
        if asked.stage is not _Stage.MERGED:
            raise InputError.of(
                "environment", environment, f"a pull request into {asked.base} promotes to {target.name}",
                fix="leave `environment` out here: it is for a run by hand, on the trunk",
            )  # fmt: skip
        target = found.promotion.by_hand(environment)
    here = repository.commit_of("HEAD")
    promotion = named_model.settled(repository, found, here)

    model_hash, model_path = _model(repository, promotion.model, here, asked.before)
    before = promotion.before(target)
    said = ""
    if asked.is_new:
        model_hash, said = "", branches.nothing_deployed(promotion, target)
        runner.notice(said)
    elif asked.stage is _Stage.PROPOSED:
        # The merge that a runner checks out by itself has both sides, and nothing is torn in it.
        own = "" if base_ref else event_checkout.of_files(context, repository)
        proposed = (repository.find_commit(own) if own else None) or here
        branches.require_mergeable(repository, promotion, target, found.commit, proposed)
    elif before and not environment:
        branches.warn_of_a_squash(repository, promotion, target, here)
    promoted = None
    overlays = Overlays(promotion, repository, deploy_branch, token, ssh_key, known_hosts)
    for commit in () if asked.is_new or environment else asked.before:
        _hold_to_the_rules_before(
            overlays,
            promotion_file.read_previous(promotion_file.place(config), repository, commit),
            target,
            model_hash,
        )
    if before and environment:
        promoted = overlays.running(before)
        model_hash = promoted.model_hash
    elif before and model_hash:
        promoted = (
            _proposed(overlays, before, model_hash)
            if asked.stage is _Stage.PROPOSED
            else _merged(overlays, before, target, model_hash)
        )
    if model_hash:
        waits.require(
            waits.Asked(
                promotion,
                target,
                before,
                promoted,
                is_proposed=asked.stage is _Stage.PROPOSED,
                repository=repository,
                source_token=source_token,
            ),
            overlays,
            own=found.own,
        )
    if before and promoted and asked.stage is not _Stage.PROPOSED:
        hop.require_artifact(
            promoted, repository=promotion.artifact, source=before.name, target=target.name
        )
        _require_signature(promotion, promoted, target, username, password)
    incumbent = _incumbent(repository, promotion.model, target.stage)
    is_early = promotion.stage_on == "pull_request"
    built = image.outputs(repository, found, here, model_path, is_first=before is None)
    taken = promoted.image if promoted else built.pop("promote-image", "") if model_hash else ""
    runner.write_outputs(
        {
            "environment": target.name,
            "stage": target.stage,
            "model": promotion.model,
            "overlay-entry": promotion.name,
            "image": promotion.image,
            "deploy-repository": promotion.deploy_repository,
            "deploy-path": target.overlay,
            "deploy-mode": target.deploy,
            "incumbent": incumbent,
            "has-model": _boolean(model_hash != ""),
            "new-branch": _boolean(asked.is_new),
            "model-hash": model_hash,
            "promote-image": taken,
            "promote-version": promoted.version if promoted else "",
            "promote-fingerprint": promoted.fingerprint if promoted else "",
            "promote-sha256": promoted.sha256 if promoted else "",
            "artifact": promotion.artifact,
            "promote-artifact": promoted.artifact if promoted and promotion.artifact else "",
            "promote-commit": promoted.commit if promoted else "",
            **{name: built[name] for name in (*image.NAMES, "built-elsewhere")},
            "push-candidates": _boolean(promotion.push_candidates),
            "assign-stage": _boolean(
                is_early or (asked.stage is _Stage.MERGED and not asked.is_new)
            ),
            "rules-changed": _boolean(found.changes != ()),
            "rules": rules.table(found.changes),
            "reviewers": ", ".join(target.reviewers),
            "refusal": "",
        }
    )
    runner.write_summary(
        f"### {promotion.model}: {code(head or asked.stage.value)} → {target.name}\n\n"
        f"{said or 'This hop is allowed'}. {target.name} runs {incumbent or 'no version yet'} now.\n"
        + (
            f"\nIt takes over what {before.name} runs: {code(promoted.image)}\n"
            if promoted and before
            else f"\nIts image is built elsewhere: {code(taken)}\n"
            if taken
            else ""
        )
        + (
            f"\npromotion.yaml changes, which counts after the merge:\n\n{rules.table(found.changes)}"
            if found.changes
            else ""
        )
    )


def _hold_to_the_rules_before(
    overlays: Overlays, previous: Promotion | None, target: Environment, model_hash: str
) -> None:
    """Refuse a push that rewrites the very rules that would have refused it. Raises RefusedError.

    Its own rules count from the next push on: for this one those hold that the branch had before it.
    """
    was = previous.of_branch(target.branch) if previous else None
    if previous is None or was is None:
        return
    others = [one for one in previous.environments if one != was]
    if taken := next((one.name for one in others if one.overlay == target.overlay), ""):
        raise RefusedError(
            f"this push gives {target.name} the overlay {target.overlay}, which was {taken}'s before it",
            fix=f"give {target.name} a folder of its own; to swap two, move one away in a merge before",
        )
    earlier = previous.before(was)
    if earlier and model_hash and earlier != overlays.promotion.before(target):
        _merged(overlays.under(previous), earlier, target, model_hash)


def _merged(
    overlays: Overlays, before: Environment, target: Environment, model_hash: str
) -> hop.Promoted | None:
    """Return what is promoted by what is on the branch already; refuse what skipped `before`."""
    promotion = overlays.promotion
    if not promotion.deploy_repository:
        runner.notice(
            f"promotion.yaml names no deploy repository, so nobody can say what {before.name} runs:"
            " this hop is not checked"
        )
        return None
    promoted = overlays.running(before)
    hop.check(
        promoted,
        model=promotion.model,
        model_hash=model_hash,
        source=before.name,
        target=target.name,
    )
    return promoted


def _require_signature(
    promotion: Promotion, promoted: hop.Promoted, target: Environment, username: str, password: str
) -> None:
    """Refuse an image that was not signed as promotion.yaml demands, whatever the overlay says of it.

    Raises ExternalError where there is no cosign, or the registry can't be asked.
    """
    signer = promotion.signatures
    if signer is None:
        return
    _, tag, _ = split_reference(promoted.image)
    facts = signature.demanded(
        tag=tag,
        model=promotion.model,
        model_hash=promoted.model_hash,
        fingerprint=promoted.fingerprint,
    )
    # The artifact's tag says no commit, and it has no fingerprint.
    of_the_artifact = signature.demanded(
        tag="", model=promotion.model, model_hash=promoted.model_hash, fingerprint=""
    )
    wanted = [(promoted.image, facts)]
    if promotion.artifact:
        wanted.append((promoted.artifact, of_the_artifact))
    for reference, said in wanted:
        name, _, digest = split_reference(reference)
        with (
            runner.group(f"cosign: {name}@{digest}"),
            registry_client.opened(name, username, password) as client,
        ):
            problem = Cosign.find(client.env, runner.say).problem_of(
                f"{name}@{digest}", signer, said
            )
        if problem:
            raise RefusedError(
                f"{target.name} takes only what {signer.name} signed. {name}@{digest}: {problem}; asked for"
                f" was {signature.shown(said)}",
                fix="run deploy.yml of the first environment's branch again: build-push-image and push-model"
                " with `sign` sign what has no signature. Find out who deployed it without",
            )
        runner.say(f"signed by {signer.name}, which says {signature.shown(said)}")


def _proposed(overlays: Overlays, before: Environment, model_hash: str) -> hop.Promoted | None:
    """Return what a pull request would promote; None where nobody can say, which the merge decides."""
    if not overlays.promotion.deploy_repository:
        return None
    try:
        promoted = overlays.running(before)
    except ActionError as error:
        runner.notice(f"which image would be promoted can't be said now: {error.message}")
        return None
    if promoted.model_hash != model_hash:
        runner.notice(
            f"{before.name} runs another model now than this change has: the merge is refused as long"
            " as that is so"
        )
        return None
    return promoted


def _model(
    repository: git.Git, model: str, commit: str | None, before: Sequence[str]
) -> tuple[str, str]:
    """Return hash and path of the model that `commit` has; no hash where nobody has trained it yet.

    Raises InputError where a merge loses the model that the branch had `before`, where Git keeps it in
    DVC's place, or where DVC's files say of it what can't be.
    """
    if commit is None:
        return "", ""
    files = project_files.at(repository, commit)
    if artifacts.is_empty(files):
        return "", ""
    path = artifacts.awaited(model, files)
    if path and not repository.contents_at(commit, path) and not _had(repository, model, before):
        runner.notice(f"no dvc.lock and no .dvc file has a hash of {model}: there is no model yet")
        return "", path
    found = artifacts.find(model, files)
    return found.hash, found.path


def _had(repository: git.Git, model: str, commits: Sequence[str]) -> bool:
    """Whether one of the commits has the model."""
    found = (repository.find_commit(one) for one in commits if one.strip("0"))
    return any(
        model in artifacts.names(files) and not artifacts.awaited(model, files)
        for files in (project_files.at(repository, one) for one in found if one)
    )


def _incumbent(repository: git.Git, model: str, stage: str) -> str:
    """Return the version that the stage's tag names: for people, it decides nothing."""
    try:
        held = Tags.known(repository).registry.stage(model, stage)
    except InputError as error:
        runner.notice(f"which version {stage} holds can't be said: {error.message}")
        return ""
    return held.version if held else ""


def _head(subject: Subject, base_ref: str, head_ref: str) -> str:
    """Return the branch that the change comes from: `owner:branch` for a fork's."""
    # With an explicit base the event's head would be of another change.
    head = head_ref or ("" if base_ref else subject.head)
    # A fork's branch named `staging` is not our branch: nobody merged into it here. The same where
    # a workflow hands on the event's name; another name is of another change.
    is_of_event = head != "" and head == subject.head
    return f"{subject.fork}:{head}" if is_of_event and subject.fork else head


class _Stage(Enum):
    """How far a change has got: only what is proposed may wait for the environment before it."""

    PROPOSED = "proposal"
    QUEUED = "merge queue"
    MERGED = "push"


@dataclass(frozen=True)
class _Hop:
    """Which change into which branch is asked about.

    `head` is the branch that it comes from, `owner:branch` for a fork's, and empty for a push;
    `before` are commits whose rules `base` had before the change was there. `is_new` says that the push
    made the branch.
    """

    base: str
    head: str
    stage: _Stage
    is_change: bool
    before: tuple[str, ...] = ()
    is_new: bool = False


def _hop(context: runner.Context, repository: git.Git, base_ref: str, head_ref: str) -> _Hop:
    """Return the hop that the inputs name, else the event's. Raises InputError where neither does."""
    subject = context.subject
    base_ref, head_ref = (one.removeprefix("refs/heads/") for one in (base_ref, head_ref))
    if base_ref == subject.base and not head_ref:
        base_ref = ""  # it says what the event says
    head = _head(subject, base_ref, head_ref)
    if base_ref:
        # The event's commit and what came before it may be of another change.
        stage = _Stage.PROPOSED if head else _Stage.MERGED
        return _pushed_or_proposed(context, base_ref, head, stage)
    base = event_checkout.base_of(context, repository)
    if not base:
        raise InputError.of(
            "base-ref",
            base_ref,
            f"the event {context.event_name!r} is of no branch"
            if context.event_name
            else "there is no event",
            fix="give `base-ref`, for example main",
        )
    if subject.is_merged:
        before = event_checkout.before_merge(context, repository)
        return _Hop(base, head, _Stage.MERGED, is_change=True, before=before)
    if subject.source.kind is Kind.QUEUED and not head_ref:
        return _Hop(base, "", _Stage.QUEUED, is_change=True)
    stage = _Stage.PROPOSED if head else _Stage.MERGED
    return _pushed_or_proposed(context, base, head, stage)


def _pushed_or_proposed(context: runner.Context, base: str, head: str, stage: _Stage) -> _Hop:
    if head:
        return _Hop(base, head, stage, is_change=True)
    is_new = context.new_branch == base
    return _Hop(base, "", stage, is_change=False, before=(context.before,), is_new=is_new)


def _boolean(value: bool) -> str:
    return "true" if value else "false"
