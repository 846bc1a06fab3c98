"""A plan: what a person said, what is to be written, and what is left open."""

from __future__ import annotations

from dataclasses import dataclass, field

from model_gitops.core.adopt.branches import Environment
from model_gitops.core.adopt.models import Model


@dataclass(frozen=True)
class Wishes:
    """What a person said on the command line; empty where it is to be found out."""

    models: tuple[str, ...] = ()
    image: str = ""
    deploy_repository: str = ""
    branches: tuple[str, ...] = ()


@dataclass(frozen=True)
class Change:
    """One file as it is (None: there is none) and as it is to be."""

    path: str
    before: str | None
    after: str
    executable: bool = False


@dataclass(frozen=True)
class Open:
    """What could not be decided, or is left to do: in words, and what to type."""

    what: str
    fix: str = ""


@dataclass(frozen=True)
class Plan:
    """What is there, what is written, what stays though ours is another, and what is left open."""

    found: tuple[str, ...]
    changes: tuple[Change, ...]
    open: tuple[Open, ...]
    models: tuple[Model, ...]
    environments: tuple[Environment, ...]
    image: str = ""
    deploy_repository: str = ""
    kept: tuple[Change, ...] = ()


@dataclass
class Made:
    """What is collected while the plan is made."""

    found: list[str] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    open: list[Open] = field(default_factory=list)

    def add(self, change: Change) -> None:
        """Take up a change, unless it changes nothing."""
        if change.before != change.after:
            self.changes.append(change)
