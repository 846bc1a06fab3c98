"""Stage `drift`: has what the live model sees moved away from what it was trained on?

Week by week: first the columns themselves (missing, new, of another type, with values never trained
on), then each column's distribution, the predictions' and the labels' too, by Kolmogorov-Smirnov's
or the chi-squared test. Many tests find something by chance: the p-values are adjusted by Benjamini
and Hochberg (1995), and a difference must be large as well as sure. Where labels have arrived, the
model's performance is compared with the one on its test set, by the bootstrap (Efron, 1979).
"""

from __future__ import annotations

import csv
import json
import math
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import report
import yaml
from scipy import stats

FORMAT = 1
FEWEST_EXPECTED = 5  # in a cell of a chi-squared test; rarer categories are counted together
RESAMPLES = 1000
MOST_RESAMPLED = 5000  # rows; of more, the first
CONFIDENCE = 0.99
FIXED = ("time", "id", "version", "prediction", "label")
METRICS = ("rmse", "mae", "accuracy")
LARGEST = float(np.finfo(np.float32).max)  # what the service makes of a larger number
# How tools write a cell that has nothing, as pandas reads them, and what JSON can't write.
# https://pandas.pydata.org/docs/reference/api/pandas.read_csv.html (na_values)
EMPTY = {
    *(
        "#N/A",
        "#N/A N/A",
        "#NA",
        "-1.#IND",
        "-1.#QNAN",
        "-NaN",
        "-nan",
        "1.#IND",
        "1.#QNAN",
        "<NA>",
    ),
    *("N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null", "inf", "-inf", "Inf", "-Inf"),
    *("Infinity", "-Infinity", "infinity", "-infinity"),
}


@dataclass(frozen=True)
class Settings:
    """`drift` of params.yaml."""

    windows: int = 8
    alpha: float = 0.01
    effect: float = 0.1
    categories: int = 10
    unseen: float = 0.01
    minimum_labels: int = 30
    metric: str = "rmse"
    worse: float = 0.1
    ignore: Sequence[str] = ()


Table = dict[str, list[str]]


@dataclass(frozen=True)
class Reference:
    """What the live model was trained on, and the test set's actual and predicted values."""

    data: Table
    target: str
    actual: list[str]
    predicted: list[str]


def number(text: str) -> float:
    """Return a cell as a finite number, else NaN."""
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return max(-LARGEST, min(LARGEST, value)) if math.isfinite(value) else math.nan


def numbers(cells: Sequence[str]) -> np.ndarray:
    """Return cells as numbers, shape (n,); NaN for what is none."""
    try:
        values = np.array(cells, dtype=float)  # fast, where all are numbers
    except ValueError:
        return np.array([number(one) for one in cells])
    return np.where(np.isfinite(values), np.clip(values, -LARGEST, LARGEST), np.nan)


def cleaned(table: Table) -> Table:
    """Return a table where the cells that have nothing are empty: tools write them in many ways."""
    return {
        name: ["" if one in EMPTY else one for one in cells]
        if not EMPTY.isdisjoint(cells)
        else cells
        for name, cells in table.items()
    }


def is_category(cells: Sequence[str], most: int) -> bool:
    """Whether a training column is compared by its categories: texts, or a few numbers."""
    present = [one for one in cells if one]
    values = numbers(present)
    return bool(np.isnan(values).any()) or len(np.unique(values)) <= most


@lru_cache(maxsize=100_000)  # a column has few of them, in many rows
def category(text: str) -> str:
    """Return a category as it is counted: `1` and `1.0` are one, and `True` and `true`."""
    value = number(text)
    if math.isnan(value):
        return text.lower() if text in ("True", "False", "TRUE", "FALSE") else text
    seen = float(np.float32(value))  # by the service, as in compare_numbers
    return str(int(seen)) if seen.is_integer() else f"{seen:.6g}"


def compare_numbers(before: Sequence[str], now: Sequence[str]) -> dict[str, Any] | None:
    """Compare two samples by the Kolmogorov-Smirnov test; the effect is its statistic."""
    # The service sees float32: 32.1 of the training data is 32.099998 in its log, and no less.
    x, y = (numbers(one).astype(np.float32).astype(float) for one in (before, now))
    x, y = x[~np.isnan(x)], y[~np.isnan(y)]
    if not len(x) or not len(y):
        return None
    found = stats.ks_2samp(x, y, method="asymp")
    return {
        "test": "ks",
        "p": float(found.pvalue),
        "effect": float(found.statistic),
        "before": float(np.mean(x)),
        "now": float(np.mean(y)),
    }


