"""GTO's grammar and rules. That GTO itself agrees is tests/integration/test_gto_oracle.py."""

from __future__ import annotations

import pytest

from model_gitops.core.gto import tags
from model_gitops.core.gto.tags import ParsedTag, Registry, Tag
from model_gitops.errors import InputError


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("m@v1.2.3", ParsedTag("m", "register", version="v1.2.3")),
        ("m@v1.2.3!", ParsedTag("m", "deregister", version="v1.2.3")),
        ("m@v1.2.3!#4", ParsedTag("m", "deregister", version="v1.2.3", counter=4)),
        ("m@v1.2.3-rc.1+b#4", ParsedTag("m", "register", version="v1.2.3-rc.1+b", counter=4)),
        ("m#prod", ParsedTag("m", "assign", stage="prod")),
        ("m#prod#12", ParsedTag("m", "assign", stage="prod", counter=12)),
        ("m#prod!#12", ParsedTag("m", "unassign", stage="prod", counter=12)),
        ("m@deprecated", ParsedTag("m", "deprecate")),
        ("a/b.c=m@v0.0.1", ParsedTag("a/b.c:m", "register", version="v0.0.1")),
    ],
)
def test_parses_what_gto_writes(name: str, expected: ParsedTag) -> None:
    assert tags.parse(name) == expected


@pytest.mark.parametrize(
    "name",
    ["", "v1.2.3", "m", "m@1.2.3", "m@v1.2", "m@v01.2.3", "m@v1.2.3\n", "m#", "m#prod#x", "-m@v1.2.3",
     "m @v1.2.3", "m@created", "m@v1.2.3#-1", "m\"$(x)@v1.2.3", "m:n@v1.2.3"],
)  # fmt: skip
def test_other_tags_are_not_ours(name: str) -> None:
    assert tags.parse(name) is None


def test_names_are_spelled_as_gto_spells_them() -> None:
    assert tags.version_tag("a/b:m", "v1.0.0") == "a/b=m@v1.0.0"
    assert tags.stage_tag("m", "prod", 7) == "m#prod#7"


@pytest.mark.parametrize("name", ["", "-m", "m-", "a b", 'a"b', "a:b:c:", "m\n"])
def test_bad_model_names(name: str) -> None:
    assert not tags.is_model_name(name)


@pytest.mark.parametrize(
    ("versions", "part", "expected"),
    [
        ([], "major", "v0.0.1"),
        (["v0.9.0", "v0.10.0"], "patch", "v0.10.1"),
        (["v1.2.3"], "minor", "v1.3.0"),
        (["v1.2.3"], "major", "v2.0.0"),
        (["v1.0.0-rc.1"], "patch", "v1.0.1"),
    ],
)
def test_bump(versions: list[str], part: str, expected: str) -> None:
    assert tags.bump(versions, part) == expected


def test_precedence_is_that_of_semver() -> None:
    # The example of https://semver.org, section 11.
    ordered = ["alpha", "alpha.1", "alpha.beta", "beta", "beta.2", "beta.11", "rc.1"]
    versions = [*(f"v1.0.0-{part}" for part in ordered), "v1.0.0"]
    assert sorted(versions, key=tags.precedence) == versions
    assert max(*versions[::-1], key=tags.precedence) == "v1.0.0"


A, B = "a" * 40, "b" * 40


def read(*entries: tuple[str, str, int]) -> Registry:
    return Registry.read(Tag(*entry) for entry in entries)


def test_a_stage_holds_what_was_assigned_last() -> None:
    registry = read(
        ("m@v0.0.1", A, 1), ("m@v0.0.2", B, 2), ("m#prod#1", B, 3), ("m#prod#2", A, 4)
    )  # fmt: skip
    held = registry.stage("m", "prod")
    assert held is not None
    assert (held.version, held.commit, held.tag) == ("v0.0.1", A, "m@v0.0.1")
    assert registry.assignment("m", "prod") == "m#prod#2"
    assert registry.next_counter("m") == 3
    assert registry.stage("m", "dev") is None
    assert registry.stage("other", "prod") is None


def test_taking_back() -> None:
    entries = [("m@v0.0.1", A, 1), ("m@v0.0.2", B, 2), ("m#prod#1", A, 3), ("m#prod#2", B, 4)]
    unassigned = read(*entries, ("m#prod!#3", B, 5)).stage("m", "prod")
    assert unassigned is not None
    assert unassigned.version == "v0.0.1"
    deregistered = read(*entries, ("m@v0.0.2!", B, 5))
    assert [v.version for v in deregistered.versions("m")] == ["v0.0.1"]
    assert deregistered.deregistered_at("m", B) == "v0.0.2"
    assert deregistered.next_version("m", "patch") == "v0.0.3"
    deprecated = read(*entries, ("m@deprecated", B, 5))
    assert deprecated.is_deprecated("m")
    assert deprecated.stages("m") == {}


def test_a_lightweight_tag_says_nothing_but_is_taken() -> None:
    registry = Registry.read([], names=["m@v0.0.1", "m#prod#4"])
    assert registry.versions("m") == []
    assert registry.next_version("m", "patch") == "v0.0.2"
    assert registry.next_counter("m") == 5


def test_two_versions_at_the_commit_of_a_stage_are_an_error_with_the_way_out() -> None:
    registry = read(("m@v0.0.1", A, 1), ("m@v0.0.2", A, 2), ("m#prod#1", A, 3))
    with pytest.raises(InputError, match=r"v0\.0\.1, v0\.0\.2") as caught:
        registry.stage("m", "prod")
    assert "git push --delete origin" in caught.value.fix
    assert [v.version for v in registry.versions("m")] == ["v0.0.1", "v0.0.2"]
