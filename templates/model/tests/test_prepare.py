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


def labelled(path: Path, names: range, value: float) -> Path:
    rows = [f"row-{number}," + ",".join([f"{value + number}"] * 11) for number in names]
    columns = "id,age,sex,bmi,bp,s1,s2,s3,s4,s5,s6,progression"
    path.write_text("\n".join([columns, *rows]) + "\n")
    return path


def test_without_labelled_rows_nothing_changes(tmp_path: Path, data: Path):
    empty = labelled(tmp_path / "empty.csv", range(0), 0)
    prepare.prepare(tmp_path, test_share=0.2, seed=42, labelled=empty)
    for name in ("train.csv", "test.csv"):
        assert (tmp_path / name).read_bytes() == (data / name).read_bytes()


def test_a_labelled_row_stays_where_it_is_whatever_comes_after_it(tmp_path: Path):
    file = labelled(tmp_path / "labelled.csv", range(50), 1000)
    prepare.prepare(tmp_path / "first", test_share=0.2, seed=42, labelled=file)
    labelled(file, range(500), 1000)
    prepare.prepare(tmp_path / "later", test_share=0.2, seed=1, labelled=file)
    for name in ("train.csv", "test.csv"):
        first, later = (read(tmp_path / when / name)[:, 0] for when in ("first", "later"))
        assert set(first[first >= 1000]) <= set(later[later >= 1000])
    held_out = read(tmp_path / "later/test.csv")
    assert 70 <= (held_out[:, 0] >= 1000).sum() <= 130
    assert len(read(tmp_path / "later/train.csv")) + len(held_out) == 442 + 500
