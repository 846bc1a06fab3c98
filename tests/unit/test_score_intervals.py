"""The interval of a difference, from draws and scores that are given one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import pytest

from model_gitops.core.flow import scores
from model_gitops.core.flow.scores import FEWEST, GROUPS, MOST_UNGROUPED, Sums, interval


class Told:
    """A model whose score of each resample is told; it keeps the weights that it was asked for."""

    def __init__(self, values: Iterable[float | None]) -> None:
        self.values: Iterator[float | None] = iter(values)
        self.asked: list[Sequence[int]] = []

    def at(self, weights: Sequence[int]) -> float | None:
        self.asked.append(weights)
        return next(self.values)


def first(count: int, number: int) -> Sequence[int]:
    assert count
    return [0] * number


def between(champion: Iterable[float | None], candidate: Iterable[float | None]) -> object:
    one, other = [*champion], [*candidate]
    return interval(Told(one), Told(other), FEWEST, first, resamples=len(one))


def test_an_interval_ends_between_two_differences() -> None:
    # The ends are at 0.025·10 and 0.975·10 of the differences 0, 1, 4, … 100.
    squares = [float(one * one) for one in (3, 0, 10, 1, 2, 9, 4, 8, 5, 7, 6)]
    found = between([0.0] * 11, squares)
    assert found == (pytest.approx(0.25), pytest.approx(81 + 0.75 * 19))


def test_the_difference_is_the_candidate_less_the_champion() -> None:
    assert between([0.5], [0.75]) == (0.25, 0.25)
    assert between([0.75, 0.75], [0.5, 0.5]) == (-0.25, -0.25)


@pytest.mark.parametrize("is_champion", [True, False])
def test_one_of_a_hundred_resamples_may_have_no_score(is_champion: bool) -> None:
    def told(undefined: int) -> object:
        full = [1.0] * 100
        gaps = [None] * undefined + [1.0] * (100 - undefined)
        return between(gaps, full) if is_champion else between(full, gaps)

    assert told(1) == (0, 0)
    assert told(2) is None


def test_both_models_are_scored_on_the_examples_that_were_drawn() -> None:
    rows = iter([[0, 0, 3, 9, 9, 9, 1, 1, 2, 0], [5] * 10])
    champion, candidate = Told([1.0, 1.0]), Told([1.0, 1.0])

    def draw(count: int, number: int) -> Sequence[int]:
        assert (count, number) == (10, 10)
        return next(rows)

    assert interval(champion, candidate, 10, draw, resamples=2) == (0, 0)
    assert champion.asked == candidate.asked
    assert champion.asked == [[3, 2, 1, 1, 0, 0, 0, 0, 0, 3], [0, 0, 0, 0, 0, 10, 0, 0, 0, 0]]


@pytest.mark.parametrize(
    ("count", "drawn"),
    [
        (GROUPS, [(GROUPS, GROUPS)]),
        # First a group for each example, then the groups.
        (GROUPS + 1, [(GROUPS, GROUPS + 1), (GROUPS, GROUPS)]),
    ],
)
def test_more_examples_than_groups_are_put_together(
    count: int, drawn: list[tuple[int, int]]
) -> None:
    calls = []

    def draw(among: int, number: int) -> Sequence[int]:
        calls.append((among, number))
        return first(among, number)

    sums = Sums(((1.0,) * count,), float)
    assert interval(sums, sums, count, draw, resamples=1) == (0, 0)
    assert calls == drawn


def test_what_is_no_sum_is_never_grouped() -> None:
    sums = Sums(((1.0,) * (GROUPS + 1),), float)
    for pair in ((sums, Told([GROUPS])), (Told([GROUPS]), sums)):
        found = interval(*pair, GROUPS + 1, first, resamples=1)
        assert found in ((1, 1), (-1, -1))


def test_the_most_examples_that_are_not_grouped() -> None:
    def found(count: int) -> object:
        return interval(Told([1.0]), Told([2.0]), count, first, resamples=1)

    assert found(MOST_UNGROUPED) == (1, 1)
    assert found(MOST_UNGROUPED + 1) is None


def test_the_fewest_examples() -> None:
    def found(count: int) -> object:
        return interval(Told([1.0]), Told([2.0]), count, first, resamples=1)

    assert found(FEWEST) == (1, 1)
    assert found(FEWEST - 1) is None
    assert (scores.FEWEST, scores.RESAMPLES, scores.CONFIDENCE) == (10, 2000, 0.95)


def test_two_thousand_resamples_unless_it_is_said() -> None:
    champion = Told([1.0] * 2001)
    assert interval(champion, Told([1.0] * 2001), FEWEST, first) == (0, 0)
    assert len(champion.asked) == 2000
