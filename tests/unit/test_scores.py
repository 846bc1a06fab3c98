"""Scores against values that others computed, and intervals against what is known of them."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_gitops.core.flow import scores
from model_gitops.core.flow.scores import GROUPS, MOST_UNGROUPED, Sample, interval, whole


def draws(seed: int = 1) -> scores.Draw:
    source = random.Random(seed)
    return lambda count, number: source.choices(range(count), k=number)


def sample(
    name: str, actual: Sequence[object], predicted: Sequence[object], place: int = 0
) -> Sample:
    score = [one for one in scores.known() if one.name == name][place]
    found = score.sample([str(one) for one in actual], [str(one) for one in predicted])
    assert found is not None
    return found


def value(
    name: str, actual: Sequence[object], predicted: Sequence[object], place: int = 0
) -> float:
    found = whole(sample(name, actual, predicted, place), len(actual))
    assert found is not None
    return found


# The examples of scikit-learn's own documentation (sklearn.metrics, version 1.7).
@pytest.mark.parametrize(
    ("name", "actual", "predicted", "expected"),
    [
        ("r2", [3, -0.5, 2, 7], [2.5, 0.0, 2, 8], 0.948608137),
        ("mse", [3, -0.5, 2, 7], [2.5, 0.0, 2, 8], 0.375),
        ("rmse", [3, -0.5, 2, 7], [2.5, 0.0, 2, 8], 0.612372436),
        ("mae", [3, -0.5, 2, 7], [2.5, 0.0, 2, 8], 0.5),
        ("mape", [3, -0.5, 2, 7], [2.5, 0.0, 2, 8], 0.327380952),
        ("accuracy", [0, 1, 2, 3], [0, 2, 1, 3], 0.5),
        ("accuracy", ["b", "b", "a"], ["b", "a", "a"], 2 / 3),
        ("accuracy", [0, 1, 1], [0.2, 0.7, 0.4], 2 / 3),
        ("roc_auc", [0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], 0.75),
        ("roc_auc", [0, 1, 0, 1], [1, 1, 1, 1], 0.5),
        ("log_loss", [1, 0, 0, 1], [0.9, 0.1, 0.2, 0.65], 0.216161874),
        ("precision", [0, 1, 1, 0, 1], [1, 1, 0, 0, 1], 2 / 3),
        ("recall", [0, 1, 1, 0, 0], [1, 1, 0, 0, 1], 1 / 2),
        ("f1", [0, 1, 1, 0, 1], [1, 1, 0, 0, 0], 0.4),
        ("f1", ["True", "False", "True"], ["1", "1.0", "true"], 0.8),
    ],
)
def test_a_score_is_what_the_field_says(
    name: str, actual: list[object], predicted: list[object], expected: float
) -> None:
    assert value(name, actual, predicted) == pytest.approx(expected, rel=1e-8)


def test_the_other_class_may_be_the_positive_one() -> None:
    assert value("recall", ["ill", "ill", "well"], ["ill", "well", "well"], 0) == 1
    assert value("recall", ["ill", "ill", "well"], ["ill", "well", "well"], 1) == 0.5


@pytest.mark.parametrize(
    ("name", "actual", "predicted"),
    [
        ("r2", ["a", "b"], ["1", "2"]),
        ("r2", ["1", "2"], ["1", "nan"]),
        ("f1", ["a", "b", "c"], ["a", "b", "c"]),
        ("log_loss", ["0", "1"], ["0.5", "1.5"]),
        ("log_loss", ["0", "2"], ["0.5", "0.5"]),
        ("roc_auc", ["0", "0"], ["0.5", "0.5"]),
        ("roc_auc", ["0", "1"], ["a", "b"]),
    ],
)
def test_columns_that_a_score_is_not_for(
    name: str, actual: list[str], predicted: list[str]
) -> None:
    assert all(one.sample(actual, predicted) is None for one in scores.known() if one.name == name)


def test_a_score_that_is_not_defined_has_no_value() -> None:
    assert whole(sample("r2", [0.1, 0.1, 0.1], [1, 2, 3]), 3) is None
    assert sample("r2", [1, 2, 3], [1, 2, 4]).at([1, 0, 0]) is None
    assert whole(sample("precision", [1, 0], [0, 0]), 2) is None
    assert sample("roc_auc", [0, 1], [0.1, 0.9]).at([0, 1]) is None


@given(st.lists(st.tuples(st.sampled_from([0, 1]), st.integers(0, 5), st.integers(0, 3)),
                min_size=2, max_size=12))  # fmt: skip
def test_the_area_is_the_share_of_pairs_in_order(rows: list[tuple[int, int, int]]) -> None:
    actual, score, weights = (list(column) for column in zip(*rows, strict=True))
    if len(set(actual)) < 2:
        return
    won = pairs = 0.0
    for a, s, w in rows:
        for b, t, v in rows:
            if a == 1 and b == 0:
                pairs += w * v
                won += w * v * (1.0 if s > t else 0.5 if s == t else 0.0)
    found = sample("roc_auc", actual, score).at(weights)
    assert found == (pytest.approx(won / pairs) if pairs else None)


@given(st.lists(st.tuples(st.floats(-100, 100), st.floats(-100, 100), st.integers(0, 3)),
                min_size=3, max_size=12))  # fmt: skip
def test_a_weight_is_as_many_copies_of_an_example(rows: list[tuple[float, float, int]]) -> None:
    copies = [(a, p) for a, p, weight in rows for _ in range(weight)]
    if not copies:
        return
    actual, predicted, weights = (list(column) for column in zip(*rows, strict=True))
    found = sample("mae", actual, predicted).at(weights)
    assert found == pytest.approx(sum(abs(a - p) for a, p in copies) / len(copies))


def test_what_people_call_a_score() -> None:
    def called(key: str) -> set[str]:
        return {one.name for one in scores.names(key)}

    assert called("test.r2") == called("R2_score") == called("val_r2") == {"r2"}
    assert called("ROC-AUC") == called("roc_auc_score") == {"roc_auc"}
    assert called("eval.0.F1") == called("f1-score") == {"f1"}
    assert called("latency") == called("score") == called("") == set()


# --- intervals ---------------------------------------------------------------------------------------


def errors(count: int, better_by: float, seed: int) -> tuple[Sample, Sample]:
    """Two models' predictions of `count` numbers; the errors of the second are smaller, and alike."""
    source = random.Random(seed)
    actual = [source.gauss(0, 10) for _ in range(count)]
    first = [source.gauss(0, 2) for _ in actual]
    second = [error + source.gauss(0, 1) for error in first]
    one = [a + abs(error) + better_by for a, error in zip(actual, first, strict=True)]
    other = [a + abs(error) for a, error in zip(actual, second, strict=True)]
    return sample("mae", actual, one), sample("mae", actual, other)


