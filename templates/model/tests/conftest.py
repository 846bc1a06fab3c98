from __future__ import annotations

import sys
from pathlib import Path

import pytest

from diabetes import prepare, train

sys.dont_write_bytecode = True

PARAMS = {"epochs": 10, "eta0": 0.001, "alpha": 0.1, "validation_share": 0.2, "seed": 42}


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the real train.csv and test.csv."""
    folder = tmp_path_factory.mktemp("data")
    prepare.prepare(folder, test_share=0.2, seed=42)
    return folder


@pytest.fixture(scope="session")
def model(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A really trained model."""
    folder = tmp_path_factory.mktemp("model")
    path = folder / "diabetes.onnx"
    train.train(data / "train.csv", path, folder / "curve.csv", **PARAMS)
    return path
