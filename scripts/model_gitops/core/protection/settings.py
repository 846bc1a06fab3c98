"""Settings of a repository as data: what is wanted, what was found, and in what they differ.

A stricter setting than the wanted one is kept: it is no difference, and is never written back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Literal


class Compare(Enum):
    """When a value that was found is as strict as the wanted one."""

    AT_LEAST = "at least"  # a number, or a switch that must be on
    INCLUDES = "includes"  # a set: more is stricter
    WITHIN = "within"  # a set: less is stricter
    EXACTLY = "exactly"  # the flow needs this value


Value = bool | int | str | frozenset[str]


@dataclass(frozen=True)
class Subject:
    """What a setting belongs to: a branch, tags, a GitHub environment, or the repository itself."""

    kind: Literal["branch", "tags", "environment", "repository"]
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}".strip()


@dataclass(frozen=True)
class Setting:
    """One wanted setting. `name` is the words that a person reads."""

    subject: Subject
    name: str
    wanted: Value
    compare: Compare = Compare.AT_LEAST

    def result(self, found: Value | None) -> Value:
        """Return the value to write, which is as strict as both. `found` is None for none."""
        wanted = self.wanted
        if found is None or self.compare is Compare.EXACTLY:
            return wanted
        if isinstance(wanted, frozenset) and isinstance(found, frozenset):
            return wanted | found if self.compare is Compare.INCLUDES else wanted & found
        if isinstance(wanted, int) and isinstance(found, int):
            return max(wanted, found)
        return wanted

    def is_looser(self, found: Value | None) -> bool:
        """Whether `found` lets through what is not wanted; not for one that is only in the flow's way."""
        if isinstance(found, frozenset) and isinstance(self.wanted, frozenset):
            return (
                not found >= self.wanted
                if self.compare is Compare.INCLUDES
                else not found <= self.wanted
            )
        # Of a switch that must be off the one that is on is looser only where it lets more through: such
        # are said as switches that must be on.
        return self.compare is Compare.AT_LEAST and self.result(found) != found


@dataclass(frozen=True)
class Todo:
    """What no program should do for a person: what, why, and the command to type.

    `is_loose`: it lets somebody do what they should not.
    """

    subject: Subject
    what: str
    command: str = ""
    is_loose: bool = False


@dataclass(frozen=True)
class Desired:
    """How a repository is to be: the settings, what is left to a person, and what should be known."""

    repository: str
    settings: tuple[Setting, ...]
    todos: tuple[Todo, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def subjects(self) -> list[Subject]:
        """The subjects in their order, each once."""
        return list(dict.fromkeys(one.subject for one in self.settings))

    def of(self, subject: Subject) -> dict[str, Setting]:
        """Return the settings of a subject by their name."""
        return {one.name: one for one in self.settings if one.subject == subject}

    def adding(self, *, todos: tuple[Todo, ...] = (), notes: tuple[str, ...] = ()) -> Desired:
        """Return the same with more of what is left, and of what should be known."""
        return replace(self, todos=self.todos + todos, notes=self.notes + notes)


# Of each subject that is there the values of its settings. A setting that is missing in a subject that
# is there could not be seen.
Found = Mapping[Subject, Mapping[str, Value]]


@dataclass(frozen=True)
class Change:
    """One setting that is not as wanted. `found` is None where its subject has no protection at all.

    `wanted` is what it becomes. `loosened`: as it is, it lets through what is not wanted.
    """

    repository: str
    subject: Subject
    setting: str
    found: Value | None
    wanted: Value
    loosened: bool

    def __str__(self) -> str:
        return f"{self.repository}, {self.subject}: {self.setting} is {shown(self.found)}, not {shown(self.wanted)}"


def difference(desired: Desired, found: Found) -> list[Change]:
    """Return what is not as wanted. What is stricter than wanted is, and what can't be seen is left out."""
    changes = []
    for setting in desired.settings:
        values = found.get(setting.subject)
        value = None if values is None else values.get(setting.name)
        if values is not None and value is None:
            continue
        result = setting.result(value)
        if result != value:
            changes.append(
                Change(
                    desired.repository,
                    setting.subject,
                    setting.name,
                    value,
                    result,
                    value is None or setting.is_looser(value),
                )
            )
    return changes


def unseen(desired: Desired, found: Found) -> list[Setting]:
    """Return the wanted settings that the token could not see."""
    return [
        one
        for one in desired.settings
        if one.subject in found and one.name not in found[one.subject]
    ]


def result(desired: Desired, subject: Subject, found: Found) -> dict[str, Value]:
    """Return the values to write for a subject: each as strict as what is wanted and what was found."""
    values = found.get(subject) or {}
    return {name: one.result(values.get(name)) for name, one in desired.of(subject).items()}


def shown(value: Value | None) -> str:
    """Return a value as a person reads it."""
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, frozenset):
        # Names of checks have commas of their own.
        separator = "; " if any("," in one for one in value) else ", "
        return separator.join(sorted(value)) or "none"
    return str(value)
