"""What a comparison says word for word: its notes, and each row of its table."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from model_gitops.core.flow import comparison, measured, scores
from model_gitops.core.flow.comparison import Run
from model_gitops.core.flow.measured import Difference, Measured, Slice
from model_gitops.core.flow.promotion import Comparison, Rule

MAE = Rule("m.json", "mae", "lower")
R2 = Rule("m.json", "r2", "higher")
NO_PREDICTIONS = "without `compare.predictions` in promotion.yaml there are no intervals"
HEAD = "| metric | champion | candidate | difference | 95 % interval |\n|---|---:|---:|---:|---:|\n"


def draws() -> scores.Draw:
    source = random.Random(1)
    return lambda count, number: source.choices(range(count), k=number)


def text(errors: Sequence[float]) -> str:
    return "\n".join(["y,said", *(f"0,{one}" for one in errors)]) + "\n"


def run(errors: Sequence[float]) -> Run:
    return Run({MAE.metric: sum(errors) / len(errors)}, text(errors))


def compared(
    champion: Run, candidate: Run, compare: Comparison | None = None
) -> tuple[Difference, list[str]]:
    found, notes = comparison.differences(
        [MAE], champion, candidate, compare or Comparison(predictions="p.csv"), draws
    )
    assert list(found) == [MAE.metric]
    return found[MAE.metric], notes


# --- notes -------------------------------------------------------------------------------------------


def test_a_difference_names_its_metric_and_has_both_numbers() -> None:
    found, notes = compared(run([2.0] * 20), run([1.0] * 20))
    assert found == Difference("m.json:mae", 2.0, 1.0, (-1.0, -1.0), ())
    assert notes == []


def test_predictions_of_one_model_only_give_no_interval() -> None:
    whole, bare = run([1.0] * 20), Run({MAE.metric: 1.0})
    for pair in ((whole, bare), (bare, whole)):
        assert compared(*pair) == (Difference("m.json:mae", 1.0, 1.0), [NO_PREDICTIONS])


def test_a_number_of_one_model_only_is_kept() -> None:
    whole, bare = run([1.0] * 20), Run({MAE.metric: None}, text([1.0] * 20))
    assert compared(whole, bare) == (Difference("m.json:mae", 1.0, None), [])
    assert compared(bare, whole) == (Difference("m.json:mae", None, 1.0), [])


def test_predictions_that_do_not_go_together_are_named() -> None:
    _, notes = compared(run([1.0] * 20), run([1.0] * 19))
    assert notes == [
        "no intervals: p.csv has 20 examples for the champion and 19 for the candidate"
    ]


def test_a_score_that_is_not_found_names_the_file() -> None:
    _, notes = compared(Run({MAE.metric: 7.0}, text([1.0] * 20)), run([1.0] * 20))
    assert notes == [
        "m.json:mae has no interval: no score that is known, of columns that are the same for both"
        " models and their predictions in p.csv, gives both numbers"
    ]


def test_too_few_examples_are_counted() -> None:
    found, notes = compared(run([2.0] * 9), run([1.0] * 9))
    assert found == Difference("m.json:mae", 2.0, 1.0)
    assert notes == [
        "m.json:mae has no interval: 9 examples are too few or too many for it,"
        " or the score is not defined for parts of them"
    ]


def test_a_column_that_is_not_there_is_named() -> None:
    compare = Comparison(predictions="p.csv", slices="age")
    found, notes = compared(run([2.0] * 20), run([1.0] * 20), compare)
    assert found == Difference("m.json:mae", 2.0, 1.0, (-1.0, -1.0))
    assert notes == [
        "no slices: the predictions have no column 'age' that is the same for both models;"
        " they have y"
    ]


def test_what_is_said_of_two_metrics_is_said_once() -> None:
    found, notes = comparison.differences(
        [MAE, R2], run([2.0]), Run({MAE.metric: 1.0}), Comparison(), draws
    )
    assert found == {
        "m.json:mae": Difference("m.json:mae", 2.0, 1.0),
        "m.json:r2": Difference("m.json:r2", None, None),
    }
    assert notes == [NO_PREDICTIONS]


# --- the table ---------------------------------------------------------------------------------------


def table(*differences: Difference, notes: Sequence[str] = ()) -> str:
    result = Measured("a", "b", differences={one.metric: one for one in differences})
    return comparison.table(result, [R2, MAE], notes)


def test_a_table_without_notes_ends_with_its_last_row() -> None:
    assert table() == HEAD


def test_a_metric_that_was_not_measured_has_no_row() -> None:
    assert table(Difference(MAE.metric, 2.0, 1.5)) == (
        HEAD + "| m.json:mae | 2 | 1.5 | -0.5 ▲ | – |\n"
    )


@pytest.mark.parametrize(
    ("champion", "candidate", "row"),
    [
        (None, 0.5, "| m.json:r2 | – | 0.5 |  | – |\n"),
        (0.5, None, "| m.json:r2 | 0.5 | – |  | – |\n"),
        (None, None, "| m.json:r2 | – | – |  | – |\n"),
        (0.5, 0.5, "| m.json:r2 | 0.5 | 0.5 | +0 | – |\n"),
        (0.5, 0.25, "| m.json:r2 | 0.5 | 0.25 | -0.25 ▼ | – |\n"),
    ],
)
def test_a_row_of_a_metric(champion: float | None, candidate: float | None, row: str) -> None:
    assert table(Difference(R2.metric, champion, candidate)) == HEAD + row


def test_the_worst_slice_is_the_lowest_or_the_highest_by_what_is_better() -> None:
    parts = (Slice("north", 50, 1.0, 2.0), Slice("south", 40, 3.0, 4.0))
    found = table(
        Difference(R2.metric, 2.0, 3.0, (0.5, 1.5), parts),
        Difference(MAE.metric, 2.0, 3.0, (0.5, 1.5), parts),
    )
    assert found == HEAD + (
        "| m.json:r2 | 2 | 3 | +1 ▲ | +0.5 to +1.5 |\n"
        "| worst of 2 slices: north | 1 | 2 | +1 ▲ | |\n"
        "| m.json:mae | 2 | 3 | +1 ▼ | +0.5 to +1.5 |\n"
        "| worst of 2 slices: south | 3 | 4 | +1 ▼ | |\n"
    )


def test_a_note_is_a_line_of_at_most_a_thousand_characters() -> None:
    assert table(notes=["a", "b|c"]) == HEAD + "\n- a\n- b\\|c\n"
    assert table(notes=["n" * 1000]) == HEAD + "\n- " + "n" * 1000 + "\n"
    assert table(notes=["n" * 1001]) == HEAD + "\n- " + "n" * 999 + "…\n"


def test_a_difference_is_written_and_read() -> None:
    one = Difference(R2.metric, 0.5, None, None, (Slice("north", 50, 0.4, 0.7),))
    result = Measured("a", "b", differences={R2.metric: one})
    assert measured.parse(measured.dump(result)) == result
