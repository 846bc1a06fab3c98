"""What a candidate is compared with: its base, and what the target environment runs now."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from model_gitops import runner
from model_gitops.adapters import git, paths, promotion_file
from model_gitops.adapters.dvc_report import WORKSPACE
from model_gitops.adapters.gto_registry import Tags
from model_gitops.core.flow.promotion import Promotion
from model_gitops.core.gto import revision
from model_gitops.core.gto.places import branch_name
from model_gitops.errors import ExternalError, InputError


@dataclass(frozen=True)
class Baseline:
    """What the candidate is compared with; empty commits where there is nothing yet."""

    promotion: Promotion | None = None
    environment: str = ""
    base: str = ""
    base_commit: str = ""
    incumbent: str = ""
    incumbent_commit: str = ""
    problems: Sequence[str] = ()

    @property
    def names(self) -> dict[str, str]:
        """The revisions to compare, oldest view first, candidate last: revision → column."""
        named: dict[str, str] = {}
        for commit, name in (
            (self.base_commit, self.base),
            (self.incumbent_commit, self.incumbent),
        ):
            if commit:
                named[commit] = f"{named[commit]}, {name}" if commit in named else name
        return named | {WORKSPACE: "candidate"}

    @property
    def reference(self) -> str:
        """What better and worse are measured against: the incumbent, else the base."""
        return self.incumbent or (self.base if self.base_commit else "")


def find(repository: git.Git, context: runner.Context, base: str, config: Path) -> Baseline:
    """Find the base and the incumbent, by the promotion.yaml `config`, where there is one.

    Raises InputError for a base that was given and is not there.
    """
    problems: list[str] = []
    promotion = None
    if paths.is_file(config):
        try:
            promotion = _judging(repository, context, config, problems)
        except InputError as error:
            fix = f" ({error.fix})" if error.fix else ""
            problems.append(f"{config} can't be used: {error.message}{fix}")
            runner.warning(problems[-1])
    try:
        known = Tags.known(repository)
    except ExternalError as error:
        problems.append("The version tags can't be fetched, so there may be no incumbent.")
        runner.warning(str(error))
        known = Tags.own(repository)
    registry = known.registry
    named = base or _default_base(repository, context, promotion)
    try:
        version = revision.current(registry, promotion.model if promotion else "", named)
        # The target branch is the server's, wherever this runs.
        first = None if base else True
        known.bring(named)
        at = version.commit if version else named
        commit = repository.find_commit(at, server_first=first) or "" if at else ""
    except ExternalError:
        if base:
            raise
        commit = ""
    if not commit and base:
        raise InputError.of(
            "base",
            base,
            "it is no branch, version or Git revision of this checkout or its remote",
            fix="give actions/checkout `fetch-depth: 0`, if it is further back than this shallow checkout"
            if repository.is_shallow()
            else "give a branch (main), a version (name@v1.2.3), a stage (name#stage) or a commit",
        )
    if not commit and named:
        problems.append(f"The base {named} is not in this checkout, and can't be fetched.")

    called = commit[:10] if re.fullmatch(r"HEAD\^|[0-9a-f]{40,64}", named) else named
    # A push goes into its own branch, and is compared with the commit before.
    into = branch_name(named) if base or called == named else context.base_ref
    environment = promotion.of_branch(into) if promotion else None
    if promotion is None or environment is None:
        return Baseline(promotion, "", called, commit, problems=problems)
    incumbent = None
    try:
        incumbent = registry.stage(promotion.model, environment.stage)
    except (InputError, ExternalError) as error:
        problems.append(error.message)
    if incumbent and not _is_here(repository, incumbent.commit):
        problems.append(
            f"The commit of {incumbent.tag} is not in this checkout (fetch-depth: 0 brings it)."
        )
        incumbent = None
    if incumbent is None:
        return Baseline(promotion, environment.name, called, commit, problems=problems)
    shown = incumbent.version if incumbent.version.startswith("v") else incumbent.version[:10]
    return Baseline(
        promotion,
        environment.name,
        called,
        commit,
        f"{environment.name} {shown}",
        incumbent.commit,
        problems,
    )


def _is_here(repository: git.Git, commit: str) -> bool:
    """Whether `commit` is in the checkout, now or after it was asked for."""
    try:
        return repository.find_commit(commit) is not None
    except ExternalError:
        return False


def _judging(
    repository: git.Git, context: runner.Context, config: Path, problems: list[str]
) -> Promotion:
    """Return the rules of a pull request's base, else the checkout's own. Raises InputError."""
    try:
        return promotion_file.read_rules(
            config, repository, base=context.base_ref, is_change=context.subject.is_change
        ).promotion
    except ExternalError as error:
        problems.append(f"The change's own {config} says what is better: {error.message}.")
        runner.warning(problems[-1])
        return promotion_file.read_promotion(config, repository)


def _default_base(repository: git.Git, context: runner.Context, promotion: Promotion | None) -> str:
    """Return the branch that this change goes into; for a push into it, the commit before."""
    if context.subject.is_change and not context.subject.is_merged:
        return context.base_ref
    pushed = context.base_ref
    if context.subject.is_merged:
        return "HEAD^" if repository.commit_of("HEAD^") else ""
    if promotion and promotion.of_branch(pushed) is None:
        return promotion.environments[0].branch
    if promotion is None:
        server = context.event.get("repository")
        default = str(server.get("default_branch") or "") if isinstance(server, Mapping) else ""
        if not default and not pushed:
            head = repository.run(
                "symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD", check=False
            )
            default = head.strip().removeprefix("origin/")
        if default and default != pushed:
            return default
    before = str(context.event.get("before") or "")
    known = re.fullmatch(r"[0-9a-f]{40,64}", before) and repository.commit_of(before)
    if known and known != repository.commit_of("HEAD"):
        return before
    return "HEAD^" if repository.commit_of("HEAD^") else ""
