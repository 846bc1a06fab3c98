"""`.dockerignore`: which files a build gets, as BuildKit decides it.

A port of moby/patternmatcher (and its ignorefile) and of the filter of tonistiigi/fsutil, quirks
included: a file that the builder gets and we leave out would be in the image and not in its
fingerprint. docker-py's matcher is not used: it loses files that `!**/…` brings back.
"""

from __future__ import annotations

import posixpath
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

# What Go's strings.TrimSpace takes off; Python's strip() takes more.
_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
_TRAILING_GLOB = re.compile(r"(/\*)?(/\*\*)?\Z")


@dataclass(frozen=True)
class Rule:
    """One line: its pattern, and whether it brings files back (`!`).

    `expression` is of a pattern with wildcards; `**` at one end alone is compared as text.
    """

    pattern: str
    back: bool
    expression: re.Pattern[str] | None = None

    def matches(self, path: str) -> bool:
        """Whether the pattern is of this very path, its parents aside."""
        if self.expression is not None:
            return self.expression.search(path) is not None
        if self.pattern.startswith("**"):
            rest = self.pattern[2:]
            return path.endswith(rest) or (rest.startswith("/") and path == rest[1:])
        if self.pattern.endswith("**"):
            return path.startswith(self.pattern[:-2])
        return path == self.pattern


def parse(text: str) -> list[Rule]:
    """Read the lines of a `.dockerignore`.

    There are no rules where one can't be read as Go reads it: more files count then, never fewer.
    Of most such files the build fails.
    """
    found = []
    for raw in text.removeprefix("\ufeff").split("\n"):
        line = raw.strip(_SPACE)
        if not line or raw.startswith("#"):
            continue
        back = line.startswith("!")
        pattern = line.removeprefix("!").strip(_SPACE)
        if pattern:
            pattern = _clean(pattern)
            pattern = pattern.removeprefix("/") or pattern
        try:
            found.append(Rule(pattern, back, _expression(pattern)))
        except (ValueError, re.error, FutureWarning):
            return []
    return found


def decide(
    path: str, rules: Sequence[Rule], parent: Sequence[bool] = ()
) -> tuple[bool, tuple[bool, ...]]:
    """Return whether a file or folder (POSIX path) is left out, and what to hand to its children.

    `parent` is the latter of the folder that holds it: which rules matched there. A rule that can
    change nothing at a folder is not asked there, and so may first match below it.
    """
    ignored, matched = False, []
    for number, rule in enumerate(rules):
        match = bool(parent) and parent[number]
        if not match and rule.back == ignored:
            match = rule.matches(path)
        matched.append(match)
        if match:
            ignored = not rule.back
    return ignored, tuple(matched)


def may_hold(folder: str, rules: Sequence[Rule]) -> bool:
    """Whether a rule may bring back something inside an ignored folder."""
    fixed = [_TRAILING_GLOB.sub("", rule.pattern) for rule in rules if rule.back]
    return any(re.search(r"[*\[\]?^\\]", one) for one in fixed) or any(
        f"{one}/".startswith(f"{folder}/") for one in fixed
    )


def _clean(path: str) -> str:
    """Return a path as Go's filepath.Clean does: of two slashes at the start one stays."""
    cleaned = posixpath.normpath(path)
    return cleaned[1:] if cleaned.startswith("//") else cleaned


def _expression(pattern: str) -> re.Pattern[str] | None:
    """Return the regular expression that Go makes of a pattern, None where it makes none.

    Raises ValueError, re.error or FutureWarning for what Python might read in another way.
    """
    if not pattern:
        raise ValueError
    found, at, kind = ["^"], 0, "exact"
    while at < len(pattern):
        char, start = pattern[at], at
        at += 1
        if pattern.startswith("**", start):
            at += 1 + pattern.startswith("/", at + 1)
            if at < len(pattern):
                found.append("(.*/)?")
                kind = "expression"
            elif kind != "exact":
                found.append(".*")
                kind = "expression"
            if start == 0:
                kind = "end"
            continue
        if char == "\\" and at < len(pattern):
            char += pattern[at]
            at += 1
        found.append(_one(char))
        if char[0] in "*?\\[]":
            kind = "expression"
    if kind != "expression":
        return None
    text = "".join(found)
    if re.search(r"\{,|\[:", text):
        raise ValueError  # another expression in Python
    with warnings.catch_warnings():
        # Of what may mean something else in a later Python.
        warnings.simplefilter("error", FutureWarning)
        return re.compile(text + r"\Z")


def _one(char: str) -> str:
    if len(char) == 2 and char[1].isalnum():
        raise ValueError
    if char in "*?":
        return "[^/]*" if char == "*" else "[^/]"
    # What else is special in Go's expressions, | { } and ^, it forgets.
    return f"\\{char}" if char in ".+()$\\" else char
