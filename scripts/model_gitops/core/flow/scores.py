"""Scores of predictions (R², accuracy, …), and how sure the difference of two models is.

A score is recomputed to find out which one a stage wrote; its bootstrap then needs no evaluation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import mul
from typing import Protocol

RESAMPLES = 2000
CONFIDENCE = 0.95
# Fewer examples than this say nothing of a spread.
FEWEST = 10
# More examples are first put together into so many random groups, whose sums are resampled: the
# interval's width is then off by 1 % (1/√(2·groups)), less than by the number of resamples.
GROUPS = 5000
# A score that is no function of sums is resampled example by example: beyond this it takes minutes.
MOST_UNGROUPED = 20_000

# draw(n, count): `count` numbers from range(n), each drawn with replacement.
Draw = Callable[[int, int], Sequence[int]]


class Sample(Protocol):
    """One model's predictions, as far as one score needs them."""

    def at(self, weights: Sequence[int]) -> float | None:
        """Return the score where example i counts `weights[i]` times; None where it has no value."""
        ...


@dataclass(frozen=True)
class Sums:
    """A score that is a function of sums: `columns` hold each example's share of them."""

    columns: tuple[tuple[float, ...], ...]
    value: Callable[..., float]

    def at(self, weights: Sequence[int]) -> float | None:
        """Return the score, as `Sample.at` says."""
        return self._of(sum(map(mul, weights, column)) for column in self.columns)

    def _of(self, sums: Iterable[float]) -> float | None:
        try:
            found: float = self.value(*sums)
        except (ZeroDivisionError, ValueError, OverflowError):
            return None
        return found if math.isfinite(found) else None

    def grouped(self, groups: Sequence[int], count: int) -> Sums:
        """Return the sums of `count` groups; `groups[i]` is the group of example i."""
        columns = []
        for column in self.columns:
            total = [0.0] * count
            for group, share in zip(groups, column, strict=True):
                total[group] += share
            columns.append(tuple(total))
        return Sums(tuple(columns), self.value)


@dataclass(frozen=True)
class Ranks:
    """The area under the ROC curve: how often a positive example is scored above a negative one.

    `order` sorts the examples by their score; `lower[i]` and `upper[i]` are the places in that order
    where the scores equal to that of positive example `positives[i]` begin and end.
    """

    order: tuple[int, ...]
    negative: tuple[bool, ...]
    positives: tuple[int, ...]
    lower: tuple[int, ...]
    upper: tuple[int, ...]

    def at(self, weights: Sequence[int]) -> float | None:
        """Return the area, as `Sample.at` says."""
        below = [0, *accumulate(map(mul, map(weights.__getitem__, self.order), self.negative))]
        counts = list(map(weights.__getitem__, self.positives))
        pairs = below[-1] * sum(counts)
        if not pairs:
            return None
        lower: int = sum(map(mul, counts, map(below.__getitem__, self.lower)))
        upper: int = sum(map(mul, counts, map(below.__getitem__, self.upper)))
        return (lower + upper) / float(2 * pairs)


@dataclass(frozen=True)
class Score:
    """A way to score predictions. `aliases` are what people call it, in lowercase without `-_ `."""

    name: str
    aliases: tuple[str, ...]
    sample: Callable[[Sequence[str], Sequence[str]], Sample | None]


def names(key: str) -> tuple[Score, ...]:
    """Return the scores that a metric's key (`test.r2_score`) names."""
    last = "".join(one for one in key.rpartition(".")[2].lower() if one not in "-_ ")
    bare = last.removesuffix("score").removeprefix("test").removeprefix("val")
    return tuple(one for one in known() if last in one.aliases or bare in one.aliases)


def whole(sample: Sample, count: int) -> float | None:
    """Return the score of all `count` examples."""
    return sample.at([1] * count)


