"""Which branch stands for which environment, by the branches and stages that a repository has."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from model_gitops.core.gto import tags
from model_gitops.core.scaffold.answers import usual_environments
from model_gitops.errors import InputError

_TRUNKS = ("main", "master", "trunk")
_EARLY = ("develop", "development", "dev", "integration")
_CALLED: Mapping[str, tuple[str, ...]] = {
    "dev": ("dev", "development", "develop", "integration", "test", "testing"),
    "staging": ("staging", "stage", "preprod", "pre-prod", "preproduction", "uat", "qa", "acceptance"),
    "production": ("production", "prod", "live", "release"),
}  # fmt: skip


@dataclass(frozen=True)
class Environment:
    """An environment as promotion.yaml gets it. `exists`: its branch is there."""

    name: str
    branch: str
    stage: str = ""
    exists: bool = True
    deploy: str = "push"


@dataclass(frozen=True)
class Environments:
    """The environments in the order of promotion, and how sure that is, in words."""

    found: tuple[Environment, ...]
    notes: tuple[str, ...] = field(default=())


def find(
    branches: Iterable[str],
    *,
    default: str = "",
    stages: Iterable[str] = (),
    wanted: Sequence[str] = (),
) -> Environments:
    """Return an environment for each branch that stands for one.

    `branches` are those of the clone and of its server, `default` the server's own choice, `stages` the
    GTO stages that were ever assigned, and `wanted` what a person says, in the order of promotion.
    Raises InputError for branches that can't be.
    """
    there = frozenset(branches)
    if wanted:
        return _made(_checked(wanted), there, stages, ())
    trunk = next((one for one in _TRUNKS if one in there), "")
    if default in there and default not in _EARLY:
        trunk = default
    early = next((one for one in _EARLY if one in there), "")
    staging = _of("staging", there)
    production = _of("production", there)
    notes = list[str]()
    if early and not production and trunk:
        # Git flow: what is on the trunk is in production.
        chosen = [early, staging or "staging", trunk] if staging else [early, trunk]
        notes.append(
            f"{early} takes changes and {trunk} is production: that is how Git flow names them"
        )
    else:
        chosen = [trunk or early or "main", staging or "staging", production or "production"]
        if early and trunk:
            notes.append(
                f"the branch {early} is left out: experiments are merged into {trunk}, the first environment"
            )
    if any(one.startswith(("release/", "release-", "releases/", "hotfix/")) for one in there):
        notes.append(
            "there are branches release/… or hotfix/…: an environment has one branch that stays, so"
            " they are experiments here"
        )
    return _made(chosen, there, stages, tuple(notes))


def stages_of(names: Iterable[str]) -> list[str]:
    """Return the stages that GTO's tags assign, each once."""
    found = (tags.parse(one) for one in names)
    return list(dict.fromkeys(one.stage for one in found if one and one.stage))


def models_of(names: Iterable[str]) -> list[str]:
    """Return the models that GTO's tags name, each once."""
    found = (tags.parse(one) for one in names)
    return list(dict.fromkeys(one.model for one in found if one))


def is_called(name: str, environment: str) -> bool:
    """Whether `name`, of a stage or a folder, is another word for an environment."""
    return name.lower() in (environment, *_CALLED.get(environment, ()))


def _of(environment: str, there: frozenset[str]) -> str:
    return next((one for one in _CALLED[environment] if one in there), "")


def _made(
    chosen: Sequence[str], there: frozenset[str], stages: Iterable[str], notes: tuple[str, ...]
) -> Environments:
    known = list(stages)
    found = []
    for name, branch in zip(usual_environments(chosen), chosen, strict=True):
        other = [one for one in known if is_called(one, name)]
        stage = "" if name in known or not other else other[0]
        last = branch == chosen[-1] and len(chosen) > 1
        found.append(
            Environment(name, branch, stage, branch in there, "pull-request" if last else "push")
        )
    return Environments(tuple(found), notes)


def _checked(wanted: Sequence[str]) -> Sequence[str]:
    value = ",".join(wanted)
    if len(wanted) > 20 or len(set(wanted)) != len(wanted):
        raise InputError.of(
            "branches", value, "each is named once, and there are at most 20",
            fix="--branches main,staging,production",
        )  # fmt: skip
    for one in wanted:
        if not tags.is_ref(one) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/-]*", one):
            raise InputError.of(
                "branches", value, f"{one!r} is no branch that workflows can name",
                fix="--branches main,staging,production",
            )  # fmt: skip
    return wanted
