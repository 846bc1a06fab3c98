"""Predictions held against each other, the score that a stage wrote, slices, and the table."""

from __future__ import annotations

import json
import random

import pytest

from model_gitops.core.flow import comparison, examples, measured, scores
from model_gitops.core.flow.comparison import Run
from model_gitops.core.flow.promotion import Comparison, Rule
from model_gitops.errors import InputError

R2 = Rule("m.json", "r2", "higher")


def draws() -> scores.Draw:
    source = random.Random(1)
    return lambda count, number: source.choices(range(count), k=number)


def table(rows: int, error: float, digits: int = 4, seed: int = 1) -> tuple[str, float]:
    """Predictions with a column of places, and the R² of what is written."""
    source = random.Random(seed)
    actual = [source.randint(0, 300) for _ in range(rows)]
    predicted = [round(one + source.gauss(0, error), digits) for one in actual]
    lines = [
        f"{a},{p},{'north' if a % 3 else 'south'}" for a, p in zip(actual, predicted, strict=True)
    ]
    mean = sum(actual) / rows
    r2 = 1 - sum((a - p) ** 2 for a, p in zip(actual, predicted, strict=True)) / sum(
        (a - mean) ** 2 for a in actual
    )
    return "\n".join(["actual,predicted,place", *lines]) + "\n", r2


def runs(digits: int | None = None) -> tuple[Run, Run]:
    found = []
    for error in (40, 30):
        text, r2 = table(90, error)
        found.append(Run({R2.metric: r2 if digits is None else round(r2, digits)}, text))
    return found[0], found[1]


COMPARE = Comparison(predictions="p.csv", slices="place")


@pytest.mark.parametrize("digits", [None, 6, 4, 3])
def test_a_rounded_score_is_recognised_by_its_name(digits: int | None) -> None:
    found, notes = comparison.differences([R2], *runs(digits), COMPARE, draws)
    one = found[R2.metric]
    assert notes == []
    assert one.interval is not None
    assert one.champion is not None and one.candidate is not None
    assert one.interval[0] < one.candidate - one.champion < one.interval[1]
    assert [(part.name, part.examples) for part in one.slices] == [("north", 63), ("south", 27)]


def test_another_name_needs_the_whole_number() -> None:
    rule = Rule("m.json", "quality", "higher")
    for digits, is_known in ((None, True), (3, False)):
        given = [
            Run({rule.metric: run.numbers[R2.metric]}, run.predictions) for run in runs(digits)
        ]
        found, notes = comparison.differences([rule], *given, COMPARE, draws)
        assert (found[rule.metric].interval is not None) == is_known
        assert ("no score that is known" in "".join(notes)) == (not is_known)


def test_a_number_that_the_predictions_do_not_give_has_no_interval() -> None:
    champion, candidate = runs()
    lying = Run({R2.metric: (candidate.numbers[R2.metric] or 0) + 0.05}, candidate.predictions)
    found, notes = comparison.differences([R2], champion, lying, COMPARE, draws)
    assert found[R2.metric].interval is None
    assert "m.json:r2 has no interval" in notes[0]


def test_the_same_examples_in_another_order_are_not_paired() -> None:
    champion, candidate = runs()
    header, *rows = (candidate.predictions or "").splitlines()
    turned = Run(candidate.numbers, "\n".join([header, *rows[::-1]]))
    found, notes = comparison.differences([R2], champion, turned, COMPARE, draws)
    assert found[R2.metric].interval is None
    assert "columns that are the same for both models" in notes[0]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: text.rsplit("\n", 2)[0] + "\n", "90 examples for the champion and 89"),
        (lambda text: text.replace("place", "region", 1), "other columns for the candidate"),
        (lambda text: text + "1\n", "row 91 has 1 values, and there are 3 columns"),
        (lambda text: "", "has no header"),
        (lambda text: text.replace("predicted", "actual", 1), "two columns of one name"),
        (lambda text: text + '"', "can't be read as a table"),
    ],
)  # fmt: skip
def test_files_that_do_not_go_together(change: object, says: str) -> None:
    champion, candidate = runs()
    assert callable(change)
    broken = Run(candidate.numbers, change(candidate.predictions))
    found, notes = comparison.differences([R2], champion, broken, COMPARE, draws)
    assert found[R2.metric] == measured.Difference(
        R2.metric, champion.numbers[R2.metric], candidate.numbers[R2.metric]
    )
    assert says in notes[0]


def test_without_predictions_and_without_numbers_it_is_said() -> None:
    rule = Rule("m.json", "gone", "higher")
    found, notes = comparison.differences(
        [R2, rule], Run({R2.metric: 0.5}), Run({R2.metric: 0.6}), Comparison(), draws
    )
    assert found[R2.metric].interval is None
    assert found[rule.metric] == measured.Difference(rule.metric, None, None)
    assert notes == ["without `compare.predictions` in promotion.yaml there are no intervals"]