def interval(
    champion: Sample, candidate: Sample, count: int, draw: Draw, *, resamples: int = RESAMPLES
) -> tuple[float, float] | None:
    """Return the 95 % interval of candidate - champion, by the paired percentile bootstrap.

    Both models are scored on the same resampled examples, so what is hard for both cancels out
    (Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapters 8 and 13). None for fewer
    than FEWEST of the `count` examples, for too many of them, or where more than 1 % of the resamples
    have no score. Examples count as independent of one another.
    """
    if count < FEWEST:
        return None
    if isinstance(champion, Sums) and isinstance(candidate, Sums) and count > GROUPS:
        groups = draw(GROUPS, count)
        champion, candidate = (one.grouped(groups, GROUPS) for one in (champion, candidate))
        count = GROUPS
    if count > MOST_UNGROUPED:
        return None
    differences = []
    for _ in range(resamples):
        weights = [0] * count
        for place in draw(count, count):
            weights[place] += 1
        before, now = champion.at(weights), candidate.at(weights)
        if before is not None and now is not None:
            differences.append(now - before)
    if len(differences) < 0.99 * resamples:
        return None
    differences.sort()
    tail = (1 - CONFIDENCE) / 2
    return _quantile(differences, tail), _quantile(differences, 1 - tail)


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Return a quantile, between two values by their distance (type 7 of Hyndman & Fan, 1996)."""
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


# --- regression: numbers against numbers ------------------------------------------------------------


def numbers(values: Sequence[str]) -> list[float] | None:
    """Return a column's values as finite numbers; None where one is no such number."""
    try:
        found = [float(value) for value in values]
    except ValueError:
        return None
    return found if all(map(math.isfinite, found)) else None


def _regression(
    terms: Callable[[float, float, float], tuple[float, ...]], value: Callable[..., float]
) -> Callable[[Sequence[str], Sequence[str]], Sample | None]:
    """Make a score of `terms` (actual, predicted, mean of all actual ones → an example's shares)."""

    def sample(actual: Sequence[str], predicted: Sequence[str]) -> Sample | None:
        truth, said = numbers(actual), numbers(predicted)
        if not truth or said is None:
            return None
        try:
            mean = math.fsum(truth) / len(truth)
            rows = [(1.0, *terms(one, other, mean)) for one, other in zip(truth, said, strict=True)]
        except OverflowError:  # numbers such as 1e200, whose square is none
            return None
        return Sums(tuple(zip(*rows, strict=True)), value)

    return sample


def _r2(count: float, total: float, squares: float, errors: float) -> float:
    spread = squares - total * total / count
    # Where all actual values are the same, R² is not defined.
    return 1 - errors / spread if spread > 1e-12 * squares else math.nan


# --- classification: labels against labels, or against the positive one's probability -----------------


def _label(value: str) -> str:
    """Return a label that is the same for `1`, `1.0` and `True`."""
    text = {"true": "1", "false": "0"}.get(value.strip().lower(), value.strip())
    try:
        return repr(float(text))
    except ValueError:
        return text


def _classes(
    shares: Callable[[bool, bool], tuple[float, ...]], value: Callable[..., float], *, turned: bool
) -> Callable[[Sequence[str], Sequence[str]], Sample | None]:
    """Make a score of two classes: `shares` (is positive, is said to be) → an example's shares.

    The last label in order (`1` of `0` and `1`) is the positive one, with `turned` the first.
    """

    def sample(actual: Sequence[str], predicted: Sequence[str]) -> Sample | None:
        truth, said = [_label(one) for one in actual], _decided(actual, predicted)
        labels = sorted({*truth, *said})
        if len(labels) > 2:
            return None
        positive = labels[0 if turned else -1]
        rows = [shares(a == positive, b == positive) for a, b in zip(truth, said, strict=True)]
        return Sums(tuple(zip(*rows, strict=True)), value)

    return sample


def _decided(actual: Sequence[str], predicted: Sequence[str]) -> list[str]:
    """Return predicted labels; of probabilities of class 1 those at 0.5 and above are `1`."""
    said = [_label(one) for one in predicted]
    if not {_label(one) for one in actual} <= {"0.0", "1.0"}:
        return said
    chances = _chances(predicted)
    return ["1.0" if one >= 0.5 else "0.0" for one in chances] if chances else said


