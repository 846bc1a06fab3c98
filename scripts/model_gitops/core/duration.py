"""Lengths of time as people write them in promotion.yaml and inputs: `90s`, `30m`, `2h`, `7d`."""

from __future__ import annotations

import re

from model_gitops.errors import InputError

PATTERN = r"[0-9]{1,6}(ms|s|m|h|d)"
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(text: str, name: str) -> float:
    """Return the length of time `text` in seconds. Raises InputError, naming `name`."""
    found = re.fullmatch(PATTERN, text)
    if found is None:
        raise InputError.of(
            name,
            text,
            "it is no length of time: a whole number and ms, s, m, h or d",
            fix=f"{name}: 2h",
        )
    return int(text.removesuffix(found[1])) * _SECONDS[found[1]]


def words(length: float) -> str:
    """Return a length in seconds for people, in its two largest units: `2 h 5 min`, `3 d`, `45 s`."""
    rest = round(length)
    parts: list[str] = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        number, rest = divmod(rest, size)
        if number or (unit == "s" and not parts):
            parts.append(f"{number} {unit}")
        elif parts:
            break
    return " ".join(parts[:2])
