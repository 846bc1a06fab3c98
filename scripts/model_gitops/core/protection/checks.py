"""Required checks: a name, and the app that it must come from.

Whoever may write can set a commit status of any name. So a check of a workflow is required from GitHub
Actions, where the number of that app is known.
"""

from __future__ import annotations

from collections.abc import Iterable

from model_gitops.core.protection.names import ANY_APP

_OTHER = " (of app "


def shown(required: Iterable[tuple[str, int | None]], app: int | None = None) -> frozenset[str]:
    """Return required checks as names: plain for one of `app`, or where no app is known."""
    found = set()
    for name, number in required:
        if app is None or number == app:
            found.add(name)
        elif number is None or number < 0:
            found.add(f"{name}{ANY_APP}")
        else:
            found.add(f"{name}{_OTHER}{number})")
    return frozenset(found)


def meant(required: Iterable[str], app: int | None) -> list[tuple[str, int | None]]:
    """Return names as checks and their apps; one of `app` stands for the same of any app."""
    found: list[tuple[str, int | None]] = []
    listed = set(required)
    for name in sorted(listed):
        if name.endswith(ANY_APP):
            plain = name.removesuffix(ANY_APP)
            if plain not in listed:
                found.append((plain, None))
        elif _OTHER in name and name.endswith(")"):
            plain, _, number = name[:-1].rpartition(_OTHER)
            found.append((plain, int(number)))
        else:
            found.append((name, app))
    return found
