"""dvc.lock merged by stages: which side is taken, which lines are written, what is refused."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from model_gitops.core.dvc.lock_merge import Merged, merge
from model_gitops.errors import InputError


def stage(name: str, md5: str) -> str:
    return (
        f"  {name}:\n    cmd: python {name}.py\n    deps:\n    - path: {name}.py\n      hash: md5\n"
        f"      md5: {md5}\n      size: 12\n"
    )


def lock(**stages: str) -> str:
    body = "".join(stage(name, md5) for name, md5 in stages.items())
    return f"schema: '2.0'\nstages:{body and chr(10)}{body or ' {}' + chr(10)}"


BASE = lock(prepare="0", train="0", evaluate="0")


@pytest.mark.parametrize(
    ("ours", "theirs", "merged"),
    [
        (BASE, BASE, BASE),
        # One side only.
        (lock(prepare="1", train="0", evaluate="0"), BASE, lock(prepare="1", train="0", evaluate="0")),
        (BASE, lock(prepare="0", train="0", evaluate="2"), lock(prepare="0", train="0", evaluate="2")),
        (lock(prepare="1", train="0", evaluate="0"), lock(prepare="0", train="0", evaluate="2"),
         lock(prepare="1", train="0", evaluate="2")),
        # The same change on both.
        (lock(prepare="1", train="1", evaluate="0"), lock(prepare="0", train="1", evaluate="2"),
         lock(prepare="1", train="1", evaluate="2")),
        # New ones stand after what they follow on their side.
        (lock(prepare="0", a="1", train="0", evaluate="0"), lock(prepare="0", b="1", train="0", evaluate="0"),
         lock(prepare="0", b="1", a="1", train="0", evaluate="0")),
        (lock(prepare="0", train="0", evaluate="0", a="1"), lock(prepare="0", train="0", evaluate="0", b="1", c="1"),
         lock(prepare="0", train="0", evaluate="0", b="1", c="1", a="1")),
        # Removed ones are gone.
        (lock(prepare="0", evaluate="0"), lock(prepare="2", train="0", evaluate="0"),
         lock(prepare="2", evaluate="0")),
        (BASE, lock(evaluate="0"), lock(evaluate="0")),
        (BASE, lock(), lock()),
        (lock(prepare="0", train="0"), lock(evaluate="0"), lock()),
        # The order of one side alone changes nothing.
        (BASE, lock(evaluate="0", train="0", prepare="1"), lock(prepare="1", train="0", evaluate="0")),
    ],
)  # fmt: skip
def test_what_one_side_changed_is_taken(ours: str, theirs: str, merged: str) -> None:
    assert merge(BASE, ours, theirs) == Merged(merged, [], [])


@pytest.mark.parametrize(
    ("ours", "theirs", "text", "conflicts"),
    [
        (lock(prepare="0", train="1", evaluate="0"), lock(prepare="2", train="2", evaluate="0"),
         lock(prepare="2", evaluate="0"), ["train"]),
        (lock(prepare="0", train="1", evaluate="1"), lock(prepare="0", train="2", evaluate="2"),
         lock(prepare="0"), ["train", "evaluate"]),
        # Changed here, removed there, and the other way round.
        (lock(prepare="0", train="1", evaluate="0"), lock(prepare="0", evaluate="0"),
         lock(prepare="0", evaluate="0"), ["train"]),
        (lock(prepare="0", evaluate="0"), lock(prepare="0", train="1", evaluate="0"),
         lock(prepare="0", evaluate="0"), ["train"]),
        (lock(prepare="0", train="0", evaluate="0", new="1"), lock(prepare="0", train="0", evaluate="0", new="2"),
         BASE, ["new"]),
    ],
)  # fmt: skip
def test_what_both_sides_changed_is_a_conflict(
    ours: str, theirs: str, text: str, conflicts: list[str]
) -> None:
    gone = [
        name for name in conflicts if f"\n  {name}:" not in ours or f"\n  {name}:" not in theirs
    ]
    assert merge(BASE, ours, theirs) == Merged(text, conflicts, gone)
    other = merge(BASE, theirs, ours)
    assert (other.conflicts, other.gone) == (conflicts, gone)


def test_without_a_common_file_each_side_is_all_new() -> None:
    both = lock(a="1", b="2")
    assert merge("", both, both) == Merged(both, [], [])
    assert merge("", lock(a="1"), lock(b="2")) == Merged(lock(a="1", b="2"), [], [])
    assert merge("", lock(a="1"), lock(a="2")) == Merged(lock(), ["a"], [])
    assert merge("", "", both) == Merged(both, [], [])


def test_the_lines_stay_as_they_are_written() -> None:
    odd = (
        '  "a: b":\n    cmd:\n    - "x\\\n      y"\n  train@x-1:\n    cmd: |-\n      one\n\n      two\n\n'
        "  # a remark\n  last: {cmd: x}"
    )
    ours = f"# written by hand\nschema: '2.0'\nstages:\n  # first\n{odd}"
    theirs = ours.replace("one", "three")
    assert merge(ours, ours, theirs).text == f"{theirs}\n"
    assert merge(
        ours.replace("\n", "\r\n"), *(x.replace("\n", "\r\n") for x in (ours, theirs))
    ).text == (
        f"{theirs}\n".replace("\n", "\r\n").replace("last: {cmd: x}\r\n", "last: {cmd: x}\n")
    )


def test_datasets_are_merged_by_their_name() -> None:
    def listed(*rows: str) -> str:
        body = "".join(f"- name: {row[0]}\n  rev: '{row[1:]}'\n" for row in rows)
        return f"schema: '2.0'\ndatasets:\n{body}"

    base, ours, theirs = listed("a0", "b0"), listed("a1", "b0"), listed("a0", "b2", "c1")
    assert merge(base, ours, theirs) == Merged(listed("a1", "b2", "c1"), [], [])
    with pytest.raises(InputError, match="both sides changed `a` of `datasets`"):
        merge(base, ours, listed("a2", "b0"))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "schema: '2.0'\n<<<<<<< ours\nstages:\n=======\n",
            "our dvc.lock is not valid YAML: line 3",
        ),
        ("- a\n", "our dvc.lock is not as DVC 2 and 3 write it"),
        ("stages: [a]\n", "our dvc.lock is not as DVC 2 and 3 write it"),
        ("datasets: {}\n", "our dvc.lock is not as DVC 2 and 3 write it"),
        ("stages: {a: 1, b: 2}\n", "our dvc.lock is not as DVC writes it: entries share a line"),
        (
            "{schema: '2.0', stages: {}}\n",
            "our dvc.lock is not as DVC writes it: entries share a line",
        ),
    ],
)
def test_what_is_no_lock_of_dvcs_is_refused(text: str, problem: str) -> None:
    with pytest.raises(InputError) as error:
        merge(BASE, text, BASE)
    assert str(error.value).startswith(problem)


def test_an_alias_that_would_lose_its_anchor_is_refused() -> None:
    ours = "schema: '2.0'\nstages:\n  a: &x\n    cmd: one\n  b: *x\n"
    theirs = ours.replace("one", "two")
    with pytest.raises(InputError, match=r"the merged dvc\.lock is not valid YAML"):
        merge("", ours, theirs.replace("*x", "{cmd: one}"))


def test_a_key_of_both_sides_is_not_guessed() -> None:
    with pytest.raises(InputError, match="both sides changed `schema`"):
        merge("schema: '1'\n", "schema: '2'\n", "schema: '3'\n")


SIDE = st.dictionaries(st.sampled_from("abcd"), st.sampled_from("012"))


@given(SIDE, SIDE, SIDE)
def test_any_three_sides(
    base: dict[str, str], ours: dict[str, str], theirs: dict[str, str]
) -> None:
    merged = merge(*(lock(**side) for side in (base, ours, theirs)))
    stages = YAML(typ="safe").load(merged.text)["stages"]
    found = {name: str(entry["deps"][0]["md5"]) for name, entry in stages.items()}
    for name in "abcd":
        old, mine, other = (side.get(name) for side in (base, ours, theirs))
        if len({old, mine, other}) == 3 or (mine != old and other != old and mine != other):
            assert name in merged.conflicts
            assert name not in found
        else:
            assert found.get(name) == (mine if other == old else other)
    assert list(merged.conflicts) == [one for one in merged.conflicts if one in "abcd"]
    assert len(set(itertools.chain(found, merged.conflicts))) == len(found) + len(merged.conflicts)
