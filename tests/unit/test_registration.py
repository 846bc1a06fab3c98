"""What is registered and assigned, decided from tags and hashes alone."""

from __future__ import annotations

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


@pytest.mark.parametrize(
    ("request_", "more", "kind", "words"),
    [
        (Request("m", version="v0.0.1", commit=C), [], InputError, "exists, at commit aaaa"),
        (Request("m", version="v0.0.9", commit=A), [], InputError, "is registered as v0.0.1"),
        (Request("m", version="v0.0.9"), [], InputError, "has no such version"),
        (Request("m", version="v0.0.3", commit=C), [Tag("m@v0.0.3", B, 4), Tag("m@v0.0.3!", B, 5)],
         InputError, "deregistered"),
        (Request("m", commit=B), [Tag("m@v0.0.2!", B, 5)], RefusedError, "took this version back"),
        (Request("m", commit=C), [Tag("m@deprecated", B, 5)], RefusedError, "is deprecated"),
    ],
)  # fmt: skip
def test_refusals(request_: Request, more: list[Tag], kind: type[ActionError], words: str) -> None:
    with pytest.raises(kind, match=words) as caught:
        decide(request_, *more)
    assert caught.value.fix


@pytest.mark.parametrize(
    ("request_", "name"),
    [
        (Request(""), "model"),
        (Request("$(id)"), "model"),
        (Request("m", stage="a b"), "stage"),
        (Request("m", version="1.2.3"), "version"),
        (Request("m", bump="huge"), "bump"),
    ],
)
def test_names_that_gto_would_not_take(request_: Request, name: str) -> None:
    with pytest.raises(InputError, match=f"input `{name}`"):
        registration.check(request_)
