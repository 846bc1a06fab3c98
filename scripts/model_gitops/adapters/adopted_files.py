"""Write a plan into a checkout: each file at once, and nothing over what a person has changed since."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from model_gitops.adapters import paths
from model_gitops.core.adopt.planned import Change
from model_gitops.errors import ExternalError, InputError, RefusedError


def check(top: Path, changes: Sequence[Change], uncommitted: frozenset[str]) -> None:
    """Look whether all can be written, before anything is.

    Raises RefusedError for a file that has changes which nobody committed, as they could not be told
    from ours, or that has changed since the plan was made; InputError for a path that leads out.
    """
    mixed = [one.path for one in changes if one.before is not None and one.path in uncommitted]
    if mixed:
        raise RefusedError(
            f"{', '.join(mixed)} would be edited, and has changes that are not committed",
            fix="git commit or git stash them, then run this again",
        )
    for one in changes:
        _check(top, one)


def write(top: Path, changes: Sequence[Change]) -> None:
    """Write the files in their order. A run that is stopped between two goes on where it is run again.

    Raises ExternalError, and what `check` does.
    """
    for one in changes:
        _check(top, one)
        file = top / one.path
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            mode = file.stat().st_mode if one.before is not None else None
            paths.write_whole(file, one.after)
            if mode is not None:
                file.chmod(mode)
            elif one.executable:
                file.chmod(file.stat().st_mode | 0o111)
        except OSError as error:
            raise ExternalError(
                f"{one.path} can't be written: {error.strerror}",
                fix="let this account write the checkout, and run this again: what is written stays",
            ) from error


def _check(top: Path, change: Change) -> None:
    file = top / change.path
    if file.is_symlink() or not paths.is_inside(file, top):
        raise InputError(
            f"{change.path} is a link, or in a folder that is one: nothing is written through it",
            fix=f"put a file of its own at {change.path}, or write it by hand",
        )
    now = file.read_bytes().decode("utf-8", errors="replace") if os.path.lexists(file) else None
    if now != change.before:
        raise RefusedError(
            f"{change.path} has changed since it was read", fix="run this again: it reads it anew"
        )
