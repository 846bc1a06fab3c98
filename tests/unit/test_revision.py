"""Revisions as people write them."""

from __future__ import annotations

import re

import pytest

from model_gitops.core.gto import places, revision
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
    "form", ["{}", "tags/{}", "refs/tags/{}", "{}^{{commit}}", "{}^0~0", "{}^{{}}"]
)
@pytest.mark.parametrize(
    ("named", "taken"),
    [
        ("m@v0.0.1", "m@v0.0.1!"),
        ("m@v0.0.1!", "m@v0.0.1!"),
        ("m#prod#1", "m@v0.0.1!"),
        ("m#prod!#2", "m#prod!#2"),
        ("m#prod#1", "m#prod!#2"),
        ("m#prod#1", "m@deprecated"),
        ("m@deprecated", "m@deprecated"),
        # Another version came after it, or nothing speaks of it.
        ("m#prod#1", "m#prod#2"),
        ("m#prod#1", "n@deprecated"),
    ],
)
def test_a_tag_in_whatever_spelling_is_refused_where_what_it_names_was_taken_back(
    named: str, taken: str, form: str
) -> None:
    tag = Tag(taken, B if taken == "m#prod#2" else A, 5)
    before = [Tag("m@v0.0.1", A, 1), Tag("m@v0.0.2", B, 2), Tag("m#prod#1", A, 3)]
    registry = Registry.read([*before, tag])
    if taken in ("m#prod#2", "n@deprecated"):
        assert revision.current(registry, "m", form.format(named)) is None
        return
    with pytest.raises(RefusedError, match=f"by the tag `{re.escape(taken)}`"):
        revision.current(registry, "m", form.format(named))


@pytest.mark.parametrize(
    "name",
    ["main", "tags/v1.0.0", "refs/tags/x^{commit}", "HEAD~1", "m@v1.0.0~1", "m@v1.0.0^2", "", "~0"],
)
def test_what_is_no_gto_tag_stays_as_it_is_written(name: str) -> None:
    assert revision.tag_name(name) == name


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


def test_a_branch_is_looked_for_on_the_server_first_in_a_job_alone() -> None:
    def refs(name: str, *, job: bool) -> list[str]:
        found = places.places(name, server_first=job)
        return [f"{'origin ' if one.on_server else ''}{one.ref}" for one in found]

    known, here = "refs/remotes/origin/main", "refs/heads/main"
    assert refs("main", job=True) == [known, here, f"origin {here}", "main", "origin main"]
    assert refs("main", job=False) == ["main", known, f"origin {here}", "origin main"]
    assert (
        refs("origin/main", job=True) == refs("origin/main", job=False) == [known, f"origin {here}"]
    )
    assert refs("heads/main", job=False) == [here, known, f"origin {here}"]
    assert refs("main~2", job=True) == ["main~2", f"{known}~2"]
    for own in ("HEAD", "HEAD~2", "@", "@{u}", "@{-1}", "ORIG_HEAD^", "origin/main~1", ":/fix"):
        assert refs(own, job=True) == [own]
    assert refs(A, job=True) == [A, f"origin {A}"]
    assert refs("tags/v1", job=True) == ["refs/tags/v1", "origin refs/tags/v1"]
    assert refs("refs/pull/5/head", job=True) == ["refs/pull/5/head", "origin refs/pull/5/head"]
