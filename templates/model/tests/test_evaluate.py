from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from diabetes import evaluate


def test_a_perfect_prediction():
    actual = np.array([1.0, 2.0, 3.0])
    assert evaluate.measure(actual, actual) == {"r2": 1.0, "rmse": 0.0, "mae": 0.0}


def test_a_known_error():
    measured = evaluate.measure(np.array([0.0, 2.0, 4.0]), np.array([1.0, 2.0, 2.0]))
    assert measured["mae"] == 1.0
    assert measured["rmse"] == pytest.approx((5 / 3) ** 0.5, abs=1e-6)
    assert measured["r2"] == pytest.approx(1 - 5 / 8, abs=1e-6)


def test_the_files_agree_with_each_other(data: Path, model: Path, tmp_path: Path):
    metrics, predictions = tmp_path / "eval/metrics.json", tmp_path / "plots/predictions.csv"
    evaluate.evaluate(data / "test.csv", model, metrics, predictions)
    rows = np.loadtxt(predictions, delimiter=",", skiprows=1)
    assert predictions.read_text().startswith("actual,predicted\n")
    assert len(rows) == 89
    measured = json.loads(metrics.read_text())
    assert measured == pytest.approx(evaluate.measure(rows[:, 0], rows[:, 1]), abs=1e-4)
    assert measured["r2"] > 0.3
