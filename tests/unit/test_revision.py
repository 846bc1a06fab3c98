"""Revisions as people write them."""

from __future__ import annotations

import pytest

from model_gitops.core.gto import revision
from model_gitops.core.gto.tags import Registry, Tag

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
