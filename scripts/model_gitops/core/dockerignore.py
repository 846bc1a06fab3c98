"""`.dockerignore`: which files a build gets, as BuildKit decides it (moby/patternmatcher).

docker-py's matcher is not used: it loses files that `!**/…` brings back, which are in the image then
and not in its fingerprint.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """One line: its pattern, as a regular expression, and whether it brings files back (`!`)."""

    pattern: str
    expression: re.Pattern[str]
    back: bool


def parse(text: str) -> list[Rule]:
    """Read the lines of a `.dockerignore`. A pattern that is none is left out: the build fails of it."""
    found = []
    for raw in text.removeprefix("\ufeff").splitlines():
        line = raw.strip()
        if not line or raw.startswith("#"):
            continue
        back = line.startswith("!")
        if pattern := line.removeprefix("!").strip():
            pattern = posixpath.normpath(pattern)
            pattern = pattern.lstrip("/") or pattern
            try:
                found.append(Rule(pattern, re.compile(_regex(pattern), re.DOTALL), back))
            except re.error:
                continue
    return found


def is_ignored(path: str, rules: Sequence[Rule]) -> bool:
    """Whether a file or folder (POSIX path) is left out: the last rule for it or a parent says so."""
    parts = path.split("/")
    chain = ["/".join(parts[:end]) for end in range(len(parts), 0, -1)]
    for rule in reversed(rules):
        if any(rule.expression.fullmatch(one) for one in chain):
            return not rule.back
    return False


def may_hold(folder: str, rules: Sequence[Rule]) -> bool:
    """Whether a rule may bring back something inside an ignored folder."""
    for rule in rules:
        fixed = re.split(r"[*?\[\\]", rule.pattern, maxsplit=1)[0]
        inside = rule.pattern.startswith(f"{folder}/")
        wild = fixed != rule.pattern and f"{folder}/".startswith(fixed)
        if rule.back and (inside or wild):
            return True
    return False


def _regex(pattern: str) -> str:
    found, at, in_class = [], 0, False
    while at < len(pattern):
        char = pattern[at]
        if in_class and char not in "[]":
            found.append(char if char in "^-" else re.escape(char))
            at += 1
            continue
        if pattern.startswith("**", at):
            at += 2
            if pattern.startswith("/", at):
                at += 1
            found.append(".*" if at >= len(pattern) else "(?:.*/)?")
            continue
        if char == "*":
            found.append("[^/]*")
        elif char == "?":
            found.append("[^/]")
        elif char == "\\" and at + 1 < len(pattern):
            at += 1
            found.append(re.escape(pattern[at]))
        elif char in "[]":
            found.append(f"\\{char}" if in_class == (char == "[") else char)
            in_class = char == "["
        else:
            found.append(re.escape(char))
        at += 1
    return "".join(found)