def _chances(predicted: Sequence[str]) -> list[float] | None:
    found = numbers(predicted)
    return found if found and all(0 <= one <= 1 for one in found) else None


def _accuracy(actual: Sequence[str], predicted: Sequence[str]) -> Sample:
    said = _decided(actual, predicted)
    hits = tuple(float(_label(a) == b) for a, b in zip(actual, said, strict=True))
    return Sums(((1.0,) * len(hits), hits), lambda count, right: right / count)


def _log_loss(actual: Sequence[str], predicted: Sequence[str]) -> Sample | None:
    truth, chances = [_label(one) for one in actual], _chances(predicted)
    if chances is None or not set(truth) <= {"0.0", "1.0"}:
        return None
    least = 2.0**-52  # as scikit-learn: a chance of 0 would cost infinitely much
    shares = tuple(
        -math.log(max(chance if one == "1.0" else 1 - chance, least))
        for one, chance in zip(truth, chances, strict=True)
    )
    return Sums(((1.0,) * len(shares), shares), lambda count, loss: loss / count)


def _roc_auc(actual: Sequence[str], predicted: Sequence[str]) -> Sample | None:
    truth, scores = [_label(one) for one in actual], numbers(predicted)
    labels = sorted(set(truth))
    if scores is None or len(labels) != 2:
        return None
    order = sorted(range(len(scores)), key=scores.__getitem__)
    lower, upper, start = [0] * len(order), [0] * len(order), 0
    for place in range(1, len(order) + 1):
        if place == len(order) or scores[order[place]] != scores[order[start]]:
            for tied in order[start:place]:
                lower[tied], upper[tied] = start, place
            start = place
    positives = tuple(place for place, one in enumerate(truth) if one == labels[1])
    return Ranks(
        order=tuple(order),
        negative=tuple(truth[place] == labels[0] for place in order),
        positives=positives,
        lower=tuple(lower[place] for place in positives),
        upper=tuple(upper[place] for place in positives),
    )


def _both(name: str, aliases: tuple[str, ...], shares: Callable[[bool, bool], tuple[float, ...]],
          value: Callable[..., float]) -> tuple[Score, ...]:  # fmt: skip
    return tuple(
        Score(name, aliases, _classes(shares, value, turned=turned)) for turned in (False, True)
    )


def known() -> tuple[Score, ...]:
    """Return the scores that can be recognised, the more usual ones first."""
    return (
        Score("r2", ("r2", "rsquared"), _regression(
            lambda a, p, mean: (a - mean, (a - mean) ** 2, (a - p) ** 2), _r2)),
        Score("rmse", ("rmse", "rootmeansquarederror"), _regression(
            lambda a, p, mean: ((a - p) ** 2,), lambda count, errors: math.sqrt(errors / count))),
        Score("mae", ("mae", "meanabsoluteerror"), _regression(
            lambda a, p, mean: (abs(a - p),), lambda count, errors: errors / count)),
        Score("mse", ("mse", "meansquarederror", "brier"), _regression(
            lambda a, p, mean: ((a - p) ** 2,), lambda count, errors: errors / count)),
        Score("mape", ("mape", "meanabsolutepercentageerror"), _regression(
            lambda a, p, mean: (abs(a - p) / max(abs(a), 2.0**-52),),
            lambda count, errors: errors / count)),
        Score("accuracy", ("accuracy", "acc"), _accuracy),
        *_both("f1", ("f1",), lambda a, p: (float(a and p), float(a) + float(p)),
               lambda hits, both: 2 * hits / both),
        *_both("precision", ("precision",), lambda a, p: (float(a and p), float(p)),
               lambda hits, said: hits / said),
        *_both("recall", ("recall", "sensitivity", "tpr"), lambda a, p: (float(a and p), float(a)),
               lambda hits, there: hits / there),
        Score("log_loss", ("logloss", "crossentropy", "bce"), _log_loss),
        Score("roc_auc", ("rocauc", "auc", "auroc"), _roc_auc),
    )  # fmt: skip
