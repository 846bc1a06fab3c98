"""Images' names, tags, digests and references."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_gitops.core.image.names import (
    check_name,
    check_tag,
    is_pinned,
    is_reference_of_image,
    registry_host,
    tag_of_its_own,
)
from model_gitops.errors import InputError

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    "name",
    [
        "ghcr.io/acme/diabetes",
        "diabetes",
        "127.0.0.1:5000/a/b",
        "localhost/x",
        "a/b__c-d.e",
        "[::1]:5000/x",
    ],
)
def test_good_names_pass(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("ghcr.io/Acme/Diabetes", "image: ghcr.io/acme/diabetes"),
        ("ghcr.io/acme/diabetes:v1", "image: ghcr.io/acme/diabetes (the tag goes into `tag`)"),
        (
            f"ghcr.io/acme/diabetes@{DIGEST}",
            "image: ghcr.io/acme/diabetes (the tag goes into `tag`)",
        ),
        ("https://ghcr.io/acme/diabetes", "image: ghcr.io/acme/diabetes"),
        ("ghcr.io/acme/my model", "image: ghcr.io/acme/my-model"),
        ("ghcr.io/acme/../x", "image: ghcr.io/acme/x"),
        ("", "image: ghcr.io/OWNER/NAME"),
        ("$(touch pwned)", "image: touch-pwned"),
        ("--push", "image: push"),
    ],
)
def test_a_bad_name_is_answered_with_a_good_one(name: str, fix: str) -> None:
    with pytest.raises(InputError) as caught:
        check_name(name)
    assert caught.value.fix == fix
    assert check_name(fix.removeprefix("image: ").split(" ")[0].replace("OWNER/NAME", "o/n"))


@given(st.text(max_size=60))
def test_any_name_is_accepted_or_mended(name: str) -> None:
    try:
        assert check_name(name) == name
    except InputError as error:
        mended = error.fix.removeprefix("image: ").split(" ")[0].replace("OWNER/NAME", "o/n")
        assert check_name(mended.replace("NAME", "n")) is not None


@given(st.text(max_size=200))
def test_any_tag_is_accepted_or_mended(tag: str) -> None:
    try:
        assert check_tag(tag) == tag
    except InputError as error:
        assert check_tag(error.fix.removeprefix("tag: "))


def test_a_tag_of_a_branch_name_is_refused_with_the_fix() -> None:
    with pytest.raises(InputError) as caught:
        check_tag('a"b$(touch pwned)`id`')
    assert caught.value.fix == "tag: a-b-touch-pwned-id"


@given(st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", fullmatch=True))
def test_a_tag_of_an_images_own_is_a_tag(tag: str) -> None:
    own = tag_of_its_own(tag, DIGEST)
    assert check_tag(own) == own
    assert own == f"{tag[:115]}-aaaaaaaaaaaa"


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("ghcr.io/acme/x", "ghcr.io"),
        ("127.0.0.1:5000/x", "127.0.0.1:5000"),
        ("localhost/x", "localhost"),
        ("acme/x", ""),
        ("x", ""),
        ("docker.io/acme/x", ""),
    ],
)
def test_the_registry_of_a_name(name: str, host: str) -> None:
    assert registry_host(name) == host


@pytest.mark.parametrize(
    ("reference", "valid", "pinned"),
    [
        ("python", True, False),
        ("python:3.12", True, False),
        ("127.0.0.1:5000/a/b", True, False),
        ("127.0.0.1:5000/a/b:c", True, False),
        (f"python@{DIGEST}", True, True),
        (f"127.0.0.1:5000/python:3.12@{DIGEST}", True, True),
        ("python@sha256:1", False, False),
        ("p:$V", False, False),
        ("p:", False, False),
        ("--help", False, False),
        ("", False, False),
    ],
)
def test_references_of_images(reference: str, valid: bool, pinned: bool) -> None:
    assert is_reference_of_image(reference) is valid
    assert is_pinned(reference) is pinned
