"""The images of a project's own Markdown: found by a parser, and changed span by span."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from model_gitops.core.report import images, pictures
from model_gitops.core.report.images import Body
from model_gitops.core.report.pictures import Picture


def found(markdown: str) -> list[str]:
    return [one.address for one in images.find(markdown)]


def linked(markdown: str) -> str:
    """Put each image at an address `uN`, by its number."""
    placed = [(one, Picture("", f"u{n}")) for n, one in enumerate(images.find(markdown))]
    return Body(markdown, placed).write(lambda one: one.file)


def in_words(markdown: str) -> str:
    return Body(markdown, [(one, None) for one in images.find(markdown)]).write(None)


@pytest.mark.parametrize(
    ("markdown", "addresses", "shown", "words"),
    [
        (
            "![a b](<out/my plot (1).png>)",
            ["out/my plot (1).png"],
            "![a b](u0)",
            "*a b* (not shown)",
        ),
        (
            "x ![a](p.png 'It \"is\"') y",
            ["p.png"],
            "x ![a](u0 'It \"is\"') y",
            "x *a* (not shown) y",
        ),
        ("![a](\n  p.png\n  (t) )", ["p.png"], "![a](\n  u0\n  (t) )", "*a* (not shown)"),
        (
            '![x][r] ![r][] ![R] [link][r]\n\n[r]: <p q.png> "a \\" b"',
            ["p q.png"] * 3,
            '![x](u0 "a \\" b") ![r](u1 "a \\" b") ![R](u2 "a \\" b") [link][r]\n\n'
            '[r]: <p q.png> "a \\" b"',
            '*x* (not shown) *r* (not shown) *R* (not shown) [link][r]\n\n[r]: <p q.png> "a \\" b"',
        ),
        (
            "> - ![a\n>   b](x.png)\n>\n> 1. ![c](y.png)",
            ["x.png", "y.png"],
            "> - ![a\n>   b](u0)\n>\n> 1. ![c](u1)",
            "> - *a b* (not shown)\n>\n> 1. *c* (not shown)",
        ),
        (
            "|a|b|\n|-|-|\n| `![n](n.png)` \\| | [![i\\|j](x.png)](k) ![r][] |\n\n[r]: y.png 'a|b'",
            ["x.png", "y.png"],
            '|a|b|\n|-|-|\n| `![n](n.png)` \\| | [![i\\|j](u0)](k) ![r](u1 "a\\|b") |\n\n'
            "[r]: y.png 'a|b'",
            "|a|b|\n|-|-|\n| `![n](n.png)` \\| | [*i\\|j* (not shown)](k) *r* (not shown) |\n\n"
            "[r]: y.png 'a|b'",
        ),
        (
            '<IMG alt="a &amp; b" SRC="x y.png"> <img src=\'p.png\'/> <img src=q.png >',
            ["x y.png", "p.png", "q.png"],
            '<IMG alt="a &amp; b" SRC="u0"> <img src=\'u1\'/> <img src=u2 >',
            "<em>a &amp; b</em> (not shown) <em>p.png</em> (not shown) <em>q.png</em> (not shown)",
        ),
        (
            "> <p>\n> <picture><source srcset='a.png 1x, b.png 2x'>\n> <img\n>  src='c.png'></picture>",
            ["a.png", "b.png", "c.png"],
            "> <p>\n> <picture><source srcset='u0 1x, u1 2x'>\n> <img\n>  src='u2'></picture>",
            "> <p>\n> <picture><source>\n> <em>c.png</em> (not shown)</picture>",
        ),
        (
            "x <!-- <img src=n.png> ![n](n.png) --> `<img src=n.png>`\n\n    ![n](n.png)\n\n"
            "```\n![n](n.png)\n```\n\\![n](n.png) !\\[n](n.png) ![\\]](p.png)",
            ["p.png"],
            None,
            None,
        ),
        ("# ![a](x.png) ##\n\n![b](y.png)\n===", ["x.png", "y.png"], None, None),
        ("![a ![n](n.png) **b**](x.png)", ["x.png"], "![a ![n](n.png) **b**](u0)", None),
        ("[^1]: ![a](x.png)", ["x.png"], "[^1]: ![a](u0)", None),
        ("-\t![a](x.png)\n\n1.  b\n\n\t![c](y.png)", ["x.png", "y.png"], None, None),
        ("![](a%20b.png) ![](café.png) ![](a&amp;b.png) ![](a\\_b.png)", None, None, None),
        ("![a](data:image;base64,QUJD)", ["data:image;base64,QUJD"], "![a](u0)", None),
        (
            "![](d.png#gh-dark-mode-only)",
            ["d.png#gh-dark-mode-only"],
            "![](u0#gh-dark-mode-only)",
            "*d.png* (not shown)",
        ),
    ],
)
def test_each_form_of_an_image_is_found_and_only_its_address_changes(
    markdown: str, addresses: list[str] | None, shown: str | None, words: str | None
) -> None:
    seen = found(markdown)
    assert seen == (addresses or ["a%20b.png", "café.png", "a&b.png", "a_b.png"])
    done = linked(markdown)
    if shown is not None:
        assert done == shown
    if words is not None:
        assert in_words(markdown) == words
    fragments = [re.search(r"(#gh-.*)?$", one)[0] for one in seen]  # type: ignore[index]
    assert found(done) == [f"u{number}{fragment}" for number, fragment in enumerate(fragments)]
    assert found(in_words(markdown)) == []


def test_a_body_without_images_is_left_as_it_is() -> None:
    text = "# a\n\n[link](x.png) `![n](x.png)`\n\n\tcode\n"
    assert linked(text) == in_words(text) == text


PIECES = [
    "![a](x.png)", "![b][r]", "![r]", "<img src='y.png'>", "<img src=", "> ", "- ", "1. ", "\n", "\n\n",
    "| ", " |", "\n|-|-|\n", "`", "```\n", "<!--", "-->", "[r]: z.png 't'", "\\", "*", "[", "](", ")",
    "# ", "\t", "    ", "<p>", "</p>", "word", "é", "&amp;", "\\|", "![", "<picture>", "[l](",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=24).map("".join))
def test_whatever_stands_around_them_images_alone_change(markdown: str) -> None:
    number = len(found(markdown))
    changed = linked(markdown)
    assert sorted(found(changed)) == sorted(f"u{one}" for one in range(number))
    # All but the images is shown as before.
    render = MarkdownIt("commonmark", {"html": True}).enable("table").render

    def rest(text: str) -> str:
        shown = re.sub(r"<(img|source)\b[^>]*>", "", render(text))
        return re.sub(r"\s+", " ", shown)

    if "<img src=" not in markdown.replace("<img src='y.png'>", ""):
        assert rest(changed) == rest(markdown)


@pytest.mark.parametrize(
    "piece",
    ["![", "![a](", "![a][", "<img src=\"", "<img a='", "<!--", "<img ", "[![a](", "> ", "| ", "- ",
     "`", "<img src=x ", "![a](<", "![a](x 't", "\\", "*", "<img srcset='a, "],
)  # fmt: skip
def test_hostile_markdown_takes_no_time(piece: str) -> None:
    start = time.process_time()
    for text in (piece * 4_000, (piece + "\n") * 2_000):
        in_words(text)
    assert time.process_time() - start < 10


@pytest.mark.parametrize(
    ("content", "kind", "why"),
    [
        (b"\x89PNG\r\n\x1a\n...", "png", ""),
        (b"\xff\xd8\xff\xe0", "jpg", ""),
        (b"GIF89a", "gif", ""),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "webp", ""),
        (b"<svg/>", "svg", ""),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- a --><!DOCTYPE svg [<!ENTITY a 'b'>]>\n<svg:svg >", "svg", ""),
        ("<?xml version='1.0'?><svg>".encode("utf-16"), "svg", ""),
        (b"", "", "it is empty"),
        (b"<html><svg>", "", "it is none of PNG, JPEG, GIF, WebP and SVG"),
        (b"%PDF-1.7", "", "it is a PDF; shown are PNG, JPEG, GIF, WebP and SVG"),
        (b"BM....", "", "it is a BMP picture; shown are PNG, JPEG, GIF, WebP and SVG"),
        (b"\0\0\0\x1cftypavif", "", "it is a picture or film of the kind avif; shown are PNG, JPEG, GIF, WebP and SVG"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0",
            "",
            "it is a pointer of Git LFS, not the picture itself (`lfs: true` for actions/checkout gets it)",
        ),
    ],
)  # fmt: skip
def test_a_picture_is_known_by_its_content(content: bytes, kind: str, why: str) -> None:
    assert pictures.kind(content) == kind
    if not kind:
        assert pictures.why_not(content) == why