def test_models_that_say_the_same_differ_by_nothing() -> None:
    champion, _ = runs()
    found, _ = comparison.differences([R2], champion, champion, COMPARE, draws)
    assert found[R2.metric].interval == (0, 0)


def test_a_column_of_slices_that_is_not_there() -> None:
    found, notes = comparison.differences(
        [R2], *runs(), Comparison(predictions="p.csv", slices="age"), draws
    )
    assert found[R2.metric].interval is not None
    assert found[R2.metric].slices == ()
    assert "no column 'age'" in notes[0]
    assert "they have actual, place" in notes[0]


@pytest.mark.parametrize("source", ["p.csv", "p.tsv", "p.json", "p.jsonl"])
def test_the_formats_of_a_table(source: str) -> None:
    rows = [{"id": "a,b", "y": 1, "ok": True}, {"id": "c", "y": 2.5, "ok": False}]
    text = {
        "p.csv": 'id,y,ok\r\n"a,b",1,true\r\nc,2.5,false\r\n',
        "p.tsv": "id\ty\tok\na,b\t1\ttrue\nc\t2.5\tfalse\n",
        "p.json": json.dumps(rows),
        "p.jsonl": "".join(json.dumps(row) + "\n" for row in rows),
    }[source]
    assert examples.parse(text, source=source) == {
        "id": ["a,b", "c"], "y": ["1", "2.5"], "ok": ["true", "false"],
    }  # fmt: skip


@pytest.mark.parametrize("text", ["{}", "[1]", '[{"a": 1}, {"b": 1}]', "[", "[" * 100_000])
def test_json_that_is_no_table(text: str) -> None:
    with pytest.raises(InputError, match=r"p\.json"):
        examples.parse(text, source="p.json")


def sliced(sizes: dict[str, int]) -> tuple[tuple[str, int, float, float], ...]:
    places = [name for name, size in sizes.items() for _ in range(size)]
    actual = [str(place) for place in range(len(places))]
    aligned = examples.Examples(
        len(places),
        {"actual": actual, "place": places},
        {"predicted": (actual, [f"{one}.5" for one in actual])},
    )
    known = examples.recognise("mae", 0.0, 0.5, aligned)
    assert known is not None
    assert (known.score.name, known.actual, known.predicted) == ("mae", "actual", "predicted")
    return examples.slices(known, aligned, "place")


def test_small_slices_are_joined() -> None:
    assert sliced({"a": 12, "b": 9, "c": 4}) == (("a", 12, 0, 0.5), (examples.OTHER, 13, 0, 0.5))
    assert sliced({"a": 10, "b": 9}) == (("a", 10, 0, 0.5),)


@pytest.mark.parametrize(
    ("count", "named", "joined"), [(100, 100, 0), (101, 99, 20), (150, 99, 510)]
)
def test_there_are_at_most_100_slices(count: int, named: int, joined: int) -> None:
    rows = sliced({f"{place:03}": 10 for place in range(count)})
    assert len(rows) == named + bool(joined)
    assert sum(size for name, size, *_ in rows if name == examples.OTHER) == joined


def test_labels_and_chances_are_told_apart_by_the_numbers() -> None:
    source = random.Random(2)
    actual = [source.random() < 0.4 for _ in range(60)]
    texts, values = [], []
    for noise in (0.6, 0.4):
        chances = [min(0.99, max(0.01, one + source.gauss(0, noise))) for one in actual]
        rows = [
            f"{one},{chance!r},{int(chance >= 0.5)}"
            for one, chance in zip(actual, chances, strict=True)
        ]
        texts.append("\n".join(["label,probability,predicted", *rows]))
        labels = [chance >= 0.5 for chance in chances]
        values.append(sum(a == b for a, b in zip(actual, labels, strict=True)) / 60)
    rule = Rule("m.json", "acc", "higher")
    found, notes = comparison.differences(
        [rule], *(Run({rule.metric: v}, t) for v, t in zip(values, texts, strict=True)),
        Comparison(predictions="p.csv"), draws,
    )  # fmt: skip
    assert notes == []
    assert found[rule.metric].interval is not None


def test_the_table_sets_worst_slice_against_worst_slice() -> None:
    one = measured.Difference(
        R2.metric, 0.5, 0.6, (0.02, 0.18),
        (measured.Slice("north|", 50, 0.4, 0.7), measured.Slice("south", 40, 0.6, 0.3)),
    )  # fmt: skip
    result = measured.Measured("a", "b", differences={R2.metric: one})
    lower = Rule("m.json", "other", "lower")
    assert comparison.table(result, [R2, lower], ["a note"]) == (
        "| metric | champion | candidate | difference | 95 % interval |\n"
        "|---|---:|---:|---:|---:|\n"
        "| m.json:r2 | 0.5 | 0.6 | +0.1 ▲ | +0.02 to +0.18 |\n"
        "| worst of 2 slices: north\\| → south | 0.4 | 0.3 | -0.1 ▼ | |\n"
        "\n- a note\n"
    )
    assert measured.parse(measured.dump(result)).differences == {R2.metric: one}
