"""Images' names, tags, digests and references."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_gitops.core.image.names import (
    check_name,
    check_tag,
    is_digest,
    is_pinned,
    is_reference_of_image,
    registry_host,
    split_reference,
    tag_of,
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
        ("https://Host.io/My  App//x", "image: Host.io/my-app/x"),
        ("ftp://A", "image: a"),
        ("localhost:5000/A__B___C--d", "image: localhost:5000/a__b_c-d"),
        ("[::1]:5000/X", "image: [::1]:5000/x"),
        ("a.b/-x-/_y_/.z.", "image: a.b/x/y/z"),
        ("x/a..b", "image: x/a.b"),
        ("x/a_.b-._c", "image: x/a_b-c"),
        ("h.io/a:b/c", "image: h.io/a-b/c"),
        ("h.io:/x", "image: h.io/x"),
        ("h.io:5000/X", "image: h.io:5000/x"),
        ("X/a B", "image: x/a-b"),
        ("a:b:c", "image: a-b"),
        # Nothing is left to mend.
        ("h.io/..", "image: ghcr.io/OWNER/NAME"),
    ],
)
def test_a_bad_name_is_answered_with_a_good_one(name: str, fix: str) -> None:
    with pytest.raises(InputError) as caught:
        check_name(name)
    assert caught.value.fix == fix
    assert check_name(fix.removeprefix("image: ").split(" ")[0].replace("OWNER/NAME", "o/n"))


@pytest.mark.parametrize(
    ("name", "problem", "fix"),
    [
        ("", "it is empty", "image: ghcr.io/OWNER/NAME"),
        ("a" * 256, "a name has at most 255 characters", ""),
        ("A" * 255, "an image's name is lowercase letters, digits and single separators . _ - /",
         f"image: {'a' * 255}"),
        ("a:v1", "it holds a tag or digest", "image: a (the tag goes into `tag`)"),
        ("A:v1", "an image's name is lowercase letters, digits and single separators . _ - /",
         "image: a"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_name_is_told(name: str, problem: str, fix: str) -> None:
    assert check_name("a" * 255) == "a" * 255
    with pytest.raises(InputError) as caught:
        check_name(name)
    assert caught.value.message.startswith("input `image` is '")
    assert caught.value.message.endswith(f": {problem}")
    assert caught.value.fix == fix


@pytest.mark.parametrize(
    ("tag", "mended"),
    [
        ('a"b$(touch pwned)`id`', "a-b-touch-pwned-id"),
        ("", "v1"),
        ("...", "v1"),
        ("-a b-", "a-b"),
        (".X.", "X"),
        ("A B", "A-B"),
        ("v1+b", "v1-b"),
        ("x" * 129, "x" * 128),
    ],
)
def test_a_bad_tag_is_answered_with_a_good_one(tag: str, mended: str) -> None:
    assert check_tag("x" * 128) == "x" * 128
    with pytest.raises(InputError) as caught:
        check_tag(tag)
    assert caught.value.message == (
        f"input `tag` is {tag!r}: a tag is 1 to 128 of letters, digits, `_`, `.` and `-`,"
        " and starts with none of `.-`"
    )
    assert caught.value.fix == f"tag: {mended}"
    with pytest.raises(InputError, match="input `extra-tags`") as caught:
        check_tag(tag, input_name="extra-tags")
    assert caught.value.fix == f"extra-tags: {mended}"


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        ("a", ("a", "", "")),
        ("a:b", ("a", "b", "")),
        ("a@c", ("a", "", "c")),
        ("h:1/a", ("h:1/a", "", "")),
        ("h:1/a:b@c:d@e", ("h:1/a", "b", "c:d@e")),
    ],
)
def test_the_parts_of_a_reference(reference: str, parts: tuple[str, str, str]) -> None:
    assert split_reference(reference) == parts


@pytest.mark.parametrize(
    ("value", "is_one"),
    [(DIGEST, True), (f"{DIGEST}0", False), (DIGEST[:-1], False), ("", False), (None, False), (7, False)],
)  # fmt: skip
def test_digests(value: object, is_one: bool) -> None:
    assert is_digest(value) is is_one


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
        ("index.docker.io/acme/x", ""),
        ("localhost:5000/x", "localhost:5000"),
        ("localhost", ""),
        ("host/a.b:1/x", ""),
        ("Host/x", "Host"),
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
        (f"p:{'t' * 128}", True, False),
        (f"p:{'t' * 129}", False, False),
        (f"p:1/q:2@{DIGEST}", True, True),
        (f"P@{DIGEST}", False, True),
        ("p@", False, False),
        (f"p@x@{DIGEST}", False, True),
        ("--help", False, False),
        ("", False, False),
    ],
)
def test_references_of_images(reference: str, valid: bool, pinned: bool) -> None:
    assert is_reference_of_image(reference) is valid
    assert is_pinned(reference) is pinned


@pytest.mark.parametrize(
    ("value", "name", "tag"),
    [
        ("v1", "ghcr.io/acme/app", "v1"),
        ("app", "app", "app"),
        ("ghcr.io/acme/app:v1", "ghcr.io/acme/app", "v1"),
        ("localhost:5000/app:v1", "localhost:5000/app", "v1"),
        # Docker Hub's image has several names.
        ("acme/app:v1", "docker.io/acme/app", "v1"),
        ("docker.io/library/app:v1", "app", "v1"),
        ("index.docker.io/acme/app:v1", "acme/app", "v1"),
    ],
)
def test_a_tag_may_be_a_whole_reference(value: str, name: str, tag: str) -> None:
    assert tag_of(value, name) == tag


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("r.io/b:v1", "input `tag` is 'r.io/b:v1': it is of another image than r.io/a\n"
         "Fix: tag: r.io/a:v1, and another step for r.io/b"),
        ("https://r.io/a:v1", "input `tag` is 'https://r.io/a:v1': 'https://r.io/a' is no image's name\n"
         "Fix: tag: r.io/a:v1"),
        (":v1", "input `tag` is ':v1': '' is no image's name\nFix: tag: r.io/a:v1"),
        ("r.io/a", "input `tag` is 'r.io/a': it names no tag\nFix: tag: r.io/a:v1"),
        ("r.io/a@sha256:0", "input `tag` is 'r.io/a@sha256:0': it names a digest\nFix: tag: r.io/a:v1"),
        ("r.io/a:v2@sha256:0", "input `tag` is 'r.io/a:v2@sha256:0': it names a digest\nFix: tag: r.io/a:v2"),
    ],
)  # fmt: skip
def test_a_reference_that_gives_no_tag_of_this_image(value: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        tag_of(value, "r.io/a")
    assert str(error.value) == message


def test_a_reference_with_a_bad_tag() -> None:
    with pytest.raises(InputError, match="a tag is 1 to 128"):
        tag_of("r.io/a:-x", "r.io/a")
    with pytest.raises(InputError, match="Fix: extra-tags: feature-x"):
        tag_of("feature/x", "r.io/a", input_name="extra-tags")
