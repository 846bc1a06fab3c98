"""The report's comment: where it goes, and how it is found again."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_gitops.core.report import comment
from model_gitops.errors import InputError


@dataclass
class Posted:
    id: int
    author: str
    body: str


@given(st.text(min_size=1, max_size=60), st.text(min_size=1, max_size=60))
def test_a_mark_finds_its_own_title_only(title: str, other: str) -> None:
    body = f"text\n\n{comment.mark(title)}\n"
    assert comment.has_mark(body, title)
    assert comment.has_mark(body, other) == (title == other)
    assert comment.mark(title).count("-->") == 1


def test_own_comments_are_those_of_our_logins() -> None:
    mark = comment.mark("T")
    comments = [
        Posted(2, "Bot", f"1\n{mark}"),
        Posted(1, "bot", f"2\n{mark}"),
        Posted(3, "eve", f"3\n{mark}"),
        Posted(4, "bot", f"{mark}\nquoted"),
        Posted(5, "bot", f"4\n{comment.mark('U')}"),
    ]
    marked = [one for one in comments if comment.has_mark(one.body, "T")]
    assert marked == comments[:3]
    assert comment.find_own(marked, ["", "bot"]) == comments[:2]
    assert comment.find_own([*marked, Posted(6, "", mark)], ["nobody", ""]) == []


def test_another_run_of_the_same_is_the_same() -> None:
    text = "![a](http://s/o/r/raw/{}/f.png)\n<sub>[run](http://s/o/r/actions/runs/{})</sub>\n"
    assert comment.same(text.format("a" * 40, 1), text.format("b" * 40, 22).replace("\n", "\r\n"))
    assert comment.same(text.format("commit/" + "a" * 40, 1), text.format("commit/" + "b" * 40, 2))
    assert comment.same(f"\r\n{text} \n", text)
    for place in ("c" * 40, "commit/" + "c" * 64):
        assert comment.same("/raw/" + place + "/f.png", "/raw/f.png")
    for other in ("c" * 39, "c" * 65, "commit/", "branch/" + "c" * 40):
        assert not comment.same("/raw/" + other + "/f.png", "/raw/f.png")
    assert not comment.same(
        text.format("a" * 40, 1), text.format("a" * 40, 1).replace("f.png", "g.png")
    )


@pytest.mark.parametrize(
    ("value", "kind", "number"),
    [
        ("auto", "auto", ""),
        ("", "auto", ""),
        ("pr", "pr", ""),
        ("PR/12", "pr", "12"),
        ("commit", "commit", ""),
        ("commit/ABCDEF0", "commit", "abcdef0"),
        ("issue/1337", "issue", "1337"),
        (" Issue/1 ", "issue", "1"),
        (f"pr/{'1' * 16}", "pr", "1" * 16),
        (f"issue/{'1' * 16}", "issue", "1" * 16),
        (f"commit/{'a' * 64}", "commit", "a" * 64),
    ],
)
def test_targets_in_cmls_forms(value: str, kind: str, number: str) -> None:
    assert comment.parse_target(value) == comment.Target(kind, number)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "value",
    [
        "issue",
        "pr/",
        "pr/0",
        "pr/-1",
        "pr/1/2",
        "commit/--all",
        "commit/xyz",
        "auto/1",
        "merge",
        "pr/١",
        f"pr/{'1' * 17}",
        "issue/",
        "issue/0",
        f"issue/{'1' * 17}",
        "commit/",
        "commit/abcdef",
        f"commit/{'a' * 65}",
    ],
)
def test_wrong_targets(value: str) -> None:
    with pytest.raises(InputError) as caught:
        comment.parse_target(value)
    assert caught.value.message == (
        f"input `target` is {value!r}: it is none of auto, pr, pr/NUMBER, commit, commit/HASH,"
        " issue/NUMBER"
    )
    assert caught.value.fix == "target: auto"


def test_a_mark_is_as_earlier_versions_wrote_it() -> None:
    mark = "<!-- model-gitops report: a%2Fb%20--%3E%C3%A9 -->"
    assert comment.mark("a/b -->é") == mark
    assert comment.has_mark(f"text {mark} \n\n", "a/b -->é")


def test_cmls_watermark() -> None:
    body = 'report\n\n![](https://cml.dev/watermark.png#0a1b "CML watermark a\\_b")'
    assert comment.cml_watermark("a_b") in body
    assert comment.cml_watermark("b") not in body
    assert comment.without_cml_watermark(body) == "report\n"
    assert comment.cml_watermark("") == '"CML watermark")'
    assert comment.cml_watermark("*a[b]<c>_") == r'"CML watermark \*a\[b]\<c>\_")'
    between = '![](x "CML watermark a")\nreport'
    assert comment.without_cml_watermark(between) == between
