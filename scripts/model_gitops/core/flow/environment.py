"""One environment of promotion.yaml: its branch, its overlay, its stage, and who may let what in."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from model_gitops.core.flow import verifying, windows
from model_gitops.core.flow.verifying import Verify
from model_gitops.core.flow.windows import Window
from model_gitops.core.gto import tags
from model_gitops.errors import InputError

PATH = "overlays/{environment}"
_PLACEHOLDER, _MODEL_PLACEHOLDER = "{environment}", "{model}"


@dataclass(frozen=True)
class Environment:
    """One environment: its branch is what was merged into it.

    `path` is its overlay's folder in the deploy repository. `approvals` is how many people must have
    approved the pull request that brought what it runs. `own_stage` is `stage:`, empty where it is not said.
    `reviewers` approve a deployment to it: users, or teams as `owner/team`. `verify` is what a deployment
    must pass, None where nothing is asked; `soak` is how many seconds it runs before the next hop.
    `promote` says when it takes promotions, as promotion.yaml has it, and `windows` the same, read; both are
    empty for always. `url` is the service's address there, or empty.
    """

    name: str
    branch: str
    deploy: Literal["push", "pull-request"] = "push"
    path: str = ""
    approvals: int = 0
    own_stage: str = ""
    reviewers: tuple[str, ...] = ()
    verify: Verify | None = None
    soak: float = 0.0
    promote: str = ""
    windows: tuple[Window, ...] = ()
    url: str = ""

    @property
    def stage(self) -> str:
        """The GTO stage that says what it runs."""
        return self.own_stage or self.name

    @property
    def overlay(self) -> str:
        """The overlay's folder in the deploy repository."""
        return self.path or PATH.replace(_PLACEHOLDER, self.name)


def named(environments: Sequence[Environment], name: str, config: str) -> Environment:
    """Return the environment `name` of the file `config`. Raises InputError for none."""
    found = next((one for one in environments if one.name == name), None)
    if found is None:
        names = ", ".join(one.name for one in environments)
        raise InputError.of(
            "environment", name, f"{config} has no such environment; it has {names}",
            fix=f"environment: {environments[0].name}",
        )  # fmt: skip
    return found


def parse(
    entry: Any,
    source: str,
    *,
    branch: str,
    path: str,
    model: str,
    approvals: int,
    verify: Any = None,
    folder: str = "",
) -> Environment:
    """Build one environment from its schema-checked `entry` of promotion.yaml.

    `path` is `deploy.path`, `model` the model's name without its folder, `approvals` the flow's number,
    `verify` the flow's own, and `folder` promotion.yaml's. Raises InputError, naming `source`, for a stage
    that GTO does not take, a path out of the deploy repository, and windows that are none.
    """
    return Environment(
        entry["name"],
        branch,
        entry.get("deploy", "push"),
        _overlay(entry, path, model, source),
        entry.get("approvals", approvals),
        _stage(entry, source),
        tuple(entry.get("reviewers", ())),
        verifying.parse(verify, entry, source, model=model, folder=folder),
        verifying.soak(verify, entry, source),
        entry.get("promote", ""),
        windows.parse(entry.get("promote", ""), f"promote (in {source})"),
        verifying.address(verify, entry, source, model=model),
    )


def check_branches(entries: Any, is_trunk: bool, source: str) -> None:
    """Refuse an environment without a branch, and with `flow: trunk` a later one that has one.

    Raises InputError, naming `source`.
    """
    for place, one in enumerate(entries):
        if "branch" not in one and not (is_trunk and place):
            raise InputError(
                f"{source}: the environment {one['name']} has no `branch`", fix="branch: main"
            )
        if is_trunk and place and "branch" in one:
            raise InputError(
                f"{source}: with `flow: trunk` the first environment alone has a branch, and"
                f" {one['name']} has {one['branch']!r}",
                fix="leave out its `branch`, or `flow: trunk`",
            )


def _stage(entry: Any, source: str) -> str:
    """Return an environment's `stage`, empty where it is not said. Raises InputError."""
    stage: str = entry.get("stage", "")
    if stage and not tags.is_stage_name(stage):
        raise InputError.of(
            f"stage (in {source})",
            stage,
            "it is no stage that GTO accepts",
            fix=f"stage: {re.sub(r'[^a-zA-Z0-9/_-]+', '-', stage).strip('/_-') or entry['name']}",
        )
    return stage


def _overlay(entry: Any, template: str, model: str, source: str) -> str:
    """Return the folder of an environment's overlay: its own `path`, else `deploy.path` filled in."""
    path: str = entry.get("path", template)
    rest = path.replace(_PLACEHOLDER, "").replace(_MODEL_PLACEHOLDER, "")
    if "{" in rest or "}" in rest:
        raise InputError.of(
            f"deploy.path (in {source})",
            path,
            f"{_PLACEHOLDER} and {_MODEL_PLACEHOLDER} are the only placeholders there are",
            fix=f"path: {PATH}",
        )
    if "path" not in entry and _PLACEHOLDER not in path:
        raise InputError.of(
            f"deploy.path (in {source})",
            path,
            f"it has no {_PLACEHOLDER}, so every environment would have the same overlay",
            fix=f"path: {path.rstrip('/')}/{_PLACEHOLDER}, or give each environment a `path` of its own",
        )
    filled = path.replace(_PLACEHOLDER, entry["name"]).replace(_MODEL_PLACEHOLDER, model)
    found = posixpath.normpath(filled)
    if posixpath.isabs(found) or found.split("/")[0] == "..":
        raise InputError.of(
            f"{'path' if 'path' in entry else 'deploy.path'} (in {source})",
            path,
            "it is no folder of the deploy repository, whose paths start at its top",
            fix=f"path: {path.lstrip('./') or PATH}",
        )
    return found
