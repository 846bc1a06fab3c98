"""Stage `prepare`: write the training and the test set.

The data is a set that scikit-learn brings: 442 patients, ten measurements each, and the
progression of the disease one year later. Each CSV has a header; the target is the last column.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split

TARGET = "progression"


def write_csv(path: Path, columns: list[str], rows: np.ndarray) -> None:
    """Write `rows`, shape (n, len(columns)), under a header, in full precision."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savetxt(path, rows, fmt="%.17g", delimiter=",", header=",".join(columns), comments="")


def prepare(folder: Path, test_share: float, seed: int) -> None:
    """Write `train.csv` and `test.csv` into `folder`; the split depends on `seed` alone."""
    data = load_diabetes(scaled=False)
    rows = np.column_stack([data.data, data.target])
    train, test = train_test_split(rows, test_size=test_share, random_state=seed)
    columns = [*data.feature_names, TARGET]
    write_csv(folder / "train.csv", columns, train)
    write_csv(folder / "test.csv", columns, test)


if __name__ == "__main__":
    prepare(Path("data"), **yaml.safe_load(Path("params.yaml").read_text())["prepare"])
