"""Test data that grew: whether the candidate's has all rows of the base's, and how many more."""

from __future__ import annotations

import csv
import posixpath
from collections import Counter
from dataclasses import dataclass

# Formats in which a row is a line; the first line of the ones that are true here is a header.
_FORMATS = {".csv": True, ".tsv": True, ".jsonl": False, ".ndjson": False}
FORMATS = ", ".join(_FORMATS)
# Of one file, in bytes.
LARGEST = 256 * 1024 * 1024


@dataclass(frozen=True)
class Growth:
    """How a file of test data changed. `missing` counts rows of the base that the candidate's lacks."""

    before: int
    now: int
    missing: int
    same_header: bool = True
    # Whether each line is a row for every reader: a quote that is open at the end of a line hides rows.
    is_by_line: bool = True

    @property
    def has_all(self) -> bool:
        """Whether nothing was taken away: both models may be measured on it."""
        return self.same_header and self.is_by_line and self.missing == 0


def is_known(path: str) -> bool:
    """Whether rows of a file of that name can be counted."""
    return posixpath.splitext(path)[1].lower() in _FORMATS


def growth(path: str, base: bytes, candidate: bytes) -> Growth:
    """Compare two versions of the file `path` row by row, in any order; a row twice counts twice."""
    before, now = (
        [line.rstrip(b"\r") for line in text.split(b"\n") if line.strip()]
        for text in (base, candidate)
    )
    same_header = True
    by_line = True
    if _FORMATS[posixpath.splitext(path)[1].lower()]:
        by_line = _is_by_line(now)
        same_header = before[:1] == now[:1]
        before, now = before[1:], now[1:]
    missing = Counter(before) - Counter(now)
    return Growth(len(before), len(now), missing.total(), same_header, by_line)


def _is_by_line(lines: list[bytes]) -> bool:
    """Whether no line opens a quote that it does not close, with any usual separator, or has a break in it."""
    if any(b"\r" in line or b"\0" in line for line in lines):
        return False
    quoted = [line.decode("latin-1") for line in lines if b'"' in line]
    try:
        for separator in ",;\t|" if quoted else "":
            # An open quote takes the line after it in: there are fewer rows then than lines.
            pairs = (text + "\n" for one in quoted for text in (one, "end"))
            if sum(1 for _ in csv.reader(pairs, delimiter=separator)) != 2 * len(quoted):
                return False
    except csv.Error:
        return False
    return True
