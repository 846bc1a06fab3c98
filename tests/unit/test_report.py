from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_gitops.core.report import page as report
from model_gitops.core.report.images import Body, find
from model_gitops.core.report.page import Column, Comparison, Facts, Report, Section
from model_gitops.core.report.pictures import Picture

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


def test_without_any_metric_there_is_no_table() -> None:
    none = report.compare_metrics([Column("main", {}), Column("candidate", {})], {})
    assert none == Comparison(alone=True)
    first = report.compare_metrics([Column("main", {}), column("candidate", r2=1)], {})
    assert (first.total, first.alone, first.missing) == (1, True, False)
    moved = report.compare_metrics([column("main", r2=1), column("candidate", r2=2)], {})
    assert (moved.changed, moved.alone) == (1, False)


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
    assert rows(compared.table) == [
        ["param", "main", "candidate"],
        ["---", "---:", "---:"],
        ["epochs", "5", "9"],
        ["new", "–", "null"],
        ["old", "1", "–"],
    ]
    assert (compared.total, compared.changed) == (5, 3)
    three = [column("a", x=1), column("b", x=2), column("candidate", x=1)]
    assert rows(report.compare_params(three).table)[2:] == [["x", "1", "2", "1"]]
    assert report.compare_params([column("a", x=1), column("b", x=1)]).table == ""


def test_params_without_anything_to_compare_with_are_not_all_new() -> None:
    assert report.compare_params([Column("main", {}), column("candidate", x=1)]).table == ""
    assert report.compare_params([column("candidate", x=1)]).table == ""
    assert report.compare_params([column("main", x=1), Column("candidate", {})]).table == ""


def test_a_table_has_an_end() -> None:
    many = {f"m{number}": number for number in range(150)}
    compared = report.compare_metrics([column("candidate", **many)], {}, reference=-1)
    assert len(compared.table.splitlines()) == 2 + report.MOST_ROWS + 2
    assert compared.table.endswith(" |\n\n… and 50 more metrics.")
    params = report.compare_params([column("a", seed=1), column("candidate", **many)])
    assert params.table.endswith(" |\n\n… and 51 more params.")
    most = {key: many[key] for key in list(many)[: report.MOST_ROWS]}
    compared = report.compare_metrics([column("candidate", **most)], {}, reference=-1)
    assert len(compared.table.splitlines()) == 2 + report.MOST_ROWS


def test_cells_have_a_longest_text() -> None:
    long = [column("c" * 61, m="v" * 61), column("d" * 60, m="w" * 60)]
    assert rows(report.compare_metrics(long, {}).table) == [
        ["metric", f"{'c' * 59}…", "d" * 60, "change"],
        ["---", "---:", "---:", "---:"],
        ["m", f"{'v' * 59}…", "w" * 60, ""],
    ]


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
        Body("Gate: ok\n"),
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


@pytest.mark.parametrize(
    ("facts", "heading", "summary"),
    [
        (Facts("T|", compared=False), "## T\\|", ""),
        (Facts("T", environment="dev", compared=False), "## T", ""),
        (Facts("T", model="m", compared=False), "## T: m", ""),
        (Facts("T", model="m_", environment="d_"), "## T: m\\_ → d\\_", "No metrics were found."),
        (Facts("T", notes=("a", "b" * 601), compared=False), "## T", f"> a  \n> {'b' * 599}…  "),
        (Facts("T", notes=("b" * 600,)), "## T", f"No metrics were found.\n\n> {'b' * 600}  "),
    ],
)
def test_the_heading_and_the_summary(facts: Facts, heading: str, summary: str) -> None:
    assert report.heading(facts) == heading
    assert report.summary(facts, Comparison()) == summary


@pytest.mark.parametrize(
    ("total", "notes", "summary"),
    [(1, (), "1 metric, and nothing to compare with yet.\n\n"), (0, (), ""), (0, ("n",), "> n  \n\n")],
)  # fmt: skip
def test_what_is_ours_comes_before_the_summary(
    total: int, notes: tuple[str, ...], summary: str
) -> None:
    made = Report(
        Facts("T", notes=notes),
        Comparison(total=total),
        Comparison(),
        body=Body("b"),
        opening="o\n# P\np",
    )
    text, _ = made.write(None, notice="n")
    assert text == f"## T\n\n> n\n\no\n\n# P\np\n\n{summary}b\n"
    assert made.write(None, limit=4000)[1] == [
        "body",
        "P",
        *(["summary"] if summary else []),
        "body",
    ]


