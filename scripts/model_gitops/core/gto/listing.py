"""A repository's tags, as `git ls-remote` and `git show-ref --dereference` list them.

A line has an object and the name of a ref. An annotated tag has two, the second for what it tags:

    7f3c…    refs/tags/diabetes@v1.2.3
    90ab…    refs/tags/diabetes@v1.2.3^{}
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from model_gitops.core.gto import tags
from model_gitops.core.gto.model_tags import Dates, Event, ReadEvent


class _Registered(Event):
    """A tag that registers a version, as nearly all of tens of thousands: of its line it cuts out what is asked."""

    __slots__ = ("_at", "_of")
    action = "register"
    stage = ""

    def __init__(self, of: _Lines, at: int, commit: str, version: str) -> None:
        # Tens of thousands are made: a call less for each.
        self.commit, self.version, self.created, self.committed = commit, version, None, None
        self._of, self._at = of, at

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"{self._of.start}@{self.version}"

    @property
    def object(self) -> str:  # type: ignore[override]
        return self._of.text[self._at - self._of.length : self._at]


class _Lines(NamedTuple):
    """A listing's text, how long a hash of it is, and the model's name in its tags."""

    text: str
    length: int
    start: str


class Listing:
    """The tags of a listing, each model's read where it is asked for.

    `created` and `committed` tell when objects of tags were written, and commits made.
    """

    def __init__(self, listing: bytes, created: Dates, committed: Dates) -> None:
        # A letter a byte: what is asked about is ASCII, and is cut out of it as it is.
        self._lines = listing.decode("latin-1")
        # `ls-remote` sets a tab between both, `show-ref` a space.
        first = re.match(r"[0-9a-f]+([\t ])", self._lines)
        self._length, self._between = (first.start(1), first[1]) if first else (0, "\t")
        self.created, self.committed = created, committed
        self._counters: dict[str, int] = {}

    def events(self, model: str) -> list[Event]:
        """Return the annotated tags of `model`."""
        found: list[Event] = []
        highest = 0
        # Most commits have more than one tag.
        commits: dict[str, str] = {}
        stages: dict[str, str] = {}
        lines = _Lines(self._lines, self._length, tags.in_tag(model))
        for one in self._of_model(model):
            said, stage, version, cancels, _, counter, tagged = one.groups()
            if len(said) > tags.LONGEST:
                continue
            if counter:
                highest = max(highest, int(counter))
            if tagged is None:
                continue  # a lightweight tag says nothing
            at, commit = one.start(), commits.setdefault(tagged, tagged)
            if version and not cancels and not counter:
                found.append(_Registered(lines, at, commit, version))
                continue
            found.append(
                ReadEvent(
                    lines.start + said,
                    commit,
                    lines.text[at - lines.length : at],
                    tags.action_of(bool(version), bool(stage), cancels == "!"),
                    version or "",
                    stages.setdefault(stage, stage) if stage else "",
                )
            )
        self._counters[model] = highest
        return found

    def version_objects(self) -> list[str]:
        """Return the objects of the annotated tags that `versions` reads, and of some that it leaves out."""
        return [one[1] for one in self._version_lines()]

    def versions(self) -> list[Event]:
        """Return the annotated tags of all models that register a version."""
        found: list[Event] = []
        for one in self._version_lines():
            said = tags.parse(one[2])
            if said and said.action == "register":
                found.append(ReadEvent(one[2], one[3], one[1], said.action))
        return found

    def _version_lines(self) -> Iterator[re.Match[str]]:
        """Yield an object, the name that is like a version's, and what is tagged."""
        start = self._between + "refs/tags/"
        pattern = rf"^([0-9a-f]+){start}([^\n]+@v[^\n]+)\n([0-9a-f]+){start}\2\^\{{\}}(?=\n)"
        return re.finditer(pattern, self._lines, re.MULTILINE)

    def counter(self, model: str) -> int:
        """Return the highest number of a tag of `model`, a lightweight one too."""
        if model not in self._counters:
            self.events(model)
        return self._counters[model]

    def has(self, name: str) -> bool:
        """Whether there is a tag of this name, a lightweight one too."""
        return self.object_of(f"refs/tags/{name}") != ""

    def object_of(self, ref: str) -> str:
        """Return the object that `ref` (`refs/tags/v1`) names; empty where there is no such ref."""
        spelled = ref.encode().decode("latin-1")
        at = self._lines.find(f"{self._between}{spelled}\n")
        return self._lines[at - self._length : at] if at > 0 else ""

    def at(self, commit: str) -> list[str] | None:
        """Return the annotated tags of `commit`, as objects; None where neither they nor a branch are at it."""
        named = commit + self._between
        pattern = rf"(?:^|\n)([0-9a-f]+){self._between}(refs/tags/[^\n]+)\n{named}\2\^\{{\}}\n"
        found = re.findall(pattern, self._lines) if f"{named}refs/tags/" in self._lines else []
        if not found and f"{named}refs/heads/" not in self._lines:
            return None
        return [object_ for object_, _ in found]

    def has_tag_of(self, object_: str) -> bool:
        """Whether some tag names this object."""
        return f"{object_}{self._between}refs/tags/" in self._lines

    def of_model(self, model: str) -> list[str]:
        """Return the lines of the model's tags, from the ref on, with what each tags."""
        return [one[0] for one in self._of_model(model)]

    def models(self) -> Iterable[str]:
        """Return the models of the annotated tags."""
        found: set[str] = set()
        for line in self._lines.split("\n"):
            name = line.partition("refs/tags/")[2]
            if name.endswith("^{}") and (said := tags.parse(name.removesuffix("^{}"))):
                found.add(said.model)
        return found

    def _of_model(self, model: str) -> Iterator[re.Match[str]]:
        if not tags.is_model_name(model):
            return iter(())
        start = f"{self._between}refs/tags/"
        name = re.escape(tags.in_tag(model))
        pattern = rf"{start}{name}({tags.SAID})(?:\n([0-9a-f]+){start}[^\n]*\^\{{\}})?(?=\n)"
        return re.finditer(pattern, self._lines, re.ASCII)