def compare_categories(before: Sequence[str], now: Sequence[str]) -> dict[str, Any] | None:
    """Compare shares by the chi-squared test; the effect is the share of rows that must move."""
    x = Counter(category(one) for one in before if one)
    y = Counter(category(one) for one in now if one)
    n, m = x.total(), y.total()
    if not n or not m:
        return None
    smaller = min(n, m) / (n + m)
    columns: list[list[int]] = []
    rest = [0, 0]
    for name in sorted({*x, *y}):
        if (x[name] + y[name]) * smaller >= FEWEST_EXPECTED:
            columns.append([x[name], y[name]])
        else:
            rest = [rest[0] + x[name], rest[1] + y[name]]
    if sum(rest) * smaller >= FEWEST_EXPECTED or not columns:
        columns.append(rest)
    elif sum(rest):
        rarest = min(columns, key=sum)
        rarest[:] = [rarest[0] + rest[0], rarest[1] + rest[1]]
    counts = np.array(columns).T
    p = stats.chi2_contingency(counts).pvalue if counts.shape[1] > 1 else 1.0
    effect = float(np.abs(counts[0] / n - counts[1] / m).sum() / 2)
    return {"test": "chi2", "p": float(p), "effect": effect}


def compare_missing(before: Sequence[str], now: Sequence[str]) -> dict[str, Any] | None:
    """Compare the shares of empty cells, where there are any, by Fisher's exact test."""
    x, y = sum(not one for one in before), sum(not one for one in now)
    if not x + y:
        return None
    found = stats.fisher_exact([[x, len(before) - x], [y, len(now) - y]])
    return {
        "test": "missing",
        "p": float(found.pvalue),
        "effect": abs(x / len(before) - y / len(now)),
        "before": x / len(before),
        "now": y / len(now),
    }


def shares(test: str, x: int, n: int, y: int, m: int) -> dict[str, Any] | None:
    """Test whether y of m rows are more than x of n, by Fisher's exact test; None without any."""
    if not x + y:
        return None
    found = stats.fisher_exact([[x, n - x], [y, m - y]], alternative="less")
    return {
        "test": test,
        "p": float(found.pvalue),
        "effect": max(0.0, y / m - x / n),
        "before": x / n,
        "now": y / m,
    }


def compare_type(before: Sequence[str], now: Sequence[str]) -> dict[str, Any] | None:
    """Compare how many cells are no number, where training had only numbers."""
    x, y = ([one for one in cells if one] for cells in (before, now))
    if not x or not y or np.isnan(numbers(x)).any():
        return None
    return shares("type", 0, len(x), int(np.isnan(numbers(y)).sum()), len(y))


def compare_unseen(before: Sequence[str], now: Sequence[str]) -> dict[str, Any] | None:
    """Compare how many cells have a category that training lacks, with how many must be expected.

    However much was seen, rare categories remain. Their share is about that of the training rows
    whose category is the only one of its kind (Good, 1953).
    """
    trained = Counter(category(one) for one in before if one)
    present = [category(one) for one in now if one]
    if not trained or not present:
        return None
    alone = sum(1 for count in trained.values() if count == 1)
    unseen = sum(one not in trained for one in present)
    found = shares("unseen", alone, trained.total(), unseen, len(present)) if unseen else None
    if found is not None:
        # Any of so many could be the one that training lacks (Bonferroni).
        found["p"] = min(1.0, found["p"] * len(trained))
    return found


