from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_diabetes

from diabetes import prepare


def read(path: Path) -> np.ndarray:
    return np.loadtxt(path, delimiter=",", skiprows=1)


def test_every_patient_is_in_exactly_one_set(data: Path):
    rows = np.vstack([read(data / "train.csv"), read(data / "test.csv")])
    bundled = load_diabetes(scaled=False)
    expected = np.column_stack([bundled.data, bundled.target])
    assert sorted(map(tuple, rows)) == sorted(map(tuple, expected))


def test_columns_are_the_measurements_then_the_target(data: Path):
    for name in ("train.csv", "test.csv"):
        header = (data / name).read_text().splitlines()[0]
        assert header == "age,sex,bmi,bp,s1,s2,s3,s4,s5,s6,progression"


@pytest.mark.parametrize(("share", "size"), [(0.1, 45), (0.2, 89), (0.5, 221)])
def test_share_of_the_test_set(tmp_path: Path, share: float, size: int):
    prepare.prepare(tmp_path, test_share=share, seed=1)
    assert len(read(tmp_path / "test.csv")) == size


def test_the_seed_alone_decides_the_split(tmp_path: Path, data: Path):
    prepare.prepare(tmp_path / "same", test_share=0.2, seed=42)
    prepare.prepare(tmp_path / "other", test_share=0.2, seed=43)
    assert (tmp_path / "same/test.csv").read_bytes() == (data / "test.csv").read_bytes()
    assert (tmp_path / "other/test.csv").read_bytes() != (data / "test.csv").read_bytes()
