"""Stage `prepare`: write the training and the test set.

The data is a set that scikit-learn brings: 442 patients, ten measurements each, and the
progression of the disease one year later. Beside it is what the model was asked since and
somebody labelled: `labelled.csv`, which label.py writes. Each CSV has a header; the target is the
last column.
"""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import numpy as np
import yaml
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split

TARGET = "progression"
LABELLED = Path("data/labelled.csv")


def write_csv(path: Path, columns: list[str], rows: np.ndarray) -> None:
    """Write `rows`, shape (n, len(columns)), under a header, in full precision."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savetxt(path, rows, fmt="%.17g", delimiter=",", header=",".join(columns), comments="")


def is_for_testing(name: str, share: float) -> bool:
    """Whether the row `name` is in the test set: by its hash, so for ever."""
    return int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) < share * 16**8


def read_labelled(path: Path, columns: list[str]) -> dict[str, list[float]]:
    """Return the rows of `labelled.csv`, name → numbers of `columns`; none without the file."""
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        return {row["id"]: [float(row[name]) for name in columns] for row in csv.DictReader(file)}


def prepare(folder: Path, test_share: float, seed: int, labelled: Path = LABELLED) -> None:
    """Write `train.csv` and `test.csv` into `folder`.

    Of the patients the split depends on `seed` alone; a labelled row stays where it is for ever.
    """
    data = load_diabetes(scaled=False)
    rows = np.column_stack([data.data, data.target])
    train, test = train_test_split(rows, test_size=test_share, random_state=seed)
    columns = [*data.feature_names, TARGET]
    found = read_labelled(labelled, columns)
    held_out = {name for name in found if is_for_testing(name, test_share)}
    new_train = [row for name, row in found.items() if name not in held_out]
    new_test = [row for name, row in found.items() if name in held_out]
    write_csv(folder / "train.csv", columns, np.array([*train, *new_train]))
    write_csv(folder / "test.csv", columns, np.array([*test, *new_test]))


if __name__ == "__main__":
    prepare(Path("data"), **yaml.safe_load(Path("params.yaml").read_text())["prepare"])