def schema(reference: Table, window: Table, settings: Settings) -> dict[str, Any]:
    """Tell which columns are missing, new, of another type, or hold values never trained on."""
    expected = [name for name in reference if name not in settings.ignore and any(reference[name])]
    found: dict[str, Any] = {
        "missing": [name for name in expected if not any(window.get(name, ()))],
        "new": sorted(set(window) - set(reference) - set(settings.ignore)),
        "type": {},
        "unseen": {},
    }
    for name in expected:
        present = [one for one in window.get(name, ()) if one]
        if not present:
            continue
        trained = [one for one in reference[name] if one]
        if not np.isnan(numbers(trained)).any():
            odd = float(np.isnan(numbers(present)).mean())
            if odd >= settings.unseen:
                found["type"][name] = round(odd, 4)
        if is_category(trained, settings.categories):
            known = set(map(category, trained))
            unseen = [one for one in map(category, present) if one not in known]
            if len(unseen) / len(present) >= settings.unseen:
                found["unseen"][name] = round(len(unseen) / len(present), 4)
    return found


def columns(
    pairs: dict[str, tuple[Sequence[str], Sequence[str]]], settings: Settings
) -> dict[str, Any]:
    """Compare each column (name → before, now) and adjust all p-values together."""
    tests: list[tuple[str, dict[str, Any]]] = []
    for name, (before, now) in pairs.items():
        comparisons = [compare_numbers, compare_missing, compare_type]
        if is_category(before, settings.categories):
            comparisons[0] = compare_categories
            comparisons.append(compare_unseen)
        for compare in comparisons:
            found = compare(before, now)
            if found is not None:
                tests.append((name, found))
    if not tests:
        return {}
    adjusted = stats.false_discovery_control([one["p"] for _, one in tests], method="bh")
    result: dict[str, Any] = {}
    for (name, found), p in zip(tests, adjusted, strict=True):
        found["adjusted"] = float(p)
        bound = settings.unseen if found["test"] in ("type", "unseen") else settings.effect
        found["drift"] = bool(p <= settings.alpha and found["effect"] >= bound)
        told = result.setdefault(name, {"drift": False, "tests": []})
        told["tests"].append(found)
        told["drift"] = told["drift"] or found["drift"]
    return result


def losses(metric: str, actual: Sequence[str], predicted: Sequence[str]) -> np.ndarray:
    """Return what each row adds to the metric, shape (n,); rows that lack a value are left out."""
    if metric == "accuracy":
        pairs = zip(actual, predicted, strict=True)
        right = [category(a) == category(b) for a, b in pairs if a and b]
        return np.array(right, dtype=float)
    error = np.abs(numbers(actual) - numbers(predicted))
    error = error[~np.isnan(error)]
    return error**2 if metric == "rmse" else error


def score(metric: str, mean: np.ndarray | float) -> Any:
    """Return the metric for the mean of the rows' losses."""
    return np.sqrt(mean) if metric == "rmse" else mean


def performance(
    reference: Reference, label: Sequence[str], predicted: Sequence[str], settings: Settings
) -> dict[str, Any] | None:
    """Compare the live model on labelled rows with its test set; None with too few labels.

    It is drift where the change is to the worse by more than `worse`, and the interval of the
    difference has no zero in it.
    """
    metric = settings.metric
    if metric not in METRICS:
        raise SystemExit(f"drift: metric {metric!r} in params.yaml is none of {', '.join(METRICS)}")
    now = losses(metric, label, predicted)[:MOST_RESAMPLED]
    before = losses(metric, reference.actual, reference.predicted)[:MOST_RESAMPLED]
    if len(now) < settings.minimum_labels or len(before) < settings.minimum_labels:
        return None
    draw = np.random.default_rng(0)
    means = [
        one[draw.integers(0, len(one), (RESAMPLES, len(one)))].mean(axis=1) for one in (before, now)
    ]
    difference = score(metric, means[1]) - score(metric, means[0])
    tail = (1 - CONFIDENCE) / 2
    low, high = (float(one) for one in np.quantile(difference, [tail, 1 - tail]))
    trained, value = float(score(metric, before.mean())), float(score(metric, now.mean()))
    change = (value - trained) * (-1 if metric == "accuracy" else 1)
    sure = high < 0 if metric == "accuracy" else low > 0
    return {
        "metric": metric,
        "rows": len(now),
        "value": value,
        "reference": trained,
        "interval": [low, high],
        "drift": bool(sure and change > settings.worse * abs(trained)),
    }


