"""How the two repositories of a flow are to be protected, derived from its promotion.yaml."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from model_gitops.core.flow.environment import Environment
from model_gitops.core.flow.promotion import Promotion
from model_gitops.core.flow.verifying import context_of
from model_gitops.core.protection import names, workflows
from model_gitops.core.protection.settings import Compare, Desired, Setting, Subject, Todo
from model_gitops.core.protection.workflows import Workflow

# What writes the deploy repository: one of them is enough, and each belongs to GitHub environments.
_WRITERS = ("DEPLOY_TOKEN", "DEPLOY_KEY")
_MOST_NAMES = 10
_READER = "DEPLOY_READ_TOKEN"
# Versions and stages of models (GTO), and releases. Anybody who may write adds them; nobody moves one.
# In GitHub's patterns `*` stops at a slash, which a model in a folder has in its name, and a stage may.
TAGS = frozenset(f"refs/tags/{one}" for one in ("*@v*", "**/*@v*", "*#*", "**/*#*", "v*"))

Mechanism = Literal["rulesets", "classic", "gitea"]


@dataclass(frozen=True)
class Facts:
    """What is known of one repository, beside its settings.

    `mechanism` is what its server and plan have: GitHub's rule sets, its older branch protection, or
    Gitea's. `secrets` are names: under "" the repository's, else by GitHub environment; None where the
    token can't see them. `deployer` is who may push to the deploy repository's branch, and `passing` is
    who may now, where nobody says who should.
    """

    repository: str
    mechanism: Mechanism
    default_branch: str
    branches: frozenset[str]
    workflows: tuple[Workflow, ...] = ()
    has_code_owners: bool = False
    secrets: Mapping[str, frozenset[str]] | None = None
    environments: frozenset[str] = frozenset()
    rulesets: frozenset[str] = frozenset()
    private_deploy: bool | None = None
    deployer: str = ""
    passing: frozenset[str] = frozenset()
    # Whether the server tells which app a check comes from, so that it can be required of that one.
    knows_apps: bool = False


def with_apps(facts: Facts, knows_apps: bool, passing: frozenset[str] = frozenset()) -> Facts:
    """Return facts with what is known of apps, and of who may push to the deploy repository.

    Of several who may, a single app or deploy key is the deployer; the others are people.
    """
    apps = {one for one in passing if one.startswith("app ") or one == "deploy keys"}
    one = passing if len(passing) == 1 else apps if len(apps) == 1 else ()
    return replace(facts, knows_apps=knows_apps, deployer="".join(one), passing=passing)


@dataclass(frozen=True)
class Asked:
    """What a person asked for beside promotion.yaml: more required checks, reviewers by environment.

    Reviewers under "" are for each environment.
    """

    checks: frozenset[str] = frozenset()
    reviewers: Mapping[str, frozenset[str]] = field(default_factory=dict)


def model_repository(promotion: Promotion, facts: Facts, asked: Asked | None = None) -> Desired:
    """Return how the model repository is to be."""
    asked = asked or Asked()
    settings: list[Setting] = []
    notes: list[str] = []
    todos: list[Todo] = []
    by_branch: dict[str, list[Environment]] = {}
    for one in promotion.environments:
        by_branch.setdefault(one.branch, []).append(one)
    first = promotion.environments[0].branch
    for branch, environments in by_branch.items():
        checks = workflows.required_checks(
            facts.workflows, branch, gitea=facts.mechanism == "gitea"
        )
        notes += [note for note in checks.notes if note not in notes]
        # One that was asked for may be another system's.
        more = {f"{one}{names.ANY_APP}" if facts.knows_apps else one for one in asked.checks}
        more |= _verified(promotion, environments, facts)
        required = checks.names | (more - {f"{one}{names.ANY_APP}" for one in checks.names})
        if not required:
            notes.append(f"no workflow of {facts.repository} judges a pull request into {branch}")
        approvals = max(1, *(one.approvals for one in environments))
        if branch not in facts.branches:
            push = (
                f"git push origin {first}:{branch}"
                if branch != first
                else f"git push origin {first}"
            )
            problem = (
                "is not there yet, and can't be protected before it is"
                if facts.mechanism == "classic"
                else "is not there yet, and until it is whoever may write can create it: push it now"
            )
            todos.append(Todo(Subject("branch", branch), problem, push))
        if branch in facts.branches or facts.mechanism != "classic":
            settings += _branch(facts, branch, approvals, required, is_first=branch == first)
        if branch not in facts.branches and facts.mechanism == "rulesets" and required:
            # No commit that a push could bring has these checks, and nobody may bypass them.
            settings.append(Setting(Subject("branch", branch), names.CREATION, wanted=True))
    notes += _reviews(facts)
    if facts.mechanism == "rulesets":
        settings += _tags()
    else:
        notes.append(
            "tags can't be protected here: "
            + (
                "Gitea lets nobody but named accounts add a protected tag, and a workflow's own account"
                " can't be named"
                if facts.mechanism == "gitea"
                else "GitHub does that by rule sets alone, which this plan or server has not"
            )
        )
    if facts.mechanism == "rulesets":
        settings.append(Setting(Subject("repository"), names.MERGE_COMMITS, wanted=True))
    elif len(by_branch) > 1:
        # Here merge methods are the whole repository's.
        settings.append(_methods(Subject("repository")))
    if facts.mechanism != "gitea":
        settings += _environments(promotion, facts, asked)
        settings += _actions(facts)
        todos += _secrets(promotion, facts)
        if facts.secrets is None:
            # Nobody can say that none is where it should not be.
            settings.append(
                Setting(Subject("repository"), names.SECRETS, frozenset(), Compare.WITHIN)
            )
    wanted = {one.name for one in promotion.environments}
    notes += _left_over(facts, set(by_branch), wanted)
    return Desired(facts.repository, tuple(settings), tuple(todos), tuple(notes))


def _verified(
    promotion: Promotion, environments: list[Environment], facts: Facts
) -> frozenset[str]:
    """Return the commit statuses that say that what the environments before run was verified.

    The head of a promotion is the tip of the branch before, which verify-deployment gives its status.
    GitHub Actions writes it, or who `verify.writer` names.
    """
    found = set()
    if promotion.folder:
        return frozenset()  # a pull request of another model alone would wait for it for ever
    for one in environments:
        before = promotion.before(one)
        if before and before.verify and before.branch != one.branch:
            by_another = facts.knows_apps and before.verify.writer
            found.add(
                f"{context_of(before.name, promotion.model)}{names.ANY_APP if by_another else ''}"
            )
    return frozenset(found)


def deploy_repository(promotion: Promotion, facts: Facts, branch: str = "") -> Desired:
    """Return how the deploy repository is to be: what moves an environment, or must not be rewritten.

    Where an environment is deployed by a push, only with a known deployer can others be kept from it.
    """
    branch = branch or facts.default_branch
    subject = Subject("branch", branch)
    pushed = [one.name for one in promotion.environments if one.deploy == "push"]
    checks = workflows.required_checks(
        facts.workflows, branch, every_job=True, gitea=facts.mechanism == "gitea"
    )
    notes = list(checks.notes)
    todos: list[Todo] = []
    settings = _unrewritten(facts, subject)
    by_pull = Subject("branch", f"{branch}{names.PUSH_RULESET_END}")
    has_rule = f"{names.PREFIX}{by_pull.name}" in facts.rulesets
    if pushed and not facts.deployer and facts.passing:
        several = (
            f"may be pushed to by {', '.join(sorted(facts.passing))}, and who deploys is not known"
        )
        command = "protect again with --deployer, or write deploy.deployer in promotion.yaml"
        todos.append(Todo(subject, several, command, is_loose=True))
    elif pushed and not facts.deployer and not has_rule:
        todos.append(
            Todo(
                subject,
                f"takes pushes of everybody who may write: {', '.join(pushed)} is deployed by a push,"
                " and who pushes is not known",
                "protect again with --deployer app:NAME (a GitHub App), deploy-keys or user:NAME; as"
                " deploy.deployer in promotion.yaml, --check sees if somebody takes the rule away",
            )
        )
    elif pushed and facts.mechanism == "rulesets":
        # The deployer passes by the second rule set alone: nobody passes by the first. A token that
        # only reads does not see who passes, and still sees the rest of the rule.
        settings.append(Setting(subject, names.BYPASS, frozenset(), Compare.WITHIN))
        settings += _reviewed(facts, by_pull, 1, checks.names, facts.deployer)
    else:
        required = checks.names
        if pushed and facts.mechanism == "classic":
            # Here a required check holds back the deployer's push too.
            required = frozenset()
            notes.append(f"checks of {facts.repository} are not required: this kind of protection"
                         " would refuse the deployer's pushes")  # fmt: skip
        settings += _reviewed(facts, subject, 1, required, facts.deployer if pushed else "")
        if pushed and facts.mechanism == "gitea":
            reviewed = {one.overlay for one in promotion.environments if one.deploy != "push"}
            patterns = frozenset(f"{folder}/**" for folder in reviewed)
            settings.append(Setting(subject, names.REVIEWED_PATHS, patterns, Compare.INCLUDES))
    notes += _reviews(facts)
    if facts.mechanism != "gitea":
        settings += _actions(facts)
    notes += _left_over(facts, {branch}, set())
    return Desired(facts.repository, tuple(settings), tuple(todos), tuple(notes))


def _branch(
    facts: Facts, branch: str, approvals: int, checks: frozenset[str], *, is_first: bool
) -> list[Setting]:
    subject = Subject("branch", branch)
    settings = _unrewritten(facts, subject) + _reviewed(facts, subject, approvals, checks, "")
    if not is_first:
        # A promotion merges the whole branch before: that never contains this one's merge commits.
        if facts.mechanism == "rulesets":
            settings.append(_methods(subject))
        settings.append(Setting(subject, names.BEHIND, False, Compare.EXACTLY))
        if facts.mechanism != "gitea":
            settings.append(Setting(subject, names.LINEAR, False, Compare.EXACTLY))
    return list(dict.fromkeys(settings))


def _unrewritten(facts: Facts, subject: Subject) -> list[Setting]:
    """Return the settings of a branch whose history stays."""
    in_force = [Setting(subject, names.IN_FORCE, wanted=True)]
    return (in_force if facts.mechanism == "rulesets" else []) + [
        Setting(subject, names.NO_FORCE, wanted=True),
        Setting(subject, names.NO_DELETION, wanted=True),
    ]


def _reviewed(
    facts: Facts, subject: Subject, approvals: int, checks: frozenset[str], deployer: str
) -> list[Setting]:
    """Return the settings of a branch that people change by pull requests only."""
    in_force = [Setting(subject, names.IN_FORCE, wanted=True)]
    last_push = [Setting(subject, names.LAST_PUSH, wanted=True)]
    open_paths = [Setting(subject, names.OPEN_PATHS, frozenset(), Compare.WITHIN)]
    bypass = frozenset({deployer} if deployer else ())
    return [
        *(in_force if facts.mechanism == "rulesets" else ()),
        Setting(subject, names.PULL_REQUESTS, wanted=True),
        Setting(subject, names.APPROVALS, approvals),
        Setting(subject, names.CODE_OWNERS, wanted=True),
        Setting(subject, names.DISMISS_STALE, wanted=True),
        *(last_push if facts.mechanism != "gitea" else ()),
        Setting(subject, names.CHECKS, checks, Compare.INCLUDES),
        # Without a deployer nobody; with one nobody but that one, who could not push otherwise.
        Setting(subject, names.BYPASS, bypass, Compare.EXACTLY if deployer else Compare.WITHIN),
        *(open_paths if facts.mechanism == "gitea" else ()),
    ]


def _methods(subject: Subject) -> Setting:
    return Setting(subject, names.METHODS, frozenset({"merge"}), Compare.EXACTLY)


def _tags() -> list[Setting]:
    tags = Subject("tags", "of versions, stages and releases")
    return [
        Setting(tags, names.IN_FORCE, wanted=True),
        Setting(tags, names.TAG_PATTERNS, TAGS, Compare.INCLUDES),
        Setting(tags, names.NO_MOVE, wanted=True),
        Setting(tags, names.NO_DELETION, wanted=True),
        Setting(tags, names.BYPASS, frozenset(), Compare.WITHIN),
    ]


def _environments(promotion: Promotion, facts: Facts, asked: Asked) -> list[Setting]:
    settings = []
    for one in promotion.environments:
        subject = Subject("environment", one.name)
        own = frozenset({one.branch})
        settings.append(Setting(subject, names.DEPLOYS_FROM, own, Compare.EXACTLY))
        people = asked.reviewers.get("", frozenset()) | asked.reviewers.get(one.name, frozenset())
        # GitHub's names are the same in capitals and in small letters.
        people |= frozenset(name.lower() for name in one.reviewers)
        if people:
            settings.append(Setting(subject, names.REVIEWERS, people, Compare.INCLUDES))
    return settings


def _actions(facts: Facts) -> list[Setting]:
    settings = [Setting(Subject("repository"), names.READ_TOKEN, wanted=True)]
    opens = workflows.opens_pull_requests(facts.workflows)
    settings.append(
        Setting(Subject("repository"), names.PULL_REQUESTS_BY_ACTIONS, opens, Compare.EXACTLY)
    )
    return settings


def _reviews(facts: Facts) -> list[str]:
    """Say whose review is none."""
    notes = []
    if not facts.has_code_owners:
        notes.append(f"{facts.repository} has no CODEOWNERS: a review by code owners asks nobody")
    if facts.mechanism != "gitea" and workflows.opens_pull_requests(facts.workflows):
        notes.append(
            "workflows may create pull requests, as one of them does, and so may approve them: a branch's own"
            " workflow can approve its change of each file that CODEOWNERS does not name"
        )
    return notes


def _secrets(promotion: Promotion, facts: Facts) -> list[Todo]:
    """Return which names are missing, and which are where every branch's workflow can read them."""
    if facts.secrets is None:
        return []
    todos = []
    reserved = workflows.environment_secrets(facts.workflows)
    own = facts.secrets.get("", frozenset())
    repo = facts.repository
    for name in sorted(reserved & own):
        todos.append(
            Todo(
                Subject("repository"),
                f"secret {name} is the repository's: each branch's workflow can read it",
                f"gh secret delete {name} --repo {repo}",
                is_loose=True,
            )
        )
    for name in sorted(reserved & facts.secrets.get("organization", frozenset())):
        todos.append(
            Todo(
                Subject("repository"),
                f"secret {name} is the organization's, and this repository has it: each branch's workflow"
                " can read it",
                f"take {repo} out of that secret's repositories, in the organization's settings",
                is_loose=True,
            )
        )
    writers = [one for one in _WRITERS if one in reserved]
    for one in promotion.environments:
        there = facts.secrets.get(one.name, frozenset())
        # A deploy key opens no pull request.
        fit = [name for name in writers if one.deploy == "push" or name != "DEPLOY_KEY"]
        if fit and not there & set(fit):
            todos.append(
                Todo(
                    Subject("environment", one.name),
                    f"has no secret {' or '.join(fit)}: nothing can be deployed to it",
                    f"gh secret set {fit[0]} --repo {repo} --env {one.name}",
                )
            )
    if (
        facts.private_deploy
        and _READER in workflows.repository_secrets(facts.workflows)
        and _READER not in own
    ):
        todos.append(
            Todo(
                Subject("repository"),
                f"has no secret {_READER}, and {promotion.deploy_repository} is private: no gate passes",
                f"gh secret set {_READER} --repo {repo}",
            )
        )
    return todos