@pytest.mark.parametrize(
    ("facts", "shown"),
    [
        (Facts("T"), ""),
        (Facts("T", commit="0123456789ab"), "<sub>Candidate `0123456789`</sub>"),
        (Facts("T", run_url="u"), "<sub>[workflow run](u)</sub>"),
        (Facts("T", head="h", run_url="u"), "<sub>from `h` · [workflow run](u)</sub>"),
        (Facts("T", commit="0123456789ab", commit_url="c", base="b"),
         "<sub>Candidate [`0123456789`](c) into `b`</sub>"),
    ],
)  # fmt: skip
def test_the_foot(facts: Facts, shown: str) -> None:
    assert report.foot(facts) == shown


def made_of(body: str | Body = "", *, pictures: int = 0) -> Report:
    """A report with both tables."""
    return Report(
        Facts("T", commit="0123456789ab"),
        report.compare_metrics([column("main", r2=1), column("candidate", r2=2)], {}),
        report.compare_params([column("main", x=1), column("candidate", x=2)]),
        [Picture("p", "p.png")] * pictures,
        Body(body) if isinstance(body, str) else body,
        "last",
    )


def test_what_is_left_out_has_a_name_and_a_reason() -> None:
    made = made_of("a\n# One\nb", pictures=1)
    names = ["body", "One", "metrics", "params", "plots"]
    text, dropped = made.write(lambda one: one.file, limit=4000, unit="bytes", notice="n" * 901)
    assert dropped == names
    assert text == (
        "## T\n\n1 metric, and nothing to compare with yet.\n\n> " + "n" * 899 + "…\n\n"
        "> **Left out**, as this place may have 4,000 bytes at most:"
        " body, One, metrics, params, plots.\n\n<sub>Candidate `0123456789`</sub>\n\nlast\n"
    )
    assert f"> {'n' * 900}\n\n" in made.write(None, notice="n" * 900)[0]
    assert made.write(None)[0].count("\n> ") == 0
    assert "4,000 characters at most" in made.write(None, limit=4000)[0]


def test_what_is_left_out_of_a_comment_has_an_end() -> None:
    def left_out(names: list[str]) -> str:
        return report.assemble("", [Section(one, "x" * 65_000) for one in names], "")[0]

    opening = "> **Left out**, as a comment may have 65,536 characters at most: "
    names = [f"s{number}" for number in range(22)]
    assert left_out(names[:20]) == f"{opening}{', '.join(names[:20])}.\n"
    assert left_out(names[:21]) == f"{opening}{', '.join(names[:20])}, and 1 more.\n"
    assert left_out(names) == f"{opening}{', '.join(names[:20])}, and 2 more.\n"
    assert left_out(["a" * 60, "b" * 61]) == f"{opening}{'a' * 60}, {'b' * 59}….\n"


def test_pictures_of_ours_are_linked_and_others_left() -> None:
    markdown = "![Cu](ab.png) ![o](https://h/my%20plot.png)"
    body = Body(markdown, [(find(markdown)[0], Picture("Cu", "ab.png"))])
    shown, _ = made_of(body).write(lambda one: f"https://s/{one.title}/{one.file}")
    assert "\n![Cu](https://s/Cu/ab.png) ![o](https://h/my%20plot.png)\n" in shown
    hidden, _ = made_of(body).write(None)
    assert "\n*Cu* (not shown) ![o](https://h/my%20plot.png)\n" in hidden


def test_many_plots_are_folded() -> None:
    few = report.plots_section([Picture("a", "a.png")] * 4, lambda one: one.file)
    many = report.plots_section([Picture("a", "a.png")] * 5, lambda one: one.file)
    assert few == Section("plots", "### Plots\n\n" + "\n\n".join(["![a](a.png)"] * 4))
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


@pytest.mark.parametrize(("letter", "unit"), [("x", "characters"), ("é", "bytes")])
def test_a_report_may_be_as_long_as_the_limit(letter: str, unit: report.Unit) -> None:
    def left_out(*sizes: int) -> list[str]:
        width = len(letter.encode())
        sections = [
            Section(f"s{number}", letter * (size // width) + "x" * (size % width))
            for number, size in enumerate(sizes)
        ]
        return report.assemble("", sections, "", limit=5000, unit=unit)[1]

    # One that leaves less than 4,096 for all else is never shown.
    assert left_out(904) == []
    assert left_out(905) == ["s0"]
    # Between two parts are two line ends, and one is at the end.
    assert left_out(900, 900, 900, 900, 900, 489) == []
    assert left_out(900, 900, 900, 900, 900, 490) == ["s5"]


@given(st.lists(st.text(max_size=40), max_size=60), st.integers(4_000, 6_000))
def test_never_too_long(names: list[str], limit: int) -> None:
    sections = [Section(name, name * 30) for name in names]
    text, dropped = report.assemble("head", sections, "foot", limit=limit)
    assert len(text) <= limit
    assert len(dropped) <= len(sections)
