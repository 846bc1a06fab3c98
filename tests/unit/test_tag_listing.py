"""What `git ls-remote` lists is read as the same tags are that are known one by one."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from model_gitops.core.gto.listing import Listing
from model_gitops.core.gto.model_tags import Event
from model_gitops.core.gto.tags import Registry, Tag, parse
from model_gitops.errors import InputError

MODELS = ("m", "m2", "a/b:m")
NAMES = (
    "@v0.0.1", "@v0.0.2", "@v0.0.2!", "@v0.0.2#3", "@v1.0.0+a", "@v1.0.0+b", "@v1.0.0-rc.1", "#dev#4", "#dev#5",
    "#dev!#6", "#a/b#7", "#a/b", "@v1", "#dev#x",
)  # fmt: skip


class Asked:
    """A listing, and how often it asked when tags were written."""

    def __init__(self, tags: Sequence[Tag], between: str, light: Sequence[str] = ()) -> None:
        self.written = {f"{number:040x}": one for number, one in enumerate(tags, 1)}
        self.dated: list[str] = []
        self.times = 0
        lines = [
            f"{object_}{between}refs/tags/{one.name}\n{one.commit}{between}refs/tags/{one.name}^{{}}\n"
            for object_, one in self.written.items()
        ]
        lines += [f"{'f' * 40}{between}refs/tags/{name}\n" for name in light]
        lines.append(f"{'e' * 40}{between}refs/heads/main\n")
        self.listing = Listing("".join(lines).encode(), self._created, self._committed)
        self.registry = Registry(self.listing)

    def _created(self, events: Sequence[Event]) -> list[int]:
        self.dated += [one.name for one in events]
        self.times += 1
        return [self.written[one.object].created for one in events]

    def _committed(self, events: Sequence[Event]) -> list[int]:
        return [self.written[one.object].committed for one in events]


@pytest.mark.parametrize("seed", range(200))
def test_both_say_the_same(seed: int) -> None:
    chance = random.Random(seed)
    # One version a commit as a rule, and now and then a tag by hand that breaks it.
    commits = {name: f"{number:040x}" for number, name in enumerate(NAMES, 1)}
    tags = []
    for model in MODELS:
        for name in chance.sample(NAMES, chance.randrange(len(NAMES))):
            commit = commits[name.rstrip("!").replace("#3", "")]
            if name.startswith("#") or chance.random() < 0.05:
                commit = commits[chance.choice(NAMES[:7])]
            moment = chance.randrange(5)
            tags.append(Tag(model.replace(":", "=") + name, commit, moment, chance.randrange(5)))
        if chance.random() < 0.2:
            tags.append(Tag(f"{model.replace(':', '=')}@deprecated", commits["@v0.0.1"], 4, 0))
    light = [f"{chance.choice(MODELS[:2])}@v9.9.9", "m#dev#99", "other"]
    known = Registry.read(tags, light)
    listed = Asked(tags, chance.choice(" \t"), light).registry
    assert listed.models == known.models
    for model in (*MODELS, "none", "", "m@v1"):
        for ask in (
            lambda r, m: r.versions(m),
            lambda r, m: r.highest(m),
            lambda r, m: r.is_deprecated(m),
            lambda r, m: r.newest(m),
            lambda r, m: r.next_counter(m),
            lambda r, m: r.next_version(m, "minor"),
            lambda r, m: [r.version(m, n[1:]) for n in NAMES],
            lambda r, m: [r.version_at(m, c) for c in commits.values()],
            lambda r, m: [r.deregistered_at(m, c) for c in commits.values()],
            lambda r, m: [r.is_taken(m, n[1:]) for n in (*NAMES, "@v9.9.9")],
            lambda r, m: [r.spoken(m, s) for s in ("dev", "a/b", "none")],
            lambda r, m: [r.taken_back(m, version=n[1:]) for n in NAMES],
            lambda r, m: [r.taken_back_of_tag(m.replace(":", "=") + n) for n in NAMES],
            lambda r, m: r.stages(m),
            lambda r, m: [r.assignment(m, s) for s in ("dev", "a/b", "none")],
            lambda r, m: [r.taken_back(m, stage=s) for s in ("dev", "a/b", "none")],
        ):
            assert _answer(ask, listed, model) == _answer(ask, known, model)


def _answer(ask, registry: Registry, model: str):  # type: ignore[no-untyped-def]
    try:
        return ask(registry, model)
    except InputError as error:  # a registry that GTO can't read either
        return str(error)


def test_what_needs_no_date_is_not_asked_for_one() -> None:
    tags = [Tag(f"m@v0.0.{n}", f"{n:040x}", n) for n in range(1, 50)]
    asked = Asked([*tags, Tag("m#dev#1", f"{7:040x}", 60)], "\t")
    registry = asked.registry
    held = registry.stage("m", "dev")
    assert held is not None and held.version == "v0.0.7"
    assert registry.next_version("m", "patch") == "v0.0.50"
    assert registry.taken_back("m", version="v0.0.3") is None
    assert asked.dated == []


def test_the_highest_version_asks_once_however_many_were_taken_back() -> None:
    """As a server lists them: by name, so that many are higher than all before."""
    names = sorted(
        f"m@v0.0.{n}{end}" for n in range(1, 200) for end in ("", "!")[: 1 + (n % 10 == 5)]
    )
    of_top = ["m@v0.0.199!", "m@v0.0.198!"]
    tags = [Tag(one, f"{int(one.strip('!')[7:]):040x}", len(one)) for one in (*names, *of_top)]
    asked = Asked(tags, "\t")
    held = asked.registry.highest("m")
    assert held is not None and held.version == "v0.0.197"
    assert asked.times == 1
    assert sorted(asked.dated) == ["m@v0.0.198", "m@v0.0.198!", "m@v0.0.199", "m@v0.0.199!"]


def test_only_the_tags_of_the_stage_that_is_asked_about_are_dated() -> None:
    tags = [Tag(f"m#{stage}#{n}", f"{n:040x}", n) for n in range(1, 9) for stage in ("dev", "prod")]
    asked = Asked(tags, "\t")
    held = asked.registry.stage("m", "dev")
    assert held is not None and held.commit == f"{8:040x}"
    assert {said.stage for name in asked.dated if (said := parse(name))} == {"dev"}


def test_other_refs_and_none_at_all() -> None:
    asked = Asked([], "\t", ["m@v0.0.1"])
    assert asked.listing.object_of("refs/heads/main") == "e" * 40
    assert asked.listing.object_of("refs/heads/mai") == ""
    assert asked.listing.has_tag_of("f" * 40) and not asked.listing.has_tag_of("e" * 40)
    empty = Listing(b"", lambda _: [], lambda _: [])
    assert Registry(empty).versions("m") == [] and not empty.has("m@v0.0.1")