def test_95_of_100_intervals_hold_the_true_difference() -> None:
    # |N(0, 2)| + 1 against |N(0, √5)|: the means are known.
    true = math.sqrt(2 / math.pi) * (math.sqrt(5) - 2) - 1
    held = 0
    for seed in range(200):
        low, high = interval(*errors(80, 1.0, seed), 80, draws(seed), resamples=200) or (0, 0)
        held += low <= true <= high
    # Percentile intervals of small samples hold a little less than they say.
    assert 0.90 <= held / 200 <= 0.98


def test_the_interval_of_a_mean_is_that_of_the_textbook() -> None:
    champion, candidate = errors(400, 1.0, 7)
    assert isinstance(champion, scores.Sums) and isinstance(candidate, scores.Sums)
    gaps = [b - a for a, b in zip(champion.columns[1], candidate.columns[1], strict=True)]
    mean = sum(gaps) / 400
    spread = math.sqrt(sum((gap - mean) ** 2 for gap in gaps) / 399 / 400)
    low, high = interval(champion, candidate, 400, draws()) or (0, 0)
    assert low == pytest.approx(mean - 1.96 * spread, abs=0.15 * spread)
    assert high == pytest.approx(mean + 1.96 * spread, abs=0.15 * spread)


def test_many_examples_are_grouped_and_give_the_same_interval() -> None:
    count = GROUPS * 3
    champion, candidate = errors(count, 1.0, 3)
    low, high = interval(champion, candidate, count, draws(), resamples=200) or (0, 0)
    assert isinstance(champion, scores.Sums) and isinstance(candidate, scores.Sums)
    gaps = [b - a for a, b in zip(champion.columns[1], candidate.columns[1], strict=True)]
    mean = sum(gaps) / count
    spread = math.sqrt(sum((gap - mean) ** 2 for gap in gaps)) / count
    assert low == pytest.approx(mean - 1.96 * spread, abs=0.35 * spread)
    assert high == pytest.approx(mean + 1.96 * spread, abs=0.35 * spread)


def test_the_same_seed_gives_the_same_interval_and_the_same_model_no_difference() -> None:
    champion, candidate = errors(50, 0.1, 5)
    first = interval(champion, candidate, 50, draws(), resamples=100)
    assert first == interval(champion, candidate, 50, draws(), resamples=100)
    assert first != interval(champion, candidate, 50, draws(2), resamples=100)
    assert interval(champion, champion, 50, draws(), resamples=100) == (0, 0)


def test_what_is_hard_for_both_cancels_out() -> None:
    """Paired: the interval is narrower than that of two samples that know nothing of each other."""
    champion, candidate = errors(200, 1.0, 11)
    low, high = interval(champion, candidate, 200, draws(), resamples=300) or (0, 0)
    turned = draws()

    def apart(one: Sample) -> list[float]:
        found = []
        for _ in range(300):
            weights = [0] * 200
            for place in turned(200, 200):
                weights[place] += 1
            found.append(one.at(weights) or 0.0)
        return found

    gaps = sorted(b - a for a, b in zip(apart(champion), apart(candidate), strict=True))
    assert high - low < 0.8 * (gaps[292] - gaps[7])


def test_no_interval_for_too_few_too_many_or_what_is_often_undefined() -> None:
    few = sample("mae", range(9), range(9))
    assert interval(few, few, 9, draws()) is None
    enough = sample("mae", range(10), range(10))
    assert interval(enough, enough, 10, draws(), resamples=20) == (0, 0)
    rare = sample("recall", [1] + [0] * 19, [1] + [0] * 19)
    assert interval(rare, rare, 20, draws(), resamples=200) is None
    count = MOST_UNGROUPED + 1
    many = sample("roc_auc", [0, 1] * (count // 2) + [1], [0.5] * count)
    assert interval(many, many, count, draws(), resamples=1) is None
