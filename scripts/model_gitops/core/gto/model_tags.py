"""What the tags of one model say, by the steps of gto/tag.py and gto/base.py.

A model may have tens of thousands of tags. Names and commits are here for all; when a tag was written
is asked for only where two of them speak of one thing, so that the later one counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Literal

from model_gitops.core.gto.versions import highest_of, precedence

Action = Literal["register", "deregister", "assign", "unassign", "deprecate"]


class Event:
    """An annotated tag of the model: what its name says, its commit, and its own object.

    `created` and `committed` are Unix seconds; None until somebody asks.
    """

    __slots__ = ("commit", "committed", "created", "version")
    name: str
    object: str
    action: Action
    stage: str

    def __init__(
        self,
        commit: str,
        version: str,
        created: int | None = None,
        committed: int | None = None,
    ) -> None:
        self.commit, self.version = commit, version
        self.created, self.committed = created, committed

    @property
    def adds(self) -> bool:
        """Whether it registers or assigns, and takes nothing back."""
        return self.action in ("register", "assign")


class ReadEvent(Event):
    """An event whose tag's name was read."""

    __slots__ = ("action", "name", "object", "stage")

    def __init__(
        self,
        name: str,
        commit: str,
        object_: str,
        action: Action,
        version: str = "",
        stage: str = "",
        created: int | None = None,
        committed: int | None = None,
    ) -> None:
        super().__init__(commit, version, created, committed)
        self.name, self.object, self.action, self.stage = name, object_, action, stage


# When each tag was written, or its commit made, in Unix seconds.
Dates = Callable[[Sequence[Event]], Sequence[int]]


class Known:
    """A version: the tags that register it or take it back. `name` is the commit's hash without any."""

    __slots__ = ("commit", "direct", "name")

    def __init__(self, name: str, commit: str, direct: list[Event]) -> None:
        self.name, self.commit, self.direct = name, commit, direct

    @property
    def registered(self) -> bool:
        """Whether some tag registers it, also where a later one takes that back."""
        return any(event.adds for event in self.direct)


