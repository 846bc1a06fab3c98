"""What a new repository is called: the answers of `init`, checked, and what follows from them."""

from __future__ import annotations

import keyword
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from model_gitops.core.image import names
from model_gitops.errors import InputError

GITHUB = "github.com"
GITHUB_REGISTRY = "ghcr.io"
USUAL = ("dev", "staging", "production")

# What takes a Kubernetes Service's name is the narrowest: RFC 1035. GTO and registries take it too.
_NAME = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")
_LONGEST_LABEL = 63
# Argo Workflows: https://argo-workflows.readthedocs.io/en/latest/cron-workflows/ makes longer names of it.
_LONGEST_SCHEDULE = 52
_LONGEST_ENVIRONMENT = 30
_MOST_ENVIRONMENTS = 20  # promotion.yaml's schema
# GitHub's account names, and Gitea's, which may hold `.` and `_`.
_OWNER = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_LONGEST_OWNER = 39
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?")
_BRANCH = re.compile(r"[A-Za-z][A-Za-z0-9._/-]*")
_NO_BRANCH = re.compile(r"\.\.|//|/\.|/$|\.$|\.lock(/|$)|^(HEAD|(model-gitops|refs)(/.*)?)$")
_LONGEST_BRANCH = 100
# Names of any kind that `adopt` finds: no path that leads elsewhere, and nothing that ends a line.
_KEPT = re.compile(r"(?!.*(?:^|/)\.\.(?:/|$))[^\s/-][^\x00-\x1f\x7f]{0,254}")
# YAML 1.1, which Kubernetes' tools read, or 1.2 takes these for no text.
NO_TEXT = re.compile(r"true|false|null|yes|no|on|off|y|n", re.IGNORECASE)
# What the model template or its tests import: a package of the same name would hide it.
_IMPORTED = re.compile(
    "conftest|dvc|evaluate|flask|numpy|onnx|onnxruntime|pandas|prepare|prometheus_client|pytest|requests"
    "|ruff|scipy|serve|skl2onnx|sklearn|smoke|src|tests|train|uwsgi|werkzeug|yaml"
)


@dataclass(frozen=True)
class Answers:
    """What a template is rendered with. `new` checks; whoever builds one itself has checked."""

    name: str
    package: str
    owner: str
    host: str
    image: str
    repository: str
    deploy_repository: str
    branches: tuple[str, ...]
    environments: tuple[str, ...]

    def as_data(self) -> dict[str, Any]:
        """Return it as `.model-gitops.yaml` keeps it."""
        return {
            field.name.replace("_", "-"): list(value) if isinstance(value, tuple) else value
            for field in fields(self)
            for value in [getattr(self, field.name)]
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any], *, where: str) -> Answers:
        """Return the answers that `where` keeps. Raises InputError where it holds no such."""
        made: dict[str, Any] = {}
        for field in fields(cls):
            key = field.name.replace("_", "-")
            value = data.get(key)
            many = field.name in ("branches", "environments")
            found = value if isinstance(value, list) and value and many else [value]
            texts = all(isinstance(one, str) and _KEPT.fullmatch(one) for one in found)
            if not texts or many != isinstance(value, list):
                raise InputError(
                    f"{where}: `answers: {key}` is {value!r}: it must be"
                    f" {'a list of names' if many else 'a name'}",
                    fix=f"git log -p -- {where} (and take back what changed it)",
                )
            made[field.name] = tuple(found) if many else value
        if len(made["branches"]) != len(made["environments"]):
            raise InputError(
                f"{where}: there are {len(made['branches'])} branches and"
                f" {len(made['environments'])} environments",
                fix="give each environment its branch, in the same order",
            )
        return cls(**made)


def new(
    *,
    name: str,
    owner: str,
    branches: Sequence[str],
    environments: Sequence[str] = (),
    host: str = "",
    registry: str = "",
    modules: Collection[str] = (),
) -> Answers:
    """Return the answers for two new repositories. Raises InputError for each that can't be used.

    Without `environments` they follow the branches (see `usual_environments`); `host` is github.com,
    and `registry` that host's own. `modules` are Python's, which no package should hide.
    """
    host = host or GITHUB
    check_owner(owner)
    if not _HOST.fullmatch(host):
        raise InputError.of("host", host, "it is no server's name", fix="--host github.com")
    _check_branches(branches)
    found = tuple(environments) or usual_environments(branches)
    _check_environments(found, branches)
    check_name(name, found)
    registry = registry or (GITHUB_REGISTRY if host == GITHUB else host)
    image = f"{registry}/{owner.lower()}/{name}"
    if not names.is_name(image):
        raise InputError.of(
            "registry",
            registry,
            f"{image} would be no name of an image",
            fix=f"--registry {GITHUB_REGISTRY}",
        )
    return Answers(
        name=name,
        package=python_package(name, modules),
        owner=owner,
        host=host,
        image=image,
        repository=f"{owner}/{name}",
        deploy_repository=f"{owner}/{name}-deploy",
        branches=tuple(branches),
        environments=found,
    )


def python_package(name: str, modules: Collection[str] = ()) -> str:
    """Return the Python package of a model: `my-model` → `my_model`.

    A word of Python's, and what it or the template imports already, gets `_model` at its end.
    """
    package = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    if not package or package[0].isdigit():
        package = f"model_{package}".rstrip("_")
    taken = _IMPORTED.fullmatch(package) or package in modules or keyword.iskeyword(package)
    return f"{package}_model" if taken else package


