"""GTO's grammar and rules. That GTO itself agrees is tests/integration/test_gto_oracle.py."""

from __future__ import annotations

import pytest

from model_gitops.core.gto import tags, versions
from model_gitops.core.gto.tags import ParsedTag, Registry, Tag, Version
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
    assert tags.stage_tag("a/b:m", "prod", 7) == "a/b=m#prod#7"
    assert tags.guard_ref("a/b:m") == "refs/model-gitops/a/b=m@registry"


def test_a_tag_longer_than_any_file_system_takes_is_not_read() -> None:
    assert tags.parse("m" * 3993 + "@v0.0.1") is not None
    assert tags.parse("m" * 3994 + "@v0.0.1") is None


@pytest.mark.parametrize(
    ("name", "stage", "version"),
    [("prod", True, False), ("v1.2.3", False, True), ("v1.2.3-rc.1+b", False, True), ("a b", False, False)],
)  # fmt: skip
def test_stages_and_versions_are_told_apart(name: str, stage: bool, version: bool) -> None:
    assert (tags.is_stage_name(name), tags.is_version(name)) == (stage, version)


@pytest.mark.parametrize("name", ["", "-m", "m-", "a b", 'a"b', "a:b:c:", "m\n"])
def test_bad_model_names(name: str) -> None:
    assert not tags.is_model_name(name)


@pytest.mark.parametrize(
    ("known", "part", "expected"),
    [
        ([], "major", "v0.0.1"),
        (["v0.9.0", "v0.10.0"], "patch", "v0.10.1"),
        (["v1.2.3"], "minor", "v1.3.0"),
        (["v1.2.3"], "major", "v2.0.0"),
        (["v1.0.0-rc.1"], "patch", "v1.0.1"),
        (["v1.0.0-x-y", "v0.9.0"], "minor", "v1.1.0"),
        (["v1.2.3+a-b"], "patch", "v1.2.4"),
    ],
)
def test_bump(known: list[str], part: str, expected: str) -> None:
    assert versions.bump(versions.highest(known), part) == expected


def test_precedence_is_that_of_semver() -> None:
    # The example of https://semver.org, section 11.
    ordered = ["alpha", "alpha.1", "alpha.beta", "beta", "beta.2", "beta.11", "rc.1"]
    known = [*(f"v1.0.0-{part}" for part in ordered), "v1.0.0"]
    assert sorted(known, key=versions.precedence) == known
    assert max(*known[::-1], key=versions.precedence) == "v1.0.0"
    more = ["v0.10.0", "v1.0.0-2", "v1.0.0-10", "v1.0.0-10.1", "v1.0.0-2a", "v1.0.0-a-b", "v1.0.0"]
    assert sorted(set(more), key=versions.precedence) == more
    assert versions.precedence("v1.0.0+a-b") == versions.precedence("v1.0.0")


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
    with pytest.raises(InputError) as caught:
        registry.stage("m", "prod")
    assert caught.value.message == (
        "the model 'm' has several versions at commit aaaaaaaaaaaa: v0.0.1, v0.0.2;"
        " so a stage assigned to that commit names none of them"
    )
    assert caught.value.fix == (
        "delete the wrong one of the tags `m@v0.0.1` and `m@v0.0.2`: git push --delete origin TAG"
    )
    assert [v.version for v in registry.versions("m")] == ["v0.0.1", "v0.0.2"]
    at_commit = registry.version_at("m", A)
    assert at_commit is not None
    assert at_commit.version == "v0.0.2"


def held(registry: Registry) -> tuple[str, str, str, str]:
    """Return what the stage `prod` holds, and the tag that says so."""
    found = registry.stage("m", "prod")
    assert found is not None
    return found.version, found.commit, found.tag, registry.assignment("m", "prod")


def test_a_stage_of_a_commit_that_nobody_registered_holds_the_commit() -> None:
    assigned = ("m#prod#1", A, 3)
    assert held(read(assigned)) == (A, A, "m#prod#1", "m#prod#1")
    assert held(read(assigned, ("m#prod!#2", A, 4))) == (A, A, "m#prod#1", "m#prod#1")
    assert read(assigned).versions("m") == []
    assert read(assigned).assignment("m", "dev") == ""
    # A later registration of the same commit gives it a name.
    assert held(read(assigned, ("m@v0.0.1", A, 4))) == ("v0.0.1", A, "m@v0.0.1", "m#prod#1")


def test_each_stage_holds_its_own() -> None:
    registry = read(
        ("m@v0.0.1", A, 1), ("m@v0.0.2", B, 2), ("m#dev#1", A, 3), ("m#prod#2", A, 4), ("m#prod#3", B, 5)
    )  # fmt: skip
    assert registry.stages("m") == {
        "dev": Version("m", "v0.0.1", A, "m@v0.0.1"),
        "prod": Version("m", "v0.0.2", B, "m@v0.0.2"),
    }
    assert registry.version("m", "v0.0.1") == Version("m", "v0.0.1", A, "m@v0.0.1")


