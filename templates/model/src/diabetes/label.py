"""Put what the model was asked, and somebody labelled since, into the training data.

    python label.py monitor/windows data/labelled.csv

Reads each CSV of the folder (columns `id`, the features and `label`, others are left alone) and
writes the rows that have a label and every feature to the file, beside those that are there. What
is known of a row stays: only a new label replaces an old one. A row's name is a hash of its id,
which whoever asks may choose. The same windows give the same file, byte for byte.
"""

from __future__ import annotations

import csv
import hashlib
import math
import sys
from pathlib import Path

TARGET = "progression"
# No window of a stranger's making fills the memory.
MOST_ROWS = 1_000_000


def number(text: str | None) -> float | None:
    """Return a finite number, or None for anything else."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def labelled(windows: Path, features: list[str]) -> dict[str, list[float]]:
    """Return the rows of all windows that have a label, by name: the features, then the label."""
    found: dict[str, list[float]] = {}
    for file in sorted(windows.glob("*.csv")):
        with file.open(newline="", encoding="utf-8", errors="replace") as stream:
            for row in csv.DictReader(stream):
                values = [number(row.get(name)) for name in (*features, "label")]
                if not row.get("id") or None in values or len(found) >= MOST_ROWS:
                    continue
                name = hashlib.sha256(row["id"].encode()).hexdigest()[:32]
                found[name] = [value for value in values if value is not None]
    return found


def label(windows: Path, file: Path) -> tuple[int, int]:
    """Add to `file`; return how many rows are new or newly labelled, and how many there are."""
    with file.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        columns = list(reader.fieldnames or ())
        known = {row["id"]: [float(row[name]) for name in columns[1:]] for row in reader}
    if columns[:1] != ["id"] or columns[-1:] != [TARGET]:
        raise SystemExit(f"{file}: the columns are not id, the features, {TARGET}")
    new = labelled(windows, columns[1:-1])
    changed = sum(known.get(name) != row for name, row in new.items())
    if changed:
        rows = sorted({**known, **new}.items())
        lines = [",".join([name, *(f"{value:.17g}" for value in row)]) for name, row in rows]
        draft = file.with_suffix(".new")
        draft.write_text("\n".join([",".join(columns), *lines]) + "\n", encoding="utf-8")
        draft.replace(file)
    return changed, len({**known, **new})


if __name__ == "__main__":
    changed, rows = label(Path(sys.argv[1]), Path(sys.argv[2]))
    print(f"label: {changed} rows are new or have a new label, {rows} in {sys.argv[2]}")
