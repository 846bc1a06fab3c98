from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from conftest import PARAMS

from diabetes import evaluate, train


def load(data: Path) -> tuple[np.ndarray, np.ndarray]:
    rows = np.loadtxt(data / "train.csv", delimiter=",", skiprows=1)
    return rows[:, :-1], rows[:, -1]


def test_the_loss_falls(data: Path):
    losses = train.fit(*load(data), **PARAMS).losses
    assert len(losses) == PARAMS["epochs"]
    training = [loss for loss, _ in losses]
    assert training == sorted(training, reverse=True)
    assert training[-1] < training[0] / 2


def test_the_validation_set_is_not_trained_on(data: Path):
    x, y = load(data)
    fitted = train.fit(x, y, **PARAMS)
    assert fitted.pipeline["scale"].n_samples_seen_ == len(x) - round(0.2 * len(x) + 0.5)


def test_the_onnx_model_predicts_as_the_pipeline(data: Path, model: Path):
    x, y = load(data)
    expected = train.fit(x, y, **PARAMS).pipeline.predict(x)
    assert evaluate.predict(model, x) == pytest.approx(expected, rel=1e-4)


def test_the_same_training_gives_the_same_bytes(data: Path, model: Path, tmp_path: Path):
    train.train(data / "train.csv", tmp_path / "m.onnx", tmp_path / "c.csv", **PARAMS)
    assert (tmp_path / "m.onnx").read_bytes() == model.read_bytes()
    other = PARAMS | {"epochs": 11}
    train.train(data / "train.csv", tmp_path / "m.onnx", tmp_path / "c.csv", **other)
    assert (tmp_path / "m.onnx").read_bytes() != model.read_bytes()


def test_the_model_knows_its_features(model: Path):
    proto = onnx.load(model)
    onnx.checker.check_model(proto)
    props = {prop.key: prop.value for prop in proto.metadata_props}
    features = json.loads(props["features"])
    assert features == ["age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6"]
    assert props["target"] == "progression"


def test_the_learning_curve_has_a_row_an_epoch(model: Path):
    lines = (model.parent / "curve.csv").read_text().splitlines()
    assert lines[0] == "epoch,training,validation"
    assert [int(line.split(",")[0]) for line in lines[1:]] == list(range(1, 11))
