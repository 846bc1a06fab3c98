from __future__ import annotations

import pytest

from model_gitops.core.deploy.commit_log import (
    LoggedCommit,
    arrivals,
    is_of_others,
    own_line,
    read_log,
)
from model_gitops.core.deploy.git_tree import commit_stream, entry_of, upper_folder, whole_level

OURS = "acme/diabetes"


def test_a_log_is_read_commit_by_commit() -> None:
    text = "c2 t2 c1 c0\nMerge\n\nBody\n\0c1 t1 \nStart\n\0"
    assert read_log(text) == [
        LoggedCommit("c2", "t2", ("c1", "c0"), "Merge\n\nBody\n"),
        LoggedCommit("c1", "t1", (), "Start\n"),
    ]
    assert read_log("") == []


@pytest.mark.parametrize(
    ("message", "others"),
    [
        ("Deploy\n\nSource-Repository: acme/churn\n", True),
        ("Deploy\n\nsource-repository: acme/churn\n", True),
        ("Deploy\n\nSource-Repository: Acme/Diabetes\n", False),
        # A squash merge has the trailers of several.
        ("Two (#3)\n\nSource-Repository: acme/churn\n\nSource-Repository: acme/diabetes\n", False),
        ("By hand", False),
        ("Say what Source-Repository is", False),
        ("Deploy\n\nSource-Repository:\n", False),
    ],
)
def test_only_who_names_another_repository_deploys_from_it(message: str, others: bool) -> None:
    assert is_of_others(message, OURS) is others


def test_by_which_commit_of_its_own_line_a_branch_got_each() -> None:
    #  m2 - m1 - a - root, where m1 merged b (on root), and m2 merged c (on b)
    parents = {
        "m2": ("m1", "c"), "m1": ("a", "b"), "a": ("root",), "b": ("root",), "c": ("b",), "root": (),
    }  # fmt: skip
    line = own_line(parents, "m2")
    assert line == ["m2", "m1", "a", "root"]
    assert arrivals(parents, line) == {one: one for one in line} | {"b": "m1", "c": "m2"}
    # Where history is cut off, what is not known ends the line.
    assert own_line({"x": ("gone",)}, "x") == ["x"]
    assert own_line({}, "x") == []
    assert arrivals({}, []) == {}


def test_a_tree_tells_of_each_name() -> None:
    one, two = bytes(range(20)), bytes([32, 0] * 10)  # a hash may have any byte
    tree = b"100644 a 40000 b\0" + two + b"40000 b\0" + one + b"120000 \xc3\xa9\0" + two
    assert entry_of(tree, "b", 20) == ("40000", one.hex())
    assert entry_of(tree, "a 40000 b", 20) == ("100644", two.hex())
    assert entry_of(tree, "é", 20) == ("120000", two.hex())
    assert entry_of(tree, "c", 20) == entry_of(b"", "b", 20) == ("", "")
    assert entry_of(b"40000 x\0" + bytes(32), "x", 32) == ("40000", "00" * 32)


@pytest.mark.parametrize(
    ("overlay", "level"),
    [(".", 2), ("dev", 2), ("overlays/dev", 2), ("m/overlays/dev", 2), ("a/t/m/overlays/dev", 3)],
)
def test_a_folder_near_the_overlay_is_fetched_with_all_below_it(overlay: str, level: int) -> None:
    assert whole_level(overlay) == level


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        ("kustomization.yaml", ""),
        ("dev/kustomization.yaml", "dev"),
        ("m/dev/kustomization.yaml", "m/dev"),
        ("./m/overlays/dev/kustomization.yaml", "m/overlays"),
    ],
)
def test_a_file_is_reached_by_a_folder_of_that_level_or_above(path: str, folder: str) -> None:
    assert upper_folder(path, 2) == folder


def test_a_commit_is_told_by_lengths_so_that_no_text_ends_it() -> None:
    told = commit_stream(
        "refs/x", "1" * 40, author="A <a> 1 +0000", committer="B <b> 2 +0000", message="é\ndone\n",
        files=[("100644", 'a"b\\c', "x\n")], removed=["gone"],
    )  # fmt: skip
    assert "data 8\né\ndone\n\n" in told
    assert 'M 100644 inline "a\\"b\\\\c"\ndata 2\nx\n' in told
    assert 'D "gone"\n' in told
