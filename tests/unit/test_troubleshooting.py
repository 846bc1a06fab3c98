"""Every error that needs more than its own sentence has a heading that a search finds.

A wrong input names the input, its value, the problem and the fix: that is all there is to say. A rule
that refuses, a system that fails and a race that is lost are headings, in the text of the error, in the
action's README or on the page for what all actions share.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "scripts" / "model_gitops"
ERRORS = {"RefusedError", "ExternalError", "RaceError", "TimedOutError"}
HOLE = "…"


def text_of(node: ast.expr) -> str:
    """Return a message with `…` for each value that is filled in."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(value) for value in node.values)
    if isinstance(node, ast.BinOp):
        return text_of(node.left) + text_of(node.right)
    return HOLE


def errors() -> Iterator[tuple[str, str]]:
    for file in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in ERRORS
                and node.args
            ):
                message = text_of(node.args[0])
                if re.search(r"[A-Za-z]{3}", message):  # else it is another error's text, passed on
                    yield f"{file.relative_to(PACKAGE)}:{node.lineno}", message


def headings() -> list[str]:
    found = []
    for page in (ROOT / "docs" / "troubleshooting.md", *(ROOT / "actions").rglob("*.md")):
        for heading in re.findall(r"(?m)^### (.+)$", page.read_text("utf-8")):
            found += [heading, *heading.split(", ")]  # some say several errors
    return found


def words(text: str) -> list[list[str]]:
    """Return the words of each part between two holes."""
    return [part.split() for part in re.split(HOLE, plain(text)) if part.split()]


def plain(text: str) -> str:
    return re.sub(r"\s+", " ", text.replace("`", ""))


def pattern(text: str) -> str:
    return ".*".join(re.escape(part) for part in plain(text).split(HOLE))


def says(heading: str, message: str) -> bool:
    """Whether the heading stands in the message, or has in it what the message is filled in with."""
    if min(sum(map(len, words(one))) for one in (heading, message)) < 3:
        return False  # too little to tell it from others
    return any(
        re.search(pattern(one), plain(other))
        for one, other in ((heading, message), (message, heading))
    )


ALL = dict(errors())


@pytest.mark.parametrize("place", ALL)
def test_an_error_is_a_heading(place: str) -> None:
    assert any(says(heading, ALL[place]) for heading in headings()), ALL[place]


def test_a_heading_that_says_something_else_is_none() -> None:
    assert says("the file … is odd", "the file … is odd: …")
    assert not says("the file … is even", "the file … is odd: …")
    assert not says("… is …", "the file … is odd: …")