def usual_environments(branches: Sequence[str]) -> tuple[str, ...]:
    """Return what environments with these branches are called where nobody said it.

    A branch with a usual environment's name has that one. Else the first is dev, the last production,
    and one in between staging; of several in between, and where a name is taken, each has its branch's.
    """
    last = len(branches) - 1
    found: list[str] = []
    for at, branch in enumerate(branches):
        by_place = (
            "production" if at == last else "dev" if at == 0 else "staging" if last == 2 else ""
        )
        taken = [*found, *(one for one in branches[at + 1 :] if one in USUAL)]
        if branch in USUAL:
            found.append(branch)
        elif by_place and by_place not in taken:
            found.append(by_place)
        else:
            found.append(re.sub(r"[^a-z0-9]+", "-", branch.lower()).strip("-"))
    return tuple(found)


def check_owner(owner: str) -> None:
    """Raise InputError unless it may be an account's or an organisation's name."""
    if not owner or not _OWNER.fullmatch(owner) or len(owner) > _LONGEST_OWNER:
        wrong = "an account's name is letters, digits and single - (Gitea: . and _ too), at most 39"
        fix = f"--owner {re.sub(r'[^A-Za-z0-9-]+', '-', owner).strip('-')[:_LONGEST_OWNER] or 'newco'}"
        raise InputError.of("owner", owner, wrong, fix=fix)


def check_name(name: str, environments: Sequence[str] = USUAL) -> None:
    """Raise InputError unless a model, an image and a namespace for each environment may be called so."""
    # The longest names that are made of it, and how long they may be.
    made = {
        f"the namespace {name}-training-{max(environments, key=len)}": _LONGEST_LABEL,
        f"the CronWorkflow {name}-training": _LONGEST_SCHEDULE,
    }
    longest, what, most = min(
        (most - len(what.split()[-1]) + len(name), what, most) for what, most in made.items()
    )
    if not _NAME.fullmatch(name):
        wrong = "Kubernetes takes lowercase letters, digits and - only, a letter first, no - last"
    elif len(name) > longest:
        wrong = f"it is longer than {longest} characters, so {what} would be longer than {most}"
    elif NO_TEXT.fullmatch(name):
        wrong = "YAML reads this word as true, false or nothing"
    else:
        return
    raise InputError.of("name", name, wrong, fix=f"--name {_mended(name, longest) or 'churn'}")


def _check_branches(branches: Sequence[str]) -> None:
    if not branches:
        raise InputError.of(
            "branches", "", "it names no branch", fix="--branches main,staging,production"
        )
    for branch in branches:
        if (
            not _BRANCH.fullmatch(branch)
            or _NO_BRANCH.search(branch)
            or len(branch) > _LONGEST_BRANCH
            or NO_TEXT.fullmatch(branch)
        ):
            raise InputError.of(
                "branches",
                branch,
                "it can't be the branch of an environment: each has one, of letters, digits and . _ / -, a"
                " letter first; not HEAD, refs/…, or a word that YAML reads as true, false or nothing",
                fix="--branches main,staging,production (what starts from one, such as release/1.2, is"
                " merged into it by a pull request)",
            )
    _check_unique("branches", branches)
    for branch in branches:
        inside = [other for other in branches if other.startswith(f"{branch}/")]
        if inside:
            raise InputError.of(
                "branches",
                ",".join(branches),
                f"Git can't have {branch!r} and {inside[0]!r}: the first would be a folder of the second",
                fix=f"--branches {','.join(one.replace('/', '-') for one in branches)}",
            )


def _check_environments(environments: Sequence[str], branches: Sequence[str]) -> None:
    if len(environments) != len(branches):
        wrong = f"there are {len(environments)} of them, and {len(branches)} branches"
        fix = f"--environments {','.join(usual_environments(branches))}"
        raise InputError.of("environments", ",".join(environments), wrong, fix=fix)
    if len(environments) > _MOST_ENVIRONMENTS:
        wrong = f"a flow has at most {_MOST_ENVIRONMENTS} environments"
        raise InputError.of("branches", ",".join(branches), wrong, fix="name fewer branches")
    for one in environments:
        if not _NAME.fullmatch(one) or len(one) > _LONGEST_ENVIRONMENT or NO_TEXT.fullmatch(one):
            wrong = (
                "a stage, a folder and a part of a namespace have this name: lowercase letters, digits"
                f" and -, a letter first, at most {_LONGEST_ENVIRONMENT}"
            )
            fix = f"--environments {_mended(one, _LONGEST_ENVIRONMENT) or 'dev,staging,production'}"
            raise InputError.of("environments", one, wrong, fix=fix)
    _check_unique("environments", environments)


def _check_unique(name: str, values: Sequence[str]) -> None:
    # Folders and refs of one name in two cases are one on macOS and Windows.
    lower = [one.lower() for one in values]
    twice = next((one for one in values if lower.count(one.lower()) > 1), None)
    if twice is not None:
        raise InputError.of(
            name, ",".join(values), f"{twice} is there twice", fix=f"--{name}: each one once"
        )


def _mended(name: str, longest: int) -> str:
    """Return the nearest name that is allowed; nothing where there is none."""
    mended = re.sub(r"[^a-z0-9]+", "-", name.lower()).lstrip("-0123456789")[:longest].strip("-")
    return f"{mended}-model" if NO_TEXT.fullmatch(mended) else mended
