from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from model_gitops.core import markdown
from model_gitops.core.report import comment
from model_gitops.core.report import page as report
from model_gitops.core.report.page import Column, Comparison, Facts, Picture, Report, Section
from model_gitops.errors import InputError

FILE = "eval/metrics.json"


def column(name: str, *, file: str = FILE, **values: object) -> Column:
    return Column(name, {(file, key): value for key, value in values.items()})


def rows(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


# The tables.


def test_metrics_are_compared_with_the_incumbent_by_their_direction() -> None:
    compared = report.compare_metrics(
        [
            column("main", r2=0.4, rmse=60.0, size=7),
            column("dev v0.0.1", r2=0.45, rmse=59.0, size=7),
            column("candidate", r2=0.44, rmse=58.0, size=9),
        ],
        {(FILE, "r2"): "higher", (FILE, "rmse"): "lower"},
    )
    assert rows(compared.table) == [
        ["metric", "main", "dev v0.0.1", "candidate", "change"],
        ["---", "---:", "---:", "---:", "---:"],
        ["r2", "0.4", "0.45", "0.44", "-0.01 ▼"],
        ["rmse", "60", "59", "58", "-1 ▲"],
        ["size", "7", "7", "9", "+2"],
    ]
    assert (compared.total, compared.better, compared.worse, compared.changed) == (3, 1, 1, 3)


@pytest.mark.parametrize(
    ("old", "new", "cells"),
    [
        ({"r2": 1}, {"r2": 1}, ["1", "1", "="]),
        ({"r2": 1}, {"r2": 1, "f1": 2}, ["–", "2", "new"]),
        ({"r2": 1, "f1": 2}, {"r2": 1}, ["2", "–", "gone"]),
        ({}, {"f1": 2}, ["–", "2", ""]),
        ({"f1": 2}, {"f1": float("nan")}, ["2", "nan", ""]),
        ({"f1": "a"}, {"f1": "b"}, ["a", "b", ""]),
        ({"f1": True}, {"f1": False}, ["True", "False", ""]),
        ({"f1": None}, {"f1": 2}, ["null", "2", ""]),
    ],
)
def test_metrics_that_are_not_two_numbers(
    old: dict[str, object], new: dict[str, object], cells: list[str]
) -> None:
    compared = report.compare_metrics(
        [column("base", **old), column("candidate", **new)], {(FILE, "f1"): "higher"}
    )
    assert rows(compared.table)[-1][1:] == cells


def test_a_candidate_without_metrics_is_told() -> None:
    assert report.compare_metrics([column("main", r2=1), Column("candidate", {})], {}).missing
    assert not report.compare_metrics([Column("main", {}), Column("candidate", {})], {}).missing


def test_names_have_their_file_only_where_there_are_several() -> None:
    one = report.compare_metrics([column("candidate", r2=1)], {}, reference=-1)
    assert rows(one.table)[2][0] == "r2"
    both = Column("candidate", {("a.json", "r2"): 1, ("b.json", "r2"): 2})
    assert [row[0] for row in rows(report.compare_metrics([both], {}, reference=-1).table)[2:]] == [
        "a.json:r2",
        "b.json:r2",
    ]


def test_params_show_only_what_changed() -> None:
    compared = report.compare_params(
        [
            column("main", rate=0.1, epochs=5, seed=1, old=1),
            column("candidate", rate=0.1, epochs=9, seed=1, new=None),
        ]
    )
    assert rows(compared.table)[2:] == [
        ["epochs", "5", "9"],
        ["new", "–", "null"],
        ["old", "1", "–"],
    ]
    assert report.compare_params([column("a", x=1), column("b", x=1)]).table == ""


def test_params_without_anything_to_compare_with_are_not_all_new() -> None:
    assert report.compare_params([Column("main", {}), column("candidate", x=1)]).table == ""
    assert report.compare_params([column("candidate", x=1)]).table == ""
    assert report.compare_params([column("main", x=1), Column("candidate", {})]).table == ""


def test_a_table_has_an_end() -> None:
    many = {f"m{number}": number for number in range(150)}
    compared = report.compare_metrics([column("candidate", **many)], {}, reference=-1)
    assert len(compared.table.splitlines()) == 2 + report.MOST_ROWS + 2
    assert compared.table.endswith("… and 50 more metrics.")


# Text from outside.


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


def test_code_can_not_be_left() -> None:
    assert markdown.code("a`b|c\nd") == "`a b c d`"
    assert markdown.code("``") == "–"


# The verdict.


@pytest.mark.parametrize(
    ("compared", "reference", "told"),
    [
        (Comparison(), "main", "No metrics were found."),
        (Comparison(total=1, missing=True), "main", "**The candidate has no metrics.**"),
        (Comparison(total=1), "", "1 metric, and nothing to compare with yet."),
        (Comparison(total=3, better=2, worse=1, changed=3), "production v1.0.0",
         "**▲ 2 better ▼ 1 worse** of 3 metrics, compared with production v1.0.0."),
        (Comparison(total=3, worse=1, changed=1), "main", "**▼ 1 worse** of 3 metrics, compared with main."),
        (Comparison(total=2, changed=2), "main", "**2 of 2 metrics changed**, compared with main."),
        (Comparison(total=2), "main", "2 metrics, none of them changed, compared with main."),
        (Comparison(total=2, alone=True), "main", "2 metrics; main has none to compare with."),
    ],
)  # fmt: skip
def test_verdict(compared: Comparison, reference: str, told: str) -> None:
    assert report.verdict(Facts("t", reference=reference), compared) == told


# The whole.


def test_everything_in_order() -> None:
    made = Report(
        Facts(
            "Promotion",
            model="diabetes",
            environment="staging",
            reference="main",
            head="better",
            base="main",
            commit="a" * 40,
            commit_url="https://server/o/r/commit/aaa",
            run_url="https://server/o/r/actions/runs/1",
            notes=("one | thing",),
        ),
        report.compare_metrics([column("main", r2=1), column("candidate", r2=2)], {}),
        report.compare_params([column("main", x=1), column("candidate", x=2)]),
        (Picture("Curve", "abc.png"),),
        "Gate: ok\n",
        "<!-- mark -->",
    )
    text, dropped = made.write(lambda one: f"https://server/{one.file}")
    assert dropped == []
    order = [
        "## Promotion: diabetes → staging",
        "> one \\| thing",
        "Gate: ok",
        "### Metrics",
        "### Params that changed",
        "### Plots",
        "![Curve](https://server/abc.png)",
        "<sub>Candidate [`aaaaaaaaaa`](https://server/o/r/commit/aaa) from `better` into `main`"
        " · [workflow run](https://server/o/r/actions/runs/1)</sub>",
        "<!-- mark -->",
    ]
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    unseen, _ = made.write(None, notice="plots can't be shown here")
    assert "### Plots" not in unseen
    assert "> plots can't be shown here" in unseen


def test_many_plots_are_folded() -> None:
    few = report.plots_section([Picture("a", "a.png")] * 4, lambda one: one.file)
    many = report.plots_section([Picture("a", "a.png")] * 5, lambda one: one.file)
    assert "<details>" not in few.text
    assert "<details><summary>5 plots</summary>\n\n![a](a.png)" in many.text
    assert many.text.endswith("\n\n</details>")


@pytest.mark.parametrize("letter", ["x", "é", "🙂"])
def test_whole_sections_are_left_out_last_first(letter: str) -> None:
    sections = [Section(f"s{number}", f"{number}{letter * 15_000}") for number in range(9)]
    text, dropped = report.assemble("head", sections, "foot")
    assert len(text) <= 65_536
    assert len(text.encode("utf-16-le")) // 2 <= 65_536
    kept = 9 - len(dropped)
    assert kept == (2 if letter == "🙂" else 4)
    assert dropped == [f"s{number}" for number in range(kept, 9)]
    assert text.startswith("head\n\n0")
    assert text.endswith(f"at most: {', '.join(dropped)}.\n\nfoot\n")


def test_a_section_that_never_fits_does_not_push_out_the_others() -> None:
    sections = [Section("huge", "x" * 70_000), Section("metrics", "m"), Section("plots", "p")]
    text, dropped = report.assemble("head", sections, "foot")
    assert dropped == ["huge"]
    assert "m\n\np\n\n> **Left out**" in text


def test_bytes_are_counted_where_the_limit_is_in_bytes() -> None:
    text, dropped = report.assemble("", [Section("a", "é" * 600)], "", limit=1000, unit="bytes")
    assert dropped == ["a"]
    assert "1,000 bytes" in text


@given(st.lists(st.text(max_size=40), max_size=60), st.integers(4_000, 6_000))
def test_never_too_long(names: list[str], limit: int) -> None:
    sections = [Section(name, name * 30) for name in names]
    text, dropped = report.assemble("head", sections, "foot", limit=limit)
    assert len(text) <= limit
    assert len(dropped) <= len(sections)


# The body.


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
    ("body", "end"),
    [
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


def test_local_images_are_replaced_and_others_not() -> None:
    text = '![a](x.png) ![b](<dir/y.png>) ![c](https://h/z.png) ![d](my%20plot.png "t") [e](x.png)'
    seen: list[tuple[str, str]] = []
    done = report.replace_images(text, lambda alt, path: seen.append((alt, path)) or "P")  # type: ignore[func-returns-value]
    assert seen == [("a", "x.png"), ("b", "dir/y.png"), ("d", "my plot.png")]
    assert done == "P P ![c](https://h/z.png) P [e](x.png)"


# The comment.


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


def test_own_comments_are_ours_with_the_mark_oldest_first() -> None:
    mark = comment.mark("T")
    comments = [
        Posted(2, "Bot", f"1\n{mark}"),
        Posted(1, "bot", f"2\n{mark}"),
        Posted(3, "eve", f"3\n{mark}"),
        Posted(4, "bot", f"{mark}\nquoted"),
        Posted(5, "bot", f"4\n{comment.mark('U')}"),
    ]
    assert comment.find_own(comments, ["bot"], "T") == [comments[1], comments[0]]
    assert comment.find_own(comments, ["nobody"], "T") == []


def test_another_run_of_the_same_is_the_same() -> None:
    text = "![a](http://s/o/r/raw/{}/f.png)\n<sub>[run](http://s/o/r/actions/runs/{})</sub>\n"
    assert comment.same(text.format("a" * 40, 1), text.format("b" * 40, 22).replace("\n", "\r\n"))
    assert comment.same(text.format("commit/" + "a" * 40, 1), text.format("commit/" + "b" * 40, 2))
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
    ],
)
def test_wrong_targets(value: str) -> None:
    with pytest.raises(InputError, match="target"):
        comment.parse_target(value)


def test_cmls_watermark() -> None:
    body = 'report\n\n![](https://cml.dev/watermark.png#0a1b "CML watermark a\\_b")'
    assert comment.cml_watermark("a_b") in body
    assert comment.cml_watermark("b") not in body
    assert comment.without_cml_watermark(body) == "report\n"
    assert comment.cml_watermark("") == '"CML watermark")'
