"""GTO's registry, read from Git tags. Grammar and rules: https://github.com/iterative/gto."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from model_gitops.errors import InputError

Action = Literal["register", "deregister", "assign", "unassign", "deprecate"]

FIRST_VERSION = "v0.0.1"
BUMPS = ("major", "minor", "patch")

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
_TAG = re.compile(
    rf"(?P<model>(?:{_FOLDER}=)?{_NAME})"
    rf"(?:(?:#(?P<stage>{_NAME})|@(?P<version>{_VERSION}))(?P<cancel>!?)|@(?P<deprecated>deprecated))"
    r"(?:#(?P<counter>[0-9]+))?",
    re.ASCII,
)


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
    # No file system has such a name; Python reads no number of so many digits.
    found = _TAG.fullmatch(name) if len(name) <= 4000 else None
    if found is None:
        return None
    cancelled = bool(found["cancel"])
    action: Action = "deprecate"
    if found["version"]:
        action = "deregister" if cancelled else "register"
    elif found["stage"]:
        action = "unassign" if cancelled else "assign"
    return ParsedTag(
        model=found["model"].replace("=", ":"),
        action=action,
        version=found["version"] or "",
        stage=found["stage"] or "",
        counter=int(found["counter"] or 0),
    )


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
    return f"{_in_tag(model)}@{version}"


def stage_tag(model: str, stage: str, counter: int) -> str:
    """Return the name of the tag that assigns `stage` of `model`."""
    return f"{_in_tag(model)}#{stage}#{counter}"


def guard_ref(model: str) -> str:
    """Return the ref that every writer of the model's tags moves in the same push.

    Tags of two stages do not collide, so they alone would let two writers decide from one state.
    GTO, and everybody who reads tags, sees nothing of it.
    """
    return f"refs/model-gitops/{_in_tag(model)}@registry"


def precedence(version: str) -> tuple[object, ...]:
    """Return a key that sorts versions by the rules of https://semver.org, section 11.

    Build metadata does not count.
    """
    core, _, prerelease = version.removeprefix("v").partition("+")[0].partition("-")
    numbers = tuple(int(number) for number in core.split("."))
    # A release is higher than its prereleases; numbers are lower than words.
    parts = tuple((0, int(p), "") if p.isdigit() else (1, 0, p) for p in prerelease.split("."))
    return (numbers, 0, parts) if prerelease else (numbers, 1)


def bump(versions: Iterable[str], part: str) -> str:
    """Return the version after the highest of `versions`, one `part` (major, minor, patch) up.

    Without any version: `v0.0.1`, as in GTO, whatever `part` is.
    """
    known = sorted(versions, key=precedence)
    if not known:
        return FIRST_VERSION
    core = known[-1].removeprefix("v").partition("+")[0].partition("-")[0]
    major, minor, patch = (int(number) for number in core.split("."))
    if part == "major":
        return f"v{major + 1}.0.0"
    if part == "minor":
        return f"v{major}.{minor + 1}.0"
    return f"v{major}.{minor}.{patch + 1}"


@dataclass
class _Event:
    tag: Tag
    parsed: ParsedTag

    @property
    def newest(self) -> int:
        return max(self.tag.created, self.tag.committed)

    @property
    def adds(self) -> bool:
        return self.parsed.action in ("register", "assign")


@dataclass
class _Version:
    """A version while the tags are read: the tags that speak of it, in the order of their time."""

    name: str
    commit: str
    direct: list[_Event] = field(default_factory=list)
    stages: dict[str, list[_Event]] = field(default_factory=dict)

    @property
    def events(self) -> list[_Event]:
        return self.direct + [event for events in self.stages.values() for event in events]

    @property
    def registered(self) -> bool:
        return any(event.adds for event in self.direct)

    @property
    def active(self) -> bool:
        return _latest(self.direct).adds if self.direct else bool(self.stages)

    @property
    def created(self) -> int:
        registered = [event.tag.created for event in self.direct if event.adds]
        return max(registered or [event.newest for event in self.events])


class _Model:
    """What the tags of one model say. The steps are those of gto/tag.py and gto/base.py."""

    def __init__(self, name: str, events: Iterable[_Event]) -> None:
        # GTO sorts by time, and tags of one second by name.
        ordered = sorted(events, key=lambda event: (event.tag.created, event.tag.name))
        self.name = name
        self.ambiguous: tuple[str, list[str]] | None = None
        self.versions: list[_Version] = []
        deprecations = [e for e in ordered if e.parsed.action == "deprecate"]
        for event in ordered:
            if event.parsed.action in ("register", "deregister"):
                self._find(event.parsed.version, event.tag.commit).direct.append(event)
        # Stages come after all versions: an assignment older than the registration counts too.
        for event in ordered:
            if event.parsed.action in ("assign", "unassign"):
                self._add_stage(event)
        others = [e for e in ordered if e.parsed.action != "deprecate"]
        last = max((event.newest for event in others), default=-1)
        self.deprecated = any(event.tag.created > last for event in deprecations)

    def _find(self, version: str, commit: str) -> _Version:
        for known in self.versions:
            if known.direct and (known.name, known.commit) == (version, commit):
                return known
        made = _Version(version, commit)
        self.versions.append(made)
        return made

    def _add_stage(self, event: _Event) -> None:
        here = [v for v in self.versions if v.direct and v.commit == event.tag.commit]
        if len(here) > 1:
            self.ambiguous = event.tag.commit, [version.name for version in here]
        if not here:
            # GTO sees each stage tag of an unregistered commit by itself: there, an unassignment
            # takes nothing back.
            here = [_Version(event.tag.commit, event.tag.commit)]
            self.versions.append(here[0])
        here[-1].stages.setdefault(event.parsed.stage, []).append(event)

    def stage_holders(self) -> dict[str, tuple[Version, str]]:
        if self.deprecated:
            return {}
        # The order of GTO decides between assignments of one second: the older version wins.
        active = sorted((v for v in self.versions if v.active), key=lambda v: v.created)[::-1]
        assignments = [
            (latest.tag.created, stage, version, latest)
            for version in active
            for stage, events in version.stages.items()
            if (latest := _latest(events)).adds
        ]
        held: dict[str, tuple[Version, str]] = {}
        for _, stage, version, event in sorted(assignments, key=lambda a: a[0])[::-1]:
            if stage not in held:
                tag = _latest(version.direct).tag if version.direct else event.tag
                holder = Version(self.name, version.name, version.commit, tag.name)
                held[stage] = holder, event.tag.name
        return held


class Registry:
    """The versions and stages of all models of one repository, as GTO itself reads them."""

    def __init__(self, events: Iterable[_Event], names: Iterable[str]) -> None:
        self._events: dict[str, list[_Event]] = {}
        for event in events:
            self._events.setdefault(event.parsed.model, []).append(event)
        self._names = frozenset(names)
        self._models: dict[str, _Model] = {}

    @classmethod
    def read(cls, tags: Iterable[Tag], names: Iterable[str] = ()) -> Registry:
        """Read the registry from annotated `tags`.

        `names`: names of further (lightweight) tags. They say nothing, but they are taken.
        """
        tags = list(tags)
        events = [_Event(tag, parsed) for tag in tags if (parsed := parse(tag.name))]
        return cls(events, {tag.name for tag in tags} | set(names))

    @cached_property
    def models(self) -> list[str]:
        """The names of all models that have a tag, sorted."""
        return sorted(self._events)

    def _model(self, model: str) -> _Model:
        if model not in self._models:
            self._models[model] = _Model(model, self._events.get(model, ()))
        return self._models[model]

    def versions(self, model: str) -> list[Version]:
        """Return the registered and active versions, lowest first, of a deprecated model too."""
        active = [v for v in self._model(model).versions if v.active and v.registered]
        return [
            Version(model, v.name, v.commit, _latest(v.direct).tag.name)
            for v in sorted(active, key=lambda v: precedence(v.name))
        ]

    def version(self, model: str, version: str) -> Version | None:
        """Return the registered and active version named `version` (`v1.2.3`), or None."""
        return next((v for v in self.versions(model) if v.version == version), None)

    def version_at(self, model: str, commit: str) -> Version | None:
        """Return the registered and active version of `commit`, the highest if several, or None."""
        return next((v for v in reversed(self.versions(model)) if v.commit == commit), None)

    def deregistered_at(self, model: str, commit: str) -> str:
        """Return the version of `commit` that was taken back, or an empty string."""
        withdrawn = [
            v.name
            for v in self._model(model).versions
            if v.commit == commit and v.direct and not v.active
        ]
        return max(withdrawn, key=precedence, default="")

    def taken_back(
        self, model: str, *, version: str = "", stage: str = "", commit: str = ""
    ) -> Version | None:
        """Return a version that was taken back, or that a stage held last, with the tag that did it.

        None where none did: a tag can take back the stage, the version, or the whole model. `commit`, if
        given, is where it must be.
        """
        found = self._model(model)
        known = [
            one
            for one in found.versions
            if (stage in one.stages if stage else one.registered and version in ("", one.name))
            and commit in ("", one.commit)
        ]
        if not known:
            return None
        last = max(known, key=lambda one: max(event.tag.created for event in one.events))
        if found.deprecated:
            events = [one for one in self._events[model] if one.parsed.action == "deprecate"]
        elif self._stands(model, last, stage, commit):
            return None
        else:
            events = last.stages[stage] if stage and last.active else last.direct
        return Version(model, last.name, last.commit, _latest(events).tag.name)

    def _stands(self, model: str, last: _Version, stage: str, commit: str) -> bool:
        if not stage:
            return self.version(model, last.name) is not None
        if (held := self.stage(model, stage)) and commit in ("", held.commit):
            return True
        # Another version came after it: that takes nothing back.
        return bool(commit) and last.active and _latest(last.stages[stage]).adds

    def taken_back_of_tag(self, name: str) -> tuple[str, Version] | None:
        """Return the stage, if any, and the version that the tag `name` names, if that was taken back."""
        events = (e for of_model in self._events.values() for e in of_model if e.tag.name == name)
        if (event := next(events, None)) is None:
            return None
        said, commit = event.parsed, event.tag.commit
        taken = self.taken_back(said.model, version=said.version, stage=said.stage, commit=commit)
        return (said.stage, taken) if taken else None

    def stages(self, model: str) -> dict[str, Version]:
        """Return which version each stage holds now; stages that hold none are left out.

        Raises InputError where GTO can't say either.
        """
        return {stage: version for stage, (version, _) in self._holders(model).items()}

    def stage(self, model: str, stage: str) -> Version | None:
        """Return the version that `stage` holds now, or None. Raises InputError as `stages` does."""
        return self.stages(model).get(stage)

    def assignment(self, model: str, stage: str) -> str:
        """Return the tag by which `stage` holds what it holds now, or an empty string."""
        return self._holders(model).get(stage, (None, ""))[1]

    def _holders(self, model: str) -> dict[str, tuple[Version, str]]:
        """Return the holder of each stage with the tag that says so.

        Raises InputError where a stage's tag is on a commit of several versions: GTO can't read
        such a registry either.
        """
        found = self._model(model)
        if found.ambiguous:
            commit, names = found.ambiguous
            raise InputError(
                f"the model {model!r} has several versions at commit {commit[:12]}: "
                f"{', '.join(names)}; so a stage assigned to that commit names none of them",
                fix="delete the wrong one of the tags "
                + " and ".join(f"`{version_tag(model, name)}`" for name in names)
                + ": git push --delete origin TAG",
            )
        return found.stage_holders()

    def spoken(self, model: str, stage: str) -> int:
        """Return when a tag last said what `stage` holds (Unix seconds); 0 where none does.

        A deprecation of the model says it too: nothing.
        """
        return max(
            (
                event.tag.created
                for event in self._events.get(model, ())
                if event.parsed.stage == stage or event.parsed.action == "deprecate"
            ),
            default=0,
        )

    def newest(self, model: str) -> int:
        """Return the time of the newest tag of `model`, in Unix seconds; 0 without any."""
        return max((event.tag.created for event in self._events.get(model, ())), default=0)

    def is_deprecated(self, model: str) -> bool:
        """Whether the newest tag of `model` deprecates it: then its stages hold nothing."""
        return self._model(model).deprecated

    def next_counter(self, model: str) -> int:
        """Return the number for the next stage tag of `model`: one count for all its stages."""
        parsed = (parse(name) for name in self._names)
        return 1 + max((tag.counter for tag in parsed if tag and tag.model == model), default=0)

    def next_version(self, model: str, part: str) -> str:
        """Return the version to register next: the highest one up by `part`, never a used name."""
        name = bump((v.version for v in self.versions(model)), part)
        while self.is_taken(model, name):
            name = bump([name], part)
        return name

    def is_taken(self, model: str, version: str) -> bool:
        """Whether any tag, a deregistered or a lightweight one too, has used this version's name."""
        return version_tag(model, version) in self._names or any(
            event.parsed.version == version for event in self._events.get(model, ())
        )


def _in_tag(model: str) -> str:
    return model.replace(":", "=")


def _latest(events: list[_Event]) -> _Event:
    """Return the event that holds: the newest; in one second, what takes back wins, as in GTO."""
    return max(enumerate(events), key=lambda e: (e[1].tag.created, not e[1].adds, e[0]))[1]
