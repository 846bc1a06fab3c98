"""The content fingerprint: what counts, and what does not."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_gitops.core.image.content import Content, Entry, fingerprint

DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64
CONTENT = Content(
    files=[Entry("app/server.py", "file", "1" * 64)],
    dockerfile=b"FROM scratch\n",
    build_args={"BASE_IMAGE": "python:3.12"},
    contexts={"model": [Entry("model.onnx", "file", "2" * 64)]},
    images={"python:3.12": DIGEST},
    platforms=("linux/amd64",),
    model_hash="abc",
)


def test_a_fingerprint_is_stable_and_of_the_content_alone() -> None:
    # The value is held: a changed recipe must come with a changed recipe number.
    assert fingerprint(CONTENT) == "61eb8ef58a30deaf1420eddc256789a79b2b7ebd"
    assert fingerprint(replace(CONTENT, target="é")) == "0f2be09cb2a1134137e145b9e73084fc57c738fc"
    shuffled = replace(CONTENT, files=[*CONTENT.files], build_args=dict(CONTENT.build_args))
    assert fingerprint(shuffled) == fingerprint(CONTENT)


@pytest.mark.parametrize(
    "change",
    [
        {"files": [Entry("app/server.py", "file", "3" * 64)]},
        {"files": [Entry("app/server.py", "exec", "1" * 64)]},
        {"files": [Entry("app/server.py", "file4000", "1" * 64)]},
        {"files": [Entry("app/other.py", "file", "1" * 64)]},
        {"files": []},
        {"dockerfile": b"FROM scratch \n"},
        {"target": "serve"},
        {"build_args": {"BASE_IMAGE": "python:3.13"}},
        {"build_args": {}},
        {"contexts": {"model": [Entry("model.onnx", "file", "4" * 64)]}},
        {"contexts": {"model": "docker-image://x"}},
        {"images": {"python:3.12": OTHER}},
        {"images": {"python:3.12": ""}},
        {"images": {"python:3.13": DIGEST}},
        {"images": {}},
        {"platforms": ("linux/arm64",)},
        {"platforms": ("linux/amd64", "linux/arm64")},
        {"model_hash": "abd"},
        {"attestations": ("mode=max", "")},
    ],
)
def test_each_part_of_the_content_counts(change: dict[str, object]) -> None:
    assert fingerprint(replace(CONTENT, **change)) != fingerprint(CONTENT)  # type: ignore[arg-type]


SHORT = st.text(max_size=3)
HASHES = st.sampled_from(["1" * 64, "2" * 64, ""])
ENTRIES = st.lists(
    st.builds(Entry, SHORT, st.sampled_from(["file", "exec", "link", "folder"]), HASHES),
    max_size=3,
    unique_by=lambda entry: entry.path,
)
CONTENTS = st.builds(
    Content,
    files=ENTRIES,
    dockerfile=st.binary(max_size=3),
    target=SHORT,
    build_args=st.dictionaries(SHORT, SHORT, max_size=2),
    contexts=st.dictionaries(SHORT, ENTRIES | SHORT, max_size=2),
    images=st.dictionaries(SHORT, SHORT, max_size=2),
    platforms=st.lists(SHORT, max_size=2, unique=True).map(tuple),
    model_hash=SHORT,
    attestations=st.tuples(SHORT, SHORT),
)


@given(CONTENTS, CONTENTS, st.sampled_from([one.name for one in fields(Content)]))
def test_one_changed_ingredient_is_another_fingerprint(
    one: Content, two: Content, ingredient: str
) -> None:
    """`one` with a single part of `two`: equal fingerprints if, and only if, the parts are equal."""

    def plain(value: Any) -> Any:
        # Of files and platforms the order does not count.
        if isinstance(value, list):
            return sorted(map(repr, value))
        if isinstance(value, dict):
            return {key: plain(inner) for key, inner in value.items()}
        return value

    changed = replace(one, **{ingredient: getattr(two, ingredient)})
    before, after = plain(getattr(one, ingredient)), plain(getattr(two, ingredient))
    if ingredient == "platforms":
        before, after = sorted(before), sorted(after)
    assert (fingerprint(changed) == fingerprint(one)) is (before == after)


def test_a_dockerfile_that_is_no_utf8_is_text() -> None:
    assert replace(CONTENT, dockerfile=b"FROM \xff\n").dockerfile_text == "FROM \ufffd\n"


def test_no_value_can_pretend_to_be_two() -> None:
    one = replace(CONTENT, build_args={"A": '1","B":"2'})
    two = replace(CONTENT, build_args={"A": "1", "B": "2"})
    assert fingerprint(one) != fingerprint(two)
