"""The comparison of a report: its rows, what they count as, and the verdict."""

from __future__ import annotations

import pytest
from columns import FILE, column, unknown

from model_gitops.core.flow import directions
from model_gitops.core.report import comparison
from model_gitops.core.report import page as report
from model_gitops.core.report.comparison import Column, Comparison
from model_gitops.core.report.page import Facts


def rows(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


# The tables.


def test_metrics_are_compared_with_the_incumbent_by_their_direction() -> None:
    compared = comparison.compare_metrics(
        [
            column("main", r2=0.4, rmse=60.0, size=7),
            column("dev v0.0.1", r2=0.45, rmse=59.0, size=7),
            column("candidate", r2=0.44, rmse=58.0, size=9),
        ],
        {(FILE, "r2"): "higher", (FILE, "rmse"): "lower"}.get,
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
        ({"f1": 2}, {"f1": float("nan")}, ["2", "nan", "no number ▼"]),
        ({"f1": 2}, {"f1": float("inf")}, ["2", "inf", "no number ▼"]),
        ({"f1": float("nan")}, {"f1": 2}, ["nan", "2", "changed"]),
        ({"f1": float("nan")}, {"f1": float("nan")}, ["nan", "nan", "="]),
        ({"f1": float("inf")}, {"f1": float("-inf")}, ["inf", "-inf", "changed"]),
        ({"f1": "a"}, {"f1": "b"}, ["a", "b", "changed"]),
        ({"f1": "a"}, {"f1": "a"}, ["a", "a", ""]),
        ({"f1": 3}, {"f1": "3"}, ["3", "3", "changed"]),
        ({"f1": 1}, {"f1": 1.0}, ["1", "1", "="]),
        ({"f1": 1}, {"f1": True}, ["1", "True", "changed"]),
        ({"f1": True}, {"f1": False}, ["True", "False", "changed"]),
        ({"f1": True}, {"f1": True}, ["True", "True", ""]),
        ({"f1": None}, {"f1": 2}, ["null", "2", "changed"]),
        ({"f1": 2}, {"f1": None}, ["2", "null", "no number ▼"]),
    ],
)
def test_metrics_that_are_not_two_numbers(
    old: dict[str, object], new: dict[str, object], cells: list[str]
) -> None:
    compared = comparison.compare_metrics(
        [column("base", **old), column("candidate", **new)], lambda _: "higher"
    )
    assert rows(compared.table)[-1][1:] == cells


NAN, INFINITE = float("nan"), float("inf")


def test_each_change_is_counted_once_and_only_a_number_is_better() -> None:
    before = {
        "acc": 0.9,
        "loss": 0.1,
        "mae": 2.0,
        "r2": 0.5,
        "size": 7,
        "flag": True,
        "old": 1,
        "text": "a",
        "same": 1,
        "nan": NAN,
    }
    now = {
        "acc": NAN,
        "loss": INFINITE,
        "mae": 1.0,
        "r2": 0.4,
        "size": 8,
        "flag": False,
        "new": 1,
        "text": "a",
        "same": 1,
        "nan": NAN,
    }
    compared = comparison.compare_metrics(
        [column("main", **before), column("candidate", **now)],
        lambda place: directions.of(*place, {}),
    )
    assert (compared.total, compared.changed) == (11, 8)
    assert (compared.better, compared.worse, compared.unjudged) == (1, 3, 2)
    assert (compared.new, compared.gone) == (1, 1)
    assert comparison.verdict(compared, "main") == (
        "**▲ 1 better ▼ 3 worse** of 11 metrics, 2 changed, not judged, 1 new, 1 gone,"
        " compared with main."
    )
    assert comparison.headline(compared) == "▲ 1 better ▼ 3 worse, 1 gone"


def test_what_can_not_be_read_on_one_side_is_neither_new_nor_gone() -> None:
    other = {("other.json", "x"): 1}
    columns = [
        Column("main", other, unread=[FILE]),
        Column("candidate", {**other, (FILE, "acc"): 0.9}),
    ]
    for both in (columns, columns[::-1]):
        compared = comparison.compare_metrics(both, unknown)
        assert (compared.new, compared.gone, compared.changed, compared.unread) == (0, 0, 0, 1)
        assert "| can't be compared |" in compared.table
        assert "| ? |" in compared.table
        assert comparison.verdict(compared, "main") == (
            "**1 can't be compared** of 2 metrics, compared with main."
        )


def test_a_candidate_without_metrics_is_told() -> None:
    assert comparison.compare_metrics(
        [column("main", r2=1), Column("candidate", {})], unknown
    ).missing
    assert not comparison.compare_metrics(
        [Column("main", {}), Column("candidate", {})], unknown
    ).missing


