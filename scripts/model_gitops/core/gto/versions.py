"""Versions as GTO writes them: their order, and what comes next."""

from __future__ import annotations

from collections.abc import Iterable

FIRST_VERSION = "v0.0.1"
BUMPS = ("major", "minor", "patch")


def precedence(version: str) -> tuple[object, ...]:
    """Return a key that sorts versions by the rules of https://semver.org, section 11.

    Build metadata does not count.
    """
    core, _, prerelease = version[1:].partition("+")[0].partition("-")
    numbers = tuple(map(int, core.split(".")))
    if not prerelease:
        return (numbers, 1)
    # A release is higher than its prereleases; numbers are lower than words.
    parts = tuple((0, int(p), "") if p.isdigit() else (1, 0, p) for p in prerelease.split("."))
    return (numbers, 0, parts)


def bump(highest: str, part: str) -> str:
    """Return the version after `highest`, one `part` (major, minor, patch) up.

    After an empty one, which is none: `v0.0.1`, as in GTO, whatever `part` is.
    """
    if not highest:
        return FIRST_VERSION
    core = highest.removeprefix("v").partition("+")[0].partition("-")[0]
    major, minor, patch = (int(number) for number in core.split("."))
    if part == "major":
        return f"v{major + 1}.0.0"
    if part == "minor":
        return f"v{major}.{minor + 1}.0"
    return f"v{major}.{minor}.{patch + 1}"


def highest_of(versions: Iterable[str]) -> set[str]:
    """Return those of `versions` that none is higher than: more than one where build metadata differs."""
    left = set[str]()
    # Most differ in the last number alone, and of numbers the longer one is higher.
    last: dict[str, tuple[int, str]] = {}
    for one in versions:
        start, _, number = one.rpartition(".")
        if not number.isdecimal() or "-" in start or "+" in start:
            left.add(one)
        elif (key := (len(number), number)) > last.get(start, (0, "")):
            last[start] = key
    left.update(f"{start}.{number}" for start, (_, number) in last.items())
    top = max(map(precedence, left), default=())
    return {one for one in left if precedence(one) == top}


def highest(versions: Iterable[str]) -> str:
    """Return the highest of `versions`, an empty text where there is none."""
    return max(versions, key=precedence, default="")
