"""Stage `train`: fit a linear model by stochastic gradient descent and write it as ONNX.

The same data and parameters give the same model, byte for byte: DVC and the model registry
know a model by the hash of its file.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from onnx import ModelProto
from onnx.helper import set_model_props
from skl2onnx import to_onnx
from sklearn.linear_model import SGDRegressor
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

NAME = "diabetes"  # of the graph in the ONNX file
# What the onnxruntime of requirements/serve.txt can run.
OPSET = {"": 18, "ai.onnx.ml": 3}


@dataclass(frozen=True)
class Fit:
    """A fitted pipeline, and its loss (RMSE) after each epoch: (training, validation) pairs."""

    pipeline: Pipeline
    losses: list[tuple[float, float]]


def fit(
    x: np.ndarray, y: np.ndarray, *, epochs: int, eta0: float, alpha: float,
    validation_share: float, seed: int,
) -> Fit:  # fmt: skip
    """Fit on `x`, shape (patients, features), and `y`, shape (patients,).

    A share of the patients is held out to watch the loss; the model never trains on them.
    """
    x_fit, x_val, y_fit, y_val = train_test_split(
        x, y, test_size=validation_share, random_state=seed
    )
    scaler = StandardScaler().fit(x_fit)
    z_fit, z_val = scaler.transform(x_fit), scaler.transform(x_val)
    sgd = SGDRegressor(learning_rate="constant", eta0=eta0, alpha=alpha, random_state=seed)
    losses = []
    for _ in range(epochs):
        sgd.partial_fit(z_fit, y_fit)
        losses.append(
            (
                float(root_mean_squared_error(y_fit, sgd.predict(z_fit))),
                float(root_mean_squared_error(y_val, sgd.predict(z_val))),
            )
        )
    return Fit(Pipeline([("scale", scaler), ("sgd", sgd)]), losses)


def convert(pipeline: Pipeline, features: list[str], target: str) -> ModelProto:
    """Convert to ONNX: input `measurements`, float (n, features); output `variable`, float (n, 1).

    The model carries its feature names, so that serving needs nothing but the model file.
    """
    sample = np.zeros((1, len(features)), dtype=np.float32)
    # Without a name, skl2onnx makes up a random one, and no two models would be the same.
    model = to_onnx(pipeline, sample, name=NAME, target_opset=OPSET)
    model.graph.doc_string = "Progression of the disease one year after baseline"
    set_model_props(model, {"features": json.dumps(features), "target": target})
    return model


def train(data: Path, model: Path, curve: Path, **params: float) -> None:
    """Train on the CSV `data`; write the ONNX `model` and the learning `curve` (CSV)."""
    with data.open() as file:
        *features, target = file.readline().strip().split(",")
        rows = np.loadtxt(file, delimiter=",", ndmin=2)
    fitted = fit(rows[:, :-1], rows[:, -1], **params)
    model.parent.mkdir(parents=True, exist_ok=True)
    model.write_bytes(
        convert(fitted.pipeline, features, target).SerializeToString(deterministic=True)
    )
    lines = ["epoch,training,validation"]
    lines += [f"{epoch},{fit:.6f},{val:.6f}" for epoch, (fit, val) in enumerate(fitted.losses, 1)]
    curve.parent.mkdir(parents=True, exist_ok=True)
    curve.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    train(
        Path("data/train.csv"),
        Path(sys.argv[1]),  # as dvc.yaml says
        Path("eval/plots/learning_curve.csv"),
        **yaml.safe_load(Path("params.yaml").read_text())["train"],
    )
