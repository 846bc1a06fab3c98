from __future__ import annotations

import pytest
from columns import column, unknown
from hypothesis import given
from hypothesis import strategies as st

from model_gitops.core.report import comparison
from model_gitops.core.report import page as report
from model_gitops.core.report.comparison import Comparison
from model_gitops.core.report.images import Body, find
from model_gitops.core.report.page import Facts, Report, Section
from model_gitops.core.report.pictures import Picture

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
        comparison.compare_metrics([column("main", r2=1), column("candidate", r2=2)], unknown),
        comparison.compare_params([column("main", x=1), column("candidate", x=2)]),
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
    assert report.heading(facts, Comparison()) == heading
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
        comparison.compare_metrics([column("main", r2=1), column("candidate", r2=2)], unknown),
        comparison.compare_params([column("main", x=1), column("candidate", x=2)]),
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
