from __future__ import annotations

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import drift
import numpy as np
import pytest
import report
from drift import Reference, Settings, Table

NAMES = [f"x{number}" for number in range(10)]


class World:
    """Ten columns of noise, a linear target, and a model that knows it; `seed` makes it all."""

    def __init__(self, seed: int, rows: int = 353) -> None:
        self.random = np.random.default_rng(seed)
        self.weights = self.random.normal(size=len(NAMES))
        x, y, _ = self.draw(rows)
        _, actual, predicted = self.draw(89)
        data = table(x) | {"y": texts(y)}
        self.reference = Reference(data, "y", texts(actual), texts(predicted))

    def draw(self, rows: int, shift: float = 0, noise: float = 1) -> tuple[np.ndarray, ...]:
        x = self.random.normal(size=(rows, len(NAMES)))
        x[:, 0] += shift
        predicted = x @ self.weights
        return x, predicted + self.random.normal(size=rows) * noise, predicted

    def week(self, rows: int = 200, labels: int = 60, **change: float) -> Table:
        x, y, predicted = self.draw(rows, **change)
        label = texts(y)[:labels] + [""] * (rows - labels)
        return table(x) | {
            "time": ["t"] * rows, "id": ["i"] * rows, "version": ["v1"] * rows,
            "prediction": texts(predicted), "label": label,
        }  # fmt: skip


def texts(values: np.ndarray) -> list[str]:
    return [repr(float(one)) for one in values]


def table(x: np.ndarray) -> Table:
    return {name: texts(x[:, place]) for place, name in enumerate(NAMES)}


def drifted(found: dict[str, Any]) -> list[str]:
    return [name for name, told in found["columns"].items() if told["drift"]]


@pytest.fixture
def world() -> World:
    return World(1)


def alarms(seeds: int, **change: float) -> int:
    """How often two of five weeks drift: the rule and the sizes that are set."""
    found = 0
    for seed in range(seeds):
        world = World(seed)
        weeks = [drift.judge(world.reference, world.week(**change), Settings()) for _ in range(5)]
        found += sum(one["drift"] for one in weeks) >= 2
    return found


def test_what_is_no_drift_is_seldom_called_so_and_a_shift_is_found():
    assert alarms(20) <= 1
    assert alarms(5, shift=1) == 5


def test_the_column_that_moved_is_named(world: World):
    found = drift.judge(world.reference, world.week(shift=1), Settings())
    assert "x0" in drifted(found)
    assert set(drifted(found)) <= {"x0", "prediction", "label"}
    (test,) = found["columns"]["x0"]["tests"]
    assert test["test"] == "ks"
    assert test["now"] - test["before"] == pytest.approx(1, abs=0.3)


def test_a_sure_difference_that_is_small_is_none(world: World):
    large = World(1, rows=20_000)
    week = large.week(20_000, labels=0, shift=0.1)
    assert drifted(drift.judge(large.reference, week, Settings())) == []
    assert drifted(drift.judge(large.reference, week, Settings(effect=0.02))) != []


def test_many_columns_are_corrected_for():
    """Of so many columns some differ by chance: without the correction each of these is drift."""
    random = np.random.default_rng(0)
    pairs = {
        str(number): (texts(random.normal(size=300)), texts(random.normal(size=300)))
        for number in range(400)
    }
    found = drift.columns(pairs, Settings(effect=0, alpha=0.05))
    alone = [name for name, told in found.items() if told["tests"][0]["p"] <= 0.05]
    assert len(alone) >= 10
    assert [name for name in found if found[name]["drift"]] == []


def test_a_missing_column_is_drift_and_a_new_one_is_told(world: World):
    week = world.week()
    week["x3"] = [""] * 200
    del week["x4"]
    week["more"] = ["1"] * 200
    found = drift.judge(world.reference, week, Settings())
    assert found["drift"]
    assert found["schema"]["missing"] == ["x3", "x4"]
    assert found["schema"]["new"] == ["more"]
    assert drifted(found) == ["x3", "x4"]
    # What is left out of the log on purpose is not missed.
    found = drift.judge(world.reference, week, Settings(ignore=["x3", "x4", "more"]))
    assert found["schema"] == {"missing": [], "new": [], "type": {}, "unseen": {}}
    assert not found["drift"]


def test_another_type_empty_cells_and_values_never_trained_on_are_drift(world: World):
    sexes = ["1.0", "2.0"] * 200
    reference = replace(world.reference, data={"sex": sexes[:353], **world.reference.data})
    week = {**world.week(), "sex": ["1", "2"] * 100}
    assert drifted(drift.judge(reference, week, Settings())) == []
    week["x1"] = ["much"] * 100 + week["x1"][100:]
    week["x2"] = [""] * 60 + week["x2"][60:]
    week["sex"] = ["1"] * 100 + ["2"] * 90 + ["9"] * 10
    found = drift.judge(reference, week, Settings())
    assert drifted(found) == ["sex", "x1", "x2"]
    assert found["schema"]["type"] == {"x1": 0.5}
    assert found["schema"]["unseen"] == {"sex": 0.05}
    assert [one["test"] for one in found["columns"]["x2"]["tests"]] == ["ks", "missing"]


