"""The hop: by which rules it is judged, and what it promotes."""

from __future__ import annotations

from pathlib import Path

from model_gitops import runner
from model_gitops.adapters import git, project_files, promotion_file, registry_client
from model_gitops.adapters.cosign import Cosign
from model_gitops.adapters.tracing.places import opened_overlays
from model_gitops.core.dvc import artifacts
from model_gitops.core.flow import rules
from model_gitops.core.flow.promotion import Environment, Promotion
from model_gitops.core.gto import tags
from model_gitops.core.image import signature
from model_gitops.core.image.names import split_reference
from model_gitops.core.lineage import hop
from model_gitops.core.markdown import code
from model_gitops.errors import ActionError, InputError, RefusedError


def run(
    *,
    config: str,
    base_ref: str,
    head_ref: str,
    deploy_branch: str,
    token: str,
    ssh_key: str,
    known_hosts: str,
    username: str,
    password: str,
) -> None:
    """Read the rules of the base, refuse a hop that is not allowed, put out plain values."""
    context = runner.context()
    repository = git.open_repository(Path.cwd())
    base = base_ref or context.base_ref
    if not base:
        raise InputError.of(
            "base-ref", base_ref, "the event has no branch", fix="give `base-ref`, for example main"
        )
    head = _head(context, base_ref, head_ref)
    found = promotion_file.read_rules(Path(config), repository, base=base, is_change=head != "")
    promotion = found.promotion
    target = promotion.target(base, head)

    model_hash = _model_hash(repository, promotion.model)
    promoted = None
    if not head:
        _hold_to_the_rules_before(
            _Overlays(promotion, repository, deploy_branch, token, ssh_key, known_hosts),
            promotion_file.read_previous(Path(config), repository, context.before),
            target,
            model_hash,
        )
    if (before := promotion.before(target)) and model_hash:
        overlays = _Overlays(promotion, repository, deploy_branch, token, ssh_key, known_hosts)
        promoted = (
            _merged(overlays, before, target, model_hash)
            if not head
            else _proposed(overlays, before, model_hash)
        )
    if promoted and not head:
        _require_signature(promotion, promoted, target, username, password)
    incumbent = _incumbent(repository, promotion.model, target.name)
    is_early = promotion.stage_on == "pull_request"
    runner.write_outputs(
        {
            "environment": target.name,
            "stage": target.name,
            "model": promotion.model,
            "image": promotion.image,
            "deploy-repository": promotion.deploy_repository,
            "deploy-path": target.overlay,
            "deploy-mode": target.deploy,
            "incumbent": incumbent,
            "has-model": _boolean(model_hash != ""),
            "model-hash": model_hash,
            "promote-image": promoted.image if promoted else "",
            "promote-version": promoted.version if promoted else "",
            "promote-fingerprint": promoted.fingerprint if promoted else "",
            "promote-sha256": promoted.sha256 if promoted else "",
            "push-candidates": _boolean(promotion.push_candidates),
            "assign-stage": _boolean(is_early or not head),
            "rules-changed": _boolean(found.changes != ()),
            "rules": rules.table(found.changes),
        }
    )
    runner.write_summary(
        f"### {promotion.model}: {code(head or 'push')} → {target.name}\n\n"
        f"This hop is allowed. {target.name} runs {incumbent or 'no version yet'} now.\n"
        + (
            f"\nIt takes over what {before.name} runs: {code(promoted.image)}\n"
            if promoted and before
            else ""
        )
        + (
            f"\npromotion.yaml changes, which counts after the merge:\n\n{rules.table(found.changes)}"
            if found.changes
            else ""
        )
    )


class _Overlays:
    """What environments run, by the deploy repository, asked where a question comes up."""

    def __init__(
        self,
        promotion: Promotion,
        repository: git.Git,
        deploy_branch: str,
        token: str,
        ssh_key: str,
        known_hosts: str,
    ) -> None:
        self.promotion = promotion
        self._repository = repository
        self._branch = deploy_branch
        self._token = token
        self._ssh_key = ssh_key
        self._known_hosts = known_hosts

    def under(self, rules: Promotion) -> _Overlays:
        """Return the same, asked under other rules."""
        return _Overlays(
            rules, self._repository, self._branch, self._token, self._ssh_key, self._known_hosts
        )

    def running(self, environment: Environment) -> hop.Promoted:
        """Return what `environment` runs. Raises RefusedError, InputError, ExternalError."""
        promotion = self.promotion
        with (
            runner.group(f"Asking what {environment.name} runs"),
            opened_overlays(
                promotion,
                self._repository,
                self._token,
                self._ssh_key,
                self._branch,
                self._known_hosts,
            ) as overlays,
        ):
            deployed = overlays.running(environment)
        return hop.running(deployed, environment.name, model=promotion.model, image=promotion.image)


def _hold_to_the_rules_before(
    overlays: _Overlays, previous: Promotion | None, target: Environment, model_hash: str
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
    overlays: _Overlays, before: Environment, target: Environment, model_hash: str
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
    name, tag, digest = split_reference(promoted.image)
    facts = signature.demanded(
        tag=tag,
        model=promotion.model,
        model_hash=promoted.model_hash,
        fingerprint=promoted.fingerprint,
    )
    with (
        runner.group(f"cosign: {name}@{digest}"),
        registry_client.opened(name, username, password) as client,
    ):
        problem = Cosign.find(client.env, runner.say).problem_of(f"{name}@{digest}", signer, facts)
    if problem:
        raise RefusedError(
            f"{target.name} takes only what {signer.name} signed. {name}@{digest}: {problem}; asked for was"
            f" {signature.shown(facts)}",
            fix="run deploy.yml of the first environment's branch again: build-push-image with `sign` signs"
            " what has no signature. Find out who deployed it without",
        )
    runner.say(f"signed by {signer.name}, which says {signature.shown(facts)}")


def _proposed(overlays: _Overlays, before: Environment, model_hash: str) -> hop.Promoted | None:
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


def _model_hash(repository: git.Git, model: str) -> str:
    """Return the hash of the model that HEAD has; empty in a repository that has none yet.

    Raises InputError where DVC's files name the model and no hash of it.
    """
    commit = repository.commit_of("HEAD")
    if commit is None:
        return ""
    files = project_files.at(repository, commit)
    if not any(path.endswith((".dvc", "dvc.lock")) for path in files):
        return ""
    return artifacts.find(model, files).hash


def _incumbent(repository: git.Git, model: str, stage: str) -> str:
    """Return the version that the stage's tag names: for people, it decides nothing."""
    repository.refresh_tags()
    try:
        held = tags.Registry.read(repository.tags()).stage(model, stage)
    except InputError as error:
        runner.notice(f"which version {stage} holds can't be said: {error.message}")
        return ""
    return held.version if held else ""


def _boolean(value: bool) -> str:
    return "true" if value else "false"


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
