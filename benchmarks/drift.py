"""How often the template's monitoring is wrong, beside an uncorrected test and evidently's defaults.

usage: uv run --no-project --with-requirements benchmarks/drift.txt python benchmarks/drift.py [SEEDS]
Writes benchmarks/drift.json when no SEEDS are given, and Markdown tables to stdout. Minutes;
evidently takes seconds a report, so it is asked about one life only.

Each seed is one model's life: training data of ten columns of noise, a linear target, five weeks of
requests. In the first case nothing changes; in the second one column moves by one standard deviation. The
verdict is gate-drift's own, by its default rule: 2 of 5 windows.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "templates" / "model" / "monitor")]
sys.dont_write_bytecode = True

from model_gitops.core.drift import judgement, rule, windows  # noqa: E402

# Not in the environment of the tests: see drift.txt.
np: Any = importlib.import_module("numpy")
drift: Any = importlib.import_module("drift")
WEEKS, TRAINED, TESTED, LABELS = 5, 353, 89, 60  # as the template's example has them
ROWS, COLUMNS = 200, 10
# It takes a hundred times as long: fewer lives, and the default sizes alone.
LIVES_OF_EVIDENTLY = 1


@dataclass(frozen=True, eq=False)
class Life:
    """One model: its training data, and weeks of what it is asked; arrays of (rows, columns)."""

    trained: Any
    weeks: list[Any]
    reference: Any
    tables: list[Any]


def texts(values: Any) -> list[str]:
    """Return numbers as a CSV has them."""
    return [repr(float(one)) for one in values]


def life(seed: int, shift: float, rows: int, columns: int, labels: int) -> Life:
    """Make all data of one seed; the first column of each week moves by `shift`."""
    random = np.random.default_rng(seed)
    weights = random.normal(size=columns)
    names = [f"x{number}" for number in range(columns)]

    def draw(count: int, moved: float = 0) -> tuple[Any, Any, Any]:
        x = random.normal(size=(count, columns))
        x[:, 0] += moved
        return x, x @ weights + random.normal(size=count), x @ weights

    x, y, _ = draw(TRAINED)
    _, actual, predicted = draw(TESTED)
    data = {name: texts(x[:, place]) for place, name in enumerate(names)} | {"y": texts(y)}
    made = Life(x, [], drift.Reference(data, "y", texts(actual), texts(predicted)), [])
    for _ in range(WEEKS):
        now, answer, told = draw(rows, shift)
        made.weeks.append(now)
        made.tables.append(
            {name: texts(now[:, place]) for place, name in enumerate(names)}
            | {
                "version": ["v"] * rows,
                "prediction": texts(told),
                "label": texts(answer)[:labels] + [""] * (rows - labels),
            }
        )
    return made


def ours(one: Life) -> list[bool]:
    """Say by the template's monitoring, as it is shipped, which weeks drift."""
    return [drift.judge(one.reference, week, drift.Settings())["drift"] for week in one.tables]


def uncorrected(one: Life) -> list[bool]:
    """Call a week drifted where any column's Kolmogorov-Smirnov test has p < 0.05."""
    stats = importlib.import_module("scipy.stats")
    return [
        any(
            stats.ks_2samp(one.trained[:, place], week[:, place], method="asymp").pvalue < 0.05
            for place in range(week.shape[1])
        )
        for week in one.weeks
    ]


@cache
def asked_evidently(one: Life) -> list[windows.Window]:
    """Ask evidently with its defaults, and read its report as gate-drift does."""
    package = importlib.import_module("evidently")
    presets = importlib.import_module("evidently.presets")
    frame = importlib.import_module("pandas").DataFrame
    report = package.Report([presets.DataDriftPreset()])
    names = [f"x{number}" for number in range(one.trained.shape[1])]
    found = []
    for week in one.weeks:
        done = report.run(frame(week, columns=names), frame(one.trained, columns=names))
        found += windows.read(done.json(), windows.Paths(), source="evidently.json")
    return found


WAYS: dict[str, Callable[[Life], list[bool]]] = {
    "the template": ours,
    "KS, p < 0.05, uncorrected": uncorrected,
    "evidently, any column": lambda one: [bool(week.columns) for week in asked_evidently(one)],
    "evidently, half of the columns": lambda one: [
        bool(week.drift) for week in asked_evidently(one)
    ],
}


def count(way: str, lives: Sequence[Life]) -> tuple[int, int, float]:
    """Return alarms, drifted weeks, and seconds a week of one way."""
    alarms = weeks = 0
    spent = 0.0
    for made in lives:
        start = time.perf_counter()
        drifted = WAYS[way](made)
        spent += time.perf_counter() - start
        weeks += sum(drifted)
        read = [windows.Window(str(number), one) for number, one in enumerate(drifted)]
        alarms += judgement.judge(read, rule.parse("2 of 5 windows"), 100).alarm
    return alarms, weeks, spent / (len(lives) * WEEKS)


def measure(seeds: int, few: int) -> list[dict[str, Any]]:
    """Measure all ways: the default sizes over `seeds`, others over `few`."""
    cases = [(ROWS, COLUMNS, seeds, LABELS)]
    cases += [(rows, COLUMNS, few, 0) for rows in (100, 1000, 5000)]
    cases += [(ROWS, columns, few, 0) for columns in (3, 30)]
    results = []
    for rows, columns, lives, labels in cases:
        still_lives, moved_lives = (
            [life(seed, shift, rows, columns, labels) for seed in range(lives)] for shift in (0, 1)
        )
        for way in WAYS:
            if "evidently" in way and lives != seeds:
                continue
            asked = min(lives, LIVES_OF_EVIDENTLY) if "evidently" in way else lives
            still, weeks, seconds = count(way, still_lives[:asked])
            moved, _, _ = count(way, moved_lives[:asked])
            results.append(
                {
                    "way": way, "rows": rows, "columns": columns, "lives": asked, "false_alarms": still,
                    "drifted_weeks": weeks, "found": moved, "seconds_a_week": round(seconds, 4),
                }
            )  # fmt: skip
            print(results[-1], file=sys.stderr, flush=True)
    return results


def table(results: list[dict[str, Any]]) -> str:
    """Return the results as Markdown."""
    lines = [
        "| rows a week | columns | way | false alarms | drifted weeks without drift | found | time a week |",
        "|---:|---:|---|---:|---:|---:|---:|",
    ]
    for one in results:
        of = one["lives"]
        lines.append(
            f"| {one['rows']} | {one['columns']} | {one['way']} | {one['false_alarms']} of {of}"
            f" | {one['drifted_weeks']} of {of * WEEKS} | {one['found']} of {of}"
            f" | {one['seconds_a_week'] * 1000:.0f} ms |"
        )
    return "\n".join(lines)


def main() -> int:
    """Measure, and write the results; 1 where the template misses what it must hold."""
    warnings.simplefilter("ignore")
    seeds = int(sys.argv[1]) if sys.argv[1:] else 100
    results = measure(seeds, max(1, seeds // 10))
    print(table(results))
    if not sys.argv[1:]:
        record = {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "cores": os.cpu_count(),
            "machine": "shared; other work may have run at the same time",
            "trained_rows": TRAINED, "weeks": WEEKS, "rule": "2 of 5 windows", "results": results,
        }  # fmt: skip
        text = json.dumps(record, indent=2) + "\n"
        (ROOT / "benchmarks/drift.json").write_text(text, encoding="utf-8")
    first = results[0]
    held = first["false_alarms"] <= 0.05 * seeds and first["found"] >= 0.95 * seeds
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
