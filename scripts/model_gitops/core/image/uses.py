"""What a Dockerfile takes from its build context: the paths by which a change of the image is found."""

from __future__ import annotations

import csv
import fnmatch
import json
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from model_gitops.core.image import dockerfile, dockerignore
from model_gitops.core.image.dockerfile import Instruction

# What ADD fetches itself: https://docs.docker.com/reference/dockerfile/#add
_REMOTE = re.compile(r"(?:https?|git|ssh)://|git@", re.IGNORECASE)
_PINNED = re.compile(r"#[0-9a-f]{40}\b")
_HEREDOC = re.compile(r"<<-?['\"]?\w")
# Links that lead to links: more of them no project has.
_MOST_LINKS = 40


@dataclass(frozen=True)
class Uses:
    """What an image is made of besides what registries and other servers have.

    `patterns` are paths from the context, with the wildcards of COPY; `.` is all of it. `unsure` says why all
    of it counts, where the Dockerfile does not tell. `remote` are addresses whose content may change without
    a commit.
    """

    patterns: tuple[str, ...] = ()
    unsure: str = ""
    remote: tuple[str, ...] = ()


def of(text: str) -> Uses:
    """Return what the Dockerfile `text` takes from its context, in any of its stages.

    Variables have the values that ARG and ENV of the Dockerfile give them.
    """
    values = _Values()
    found: dict[str, None] = {}
    unsure, remote = "", []
    for one in dockerfile.instructions(text):
        values.read(one)
        for written in _sources(one):
            if one.name == "add" and _REMOTE.match(written):
                if not _PINNED.search(written) and not _checked(one):
                    remote.append(written)
                continue
            path = values.fill(written)
            if path is None:
                unsure = (
                    unsure or f"{one.name.upper()} {written}: its value is not in the Dockerfile"
                )
                continue
            found[_from_context(path)] = None
    return Uses((".",) if unsure else tuple(found), unsure, tuple(remote))


class Rules:
    """The lines of a `.dockerignore`, asked of a path with its folders."""

    def __init__(self, text: str) -> None:
        """Read the lines."""
        self._rules = dockerignore.parse(text)

    def leave_out(self, path: str) -> bool:
        """Whether the builder does not get the file `path`, from the context."""
        if not self._rules:
            return False
        matched: tuple[bool, ...] = ()
        ignored = False
        parts = path.split("/")
        for number in range(1, len(parts) + 1):
            folder = "/".join(parts[:number])
            ignored, matched = dockerignore.decide(folder, self._rules, matched)
            if ignored and not dockerignore.may_hold(folder, self._rules):
                return True
        return ignored


def with_links(patterns: Sequence[str], links: Mapping[str, str]) -> tuple[str, ...]:
    """Return the patterns, and where the links on their way lead. All paths are of the same folder."""
    found = dict.fromkeys(patterns)
    waiting = list(patterns)
    while waiting and len(found) < len(patterns) + _MOST_LINKS * (len(links) + 1):
        one = waiting.pop()
        for link, target in links.items():
            if one.startswith(f"{link}/"):
                led = f"{target}{one[len(link) :]}"
            elif matches(one, link):
                led = target
            else:
                continue
            if led not in found:
                found[led] = None
                waiting.append(led)
    return tuple(found)


def matches(pattern: str, path: str) -> bool:
    """Whether COPY of `pattern` takes `path` or something in it, or in its folder."""
    if pattern == ".":
        return True
    # A file that was a folder before, or becomes one, is met half way.
    pairs = zip(pattern.split("/"), path.split("/"), strict=False)
    return all(_fits(name, one) for one, name in pairs)


def _fits(name: str, part: str) -> bool:
    if not re.search(r"[*?\[\\]", part):
        return name == part
    # Go's filepath.Match negates by ^; an escaped letter stands for itself, and only more may match.
    return fnmatch.fnmatchcase(name, re.sub(r"\\(.)", "?", part).replace("[^", "[!"))


def _from_context(path: str) -> str:
    # A path can't leave the context: BuildKit takes `../x` and `/x` for `x`.
    return posixpath.normpath(f"/{path}").lstrip("/") or "."


def _sources(one: Instruction) -> Iterator[str]:
    """Yield what an instruction names of the context, as it is written."""
    if one.name in ("copy", "add"):
        if any(flag.startswith("--from=") for flag in one.flags):
            return
        for word in _written(one)[:-1]:
            if not _HEREDOC.match(word):
                yield word
    elif one.name == "run":
        yield from _mounted(one)


def _written(one: Instruction) -> list[str]:
    if one.words.lstrip().startswith("["):
        try:
            listed = json.loads(one.words)
        except (ValueError, RecursionError):
            pass
        else:
            return [str(word) for word in listed]
    return list(dockerfile.words(one.words))


def _mounted(one: Instruction) -> Iterator[str]:
    for flag in one.flags:
        key, _, value = flag.partition("=")
        if key != "--mount":
            continue
        try:
            parts = next(csv.reader([value]), [])
        except csv.Error:
            parts = []
        options = {
            name.strip().lower(): said for name, _, said in (p.partition("=") for p in parts)
        }
        if options.get("type", "bind") == "bind" and "from" not in options:
            yield options.get("source", options.get("src", ".")) or "."


def _checked(one: Instruction) -> bool:
    return any(flag.startswith("--checksum=") for flag in one.flags)


class _Values:
    """The values that variables have as the instructions go on."""

    def __init__(self) -> None:
        self._global: dict[str, str] = {}
        self._stages: dict[str, dict[str, str]] = {}
        self._now: dict[str, str] | None = None

    def read(self, one: Instruction) -> None:
        """Take in what an instruction sets."""
        if one.on_build:
            return
        if one.name == "from":
            base, *more = [*one.words.split(), ""]
            # What ENV and ARG set in a stage, the stages that are made from it have.
            self._now = dict(self._stages.get(base.lower(), {}))
            if len(more) > 1 and more[0].lower() == "as":
                self._stages[more[1].lower()] = self._now
        elif one.name == "arg":
            for word in dockerfile.words(one.words):
                name, equals, default = word.partition("=")
                if equals:
                    self._set(name, default)
                elif self._now is not None and name in self._global:
                    self._now[name] = self._global[name]
        elif one.name == "env":
            first, _, rest = one.words.partition(" ")
            if "=" not in first:
                self._set(first, rest.strip())
                return
            for word in dockerfile.words(one.words):
                name, _, value = word.partition("=")
                self._set(name, value)

    def fill(self, written: str) -> str | None:
        """Return a word with its values; None where one is not known."""
        return dockerfile.filled(written, self._global if self._now is None else self._now)

    def _set(self, name: str, written: str) -> None:
        there = self._global if self._now is None else self._now
        value = self.fill(written)
        if value is None:
            there.pop(name, None)
        else:
            there[name] = value
