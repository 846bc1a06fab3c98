"""Text from outside in Markdown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_gitops.core import markdown


@given(st.text())
def test_escaped_text_stays_in_its_cell(text: str) -> None:
    escaped = markdown.escape(text)
    assert "\n" not in escaped
    assert "<" not in escaped
    bare = escaped.replace("\\\\", "").replace("\\|", "").replace("\\`", "")
    assert "|" not in bare
    assert "`" not in bare
    assert len(markdown.escape(text, longest=10)) <= 10 * len("\\") * 6


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("train.rate", "train.rate"),
        ("a_b*c", "a\\_b\\*c"),
        ("a|b", "a\\|b"),
        ("<b>&", "&lt;b&gt;&amp;"),
        ("a\nb\tc\u202ed\x00", "a b cd"),
        # What a terminal or a browser may show in its own way: private use, and half of a pair.
        ("a\ue000b\udc80c", "abc"),
        ("[a](b)", "\\[a\\]\\(b\\)"),
    ],
)
def test_escape(text: str, shown: str) -> None:
    assert markdown.escape(text) == shown


@pytest.mark.parametrize(
    "text",
    ["@everyone", "#12", "https://example.com", "www.example.com", "GH-1", "gh-12", "a" * 40],
)
def test_escape_makes_no_mention_and_no_link(text: str) -> None:
    escaped = markdown.escape(text)
    assert text not in escaped
    assert escaped.replace("\u2060", "") == text


@pytest.mark.parametrize(
    ("text", "longest", "shown"),
    [
        ("abcd", 4, "abcd"),
        ("abcde", 4, "abc…"),
        ("a" * 120, None, "a" * 120),
        ("a" * 121, None, "a" * 119 + "…"),
    ],
)
def test_only_text_that_is_too_long_is_cut(text: str, longest: int | None, shown: str) -> None:
    assert (markdown.escape(text, longest=longest) if longest else markdown.escape(text)) == shown


def test_code_can_not_be_left() -> None:
    assert markdown.code("a`b|c\nd") == "`a b c d`"
    assert markdown.code("``") == "–"