def _left_over(facts: Facts, branches: set[str], environments: set[str]) -> list[str]:
    """Say what is there for branches and environments that promotion.yaml no longer has."""
    notes = []
    for name in sorted(facts.rulesets):
        rest = name.removeprefix(names.PREFIX).removesuffix(names.PUSH_RULESET_END)
        if name.startswith(names.PREFIX) and name != names.TAG_RULESET and rest not in branches:
            notes.append(f"left over: rule set {name!r}, of a branch that is no environment's")
    others = sorted(facts.environments - environments) if environments else []
    if others:
        more = f" and {len(others) - _MOST_NAMES} more" if len(others) > _MOST_NAMES else ""
        notes.append(
            f"GitHub environments that promotion.yaml has not: {', '.join(others[:_MOST_NAMES])}{more}"
        )
    return notes


def reviewers(lines: list[str]) -> dict[str, frozenset[str]]:
    """Return whom `--reviewer` names, by environment: `alice`, `production=acme/owners`."""
    found: dict[str, frozenset[str]] = {}
    for line in lines:
        environment, _, name = line.rpartition("=")
        found[environment] = found.get(environment, frozenset()) | {
            name.strip().lstrip("@").lower()
        }
    return found


def is_account(name: str) -> bool:
    """Whether `name` is a user's, or a team's as `owner/team`."""
    return re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9._-]+)?", name) is not None