def judge(reference: Reference, window: Table, settings: Settings) -> dict[str, Any]:
    """Compare one week's rows of the live version, as columns of text, with the reference."""
    data, window = cleaned(reference.data), cleaned(window)
    features = {name: cells for name, cells in data.items() if name != reference.target}
    seen = {name: cells for name, cells in window.items() if name not in FIXED}
    label, predicted = window["label"], window["prediction"]
    labelled = [one for one in label if one]
    if not label:
        seen = features
    compared = schema(features, seen, settings)
    absent = compared["missing"]
    pairs = {
        name: (before, seen[name])
        for name, before in features.items()
        if name not in absent and name in seen and name not in settings.ignore
    }
    if reference.predicted and any(predicted) and "prediction" not in settings.ignore:
        pairs["prediction"] = (reference.predicted, predicted)
    if len(labelled) >= settings.minimum_labels and "label" not in settings.ignore:
        pairs["label"] = (data[reference.target], labelled)
    result = columns(pairs, settings)
    for name in absent:
        result.setdefault(name, {"tests": []})["drift"] = True
    measured = performance(reference, label, predicted, settings) if labelled else None
    found = {
        "rows": len(label),
        "labelled": len(labelled),
        "schema": compared,
        "columns": {name: result[name] for name in sorted(result)},
        "performance": measured,
    }
    worse = bool(measured and measured["drift"])
    # Without a row nothing is known, and a column that is not there is not missing.
    by_columns = bool(label) and any(one["drift"] for one in result.values())
    return {"drift": by_columns or worse, **found}


def read_table(path: Path) -> Table:
    """Read a CSV as columns of text."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        head, *rows = csv.reader(file)
    return (
        dict(zip(head, map(list, zip(*rows, strict=True)), strict=True))
        if rows
        else {name: [] for name in head}
    )


def read_reference(folder: Path) -> Reference:
    """Read what the stage `reference` left."""
    data = read_table(folder / "data.csv")
    predictions = folder / "predictions.csv"
    tested = read_table(predictions) if predictions.is_file() else {}
    return Reference(data, list(data)[-1], tested.get("actual", []), tested.get("predicted", []))


def of_version(window: Table, versions: set[str]) -> tuple[Table, int]:
    """Return the rows of the live version, and how many others there are; all of them for none."""
    if not versions:
        return window, 0
    kept = [place for place, one in enumerate(window["version"]) if one in versions]
    rows = {name: [cells[place] for place in kept] for name, cells in window.items()}
    return rows, len(window["version"]) - len(kept)


def measure(folder: Path, settings: Settings) -> dict[str, Any]:
    """Judge the last weeks in `folder`; the document that is drift.json."""
    about = json.loads((folder / "reference" / "about.json").read_text(encoding="utf-8"))
    collected = json.loads((folder / "collected.json").read_text(encoding="utf-8"))
    windows: list[dict[str, Any]] = []
    paths = sorted((folder / "windows").glob("*.csv"))[-settings.windows :]
    reference = None
    if paths and (folder / "reference" / "data.csv").is_file():
        reference = read_reference(folder / "reference")
        versions = {one for one in (about["version"], about["hash"]) if one}
        for path in paths:
            rows, others = of_version(read_table(path), versions)
            windows.append(
                {"window": path.stem, **judge(reference, rows, settings), "other_versions": others}
            )
    return {
        "format": FORMAT,
        "reference": {
            **about,
            "rows": len(reference.data[reference.target]) if reference else 0,
            "predictions": len(reference.predicted) if reference else 0,
        },
        "settings": {**vars(settings), "ignore": list(settings.ignore)},
        "collected": collected,
        "windows": windows,
    }


def main() -> int:
    """Write drift.json and drift.html; drift itself is no failure."""
    settings = Settings(**yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))["drift"])
    found = measure(Path(), settings)
    Path("drift.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    Path("drift.html").write_text(report.html(found), encoding="utf-8")
    for one in found["windows"]:
        what = [name for name, told in one["columns"].items() if told["drift"]]
        what += ["performance"] if one["performance"] and one["performance"]["drift"] else []
        print(f"drift: {one['window']}: {one['rows']} rows: {', '.join(what) or 'no drift'}")
    if not found["windows"]:
        print("drift: there is no week to compare yet")
    return 0


if __name__ == "__main__":
    sys.exit(main())