def test_a_number_is_the_same_after_the_service_made_it_a_float32():
    before = texts(np.repeat([32.1, 32.2, 40.7], 200))
    now = [repr(float(np.float32(one))) for one in before]
    assert drift.compare_numbers(before, now)["effect"] == 0


def test_categories_are_compared_by_their_shares():
    before = ["a"] * 500 + ["b"] * 480 + ["c"] * 20
    same = drift.compare_categories(before, ["a"] * 50 + ["b"] * 48 + ["c"] * 2)
    other = drift.compare_categories(before, ["a"] * 90 + ["b"] * 10)
    assert same is not None
    assert other is not None
    assert same["p"] > 0.9
    assert same["effect"] == pytest.approx(0)
    assert other["p"] < 1e-10
    assert other["effect"] == pytest.approx(0.4)
    assert drift.compare_categories(before, []) is None


KINDS = {
    "counts": lambda draw, rows: draw.poisson(3, rows),
    "halves of numbers": lambda draw, rows: draw.geometric(0.5, rows),
    "rounded": lambda draw, rows: np.round(draw.normal(size=rows)),
    "fifty categories": lambda draw, rows: [f"c{one}" for one in draw.integers(50, size=rows)],
    "names": lambda draw, rows: [f"n{one}" for one in draw.zipf(1.6, rows)],
}


@pytest.mark.parametrize("kind", KINDS)
def test_rare_values_that_training_happens_to_lack_are_no_drift(kind: str):
    """Of counts and names some are rare: each week has some that no training row had."""
    weeks = 0
    for seed in range(4):
        draw = np.random.default_rng(seed)

        def columns(rows: int, draw: np.random.Generator = draw) -> Table:
            return {f"c{n}": list(map(str, KINDS[kind](draw, rows))) for n in range(10)}

        reference = Reference({**columns(353), "y": ["0"] * 353}, "y", [], [])
        for _ in range(5):
            week = columns(200) | {"prediction": [""] * 200, "label": [""] * 200}
            weeks += drift.judge(reference, week, Settings())["drift"]
    assert weeks <= 1


def test_a_new_category_is_drift_where_it_is_no_chance():
    before = ["a"] * 200 + ["b"] * 153
    some, one = ["a"] * 110 + ["b"] * 80 + ["new"] * 10, ["a"] * 57 + ["b"] * 42 + ["new"]
    for now, expected in ((some, True), (one, False)):
        found = drift.columns({"x": (before, now)}, Settings())["x"]
        (test,) = [told for told in found["tests"] if told["test"] == "unseen"]
        assert test["drift"] is expected
        assert found["drift"] is expected
    # One cell that is no number, of a hundred, is none either.
    numbers = texts(np.random.default_rng(0).normal(size=453))
    found = drift.columns({"x": (numbers[:353], [*numbers[354:], "odd"])}, Settings())["x"]
    assert [(told["test"], told["drift"]) for told in found["tests"]] == [
        ("ks", False),
        ("type", False),
    ]


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (["1.5", "2.5", "NaN", "inf"] * 90, ["1.5", "2.5", "", ""] * 50),  # numpy, beside the log
        ([*texts(np.arange(350.0)), "NA", "nan", ""], [*texts(np.arange(200.0)), ""]),  # R
        (["True", "False"] * 180, ["true", "false"] * 100),  # pandas, beside JSON
        ([""] * 353, [""] * 200),  # what nobody uses
    ],
)
def test_what_tools_write_in_other_ways_is_the_same(before: list[str], now: list[str]):
    reference = Reference({"x": before, "y": ["1", "2"] * 180}, "y", [], [])
    week = {"x": now, "prediction": ["1"] * len(now), "label": [""] * len(now)}
    found = drift.judge(reference, week, Settings(effect=0.5))
    assert (found["drift"], found["schema"]["missing"]) == (False, [])


def test_large_numbers_are_told_apart_and_leave_json_that_all_can_read():
    before = ["20000001", "20000002"] * 180
    assert drift.compare_categories(before, ["20000002"] * 200)["effect"] == pytest.approx(0.5)
    assert drift.category("20000001") == drift.category("20000001.0")
    assert drift.category("32.1") == drift.category("32.099998474")
    spread = texts(np.arange(100.0))
    reference = Reference({"x": spread, "y": spread}, "y", spread, spread)
    week = {"x": ["1e300"] * 100, "prediction": ["-1e300"] * 100, "label": ["1e300"] * 100}
    found = drift.judge(reference, week, Settings())
    assert found["drift"]
    json.dumps(found, allow_nan=False)