def test_in_one_second_what_takes_back_wins_and_then_the_older_version() -> None:
    versions = [("m@v0.0.1", A, 1), ("m@v0.0.2", B, 2)]
    assert held(read(*versions, ("m#prod#1", B, 3), ("m#prod#2", A, 3)))[0] == "v0.0.1"
    assert read(*versions, ("m#prod!#1", B, 3), ("m#prod#2", B, 3)).stages("m") == {}
    assert [one.version for one in read(*versions, ("m@v0.0.2!", B, 2)).versions("m")] == ["v0.0.1"]


def test_a_version_that_is_registered_again_counts_again() -> None:
    registry = read(
        ("m@v0.0.1", A, 1), ("m#prod#1", A, 2), ("m@v0.0.1!#2", A, 3), ("m@v0.0.1#3", A, 4)
    )
    assert held(registry) == ("v0.0.1", A, "m@v0.0.1#3", "m#prod#1")
    assert registry.deregistered_at("m", A) == ""
    assert [one.tag for one in registry.versions("m")] == ["m@v0.0.1#3"]


def test_a_stage_of_a_version_that_was_taken_back_goes_to_the_one_before() -> None:
    registry = read(
        ("m@v0.0.1", A, 1), ("m#prod#1", A, 2), ("m@v0.0.2", B, 3), ("m#prod#2", B, 4),
        ("m@v0.0.2!", B, 5),
    )  # fmt: skip
    assert held(registry) == ("v0.0.1", A, "m@v0.0.1", "m#prod#1")


def test_of_several_versions_that_were_taken_back_the_highest_is_named() -> None:
    registry = read(
        ("m@v0.0.10", A, 1), ("m@v0.0.9", A, 2), ("m@v0.0.10!", A, 3), ("m@v0.0.9!", A, 4)
    )
    assert registry.deregistered_at("m", A) == "v0.0.10"
    assert registry.deregistered_at("m", B) == ""


@pytest.mark.parametrize(
    ("created", "committed", "deprecated"), [(4, 0, True), (5, 0, False), (1, 4, True), (1, 5, False)]
)  # fmt: skip
def test_a_model_is_deprecated_until_something_newer(
    created: int, committed: int, deprecated: bool
) -> None:
    registry = Registry.read([Tag("m@v0.0.1", A, created, committed), Tag("m@deprecated", A, 5)])
    assert registry.is_deprecated("m") is deprecated
    assert [one.version for one in registry.versions("m")] == ["v0.0.1"]


def test_a_model_that_has_only_been_deprecated_is() -> None:
    assert read(("m@deprecated", A, 0)).is_deprecated("m")
    assert not read().is_deprecated("m")


def test_the_models_and_their_newest_tags() -> None:
    registry = read(("n@v0.0.1", A, 9), ("m@v0.0.1", A, 3), ("m#prod#7", A, 2), ("other", A, 10))
    assert registry.models == ["m", "n"]
    assert [registry.newest(model) for model in ("m", "n", "other")] == [3, 9, 0]
    assert [registry.next_counter(model) for model in ("m", "n")] == [8, 1]


def test_a_name_once_used_is_taken() -> None:
    registry = read(("m@v0.0.1#5", A, 1), ("m@v0.0.2", B, 2), ("m@v0.0.2!", B, 3))
    assert [registry.is_taken("m", f"v0.0.{number}") for number in (1, 2, 3)] == [True, True, False]
    assert not registry.is_taken("n", "v0.0.1")
    assert registry.next_version("m", "patch") == "v0.0.3"
    assert registry.next_version("m", "major") == "v1.0.0"
    used = read(("m@v1.2.3", A, 1), ("m@v1.3.0", B, 2), ("m@v1.3.0!", B, 3))
    assert used.next_version("m", "minor") == "v1.4.0"
    assert used.next_version("m", "major") == "v2.0.0"


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ([], set()),
        (["v0.0.9", "v0.0.10", "v0.0.2"], {"v0.0.10"}),
        (["v0.9.0", "v0.10.0", "v0.2.99"], {"v0.10.0"}),
        (["v1.0.0-rc.10", "v1.0.0-rc.9", "v0.99.99"], {"v1.0.0-rc.10"}),
        (["v1.0.0-rc.1", "v1.0.0", "v1.0.0-9"], {"v1.0.0"}),
        (["v1.0.0+7", "v1.0.0", "v1.0.0+b.9", "v0.0.1"], {"v1.0.0", "v1.0.0+7", "v1.0.0+b.9"}),
        (["v1.0.1-rc.2+b.1", "v1.0.1-rc.2", "v1.0.0+9.9"], {"v1.0.1-rc.2", "v1.0.1-rc.2+b.1"}),
    ],
)
def test_the_highest_of_many_versions(known: list[str], expected: set[str]) -> None:
    assert versions.highest_of(known) == versions.highest_of(known[::-1]) == expected
    if known:
        assert versions.precedence(versions.highest(known)) == versions.precedence(min(expected))
