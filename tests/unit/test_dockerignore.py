"""Which files `.dockerignore` lets through; tests/integration compares it with a real builder."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_gitops.core import dockerignore

FILES = ("a.py", "notes", "src/a.py", "src/a.pyc", "src/deep/b.py", "src/deep/c.txt")


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("", FILES),
        ("*", ()),
        ("**\n!**/*.py", ("a.py", "src/a.py", "src/deep/b.py")),
        ("*.py", FILES[1:]),
        ("**/*.py", ("notes", "src/a.pyc", "src/deep/c.txt")),
        ("src", ("a.py", "notes")),
        ("/src/\n!src/deep", ("a.py", "notes", "src/deep/b.py", "src/deep/c.txt")),
        ("!src\nsrc", ("a.py", "notes")),
        ("#src\n  \n[ns]*", ("a.py",)),
        ("src/[^d]*", ("a.py", "notes", "src/deep/b.py", "src/deep/c.txt")),
        ("\ufeff./x/../notes\r\n", tuple(one for one in FILES if one != "notes")),
        ("[", FILES),
    ],
)
def test_what_is_kept(text: str, kept: tuple[str, ...]) -> None:
    rules = dockerignore.parse(text)
    assert tuple(one for one in FILES if not dockerignore.is_ignored(one, rules)) == kept


@given(st.text(st.sampled_from("as*?/!.\n[]")), st.sampled_from(FILES[2:]))
def test_a_folder_that_is_passed_by_holds_nothing(text: str, path: str) -> None:
    rules = dockerignore.parse(text)
    folder = path.rpartition("/")[0]
    if dockerignore.is_ignored(folder, rules) and not dockerignore.may_hold(folder, rules):
        assert dockerignore.is_ignored(path, rules)
