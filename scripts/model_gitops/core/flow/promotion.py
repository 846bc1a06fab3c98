"""`promotion.yaml`: the flow as data, and the rule of which hop is allowed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from model_gitops.core.flow import metrics
from model_gitops.core.gto import tags
from model_gitops.errors import InputError, RefusedError


@dataclass(frozen=True)
class Environment:
    """One environment: its stage has its name, its branch is what was merged into it."""

    name: str
    branch: str
    deploy: Literal["push", "pull-request"] = "push"


@dataclass(frozen=True)
class Rule:
    """A candidate's metric must not be worse than the incumbent's by more than `tolerance`.

    `tolerance` is absolute, in the metric's own unit; `minimum` and `maximum` bound the candidate
    even where there is no incumbent.
    """

    file: str
    key: str
    better: Literal["higher", "lower"]
    tolerance: float = 0.0
    minimum: float | None = None
    maximum: float | None = None

    @property
    def metric(self) -> str:
        """The metric as promotion.yaml names it, `file:key`."""
        return f"{self.file}:{self.key}"


@dataclass(frozen=True)
class Promotion:
    """The whole of promotion.yaml. `environments` are in the order of promotion."""

    model: str
    image: str
    environments: tuple[Environment, ...]
    deploy_repository: str = ""
    deploy_path: str = "overlays/{environment}"
    stage_on: Literal["merge", "pull_request"] = "merge"
    gate: tuple[Rule, ...] = field(default=())

    def of_branch(self, branch: str) -> Environment | None:
        """Return the environment that `branch` stands for, or None."""
        return next((one for one in self.environments if one.branch == branch), None)

    def target(self, base: str, head: str) -> Environment:
        """Return the environment that a change into branch `base` promotes to.

        `head` is the branch that the change comes from, or empty for a push. Raises RefusedError
        for a hop that skips an environment, or goes backwards.
        """
        target = self.of_branch(base)
        branches = ", ".join(one.branch for one in self.environments)
        if target is None:
            raise RefusedError(
                f"branch {base!a} is no environment's branch: these are {branches}",
                fix="open the pull request into one of these branches, or add the environment to "
                "promotion.yaml",
            )
        if not head:
            return target
        place = self.environments.index(target)
        if place == 0:
            if (source := self.of_branch(head)) is None:
                return target
            raise RefusedError(
                f"the hop {head} → {base} goes backwards: {source.name} comes after {target.name}",
                fix=f"branch off {base} and open the pull request from that branch",
            )
        before = self.environments[place - 1]
        if head != before.branch:
            raise RefusedError(
                f"the hop {_shown(head)} → {base} is not allowed: {target.name} takes changes only from "
                f"branch {before.branch!r} ({before.name})",
                fix=f"merge into {before.branch!r} first, then open a pull request "
                f"from {before.branch!r} into {base!r}",
            )
        return target


def _shown(name: str) -> str:
    """A letter that only looks like another one, or turns the line around, is shown by its number."""
    return name if name.isascii() else ascii(name)


def parse(document: object, *, source: str = "promotion.yaml") -> Promotion:
    """Build a Promotion from the parsed and schema-checked YAML `document`.

    Raises InputError, naming `source`, for what the schema can't say: two environments with one
    name or branch, or a model name that GTO would refuse.
    """
    data: Any = document
    _refuse_control_characters(data, source)
    environments = tuple(
        Environment(one["name"], one["branch"], one.get("deploy", "push"))
        for one in data["environments"]
    )
    for what in ("name", "branch"):
        seen = [getattr(one, what) for one in environments]
        if len(set(seen)) != len(seen):
            raise InputError(
                f"{source}: two environments have the same {what}",
                fix=f"give each environment a {what} of its own",
            )
    if not tags.is_model_name(data["model"]):
        raise InputError.of(
            f"model (in {source})",
            data["model"],
            "it is no name that GTO accepts",
            fix="use letters, numbers, '-', '_' and '/', with a letter or number at both ends",
        )
    deploy = data.get("deploy", {})
    return Promotion(
        model=data["model"],
        image=data["image"],
        environments=environments,
        deploy_repository=deploy.get("repository", ""),
        deploy_path=deploy.get("path", "overlays/{environment}"),
        stage_on=data.get("stage-on", "merge"),
        gate=tuple(_rule(one, source) for one in data.get("gate", [])),
    )


def _refuse_control_characters(node: Any, source: str) -> None:
    """Refuse a line break at a value's end, which a schema's `$` lets pass, and its like."""
    if isinstance(node, str) and any(ord(one) < 32 or ord(one) == 127 for one in node):
        raise InputError(
            f"{source}: the value {node[:100]!r} holds a line break or another control character",
            fix="write it on one line, without `|` or a \\n in double quotes",
        )
    if isinstance(node, dict | list):
        for one in node.values() if isinstance(node, dict) else node:
            _refuse_control_characters(one, source)


def _rule(entry: Any, source: str) -> Rule:
    file, _, key = entry["metric"].partition(":")
    for limit in ("tolerance", "minimum", "maximum"):
        # YAML has .nan and .inf: no comparison with them ever refuses a candidate.
        if entry.get(limit) is not None and metrics.number(entry[limit]) is None:
            raise InputError.of(
                f"{limit} (in {source})",
                entry[limit],
                "it is no finite number",
                fix=f"{limit}: 0.01",
            )
    return Rule(
        file=file,
        key=key,
        better=entry["better"],
        tolerance=float(entry.get("tolerance", 0)),
        minimum=entry.get("minimum"),
        maximum=entry.get("maximum"),
    )
