"""What is registered and assigned, decided from tags and hashes alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from model_gitops.core.gto import registration
from model_gitops.core.gto.registration import Request
from model_gitops.core.gto.tags import Registry, Tag
from model_gitops.errors import ActionError, InputError, RefusedError

A, B, C = "a" * 40, "b" * 40, "c" * 40
KNOWN = [Tag("m@v0.0.1", A, 1), Tag("m@v0.0.2", B, 2), Tag("m#prod#1", A, 3)]


def decide(
    request: Request, *more: Tag, known: list[Tag] = KNOWN, same: tuple[str, ...] = ()
) -> registration.Plan:
    return registration.decide(request, Registry.read([*known, *more]), frozenset(same))


def test_the_first_version() -> None:
    plan = decide(Request("m", "prod", commit=C), known=[])
    assert plan.operation == "registered-and-assigned"
    assert plan.new_tags == ("m@v0.0.1", "m#prod#1")
    assert (plan.version, plan.commit, plan.previous) == ("v0.0.1", C, "")


@pytest.mark.parametrize(
    ("name", "request_"),
    [
        ("model", Request("m" * 240)),
        ("stage", Request("m", "s" * 240)),
        ("version", Request("m", version=f"v1.0.0-{'a' * 240}")),
        ("model", Request("m/" * 600 + "m")),
    ],
)
def test_a_name_that_makes_too_long_a_tag_is_bad_input(name: str, request_: Request) -> None:
    with pytest.raises(InputError, match=rf"input `{name}` is .*too many for a file's name"):
        registration.check(request_)
    registration.check(Request("a/" * 20 + "m" * 200, "s" * 20, "v1.0.0-rc.1"))


def test_another_model_is_the_next_version() -> None:
    plan = decide(Request("m", commit=C, bump="minor"))
    assert (plan.version, plan.operation, plan.previous) == ("v0.1.0", "registered", "v0.0.2")
    assert plan.stage_tag == ""
    assert decide(Request("m", commit=C), Tag("m@v0.1.0", "d" * 40, 4)).previous == "v0.1.0"
    assert decide(Request("m", commit=C), known=[]).previous == ""


def test_the_same_model_is_the_same_version_at_its_own_commit() -> None:
    plan = decide(Request("m", "dev", commit=C), same=(A, B))
    assert (plan.version, plan.commit, plan.operation) == ("v0.0.2", B, "assigned")
    assert plan.new_tags == ("m#dev#2",)


def test_a_commit_keeps_its_version() -> None:
    plan = decide(Request("m", "prod", commit=A), same=(A, B))
    assert (plan.version, plan.operation, plan.previous) == ("v0.0.1", "none", "v0.0.1")
    assert (plan.version_tag, plan.stage_tag) == ("m@v0.0.1", "m#prod#1")


def test_a_named_version_is_assigned_from_anywhere() -> None:
    plan = decide(Request("m", "prod", version="v0.0.2"))
    assert (plan.commit, plan.operation, plan.previous) == (B, "assigned", "v0.0.1")


def test_a_subfolder_is_spelled_as_in_gto() -> None:
    plan = decide(Request("a/b:m", "dev", commit=C))
    assert plan.new_tags == ("a/b=m@v0.0.1", "a/b=m#dev#1")


def test_a_named_version_is_registered_and_found_again_by_the_same_model() -> None:
    made = decide(Request("m", version="v1.0.0", commit=C))
    assert (made.version, made.commit, made.new_tags) == ("v1.0.0", C, ("m@v1.0.0",))
    for commit, same in [(A, ()), (C, (A,))]:
        plan = decide(Request("m", version="v0.0.1", commit=commit), same=same)
        assert (plan.version, plan.commit, plan.operation) == ("v0.0.1", A, "none")


LEAVE_OUT = "leave `version` out: the next free version is taken"
USED_UP = (
    "input `version` is 'v0.0.3': the tag `m@v0.0.3` is used up: the version was deregistered,"
    " or the tag is a lightweight one, which GTO does not read"
)
TAKEN_BACK = (
    "v0.0.2 of 'm', at commit bbbbbbbbbbbb, was deregistered: somebody took this version back"
)
AGAIN = (
    "gto register m bbbbbbbbbbbb --version v0.0.2 --force registers it again;"
    " or register another commit"
)


@pytest.mark.parametrize(
    ("request_", "more", "kind", "message", "fix"),
    [
        (Request("m", version="v0.0.1", commit=C), [], InputError,
         "input `version` is 'v0.0.1': the tag `m@v0.0.1` exists, at commit aaaaaaaaaaaa with another"
         " model; commit cccccccccccc can't have it too", LEAVE_OUT),
        (Request("m", version="v0.0.9", commit=A), [], InputError,
         "input `version` is 'v0.0.9': commit aaaaaaaaaaaa is registered as v0.0.1, and GTO has one"
         " version a commit", "version: v0.0.1"),
        (Request("m", version="v0.0.9"), [], InputError,
         "input `version` is 'v0.0.9': 'm' has no such version; it has: v0.0.1, v0.0.2",
         "give one of these, or leave `version` out"),
        (Request("n", version="v0.0.9"), [], InputError,
         "input `version` is 'v0.0.9': 'n' has no such version; it has: none",
         "give one of these, or leave `version` out"),
        (Request("m", version="v0.0.3", commit=C), [Tag("m@v0.0.3", B, 4), Tag("m@v0.0.3!", B, 5)],
         InputError, USED_UP, LEAVE_OUT),
        (Request("m", commit=B), [Tag("m@v0.0.2!", B, 5)], RefusedError, TAKEN_BACK, AGAIN),
        (Request("m", version="v1.0.0", commit=B), [Tag("m@v0.0.2!", B, 5)], RefusedError,
         TAKEN_BACK, AGAIN),
        (Request("m", commit=C), [Tag("m@deprecated", B, 5)], RefusedError,
         "the model 'm' is deprecated: its newest tag says so",
         "git push --delete origin 'm@deprecated' takes that back (list the tags with `gto history`)"),
    ],
)  # fmt: skip
def test_refusals_say_why_and_what_to_do(
    request_: Request, more: list[Tag], kind: type[ActionError], message: str, fix: str
) -> None:
    with pytest.raises(kind) as caught:
        decide(request_, *more)
    assert (caught.value.message, caught.value.fix) == (message, fix)


def test_of_many_versions_the_last_twenty_are_offered() -> None:
    known = [Tag(f"m@v0.0.{number}", f"{number:040}", number) for number in range(1, 23)]
    with pytest.raises(InputError) as caught:
        decide(Request("m", version="v1.0.0"), known=known)
    offered = caught.value.message.rpartition("it has: ")[2].split(", ")
    assert offered == [f"v0.0.{number}" for number in range(3, 23)]


GRAMMAR = "GTO takes letters, digits, `_`, `-` and `/`, first and last a letter or a digit"
MODEL_GRAMMAR = f"{GRAMMAR}; in a subfolder's dvc.yaml it is `folder:name`"
GIVE_NAME = "give the name under `artifacts:` of dvc.yaml"


@pytest.mark.parametrize(
    ("request_", "message", "fix"),
    [
        (Request(""), f"input `model` is '': {MODEL_GRAMMAR}", GIVE_NAME),
        (Request("$(id)"), f"input `model` is '$(id)': {MODEL_GRAMMAR}", GIVE_NAME),
        (Request("m", stage="a b"), f"input `stage` is 'a b': {GRAMMAR}", "stage: staging"),
        (Request("m", version="1.2.3"),
         "input `version` is '1.2.3': it is no version as GTO writes it", "version: v1.2.3"),
        (Request("m", bump="huge"),
         "input `bump` is 'huge': it is none of major, minor, patch", "bump: patch"),
    ],
)  # fmt: skip
def test_names_that_gto_would_not_take(request_: Request, message: str, fix: str) -> None:
    with pytest.raises(InputError) as caught:
        registration.check(request_)
    assert (caught.value.message, caught.value.fix) == (message, fix)


@pytest.mark.parametrize(
    ("longest", "more", "name", "tag"),
    [
        # A part of 230, and a whole of 1000 characters, are the most: of the longest tag or ref.
        (Request("m" * 221), {"model": "m" * 222}, "model", 249),
        (Request("m/" * 486 + "m"), {"model": "m/" * 486 + "mm"}, "model", 1001),
        (Request("m", stage="s" * 226), {"stage": "s" * 227}, "stage", 231),
        (Request("m", version="v1.0.0-" + "a" * 221), {"version": "v1.0.0-" + "a" * 222}, "version", 231),
    ],
)  # fmt: skip
def test_a_name_may_be_as_long_as_a_file_system_takes(
    longest: Request, more: dict[str, str], name: str, tag: int
) -> None:
    registration.check(longest)
    with pytest.raises(InputError) as caught:
        registration.check(replace(longest, **more))  # type: ignore[arg-type]
    assert caught.value.message.startswith(f"input `{name}` is '{more[name][:100]}")
    assert caught.value.message.endswith(
        f": a tag of {tag} characters would come of it: too many for a file's name"
    )
    assert caught.value.fix == "give a shorter name"
