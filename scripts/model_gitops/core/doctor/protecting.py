"""Judges the settings of both repositories on their server, by the difference that `protect` mends."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from model_gitops.core.doctor.finding import Finding, Part, joined
from model_gitops.core.flow.promotion import Promotion
from model_gitops.core.protection import names
from model_gitops.core.protection.settings import Change, Setting, Subject, Todo, Value

_METHODS = (names.METHODS, names.MERGE_COMMITS, names.LINEAR)
_OF_ACTIONS = (names.READ_TOKEN, names.PULL_REQUESTS_BY_ACTIONS)
_SECRET = re.compile(r"\bsecret\b")


@dataclass(frozen=True)
class Protected:
    """One repository: what is wanted of it, what differs, and what the token could not see.

    `model` is the model repository, which `protect` is started for: it sets both.
    """

    repository: str
    wanted: tuple[Setting, ...]
    changes: tuple[Change, ...]
    unseen: tuple[Setting, ...]
    todos: tuple[Todo, ...] = ()
    notes: tuple[str, ...] = ()
    found: Mapping[Subject, Mapping[str, Value]] | None = None
    knows_secrets: bool = False
    model: str = ""

    @property
    def command(self) -> str:
        """What sets all that is wanted."""
        return f"model-gitops protect {self.model or self.repository}"


def branches(one: Protected) -> Finding:
    """Judge the protection of the environments' branches."""
    missing = [
        todo for todo in one.todos if todo.subject.kind == "branch" and "secret" not in todo.what
    ]
    parts = [Part(False, f"{todo.subject} {todo.what}", todo.command) for todo in missing]
    parts += _differing(
        one, lambda subject, name: subject.kind == "branch" and name not in _METHODS
    )
    return joined("branch-protection", parts, nothing="no branch is to be protected")


def deploy_branch(one: Protected) -> Finding:
    """Judge the protection of the deploy repository's branch."""
    found = branches(one)
    if any(todo.subject.kind == "branch" for todo in one.todos):
        # Who deploys is not known: `protect` asks for it.
        fix = f"{one.command} --deployer app:NAME"
        return Finding("deploy-branch-protection", False, found.found, fix)
    return Finding("deploy-branch-protection", found.ok, found.found, found.fix)


def tags(one: Protected) -> Finding:
    """Judge the rule of tags: versions and stages can't be moved or removed."""
    parts = _differing(one, lambda subject, name: subject.kind == "tags")
    if parts:
        return joined("tag-rule", parts)
    why = next(
        (note for note in one.notes if note.startswith("tags ")), "tags can't be protected here"
    )
    return Finding("tag-rule", None, why)


def merge_methods(one: Protected) -> Finding:
    """Judge how pull requests are merged: what a squash makes is on no other branch."""
    parts = _differing(one, lambda subject, name: name in _METHODS)
    return joined("merge-methods", parts, nothing="one environment has no promotion to merge")


def environments(one: Protected) -> Finding:
    """Judge from which branch each GitHub environment may be deployed to."""
    parts = _differing(one, lambda subject, name: name == names.DEPLOYS_FROM)
    return joined("environments", parts, nothing="this server has no environments")


def reviewers(one: Protected, promotion: Promotion) -> Finding:
    """Judge whether somebody approves what goes into the last environment."""
    check, last = "reviewers", promotion.environments[-1].name
    subject = Subject("environment", last)
    if not any(each.subject == subject for each in one.wanted):
        return Finding(check, None, "this server has no environments with reviewers")
    values = (one.found or {}).get(subject)
    fix = f"{one.command} --reviewer {last}=LOGIN"
    if values is None:
        return Finding(check, False, f"there is no environment {last}", fix)
    people = values.get(names.REVIEWERS)
    if not isinstance(people, frozenset):
        return _unseen(check, [f"the reviewers of {last}"])
    if not people:
        return Finding(check, False, f"nobody must approve a deployment to {last}", fix)
    return Finding(check, True, f"{last}: {', '.join(sorted(people))}")


def secrets(one: Protected, *, are_here: bool) -> Finding:
    """Judge whether each secret is where its jobs see it; `are_here`: this server shows their names."""
    return _secrets("secrets", one, are_here, loose=False)


def secrets_scope(one: Protected, *, are_here: bool) -> Finding:
    """Judge whether what writes the deploy repository is seen by no other job."""
    return _secrets("secrets-scope", one, are_here, loose=True)


def _secrets(check: str, one: Protected, are_here: bool, *, loose: bool) -> Finding:
    if not are_here:
        return Finding(check, None, "this server's API has no secrets of environments")
    if not one.knows_secrets:
        return _unseen(check, ["the names of secrets"])
    told = [each for each in one.todos if _SECRET.search(each.what) and each.is_loose is loose]
    parts = [Part(False, f"{each.subject}: {each.what}", each.command) for each in told]
    nothing = (
        "no secret of an environment is another's too"
        if loose
        else "each secret is where it is read"
    )
    return joined(check, parts, nothing=nothing)


def actions(one: Protected) -> Finding:
    """Judge what workflows may do: read by default, and open pull requests where they must."""
    parts = _differing(one, lambda subject, name: name in _OF_ACTIONS)
    return joined("actions-permissions", parts, nothing="this server has no such settings")


def _differing(one: Protected, is_meant: Callable[[Subject, str], bool]) -> list[Part]:
    """Return a part for what differs, for what could not be seen, and for what is as wanted."""
    wanted = [each for each in one.wanted if is_meant(each.subject, each.name)]
    if not wanted:
        return []
    parts = [
        Part(False, f"{each.subject}: {each.setting} is {_shown(each)}", one.command)
        for each in one.changes
        if is_meant(each.subject, each.setting)
    ]
    hidden = [each for each in one.unseen if is_meant(each.subject, each.name)]
    if hidden and not parts:
        found = _unseen("", [f"{each.subject}: {each.name}" for each in hidden[:3]])
        parts.append(Part(None, found.found, found.fix))
    if not parts:
        parts.append(Part(True, _names(each.subject for each in wanted)))
    return parts


def _shown(change: Change) -> str:
    return str(change).partition(f"{change.setting} is ")[2]


def _names(subjects: Iterable[Subject]) -> str:
    return ", ".join(dict.fromkeys(str(one) for one in subjects))


def _unseen(check: str, what: Sequence[str]) -> Finding:
    return Finding(
        check,
        None,
        f"the token may not see {', '.join(what)}",
        "export MODEL_GITOPS_TOKEN=… of an account that administers the repository (administration: read,"
        " secrets: read, environments: read)",
    )
