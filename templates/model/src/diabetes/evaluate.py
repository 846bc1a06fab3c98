"""Stage `evaluate`: measure the ONNX model on the test set.

It measures the very file that will be served, with the runtime that will serve it.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np

# Before onnxruntime starts: since 1.29 its Linux builds report use to Microsoft by default.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error


def predict(model: Path, x: np.ndarray) -> np.ndarray:
    """Predictions, shape (n,), for `x`, shape (n, features)."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (predictions,) = session.run(None, {session.get_inputs()[0].name: x.astype(np.float32)})
    return predictions.ravel()


def measure(actual: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """R², and the root mean squared and mean absolute error in units of the target."""
    return {
        "r2": round(float(r2_score(actual, predicted)), 6),
        "rmse": round(float(root_mean_squared_error(actual, predicted)), 6),
        "mae": round(float(mean_absolute_error(actual, predicted)), 6),
    }


def evaluate(data: Path, model: Path, metrics: Path, predictions: Path) -> None:
    """Measure `model` on the CSV `data`; write `metrics` (JSON) and `predictions` (CSV)."""
    rows = np.loadtxt(data, delimiter=",", skiprows=1, ndmin=2)
    actual, predicted = rows[:, -1], predict(model, rows[:, :-1])
    metrics.parent.mkdir(parents=True, exist_ok=True)
    metrics.write_text(json.dumps(measure(actual, predicted), indent=2) + "\n")
    lines = ["actual,predicted"]
    lines += [f"{a:g},{p:.4f}" for a, p in zip(actual, predicted, strict=True)]
    predictions.parent.mkdir(parents=True, exist_ok=True)
    predictions.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    evaluate(
        Path("data/test.csv"),
        Path(sys.argv[1]),  # as dvc.yaml says
        Path("eval/metrics.json"),
        Path("eval/plots/predictions.csv"),
    )
