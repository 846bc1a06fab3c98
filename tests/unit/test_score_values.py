"""Each score of a few examples, computed by hand, with weights, ties and one class only."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from model_gitops.core.flow import scores
from model_gitops.core.flow.scores import Ranks, Sample, Sums


def score(name: str, place: int = 0) -> scores.Score:
    return [one for one in scores.known() if one.name == name][place]


def made(name: str, actual: Sequence[object], said: Sequence[object], place: int = 0) -> Sample:
    found = score(name, place).sample([str(one) for one in actual], [str(one) for one in said])
    assert found is not None
    return found


def test_the_scores_that_are_known_the_more_usual_ones_first() -> None:
    assert [one.name for one in scores.known()] == [
        "r2", "rmse", "mae", "mse", "mape", "accuracy", "f1", "f1", "precision", "precision",
        "recall", "recall", "log_loss", "roc_auc",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("r2", ["r2", "R_squared", "r2-score", "test_r2", "val_r2", "test.r2"]),
        ("rmse", ["rmse", "root_mean_squared_error"]),
        ("mae", ["MAE", "mean absolute error"]),
        ("mse", ["mse", "mean_squared_error", "brier", "brier_score", "test_brier_score"]),
        ("mape", ["mape", "mean_absolute_percentage_error"]),
        ("accuracy", ["accuracy", "acc", "val-acc", "accuracy_score"]),
        ("f1", ["f1", "f1_score"]),
        ("precision", ["precision", "precision_score"]),
        ("recall", ["recall", "sensitivity", "TPR"]),
        ("log_loss", ["log_loss", "cross-entropy", "bce"]),
        ("roc_auc", ["roc_auc", "AUC", "auroc", "roc_auc_score"]),
    ],
)
def test_a_key_names_a_score(name: str, keys: Sequence[str]) -> None:
    for key in keys:
        assert {one.name for one in scores.names(key)} == {name}, key


@pytest.mark.parametrize("key", ["r2_test", "r2.spread", "scorer2", "accurate", "xauc", "r2x"])
def test_a_key_that_names_no_score(key: str) -> None:
    assert scores.names(key) == ()


# Weights 3, 1, 2 stand for six examples.
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # Actual 2, 4, 8; predicted 1, 4, 10: errors 1, 0, 2. Σw = 6.
        ("mae", (3 * 1 + 2 * 2) / 6),
        ("mse", (3 * 1 + 2 * 4) / 6),
        ("rmse", math.sqrt(11 / 6)),
        ("mape", (3 * 0.5 + 2 * 0.25) / 6),
        # The weighted mean is 26 / 6; the squares are 3·4 + 16 + 2·64 = 156.
        ("r2", 1 - 11 / (156 - 26 * 26 / 6)),
    ],
)
def test_a_score_of_numbers_with_weights(name: str, expected: float) -> None:
    assert made(name, [2, 4, 8], [1, 4, 10]).at([3, 1, 2]) == pytest.approx(expected, rel=1e-12)


# Actual y y n n; predicted y n y n: of each pair one. Weights 4, 3, 2, 1.
@pytest.mark.parametrize(
    ("name", "place", "expected"),
    [
        ("accuracy", 0, 5 / 10),
        # y is the positive class: 4 hits, 7 there, 6 said.
        ("precision", 0, 4 / 6),
        ("recall", 0, 4 / 7),
        ("f1", 0, 8 / 13),
        # n is the positive class: 1 hit, 3 there, 4 said.
        ("precision", 1, 1 / 4),
        ("recall", 1, 1 / 3),
        ("f1", 1, 2 / 7),
    ],
)
def test_a_score_of_labels_with_weights(name: str, place: int, expected: float) -> None:
    found = made(name, ["y", "y", "n", "n"], ["y", "n", "y", "n"], place)
    assert found.at([4, 3, 2, 1]) == pytest.approx(expected, rel=1e-12)


def test_r2_of_numbers_that_are_far_from_zero_or_near_to_it() -> None:
    far = made("r2", [1e9, 1e9 + 1, 1e9 + 2], [1e9, 1e9 + 1, 1e9 + 3])
    assert far.at([1, 1, 1]) == 0.5
    near = made("r2", [1e-7, 2e-7, 3e-7], [1e-7, 2e-7, 4e-7])
    assert near.at([1, 1, 1]) == pytest.approx(0.5, rel=1e-9)


def test_r2_of_numbers_that_are_all_the_same_is_not_defined() -> None:
    assert made("r2", [0, 0], [0, 1]).at([1, 1]) is None
    assert made("r2", [5, 5, 7], [5, 6, 7]).at([1, 1, 0]) is None
    assert made("r2", [5, 5, 7], [5, 6, 7]).at([1, 1, 1]) is not None
    # The spread of three times 0.1 about the mean of all four is 1.4e-17 by rounding, not 0.
    assert made("r2", [0.1, 0.1, 0.1, 0.7], [0.6, 0.6, 0.6, 1.2]).at([1, 1, 1, 0]) is None


def test_a_percentage_of_an_actual_zero_is_as_large_as_scikit_learn_says() -> None:
    assert made("mape", [0, 4], [1, 3]).at([1, 1]) == (2.0**52 + 0.25) / 2


def test_a_sum_that_is_too_large_for_a_number_has_no_score() -> None:
    large = made("mae", [0, 0], ["1e308", "1e308"])
    assert large.at([1, 0]) == 1e308
    assert large.at([1, 1]) is None


def test_no_examples_no_score() -> None:
    for name in ("r2", "rmse", "mae", "mse", "mape", "roc_auc"):
        assert score(name).sample([], []) is None
    assert made("mae", [1, 2], [1, 3]).at([0, 0]) is None
    assert made("accuracy", [1, 0], [1, 1]).at([0, 0]) is None
    assert made("roc_auc", [1, 0], [1, 0]).at([0, 0]) is None


def test_columns_go_together_example_by_example() -> None:
    for one in scores.known():
        if one.name != "roc_auc":
            with pytest.raises(ValueError, match=r"zip\(\) argument 2 is shorter"):
                one.sample(["0", "1", "0"], ["0", "1"])


# --- classes -----------------------------------------------------------------------------------------


def test_one_class_only_is_the_positive_one_both_ways() -> None:
    for name in ("f1", "precision", "recall"):
        for place in (0, 1):
            assert made(name, ["yes", "yes"], ["yes", "yes"], place).at([1, 1]) == 1


def test_labels_that_were_never_predicted_or_never_there_count() -> None:
    # Actual labels are a only, so b is positive, and never there.
    found = made("recall", ["a", "a"], ["a", "b"])
    assert found.at([1, 1]) is None
    assert made("precision", ["a", "a"], ["a", "b"]).at([1, 1]) == 0
    assert made("f1", ["a", "a"], ["a", "b"]).at([1, 1]) == 0


@pytest.mark.parametrize(
    ("actual", "said"), [(["a", "b"], ["a", "c"]), (["a", "a"], ["b", "c"]), ([1, 2], [1, 3])]
)
def test_three_labels_are_not_two_classes(actual: list[object], said: list[object]) -> None:
    for name in ("f1", "precision", "recall"):
        for place in (0, 1):
            found = score(name, place).sample([*map(str, actual)], [*map(str, said)])
            assert found is None


def test_labels_may_be_written_in_several_ways() -> None:
    actual, said = (
        ["1", "1.0", "true", " TRUE ", "0", "False"],
        ["True", "1", "1", "1", "false", "0.0"],
    )
    assert made("accuracy", actual, said).at([1] * 6) == 1
    assert made("accuracy", [" a", "b"], ["a ", "B"]).at([1, 1]) == 0.5


@pytest.mark.parametrize(
    ("actual", "said", "expected"),
    [
        # 0.5 is a yes.
        ([1, 0], [0.5, 0.5], 0.5),
        ([1, 1], [0.5, 0.49], 0.5),
        # 0 and 1 are chances too.
        ([0, 1], [0, 0.7], 1),
        ([0, 1], [0.3, 1], 1),
        # Beyond 0 and 1 a number is a label.
        ([0, 1], [0.3, 1.1], 0),
        ([0, 1], [-0.1, 0.7], 0),
        # Of other labels than 0 and 1 there are no chances.
        ([1, 2], [1, 0.7], 0.5),
        (["a", "b"], ["a", 0.7], 0.5),
    ],
)
def test_chances_are_decided_at_one_half(
    actual: list[object], said: list[object], expected: float
) -> None:
    assert made("accuracy", actual, said).at([1, 1]) == expected


def test_the_loss_of_a_chance() -> None:
    found = made("log_loss", [1, 0, 1], [0.5, 0.75, 1])
    # log 2 for the first, log 4 for the second, nothing for the third.
    assert found.at([1, 0, 0]) == pytest.approx(math.log(2), rel=1e-12)
    assert found.at([0, 1, 0]) == pytest.approx(math.log(4), rel=1e-12)
    assert found.at([0, 0, 1]) == 0
    assert found.at([2, 1, 1]) == pytest.approx(math.log(2), rel=1e-12)


def test_a_chance_of_nothing_costs_as_much_as_scikit_learn_says() -> None:
    assert made("log_loss", [1], [0]).at([1]) == pytest.approx(52 * math.log(2), rel=1e-12)
    assert made("log_loss", [0], [1]).at([1]) == pytest.approx(52 * math.log(2), rel=1e-12)


@pytest.mark.parametrize(
    ("actual", "said", "expected"),
    [
        # The negative example is the last in order: both pairs are lost.
        ([1, 1, 0], [0.1, 0.2, 0.3], 0),
        ([0, 1, 1], [0.1, 0.2, 0.3], 1),
        # Of six pairs three are won, two are ties, one is lost.
        ([0, 1, 1, 0, 1], [0.2, 0.2, 0.4, 0.4, 0.9], (3 + 0.5 * 2) / 6),
        # The second label in order is positive, whatever it is called.
        (["ill", "well"], [0.1, 0.2], 1),
        # Scores need not be chances.
        ([0, 1, 0], [-7, 12, 12], 0.75),
    ],
)
def test_the_area_of_a_few_examples(
    actual: list[object], said: list[float], expected: float
) -> None:
    assert made("roc_auc", actual, said).at([1] * len(actual)) == pytest.approx(expected)


def test_the_area_with_weights() -> None:
    # Positive 0.6 (weight 2) beats negative 0.2 (weight 3) and loses to 0.8 (weight 1).
    assert made("roc_auc", [0, 1, 0], [0.2, 0.6, 0.8]).at([3, 2, 1]) == 6 / 8


def test_where_equal_scores_begin_and_end() -> None:
    assert made("roc_auc", [0, 1, 1, 0], [0.3, 0.1, 0.3, 0.3]) == Ranks(
        order=(1, 0, 2, 3), negative=(False, True, False, True), positives=(1, 2),
        lower=(0, 1), upper=(1, 4),
    )  # fmt: skip


# --- sums --------------------------------------------------------------------------------------------


def test_all_examples_count_once() -> None:
    total = Sums(((1.0, 2.0, 4.0),), lambda found: found)
    assert scores.whole(total, 3) == 7
    assert total.at([0, 3, 1]) == 10


def test_groups_are_sums_of_their_examples() -> None:
    found = Sums(((1.0, 2.0, 4.0), (8.0, 16.0, 32.0)), max).grouped([2, 0, 2], 3)
    assert found == Sums(((2.0, 0.0, 5.0), (16.0, 0.0, 40.0)), max)


def test_each_example_needs_a_group() -> None:
    with pytest.raises(ValueError, match="is longer"):
        Sums(((1.0, 2.0),), max).grouped([0], 1)


@pytest.mark.parametrize("score", scores.known(), ids=lambda score: score.name)
def test_numbers_too_large_to_be_squared_raise_nothing(
    score: scores.Score,
) -> None:
    for actual, predicted in ((["1", "2"], ["1e200", "2"]), (["1e308", "1e308"], ["1", "2"])):
        made = score.sample(actual, predicted)
        value = made.at([1, 1]) if made else None
        assert value is None or (math.isfinite(value) and score.name not in ("r2", "mse", "rmse"))
