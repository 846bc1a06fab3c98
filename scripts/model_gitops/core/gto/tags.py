"""GTO's registry, read from Git tags. Grammar and rules: https://github.com/iterative/gto."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from model_gitops.core.gto.model_tags import Action, Event, Known, ModelTags, ReadEvent
from model_gitops.core.gto.versions import bump, precedence
from model_gitops.errors import InputError

# GTO's grammar (gto/constants.py). An artifact of the `dvc.yaml` in a subfolder is called
# `folder:name`; a tag can't hold `:`, so there it is `folder=name`.
_NAME = r"[a-zA-Z0-9](?:[a-zA-Z0-9/_-]*[a-zA-Z0-9])?"
_FOLDER = r"[a-zA-Z0-9_./-]+"
_NUMBER = r"(?:0|[1-9]\d*)"
_PRERELEASE_PART = rf"(?:{_NUMBER}|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
_VERSION = (
    rf"v{_NUMBER}\.{_NUMBER}\.{_NUMBER}"
    rf"(?:-{_PRERELEASE_PART}(?:\.{_PRERELEASE_PART})*)?"
    r"(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?"
)
_MODEL = re.compile(rf"(?:{_FOLDER}:)?{_NAME}", re.ASCII)
_STAGE = re.compile(_NAME, re.ASCII)
_VERSION_NAME = re.compile(_VERSION, re.ASCII)
# What follows the model's name in a tag.
SAID = (
    rf"(?:(?:#(?P<stage>{_NAME})|@(?P<version>{_VERSION}))(?P<cancel>!?)|@(?P<deprecated>deprecated))"
    r"(?:#(?P<counter>[0-9]+))?"
)
_TAG = re.compile(rf"(?P<model>(?:{_FOLDER}=)?{_NAME}){SAID}", re.ASCII)
# No file system has a longer name; Python reads no number of so many digits.
LONGEST = 4000


@dataclass(frozen=True)
class Tag:
    """One annotated tag. GTO, and so this package, does not look at lightweight tags.

    `commit` is the full hash of the tagged commit, `created` the tagger's date in Unix seconds,
    `committed` the committer's date of the commit, which GTO consults where the tags do not decide.
    """

    name: str
    commit: str
    created: int
    committed: int = 0


@dataclass(frozen=True)
class ParsedTag:
    """What the name of a GTO tag says."""

    model: str
    action: Action
    version: str = ""
    stage: str = ""
    counter: int = 0


@dataclass(frozen=True)
class Version:
    """A version of a model: its name (`v1.2.3`), its commit, and the tag that says so.

    Where a stage was assigned to a commit that nobody registered, `version` is the commit's hash,
    as in GTO, and `tag` is the stage's tag.
    """

    model: str
    version: str
    commit: str
    tag: str


def parse(name: str) -> ParsedTag | None:
    """Read the tag name `name` as GTO does; None for any other tag."""
    found = _TAG.fullmatch(name) if len(name) <= LONGEST else None
    if found is None:
        return None
    return ParsedTag(
        model=found["model"].replace("=", ":"),
        action=action_of(bool(found["version"]), bool(found["stage"]), bool(found["cancel"])),
        version=found["version"] or "",
        stage=found["stage"] or "",
        counter=int(found["counter"] or 0),
    )


def action_of(has_version: bool, has_stage: bool, cancels: bool) -> Action:
    """Return what a tag does that names a version or a stage, with or without GTO's `!`."""
    if has_version:
        return "deregister" if cancels else "register"
    if has_stage:
        return "unassign" if cancels else "assign"
    return "deprecate"


def is_model_name(name: str) -> bool:
    """Whether GTO takes `name` as the name of an artifact (`name` or `folder:name`)."""
    return _MODEL.fullmatch(name) is not None


def is_stage_name(name: str) -> bool:
    """Whether GTO takes `name` as the name of a stage."""
    return _STAGE.fullmatch(name) is not None


