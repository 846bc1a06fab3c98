"""A repository's tags, as `git ls-remote` and `git show-ref --dereference` list them.

A line has an object and the name of a ref. An annotated tag has two, the second for what it tags:

    7f3c…    refs/tags/diabetes@v1.2.3
    90ab…    refs/tags/diabetes@v1.2.3^{}
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from model_gitops.core.gto import tags
from model_gitops.core.gto.model_tags import Dates, Event


class Listing:
    """The tags of a listing, each model's read where it is asked for.

    `created` and `committed` tell when objects of tags were written, and commits made.
    """

    def __init__(self, listing: bytes, created: Dates, committed: Dates) -> None:
        self._lines = listing
        # `ls-remote` sets a tab between both, `show-ref` a space.
        first = re.match(rb"[0-9a-f]+([\t ])", listing)
        self._length, self._between = (first.start(1), first[1]) if first else (0, b"\t")
        self.created, self.committed = created, committed
        self._counters: dict[str, int] = {}

    def events(self, model: str) -> list[Event]:
        """Return the annotated tags of `model`."""
        found: list[Event] = []
        highest = 0
        # Most commits have more than one tag.
        commits: dict[bytes, str] = {}
        stages: dict[bytes, str] = {}
        for one in self._of_model(model):
            said, stage, version, cancels, _, counter, tagged = one.groups()
            if len(said) > tags.LONGEST:
                continue
            if counter:
                highest = max(highest, int(counter))
            if tagged is None:
                continue  # a lightweight tag says nothing
            start = one.start()
            found.append(
                Event(
                    tags.in_tag(model) + said.decode("ascii"),
                    commits.get(tagged) or commits.setdefault(tagged, tagged.decode("ascii")),
                    self._lines[start - self._length : start].decode("ascii"),
                    tags.action_of(version is not None, stage is not None, cancels == b"!"),
                    version.decode("ascii") if version else "",
                    (stages.get(stage) or stages.setdefault(stage, stage.decode("ascii")))
                    if stage
                    else "",
                )
            )
        self._counters[model] = highest
        return found

    def versions(self) -> list[Event]:
        """Return the annotated tags of all models that register a version."""
        start = self._between + b"refs/tags/"
        pattern = start + rb"([^\n]+@v[^\n]+)\n([0-9a-f]+)" + start + rb"\1\^\{\}(?=\n)"
        found = []
        for one in re.finditer(pattern, self._lines):
            said = tags.parse(one[1].decode("utf-8", "replace"))
            if said and said.action == "register":
                object_ = self._lines[one.start() - self._length : one.start()].decode("ascii")
                found.append(Event(one[1].decode(), one[2].decode(), object_, said.action))
        return found

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
        at = self._lines.find(self._between + ref.encode() + b"\n")
        return self._lines[at - self._length : at].decode("ascii") if at > 0 else ""

    def at(self, commit: str) -> list[str] | None:
        """Return the annotated tags of `commit`, as objects; None where neither they nor a branch are at it."""
        named = commit.encode() + self._between
        found = (
            re.findall(
                rb"(?:^|\n)([0-9a-f]+)"
                + self._between
                + rb"(refs/tags/[^\n]+)\n"
                + named
                + rb"\2\^\{\}\n",
                self._lines,
            )
            if named + b"refs/tags/" in self._lines
            else []
        )
        if not found and named + b"refs/heads/" not in self._lines:
            return None
        return [object_.decode("ascii") for object_, _ in found]

    def has_tag_of(self, object_: str) -> bool:
        """Whether some tag names this object."""
        return object_.encode() + self._between + b"refs/tags/" in self._lines

    def of_model(self, model: str) -> list[bytes]:
        """Return the lines of the model's tags, from the ref on, with what each tags."""
        return [one[0] for one in self._of_model(model)]

    def models(self) -> Iterable[str]:
        """Return the models of the annotated tags."""
        found: set[str] = set()
        for line in self._lines.split(b"\n"):
            name = line.partition(b"refs/tags/")[2].decode("utf-8", "replace")
            if name.endswith("^{}") and (said := tags.parse(name.removesuffix("^{}"))):
                found.add(said.model)
        return found

    def _of_model(self, model: str) -> Iterator[re.Match[bytes]]:
        if not tags.is_model_name(model):
            return iter(())
        start = self._between + b"refs/tags/"
        name = re.escape(tags.in_tag(model)).encode("ascii")
        pattern = (
            start + name + rb"(" + tags.SAID.encode("ascii") + rb")"
            rb"(?:\n([0-9a-f]+)" + start + rb"[^\n]*\^\{\})?(?=\n)"
        )  # fmt: skip
        return re.finditer(pattern, self._lines)