class ModelTags:
    """The versions and stages of one model."""

    def __init__(self, events: Iterable[Event], created: Dates, committed: Dates) -> None:
        self._created, self._committed = created, committed
        self.direct: list[Event] = []
        self.of_stage: dict[str, list[Event]] = {}
        self.deprecations: list[Event] = []
        for event in events:
            if event.stage:
                self.of_stage.setdefault(event.stage, []).append(event)
            elif event.version:
                self.direct.append(event)
            else:
                self.deprecations.append(event)
        # One tag registers nearly each version: the rest is kept apart.
        self._first: dict[str, Event] = {}
        self._more: dict[str, list[Event]] = {}
        for event in self.direct:
            first = self._first.setdefault(event.commit, event)
            if first is not event:
                self._more.setdefault(event.commit, [first]).append(event)
        self._is_deprecated: bool | None = None

    # --- when ------------------------------------------------------------------------------------

    def date(self, events: Iterable[Event], *, commits: bool = False) -> None:
        """Learn when these tags were written, and with `commits` when their commits were made."""
        wanted = list(events)
        if undated := [one for one in wanted if one.created is None]:
            found = self._created(undated)
            for one, moment in zip(undated, found, strict=True):
                one.created = moment
        if commits and (undated := [one for one in wanted if one.committed is None]):
            made = self._committed(undated)
            for one, moment in zip(undated, made, strict=True):
                one.committed = moment

    def created(self, event: Event) -> int:
        """Return when a tag was written."""
        if event.created is None:
            self.date([event])
        return event.created or 0

    def newest(self, events: Iterable[Event], *, commits: bool = False) -> int:
        """Return the latest moment of tags, and with `commits` of their commits; -1 without any."""
        known = list(events)
        self.date(known, commits=commits)
        return max(
            (max(one.created or 0, (one.committed or 0) if commits else 0) for one in known),
            default=-1,
        )

    def latest(self, events: Sequence[Event]) -> Event:
        """Return the event that holds: the newest; in one second, what takes back wins, as in GTO."""
        if len(events) == 1:
            return events[0]
        self.date(events)
        return max(events, key=lambda one: (one.created, not one.adds, one.name))

    def in_order(self, events: Iterable[Event]) -> list[Event]:
        """Sort as GTO does: by time, and tags of one second by name."""
        known = list(events)
        if len(known) > 1:
            self.date(known)
            known.sort(key=lambda one: (one.created, one.name))
        return known

    # --- versions --------------------------------------------------------------------------------

    @cached_property
    def names(self) -> frozenset[str]:
        """The names of all versions, also of those that were taken back."""
        return frozenset(event.version for event in self.direct)

    def at(self, commit: str) -> list[Known]:
        """Return the versions of `commit`, also those that were taken back, in GTO's order."""
        if (several := self._more.get(commit)) is None:
            one = self._first.get(commit)
            return [Known(one.version, commit, [one])] if one else []
        if len({one.version for one in several}) > 1:
            several = self.in_order(several)
        found: dict[str, Known] = {}
        for event in several:
            found.setdefault(event.version, Known(event.version, commit, [])).direct.append(event)
        return list(found.values())

    def known(self, *, name: str = "", commits: Iterable[str] | None = None) -> list[Known]:
        """Return all versions, those called `name`, or those of `commits`."""
        if commits is None:
            commits = (
                dict.fromkeys(one.commit for one in self.direct if one.version == name)
                if name
                else self._first
            )
        found = [version for commit in commits for version in self.at(commit)]
        return [one for one in found if one.name == name] if name else found

    def is_active(self, version: Known) -> bool:
        """Whether the version was not taken back."""
        return not version.direct or self.latest(version.direct).adds

    def active(self, *, name: str = "", commits: Iterable[str] | None = None) -> list[Known]:
        """Return the registered and active versions, lowest first; see `known`."""
        found = [
            one
            for one in self.known(name=name, commits=commits)
            if self.is_active(one) and one.registered
        ]
        return self._sorted(found)

    @cached_property
    def highest(self) -> Known | None:
        """The highest registered and active version, or None."""
        single = {
            commit: one.version
            for commit, one in self._first.items()
            if one.adds and commit not in self._more
        }
        top = highest_of(single.values())
        plain = [commit for commit, name in single.items() if name in top]
        last = max(map(precedence, top), default=())
        # Of a commit with several tags it is told by their dates: asked at once, and only where it can win.
        rivals = [
            commit
            for commit, events in self._more.items()
            if max(precedence(one.version) for one in events) >= last
        ]
        self.date(one for commit in rivals for one in self._more[commit])
        found = self.active(commits=[*plain, *rivals])
        return found[-1] if found else None

    def _sorted(self, versions: list[Known]) -> list[Known]:
        keys = {one.name: precedence(one.name) for one in versions}
        versions.sort(key=lambda one: keys[one.name])
        if len(set(keys.values())) < len(versions):
            # What semantic versioning does not tell apart stands in the order of its first tags.
            versions = self._by_first_tag(versions)
            versions.sort(key=lambda one: keys[one.name])
        return versions

    def _by_first_tag(self, versions: list[Known]) -> list[Known]:
        if len(versions) < 2:
            return versions
        self.date(event for one in versions for event in one.direct)
        return sorted(
            versions, key=lambda one: min((event.created or 0, event.name) for event in one.direct)
        )

    # --- stages ----------------------------------------------------------------------------------

    @property
    def deprecated(self) -> bool:
        """Whether the newest tag of the model deprecates it."""
        if self._is_deprecated is None:
            self._is_deprecated = False
            if self.deprecations:
                last = self.newest(self.others(), commits=True)
                self.date(self.deprecations)
                self._is_deprecated = any((one.created or 0) > last for one in self.deprecations)
        return self._is_deprecated

    def others(self) -> list[Event]:
        """Return all tags but those that deprecate the model."""
        return [*self.direct, *(one for events in self.of_stage.values() for one in events)]

    def ambiguous(self) -> tuple[str, list[str]] | None:
        """Return a commit of a stage's tag that has several versions, and these; None for no such one."""
        several = {
            commit
            for commit, events in self._more.items()
            if len({one.version for one in events}) > 1
        }
        if not several:
            return None
        found = [
            one for events in self.of_stage.values() for one in events if one.commit in several
        ]
        if not found:
            return None
        commit = self.in_order(found)[-1].commit
        return commit, [one.name for one in self.at(commit)]

    def holder(self, stage: str) -> tuple[Known, Event] | None:
        """Return the version that `stage` holds now, with the tag that says so; None for none.

        Of assignments in one second the older version wins, as in GTO.
        """
        events = self.of_stage.get(stage, [])
        if not events or self.deprecated:
            return None
        if len(events) > 1:
            self.date(events)
            # As in `latest`: the first one of a commit is what holds there.
            events = sorted(
                events, key=lambda one: (one.created, not one.adds, one.name), reverse=True
            )
        best: list[tuple[Known, Event]] = []
        seen: set[str] = set()
        for event in events:
            if best and event.created != best[0][1].created:
                break
            if event.commit in seen:
                continue
            if here := self.at(event.commit):
                seen.add(event.commit)
                version = here[-1]
            else:
                # GTO sees each stage tag of an unregistered commit by itself: there, an unassignment
                # takes nothing back.
                version = Known(event.commit, event.commit, [])
            if event.adds and self.is_active(version):
                best.append((version, event))
        if len(best) > 1:
            self.date((one for _, one in best), commits=True)
            best.sort(key=lambda one: self._age(*one))
        return best[0] if best else None

    def _age(self, version: Known, event: Event) -> tuple[int, int, int, str]:
        """Return a key: when the version was registered, and its place among those of one second."""
        if not version.direct:
            moment = max(event.created or 0, event.committed or 0)
            return moment, 1, event.created or 0, event.name
        self.date(version.direct)
        first = min((one.created or 0, one.name) for one in version.direct)
        return max(one.created or 0 for one in version.direct if one.adds), 0, *first

    def touching(self, version: Known, said: Sequence[Event]) -> Sequence[Event]:
        """Return all tags that speak of a version: its own, and those of all stages at its commit.

        `said` are those of one stage; of a commit that nobody registered there is one, and no other.
        """
        if not version.direct:
            return said
        if self.at(version.commit)[-1].name != version.name:
            return version.direct
        stages = (one for events in self.of_stage.values() for one in events)
        return [*version.direct, *(one for one in stages if one.commit == version.commit)]

    def first_seen(self, version: Known, said: Sequence[Event]) -> tuple[bool, int, str]:
        """Return a key by which GTO meets versions: registered ones first, each by its first tag."""
        events = version.direct or said
        return (not version.direct, *min((one.created or 0, one.name) for one in events))