def is_ref(name: str) -> bool:
    """Whether Git takes a tag of this name, made of what the grammars above let through."""
    return not any(
        part == "" or part.startswith(".") or part.endswith((".", ".lock")) or ".." in part
        for part in name.split("/")
    )


def is_version(name: str) -> bool:
    """Whether `name` is a version as GTO writes it: `v` and a semantic version."""
    return _VERSION_NAME.fullmatch(name) is not None


def version_tag(model: str, version: str) -> str:
    """Return the name of the tag that registers `version` of `model`."""
    return f"{in_tag(model)}@{version}"


def stage_tag(model: str, stage: str, counter: int) -> str:
    """Return the name of the tag that assigns `stage` of `model`."""
    return f"{in_tag(model)}#{stage}#{counter}"


def guard_ref(model: str) -> str:
    """Return the ref that every writer of the model's tags moves in the same push.

    Tags of two stages do not collide, so they alone would let two writers decide from one state.
    GTO, and everybody who reads tags, sees nothing of it.
    """
    return f"refs/model-gitops/{in_tag(model)}@registry"


class Source(Protocol):
    """Where a repository's tags are read from, one model at a time."""

    def events(self, model: str) -> Iterable[Event]:
        """Return the annotated tags of `model`."""

    def counter(self, model: str) -> int:
        """Return the highest number of a tag of `model`, a lightweight one too."""

    def has(self, name: str) -> bool:
        """Whether there is a tag of this name, a lightweight one too."""

    def models(self) -> Iterable[str]:
        """Return the models of the annotated tags."""

    def created(self, events: Sequence[Event]) -> Sequence[int]:
        """Return when each of these tags was written, in Unix seconds."""

    def committed(self, events: Sequence[Event]) -> Sequence[int]:
        """Return when the commit of each of these tags was made, in Unix seconds."""


class _Tags:
    """Tags that are all known beforehand."""

    def __init__(self, tags: Iterable[Tag], names: Iterable[str]) -> None:
        self._events: dict[str, list[Event]] = {}
        known = list(tags)
        for tag in known:
            if said := parse(tag.name):
                self._events.setdefault(said.model, []).append(
                    ReadEvent(
                        tag.name, tag.commit, "", said.action, said.version, said.stage,
                        tag.created, tag.committed,
                    )
                )  # fmt: skip
        self._names = frozenset({tag.name for tag in known} | set(names))

    def events(self, model: str) -> Iterable[Event]:
        return self._events.get(model, ())

    def counter(self, model: str) -> int:
        parsed = (parse(name) for name in self._names)
        return max((tag.counter for tag in parsed if tag and tag.model == model), default=0)

    def has(self, name: str) -> bool:
        return name in self._names

    def models(self) -> Iterable[str]:
        return self._events

    def created(self, events: Sequence[Event]) -> Sequence[int]:
        return [one.created or 0 for one in events]

    def committed(self, events: Sequence[Event]) -> Sequence[int]:
        return [one.committed or 0 for one in events]


