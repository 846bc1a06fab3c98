"""A project's own Markdown in the report: its sections, what it leaves open, and its pictures."""

from __future__ import annotations

import pytest
from markdown_it import MarkdownIt

from model_gitops.core.report import comment
from model_gitops.core.report import page as report
from model_gitops.core.report.page import Section


def test_a_body_is_split_at_its_headings() -> None:
    body = "first\n\n# One\na\n```sh\n# no heading\n```\n<details>\n\n## inside\n</details>\n\n## Two ##\nb\n"
    sections = report.body_sections(body)
    assert [section.name for section in sections] == ["body", "One", "Two"]
    assert "# no heading" in sections[1].text
    assert "## inside" in sections[1].text
    assert "\n\n".join(section.text for section in sections) == body.strip().replace(
        "</details>\n\n", "</details>\n\n"
    )


@pytest.mark.parametrize(
    ("body", "sections"),
    [
        ("a\r\nb\rc\0d", ["a\nb\ncd"]),
        ("\n\n  a\n\n", ["  a"]),
        (" \n# A\n\n#\n####### B\n   ## C\n    # D", ["# A\n\n#\n####### B", "   ## C\n    # D"]),
        ("```\n~~~\n# a\n``` x\n````\n# B", ["```\n~~~\n# a\n``` x\n````", "# B"]),
        ("<!-- a -->\n# B", ["<!-- a -->", "# B"]),
        ("<PRE>\n# a\n</PRE>\n# B", ["<PRE>\n# a\n</PRE>", "# B"]),
        ("<script>\n<!--\n</script>\n# B", ["<script>\n<!--\n</script>", "# B"]),
        ("<pre>x</pre>\n# B", ["<pre>x</pre>", "# B"]),
        ("<?a\n# b\n?>\n# C", ["<?a\n# b\n?>", "# C"]),
        ("<![CDATA[\n# b\n]]>\n# C", ["<![CDATA[\n# b\n]]>", "# C"]),
        ("<!A\n# b\n>\n# C", ["<!A\n# b\n>", "# C"]),
        ("--> <!-- a\n# b\n--> --> c\n# D", ["--> <!-- a\n# b\n--> --> c", "# D"]),
        ("<!-- a --> b -->\n# C", ["<!-- a --> b -->", "# C"]),
    ],
)
def test_where_a_section_of_a_body_starts(body: str, sections: list[str]) -> None:
    assert [one.text for one in report.body_sections(body)] == sections


@pytest.mark.parametrize(
    ("body", "end"),
    [
        ("<?a", "?>"),
        ("<![CDATA[a", "]]>"),
        ("<!A", ">"),
        ("<Style>a", "</style>"),
        ("```\ncode", "```"),
        ("~~~~\ncode\n~~~", "~~~~"),
        ("<details>\ntext", "</details>"),
        ("text <!-- hidden", "<!-- -->"),
        ("# One\n<!-- hidden\n\n# Two\n```\n", "<!-- -->"),
        ("```\n--> <!--\n```\n<!-- a --> <!-- b\n# Two", "<!-- -->"),
        ("<details>\n<!-- a\n</details>", "<!-- -->\n\n</details>"),
    ],
)
def test_what_a_body_leaves_open_is_closed(body: str, end: str) -> None:
    assert report.body_sections(body)[-1].text.endswith(f"\n{end}")


def test_a_comment_left_open_hides_nothing_of_ours() -> None:
    """Neither where a heading follows it, nor where that part is left out."""
    sections = report.body_sections("# One\n<!-- hidden\n\n# Two\ntext\n")
    assert [section.name for section in sections] == ["One"]
    shown, _ = report.assemble("head", [*sections, Section("metrics", "| table |")], "")
    assert shown.index("-->") < shown.index("| table |")
    sections = report.body_sections(
        "<!-- a\n# b\n-->\n# Two <!-- note -->\n```\n<!--\n```\n# Three"
    )
    assert [section.name for section in sections] == ["body", "Two <!-- note -->", "Three"]


@pytest.mark.parametrize(
    "body",
    [
        "<pre>\ntext\n\n# Two",
        "  <SCRIPT>x",
        "<style>a</style><!-- b",
        "<textarea>\n<!-- a -->",
        "<?php\n\nx",
        "<![CDATA[\nx\n\n",
        "<!DOCTYPE\n\nx",
        "<!-- a\n--> b <!-- c\n",
        "text <pre> text",
        "<prefix>\ntext",
        "```\n<pre>",
    ],
)
def test_no_html_that_a_body_leaves_open_takes_our_table_in(body: str) -> None:
    table = Section("metrics", "| metric | value |\n|---|---|\n| r2 | 1 |")
    shown, dropped = report.assemble("head", [*report.body_sections(body), table], "")
    assert not dropped
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(shown)
    assert "<td>r2</td>" in html
    assert html.rfind("<!--", 0, html.index("<td>r2")) <= html.rfind("-->", 0, html.index("<td>r2"))


def test_a_body_can_not_carry_a_mark() -> None:
    (section,) = report.body_sections(comment.mark("Promotion"))
    assert not comment.has_mark(section.text, "Promotion")
