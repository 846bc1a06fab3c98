"""Which files `.dockerignore` lets through; tests/integration compares it with a real builder."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_gitops.core.image import dockerignore

FILES = ("a.py", "notes", "src/.py", "src/a.py", "src/a.pyc", "src/deep/b.py", "src/deep/c.txt")


def kept(text: str, *, whole: bool = False) -> tuple[str, ...]:
    """Return what is kept of FILES; `whole` looks into folders that may hold nothing too."""
    rules = dockerignore.parse(text)
    found = []
    for path in FILES:
        parts, matched = path.split("/"), ()
        for end in range(1, len(parts) + 1):
            part = "/".join(parts[:end])
            ignored, matched = dockerignore.decide(part, rules, matched)
            if ignored and not whole and part != path and not dockerignore.may_hold(part, rules):
                break
        if not ignored:
            found.append(path)
    return tuple(found)


def without(*paths: str) -> tuple[str, ...]:
    return tuple(one for one in FILES if one not in paths)


SRC = FILES[2:]
DEEP = FILES[5:]
PYTHON = ("a.py", "src/.py", "src/a.py", "src/deep/b.py")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", FILES),
        ("*", ()),
        ("**\n!**/*.py", PYTHON),
        ("*.py", without("a.py")),
        ("**/*.py", without(*PYTHON)),
        ("src", without(*SRC)),
        ("/src/\n!src/deep", ("a.py", "notes", *DEEP)),
        ("!src\nsrc", without(*SRC)),
        ("#src\n  \n[ns]*", ("a.py",)),
        ("src/[^d]*", ("a.py", "notes", *DEEP)),
        ("\ufeff./x/../notes\r\n", without("notes")),
        # A `**` at one end is text: all that ends, or starts, so.
        ("*\n!**.py", PYTHON),
        ("**.pyc", without("src/a.pyc")),
        ("**/a.py", without("a.py", "src/a.py")),
        ("src/d**", without(*DEEP)),
        # A rule that changes nothing at the folder matches first below it, where `!` goes before.
        ("src\n!src/deep/b.py\n**/src", ("a.py", "notes", "src/deep/b.py")),
        ("src\n!src/deep\n*", DEEP),
        ("src\n!src/a.py\ns*", ("a.py", "notes", "src/a.py")),
        ("s*/deep/**", without(*DEEP)),
        ("src/\\.py", without("src/.py")),
        # Quirks of the original.
        ("no|x*", without("notes", "src/deep/c.txt")),
        ("x\u2028notes", FILES),
        ("notes\x1c", FILES),
        ("notes\u3000", without("notes")),
        # What Go reads in another way, or not at all: then all of it counts.
        ("*\n[", FILES),
        ("*\n!", FILES),
        ("*\n!\\d.py", FILES),
        ("*\n![[:alpha:]].py", FILES),
        ("*\n![[a]*", FILES),
        ("*\n!x[:a]*", FILES),
        ("*\n!*{,2}", FILES),
    ],
)
def test_what_is_kept(text: str, expected: tuple[str, ...]) -> None:
    assert kept(text) == expected


@pytest.mark.parametrize(
    ("pattern", "taken", "left"),
    [
        ("**", ["a", "a/b"], []),
        ("/", ["/"], ["a"]),
        ("//", ["/"], ["a"]),
        ("//a", ["a"], ["b"]),
        ("! a", ["a"], ["!a"]),
        (" #a", ["#a"], ["a"]),
        ("a/**", ["a/", "a/b", "a/b/c", "a/\n"], ["a", "b/a/c"]),
        ("**/a", ["a", "b/a", "c/b/a"], ["ba", "a/b", "b/xa"]),
        ("**a", ["a", "ba", "c/ba"], ["ab"]),
        ("a/**/c", ["a/c", "a/b/c", "a/b/b/c"], ["ac", "a/bc", "a/c/d", "b/a/c"]),
        ("a/**c", ["a/c", "a/b/c"], ["a/bc"]),
        ("**/a*/**", ["ab/c", "a/b", "c/ab/c/d"], ["a", "b/c"]),
        ("**a**", ["a", "ab", "b/a/c"], ["b", "ba"]),
        ("a?/**", ["ab/c", "ab/c/d"], ["a/c", "abc/c", "ab"]),
        ("a?c", ["abc"], ["ac", "a/c", "abbc", "abcd", "xabc"]),
        ("a*c", ["ac", "abc"], ["a/c", "abcd"]),
        ("[ab]c", ["ac", "bc"], ["c", "abc"]),
        ("\\*\\.a", ["*.a"], ["b.a", "*xa", "*.ab"]),
        ("X*", ["X", "Xa"], ["a", "aX"]),
        ("b\\", ["b\\"], ["b"]),
        ("a.b*", ["a.b", "a.bc"], ["axb"]),
        ("a+(b)$*", ["a+(b)$", "a+(b)$c"], ["aab", "a+b"]),
    ],
)
def test_the_paths_of_a_pattern(pattern: str, taken: list[str], left: list[str]) -> None:
    (rule,) = dockerignore.parse(pattern)
    assert [path for path in [*taken, *left] if rule.matches(path)] == taken


def test_comments_and_empty_lines_are_no_rules() -> None:
    assert dockerignore.parse("#a\n#\n\n \t\r\n") == []


@pytest.mark.parametrize(
    ("text", "folder", "may"),
    [
        ("src/deep", "src", False),
        ("!src/deep", "src", True),
        ("!src/deep", "src/deep", True),
        ("!src/deep", "src/de", False),
        ("!src/deep", "src/deep/x", False),
        ("!src/*", "src", True),
        ("!src/**", "src", True),
        ("!src/*/**", "src", True),
        ("!src/*/**", "other", False),
        ("!src/**", "other", False),
        # Where text can't tell, it may.
        ("!src/*.py", "other", True),
        ("!src/?.py", "other", True),
        ("!src/[a].py", "other", True),
        ("!src/a]", "other", True),
        ("!src/a^", "other", True),
        ("!src/\\.py", "other", True),
        ("!a\n!src/b", "src", True),
    ],
)
def test_which_ignored_folders_are_looked_into(text: str, folder: str, may: bool) -> None:
    assert dockerignore.may_hold(folder, dockerignore.parse(text)) is may


@given(st.text(st.sampled_from("as*?/!.\n[]|de")))
def test_a_folder_that_is_passed_by_holds_nothing(text: str) -> None:
    assert kept(text) == kept(text, whole=True)