class Registry:
    """The versions and stages of all models of one repository, as GTO itself reads them."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._read: dict[str, ModelTags] = {}

    @classmethod
    def read(cls, tags: Iterable[Tag], names: Iterable[str] = ()) -> Registry:
        """Read the registry from annotated `tags`.

        `names`: names of further (lightweight) tags. They say nothing, but they are taken.
        """
        return cls(_Tags(tags, names))

    @cached_property
    def models(self) -> list[str]:
        """The names of all models that have a tag, sorted."""
        return sorted(self._source.models())

    def _model(self, model: str) -> ModelTags:
        if model not in self._read:
            source = self._source
            self._read[model] = ModelTags(source.events(model), source.created, source.committed)
        return self._read[model]

    # --- versions --------------------------------------------------------------------------------

    def _version(self, model: str, known: Known) -> Version:
        tag = self._model(model).latest(known.direct).name
        return Version(model, known.name, known.commit, tag)

    def versions(self, model: str) -> list[Version]:
        """Return the registered and active versions, lowest first, of a deprecated model too."""
        return [self._version(model, one) for one in self._model(model).active()]

    def version(self, model: str, version: str) -> Version | None:
        """Return the registered and active version named `version` (`v1.2.3`), or None."""
        found = self._model(model).active(name=version) if is_version(version) else []
        return self._version(model, found[0]) if found else None

    def version_at(self, model: str, *commits: str) -> Version | None:
        """Return the highest registered and active version of these commits, or None."""
        found = self._model(model).active(commits=dict.fromkeys(commits))
        return self._version(model, found[-1]) if found else None

    def highest(self, model: str) -> Version | None:
        """Return the highest registered and active version, or None."""
        found = self._model(model).highest
        return self._version(model, found) if found else None

    def events(self, model: str) -> list[Event]:
        """Return the tags that name a version, also those that take one back."""
        return self._model(model).direct

    def deregistered_at(self, model: str, commit: str) -> str:
        """Return the version of `commit` that was taken back, or an empty string."""
        found = self._model(model)
        withdrawn = [one.name for one in found.at(commit) if not found.is_active(one)]
        return max(withdrawn, key=precedence, default="")

    def taken_back(
        self, model: str, *, version: str = "", stage: str = "", commit: str = ""
    ) -> Version | None:
        """Return a version that was taken back, or that a stage held last, with the tag that did it.

        None where none did: a tag can take back the stage, the version, or the whole model. `commit`, if
        given, is where it must be.
        """
        found = self._model(model)
        known = list(self._taken(found, version, stage, commit))
        if not known:
            return None
        if stage and not found.deprecated:
            # As a rule it was not, and then no other tag needs to be looked at.
            held = self.stage(model, stage)
            if held and commit in ("", held.commit):
                return None
        last, said = known[0]
        if len(known) > 1:
            # Of one second, the one that GTO sees first.
            found.date(event for one in known for event in (*found.touching(*one), *one[1]))
            known.sort(key=lambda one: found.first_seen(*one))
            last, said = max(known, key=lambda one: found.newest(found.touching(*one)))
        if found.deprecated:
            events: Sequence[Event] = found.deprecations
        elif self._stands(model, last, said, stage, commit):
            return None
        else:
            events = said if stage and found.is_active(last) else last.direct
        return Version(model, last.name, last.commit, found.latest(events).name)

    def _taken(
        self, found: ModelTags, version: str, stage: str, commit: str
    ) -> Iterator[tuple[Known, list[Event]]]:
        """Yield the versions that are asked about, each with the tags of the stage that speak of it."""
        if not stage:
            commits = [commit] if commit else None
            for one in found.known(name=version, commits=commits):
                if one.registered:
                    yield one, []
            return
        of_commit: dict[str, list[Event]] = {}
        for event in found.of_stage.get(stage, ()):
            if commit in ("", event.commit):
                of_commit.setdefault(event.commit, []).append(event)
        for at, events in of_commit.items():
            if here := found.at(at):
                yield here[-1], events
            else:
                yield from ((Known(at, at, []), [event]) for event in events)

    def _stands(
        self, model: str, last: Known, said: Sequence[Event], stage: str, commit: str
    ) -> bool:
        if not stage:
            return self.version(model, last.name) is not None
        if (held := self.stage(model, stage)) and commit in ("", held.commit):
            return True
        # Another version came after it: that takes nothing back.
        found = self._model(model)
        return bool(commit) and found.is_active(last) and found.latest(said).adds

    def taken_back_of_tag(self, name: str) -> tuple[str, Version] | None:
        """Return the stage, if any, and the version that the tag `name` names, if that was taken back."""
        if (said := parse(name)) is None:
            return None
        events = self._model(said.model)
        every = (*events.others(), *events.deprecations)
        if (event := next((one for one in every if one.name == name), None)) is None:
            return None
        taken = self.taken_back(
            said.model, version=said.version, stage=said.stage, commit=event.commit
        )
        return (said.stage, taken) if taken else None

    # --- stages ----------------------------------------------------------------------------------

    def stages(self, model: str) -> dict[str, Version]:
        """Return which version each stage holds now; stages that hold none are left out.

        Raises InputError where GTO can't say either.
        """
        held = {one: self._holder(model, one) for one in self._model(model).of_stage}
        return {stage: version for stage, (version, _) in held.items() if version}

    def stage(self, model: str, stage: str) -> Version | None:
        """Return the version that `stage` holds now, or None. Raises InputError as `stages` does."""
        return self._holder(model, stage)[0]

    def assignment(self, model: str, stage: str) -> str:
        """Return the tag by which `stage` holds what it holds now, or an empty string."""
        return self._holder(model, stage)[1]

    def _holder(self, model: str, stage: str) -> tuple[Version | None, str]:
        """Return the holder of a stage, and the tag that says so.

        Raises InputError where a stage's tag is on a commit of several versions: GTO can't read
        such a registry either.
        """
        found = self._model(model)
        if ambiguous := found.ambiguous():
            commit, names = ambiguous
            raise InputError(
                f"the model {model!r} has several versions at commit {commit[:12]}: "
                f"{', '.join(names)}; so a stage assigned to that commit names none of them",
                fix="delete the wrong one of the tags "
                + " and ".join(f"`{version_tag(model, name)}`" for name in names)
                + ": git push --delete origin TAG",
            )
        if (held := found.holder(stage)) is None:
            return None, ""
        known, event = held
        if known.direct:
            return self._version(model, known), event.name
        return Version(model, known.name, known.commit, event.name), event.name

    def spoken(self, model: str, stage: str) -> int:
        """Return when a tag last said what `stage` holds (Unix seconds); 0 where none does.

        A deprecation of the model says it too: nothing.
        """
        found = self._model(model)
        return max(0, found.newest([*found.of_stage.get(stage, ()), *found.deprecations]))

    def newest(self, model: str) -> int:
        """Return the time of the newest tag of `model`, in Unix seconds; 0 without any."""
        found = self._model(model)
        return max(0, found.newest([*found.others(), *found.deprecations]))

    def newest_beside(self, model: str, version: str, stage: str) -> int:
        """Return the time (Unix seconds) that a new tag of `version` or `stage` must be later than.

        That of all tags that it is compared with: of the stage, the version, the highest version, and
        those that deprecate the model; 0 without any.
        """
        found = self._model(model)
        rivals = [*found.known(name=version), *([found.highest] if found.highest else [])]
        direct = [event for one in rivals for event in one.direct]
        return max(0, found.newest([*direct, *found.of_stage.get(stage, ()), *found.deprecations]))

    def is_deprecated(self, model: str) -> bool:
        """Whether the newest tag of `model` deprecates it: then its stages hold nothing."""
        return self._model(model).deprecated

    # --- what comes next -------------------------------------------------------------------------

    def next_counter(self, model: str) -> int:
        """Return the number for the next stage tag of `model`: one count for all its stages."""
        return 1 + self._source.counter(model)

    def next_version(self, model: str, part: str) -> str:
        """Return the version to register next: the highest one up by `part`, never a used name."""
        known = self.highest(model)
        name = bump(known.version if known else "", part)
        while self.is_taken(model, name):
            name = bump(name, part)
        return name

    def is_taken(self, model: str, version: str) -> bool:
        """Whether any tag, a deregistered or a lightweight one too, has used this version's name."""
        taken = self._model(model).names
        return version in taken or self._source.has(version_tag(model, version))


def in_tag(model: str) -> str:
    """Return a model's name as a tag spells it."""
    return model.replace(":", "=")