def test_without_any_metric_there_is_no_table() -> None:
    none = comparison.compare_metrics([Column("main", {}), Column("candidate", {})], unknown)
    assert none == Comparison(alone=True)
    first = comparison.compare_metrics([Column("main", {}), column("candidate", r2=1)], unknown)
    assert (first.total, first.alone, first.missing) == (1, True, False)
    moved = comparison.compare_metrics([column("main", r2=1), column("candidate", r2=2)], unknown)
    assert (moved.changed, moved.alone) == (1, False)


def test_names_have_their_file_only_where_there_are_several() -> None:
    one = comparison.compare_metrics([column("candidate", r2=1)], unknown, reference=-1)
    assert rows(one.table)[2][0] == "r2"
    both = Column("candidate", {("a.json", "r2"): 1, ("b.json", "r2"): 2})
    assert [
        row[0] for row in rows(comparison.compare_metrics([both], unknown, reference=-1).table)[2:]
    ] == [
        "a.json:r2",
        "b.json:r2",
    ]


def test_params_show_only_what_changed() -> None:
    compared = comparison.compare_params(
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
    assert rows(comparison.compare_params(three).table)[2:] == [["x", "1", "2", "1"]]
    assert comparison.compare_params([column("a", x=1), column("b", x=1)]).table == ""


def test_params_without_anything_to_compare_with_are_not_all_new() -> None:
    assert comparison.compare_params([Column("main", {}), column("candidate", x=1)]).table == ""
    assert comparison.compare_params([column("candidate", x=1)]).table == ""
    assert comparison.compare_params([column("main", x=1), Column("candidate", {})]).table == ""


def test_a_table_has_an_end() -> None:
    many = {f"m{number}": number for number in range(150)}
    compared = comparison.compare_metrics([column("candidate", **many)], unknown, reference=-1)
    assert len(compared.table.splitlines()) == 2 + comparison.MOST_ROWS + 2
    assert compared.table.endswith(" |\n\n… and 50 more metrics.")
    params = comparison.compare_params([column("a", seed=1), column("candidate", **many)])
    assert params.table.endswith(" |\n\n… and 51 more params.")
    most = {key: many[key] for key in list(many)[: comparison.MOST_ROWS]}
    compared = comparison.compare_metrics([column("candidate", **most)], unknown, reference=-1)
    assert len(compared.table.splitlines()) == 2 + comparison.MOST_ROWS


def test_cells_have_a_longest_text() -> None:
    long = [column("c" * 61, m="v" * 61), column("d" * 60, m="w" * 60)]
    assert rows(comparison.compare_metrics(long, unknown).table) == [
        ["metric", f"{'c' * 59}…", "d" * 60, "change"],
        ["---", "---:", "---:", "---:"],
        ["m", f"{'v' * 59}…", "w" * 60, "changed"],
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
        (Comparison(total=2, changed=2), "main",
         "**2 changed, not judged** of 2 metrics, compared with main."),
        (Comparison(total=3, changed=1, new=1), "main", "**1 new** of 3 metrics, compared with main."),
        (Comparison(total=3, changed=2, better=1, gone=1), "main",
         "**▲ 1 better** of 3 metrics, 1 gone, compared with main."),
        (Comparison(total=2), "main", "2 metrics, none of them changed, compared with main."),
        (Comparison(total=2, alone=True), "main", "2 metrics; main has none to compare with."),
    ],
)  # fmt: skip
def test_verdict(compared: Comparison, reference: str, told: str) -> None:
    assert comparison.verdict(compared, reference) == told


@pytest.mark.parametrize(
    ("compared", "told"),
    [
        (Comparison(), ""),
        (Comparison(total=1, missing=True), " — no metrics"),
        (Comparison(total=3, better=2, worse=1, changed=3), " — ▲ 2 better ▼ 1 worse"),
        (Comparison(total=2, changed=2), " — 2 changed, not judged"),
        (Comparison(total=3, changed=2, better=1, gone=1), " — ▲ 1 better, 1 gone"),
        (Comparison(total=2, changed=2, new=1, gone=1), " — 1 new, 1 gone"),
        (Comparison(total=1, changed=1, gone=1), " — 1 gone"),
        (Comparison(total=2), " — no change"),
        (Comparison(total=2, alone=True), ""),
    ],
)
def test_the_title_says_the_verdict(compared: Comparison, told: str) -> None:
    assert report.heading(Facts("T", reference="main"), compared) == f"## T{told}"
    assert report.heading(Facts("T"), compared) == "## T"
    # A promotion's title says what was decided.
    facts = Facts("T|", model="m", environment="*dev", reference="main", verdict="may merge")
    assert report.heading(facts, compared) == "## T\\| to \\*dev: may merge"
    facts = Facts(report.DEFAULT_TITLE, environment="dev", verdict="may merge")
    assert report.heading(facts, compared) == "## Promotion to dev: may merge"
