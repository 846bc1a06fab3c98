"""Revisions as people write them."""

from __future__ import annotations

import pytest

from model_gitops.core.gto import revision
from model_gitops.core.gto.tags import Registry, Tag
from model_gitops.errors import RefusedError

A, B = "a" * 40, "b" * 40
REGISTRY = Registry.read(
    [
        Tag("m@v0.0.1", A, 1),
        Tag("m@v0.0.2", B, 2),
        Tag("m#prod#1", A, 3),
        Tag("a/b=m@v0.0.1", B, 4),
        Tag("a/b=m#prod/eu#2", B, 5),
    ]
)


@pytest.mark.parametrize(
    ("written", "tag"),
    [
        ("v0.0.1", "m@v0.0.1"),
        ("m@v0.0.2", "m@v0.0.2"),
        ("a/b:m@v0.0.1", "a/b=m@v0.0.1"),
        ("m#prod", "m@v0.0.1"),
        ("a/b:m#prod/eu", "a/b=m@v0.0.1"),
        # Git's own, and what is not there.
        ("main", None),
        (A, None),
        ("v0.0.3", None),
        ("m@v0.0.3", None),
        ("n@v0.0.1", None),
        ("m#dev", None),
        ("n#prod", None),
        ("#prod", None),
        ("", None),
    ],
)
def test_what_a_revision_names(written: str, tag: str | None) -> None:
    found = revision.find(REGISTRY, "m", written)
    assert (found and found.tag) == tag
    assert revision.current(REGISTRY, "m", written) == found


# What was there before somebody took a part of it back.
BEFORE = [
    Tag("m@v0.0.1", A, 1),
    Tag("m@v0.0.2", B, 2),
    Tag("m#prod#1", A, 3),
    Tag("m#prod#2", B, 4),
]


@pytest.mark.parametrize(
    ("taken", "written", "commit"),
    [
        ("m@v0.0.2!", "v0.0.2", B),
        ("m@v0.0.2!", "m@v0.0.2", B),
        ("m@v0.0.2!", "m@v0.0.1", None),
        # The stage goes back to the version that it still has, as in GTO.
        ("m@v0.0.2!", "m#prod", None),
        ("m#prod!#3", "m#prod", None),
        ("m#prod!#3", "m@v0.0.2", None),
        ("m@deprecated", "m#prod", B),
        ("m@deprecated", "m@v0.0.1", A),
        ("m@deprecated", "v0.0.1", A),
        ("m@deprecated", "m@v0.0.3", None),
        ("m@deprecated", "m#dev", None),
        ("n@deprecated", "m#prod", None),
    ],
)
def test_what_was_taken_back_is_refused(taken: str, written: str, commit: str | None) -> None:
    registry = Registry.read([*BEFORE, Tag(taken, B, 5)])
    if commit is None:
        assert revision.current(registry, "m", written) == revision.find(registry, "m", written)
        return
    with pytest.raises(RefusedError) as refused:
        revision.current(registry, "m", written)
    assert refused.value.message.endswith(f"of 'm' was taken back, by the tag `{taken}`")
    assert refused.value.fix == (
        f"give another one, or its commit: {commit}. If the tag is a mistake:"
        f" git push --delete origin '{taken}'"
    )


@pytest.mark.parametrize(
    ("tags", "by"),
    [
        ([Tag("m#prod#1", A, 3), Tag("m#prod!#2", A, 4)], "m#prod!#2"),
        ([Tag("m#prod#1", A, 3), Tag("m@v0.0.1!", A, 4)], "m@v0.0.1!"),
        ([Tag("m#prod#1", A, 3), Tag("m#prod!#2", A, 4), Tag("m#prod#3", A, 5)], None),
    ],
)
def test_a_stage_that_holds_nothing_any_more_is_refused(tags: list[Tag], by: str | None) -> None:
    registry = Registry.read([Tag("m@v0.0.1", A, 1), *tags])
    taken = registry.taken_back("m", stage="prod")
    assert (taken and (taken.version, taken.tag)) == (by and ("v0.0.1", by))
