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
    ],
)
def test_what_is_kept(text: str, expected: tuple[str, ...]) -> None:
    assert kept(text) == expected


@given(st.text(st.sampled_from("as*?/!.\n[]|de")))
def test_a_folder_that_is_passed_by_holds_nothing(text: str) -> None:
    assert kept(text) == kept(text, whole=True)
