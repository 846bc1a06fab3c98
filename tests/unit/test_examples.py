"""Tables of predictions: how they are read and paired, which score their numbers are, and slices."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from model_gitops.core.flow import examples, scores
from model_gitops.core.flow.examples import Examples, Recognised
from model_gitops.core.flow.scores import Sample, Sums
from model_gitops.errors import InputError

# --- reading -----------------------------------------------------------------------------------------


def refusal(text: str, source: str = "p.csv") -> str:
    with pytest.raises(InputError) as caught:
        examples.parse(text, source=source)
    return caught.value.message


@pytest.mark.parametrize("ending", ["json", "jsonl", "ndjson"])
def test_one_object_is_a_table_of_one_row(ending: str) -> None:
    text = '[{"y": 1}]' if ending == "json" else '{"y": 1}\n\n'
    assert examples.parse(text, source=f"p.{ending}") == {"y": ["1"]}


def test_the_first_object_orders_the_columns() -> None:
    found = examples.parse('[{"b": 1, "a": 2}, {"a": 3, "b": 4}]', source="p.json")
    assert list(found.items()) == [("b", ["1", "4"]), ("a", ["2", "3"])]


def test_a_nested_value_is_the_same_in_any_order_of_its_keys() -> None:
    found = examples.parse(
        '[{"a": {"y": [1, null], "x": "é"}}, {"a": {"x": "é", "y": [1, null]}}]', source="p.json"
    )
    assert found == {"a": ['{"x": "\\u00e9", "y": [1, null]}'] * 2}


@pytest.mark.parametrize(
    ("text", "source", "says"),
    [
        ("{}", "p.json", "p.json can't be read as a table: it is no list of objects"),
        ("[1]", "p.json", "p.json can't be read as a table: it is no list of objects"),
        ("[1]\n", "p.jsonl", "p.jsonl can't be read as a table: it is no list of objects"),
        ('[{"a": 1}, {"b": 1}]', "p.json",
         "p.json can't be read as a table: its objects have different keys"),
        ("[]", "p.json", "p.json has no header, or two columns of one name"),
        ("", "p.ndjson", "p.ndjson has no header, or two columns of one name"),
        ("", "p.csv", "p.csv has no header, or two columns of one name"),
        ("a,b,a\n", "p.csv", "p.csv has no header, or two columns of one name"),
        ("a,b\n1,2\n3\n", "p.csv", "p.csv: row 2 has 1 values, and there are 2 columns"),
        ("a\tb\n1\t2\t3\n", "p.tsv", "p.tsv: row 1 has 3 values, and there are 2 columns"),
        ('a\n"x\n', "p.csv", "p.csv can't be read as a table: unexpected end of data"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_table(text: str, source: str, says: str) -> None:
    assert refusal(text, source) == says


def test_a_header_alone_is_a_table_of_no_examples() -> None:
    assert examples.parse("a,b\n", source="p.csv") == {"a": [], "b": []}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_end_of_a_line_but_none_within_a_value_is_changed(end: str) -> None:
    text = end.join(["a,b", '"x\r\ny",1', "", "z,2"])
    assert examples.parse(text, source="p.csv") == {"a": ["x\r\ny", "z"], "b": ["1", "2"]}


def test_the_most_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    assert examples.MOST_EXAMPLES == 1_000_000
    monkeypatch.setattr(examples, "MOST_EXAMPLES", 3)
    assert examples.parse("a\n1\n2\n3\n", source="p.csv") == {"a": ["1", "2", "3"]}
    assert refusal("a\n1\n2\n3\n4\n") == "p.csv has more than 3 rows"


# --- two tables --------------------------------------------------------------------------------------


def test_columns_that_are_the_same_and_columns_that_differ() -> None:
    champion = {"id": ["a", "b"], "y": ["1", "2"], "said": ["1", "1"]}
    candidate = {"id": ["a", "b"], "y": ["1", "2"], "said": ["1", "2"]}
    found = examples.align(champion, candidate, source="p.csv")
    assert found == Examples(
        2, {"id": ["a", "b"], "y": ["1", "2"]}, {"said": (["1", "1"], ["1", "2"])}
    )
    assert found.predictions("said") == (["1", "1"], ["1", "2"])
    assert found.predictions("y") == (["1", "2"], ["1", "2"])


@pytest.mark.parametrize(
    ("candidate", "says"),
    [
        ({"b": ["1"], "a": ["1"]}, "p.csv has other columns for the candidate than for the champion"),
        ({"a": [], "b": []}, "p.csv has 1 examples for the champion and 0 for the candidate"),
    ],
)  # fmt: skip
def test_tables_that_do_not_go_together(candidate: dict[str, list[str]], says: str) -> None:
    with pytest.raises(InputError) as caught:
        examples.align({"a": ["1"], "b": ["1"]}, candidate, source="p.csv")
    assert caught.value.message == says


def columns(*names: str) -> dict[str, list[str]]:
    return {name: ["1"] for name in names}


def both(*names: str) -> dict[str, tuple[Sequence[str], Sequence[str]]]:
    return {name: (["1"], ["2"]) for name in names}


def test_likely_columns_are_tried_first_then_those_in_the_order_of_the_file() -> None:
    found = Examples(1, columns("id", "age", "Target"), both("loss", "extra", "y_hat"))
    assert list(found.pairs()) == [
        ("Target", "y_hat"), ("id", "y_hat"), ("age", "y_hat"),
        ("Target", "loss"), ("id", "loss"), ("age", "loss"),
        ("Target", "extra"), ("id", "extra"), ("age", "extra"),
    ]  # fmt: skip


def test_what_is_predicted_may_be_the_same_under_both_models() -> None:
    found = Examples(1, columns("y", "id", "predicted"), both("time"))
    assert list(found.pairs()) == [
        ("y", "time"), ("id", "time"), ("predicted", "time"),
        ("y", "predicted"), ("id", "predicted"),
    ]  # fmt: skip


def test_of_many_columns_the_eight_likeliest_are_tried() -> None:
    many, more = ([f"{one}{place:02}" for place in range(20)] for one in "cd")
    found = list(Examples(1, columns(*many, "label"), both(*more, "score")).pairs())
    assert len(found) == 64
    assert list(dict.fromkeys(actual for actual, _ in found)) == ["label", *many[:7]]
    assert list(dict.fromkeys(said for _, said in found)) == ["score", *more[:7]]


# --- which score a number is ---------------------------------------------------------------------------


def recognised(key: str, written: float, error: float, other: float | None = None) -> bool:
    """Whether a mean absolute error is known of two models, of which the champion is right."""
    aligned = Examples(2, {"y": ["0", "0"]}, {"said": (["0", "0"], [repr(error), repr(error)])})
    found = examples.recognise(key, 0.0 if other is None else other, written, aligned)
    if found:
        assert (found.score.name, found.actual, found.predicted) == ("mae", "y", "said")
        assert found.champion.at([1, 1]) == 0
        assert found.candidate.at([1, 1]) == error
    return found is not None


@pytest.mark.parametrize(
    ("written", "error", "is_known"),
    [
        # Rounded to its last place, and a tenth of that more.
        (10.12, 10.125, True),
        (10.12, 10.1254, True),
        (10.12, 10.1256, False),
        (10.12, 10.115, True),
        (10.12, 10.1144, False),
        (10.12, 10.129, False),
        # Never by more than 0.2 %.
        (0.01, 0.01001, True),
        (0.01, 0.012, False),
        (3.0, 3.005, True),
        (3.0, 3.007, False),
        # An exponent tells no last place.
        (1.2345678901e-05, 1.2346e-05, True),
        (1.2345678901e-05, 1.2346e-04, False),
        # Without decimals, half of one.
        (1000.0, 1000.5, True),
        (1000.0, 1000.6, False),
    ],
)
def test_a_number_of_a_named_score_may_be_rounded(
    written: float, error: float, is_known: bool
) -> None:
    assert recognised("mae", written, error) == is_known


@pytest.mark.parametrize(
    ("written", "error", "is_known"),
    [
        (0.001, 0.0010000009, True),
        (0.001, 0.0010005, False),
        (500.0, 500.0004, True),
        (500.0, 500.0006, False),
    ],
)
def test_a_number_without_a_name_must_agree_to_a_millionth(
    written: float, error: float, is_known: bool
) -> None:
    aligned = Examples(
        3, {"y": ["0", "0", "0"]}, {"said": (["0", "0", "3"], ["0", "0", repr(3 * error)])}
    )
    found = examples.recognise("quality", 1.0, written, aligned)
    assert (found is not None) == is_known
    assert found is None or found.score.name == "mae"


def test_both_numbers_must_agree() -> None:
    assert recognised("mae", 0.5, 0.5, other=0.0)
    assert not recognised("mae", 0.5, 0.5, other=0.1)
    assert not recognised("mae", 0.4, 0.5, other=0.0)


def test_a_score_for_one_of_the_models_only_is_not_it() -> None:
    numbers, words = ["1", "2"], ["a", "b"]
    for said in ((numbers, words), (words, numbers)):
        aligned = Examples(2, {"y": numbers}, {"said": said})
        assert examples.recognise("mae", 0.0, 0.0, aligned) is None


def test_scores_that_are_not_for_the_columns_are_passed_over() -> None:
    aligned = Examples(
        4, {"y": ["a", "a", "b", "b"]}, {"said": (["a", "b", "a", "a"], ["a", "a", "b", "a"])}
    )
    found = examples.recognise("quality", 0.25, 0.75, aligned)
    assert found is not None
    assert found.score.name == "accuracy"


def test_no_examples_are_no_score() -> None:
    aligned = Examples(0, {"y": []}, {"said": ([], [])})
    for key in ("f1", "mae", "accuracy", "quality"):
        assert examples.recognise(key, 0.5, 0.5, aligned) is None


def test_a_score_that_is_not_defined_is_not_the_number() -> None:
    aligned = Examples(2, {"y": ["1", "0"]}, {"said": (["0", "0"], ["1", "0"])})
    assert examples.recognise("precision", 0.0, 1.0, aligned) is None


# --- slices ------------------------------------------------------------------------------------------


def sliced(
    places: Sequence[str], champion: Sample, candidate: Sample
) -> tuple[tuple[str, int, float, float], ...]:
    known = Recognised(scores.known()[0], "y", "said", champion, candidate)
    return examples.slices(known, Examples(len(places), {"place": places}, {}), "place")


def counted(values: Sequence[float]) -> Sums:
    return Sums((tuple(values),), lambda total: total)


def test_a_slice_is_scored_on_its_own_examples_each_once() -> None:
    places = ["a"] * 11 + ["c"] * 12 + ["b"] * 12
    one = counted([1.0] * 35)
    other = counted([2.0] * 11 + [3.0] * 12 + [4.0] * 12)
    # The largest first; of two that are as large the first by name.
    assert sliced(places, one, other) == (("b", 12, 12, 48), ("c", 12, 12, 36), ("a", 11, 11, 22))


def test_the_examples_of_small_slices_are_one_slice() -> None:
    places = ["a"] * 10 + ["b"] * 6 + ["c"] * 4
    found = sliced(places, counted([1.0] * 20), counted([0.0] * 10 + [1.0] * 10))
    assert found == (("a", 10, 10, 0), ("(other)", 10, 10, 10))
    assert sliced(places[:-1], counted([1.0] * 19), counted([1.0] * 19)) == (("a", 10, 10, 10),)


def test_a_slice_without_a_score_of_both_models_is_left_out() -> None:
    def share(found: Sequence[int]) -> Sums:
        return Sums((tuple(map(float, found)),), lambda total: 1 / total)

    places = ["a"] * 10 + ["b"] * 10 + ["c"] * 10
    one, other = share([0] * 10 + [1] * 20), share([1] * 20 + [0] * 10)
    assert sliced(places, one, other) == (("b", 10, 0.1, 0.1),)
    assert sliced(places, other, one) == (("b", 10, 0.1, 0.1),)


@pytest.mark.parametrize(("same", "has"), [({}, "none"), (columns("y", "id"), "y, id")])
def test_a_column_that_is_not_there_is_refused(same: dict[str, list[str]], has: str) -> None:
    known = Recognised(scores.known()[0], "y", "said", counted([1.0]), counted([1.0]))
    with pytest.raises(InputError) as caught:
        examples.slices(known, Examples(1, same, both("said")), "said")
    assert caught.value.message == (
        f"the predictions have no column 'said' that is the same for both models; they have {has}"
    )


def test_a_slice_that_is_called_as_the_rest_takes_the_rest() -> None:
    places = ["(other)"] * 12 + ["a"] * 3
    assert sliced(places, counted([1.0] * 15), counted([2.0] * 15)) == (("(other)", 15, 15, 30),)