def test_rare_categories_are_counted_together_and_never_alone():
    """A chi-squared test of a cell that expects 0.3 rows finds anything."""
    found = drift.compare_categories(["a"] * 300 + ["b"] * 100, ["a"] * 300 + ["b"] * 100 + ["c"])
    assert found["p"] > 0.9


def test_what_is_ignored_is_not_compared(world: World):
    week = world.week(shift=3)
    settings = Settings(ignore=["x0", "prediction", "label"])
    found = drift.judge(world.reference, week, settings)
    assert not {"x0", "prediction", "label"} & set(found["columns"])


def test_a_worse_model_on_labelled_rows_is_drift(world: World):
    same = drift.judge(world.reference, world.week(), Settings())["performance"]
    assert (same["rows"], same["drift"]) == (60, False)
    worse = drift.judge(world.reference, world.week(noise=2), Settings())
    told = worse["performance"]
    assert told["drift"]
    assert worse["drift"]
    assert told["value"] == pytest.approx(2, rel=0.25)
    assert told["reference"] == pytest.approx(1, rel=0.25)
    assert 0 < told["interval"][0] < told["value"] - told["reference"] < told["interval"][1]
    # Better is no drift, and too few labels are not judged.
    better = drift.judge(world.reference, world.week(noise=0.3), Settings())["performance"]
    assert not better["drift"]
    assert drift.judge(world.reference, world.week(labels=29), Settings())["performance"] is None


def test_accuracy_gets_worse_downwards():
    right, wrong = ["a"] * 200, ["a"] * 100 + ["b"] * 100
    reference = Reference({"y": right}, "y", right, right)
    settings = Settings(metric="accuracy")
    assert drift.performance(reference, right, wrong, settings)["drift"]
    assert not drift.performance(reference, right, right, settings)["drift"]
    with pytest.raises(SystemExit, match="none of rmse, mae, accuracy"):
        drift.performance(reference, right, right, Settings(metric="r2"))


def project(folder: Path, world: World, *weeks: Table, version: str = "v1") -> Path:
    for name in ("windows", "reference"):
        (folder / name).mkdir()
    (folder / "collected.json").write_text('{"rows": 1}')
    about = {"commit": "c" * 40, "version": version, "hash": "h"}
    (folder / "reference" / "about.json").write_text(json.dumps(about))
    save(folder / "reference" / "data.csv", world.reference.data)
    tested = {"actual": world.reference.actual, "predicted": world.reference.predicted}
    save(folder / "reference" / "predictions.csv", tested)
    for number, week in enumerate(weeks, 10):
        save(folder / "windows" / f"2026-W{number}.csv", week)
    return folder


def save(path: Path, columns: Table) -> None:
    rows = [",".join(columns), *map(",".join, zip(*columns.values(), strict=True))]
    path.write_text("\n".join(rows) + "\n")


def test_the_document_of_some_weeks(world: World, tmp_path: Path):
    other = {**world.week(shift=9), "version": ["v0"] * 200}
    found = drift.measure(
        project(tmp_path, world, other, world.week(), world.week(shift=2)), Settings()
    )
    assert [one["window"] for one in found["windows"]] == ["2026-W10", "2026-W11", "2026-W12"]
    assert [one["rows"] for one in found["windows"]] == [0, 200, 200]
    assert [one["other_versions"] for one in found["windows"]] == [200, 0, 0]
    assert [one["drift"] for one in found["windows"]] == [False, False, True]
    assert found["reference"]["rows"] == 353
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert drift.measure(tmp_path, Settings()) == found
    assert len(drift.measure(tmp_path, Settings(windows=2))["windows"]) == 2


def test_a_mark_at_the_start_of_a_file_is_no_part_of_a_name(tmp_path: Path):
    path = tmp_path / "data.csv"
    path.write_bytes(b"\xef\xbb\xbfage,y\r\n1,2\r\n")
    assert drift.read_table(path) == {"age": ["1"], "y": ["2"]}


def test_no_week_is_no_drift(world: World, tmp_path: Path):
    found = drift.measure(project(tmp_path, world), Settings())
    assert found["windows"] == []
    assert "There is no week to compare yet." in report.html(found)


class Tags(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert not {"src", "href", "onload"} & {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_shows_what_drifted_and_runs_nothing_of_a_stranger(world: World, tmp_path: Path):
    odd = "<script>alert(1)</script>"
    week = {**world.week(shift=2, noise=2), odd: ["1"] * 200}
    found = drift.measure(project(tmp_path, world, world.week(), week), Settings())
    page = report.html(found)
    seen = Tags(page)
    assert "script" not in seen.tags
    assert f"New columns: {odd}" in seen.text
    assert "2026-W11: drift" in seen.text
    assert "2026-W10: no drift" in seen.text
    assert "● worse" in seen.text
    assert "x0" in seen.text
    assert "http" not in page
