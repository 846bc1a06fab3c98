"""Stage `collect`: the request log as one CSV a week, with the labels that have arrived.

The log is written by a service that answers strangers: each line is read as data, within limits,
and what is no line of this model is counted and left out. Run again, or over a log that overlaps,
nothing is doubled: a row is known by its id.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import math
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

LONGEST_LINE = 64 * 1024  # bytes
LONGEST_TEXT = 64  # characters of a name, a category, an id
MOST_ROWS = 100_000  # in a week; of more, those with the smallest hashes of their ids are kept
MOST_COLUMNS = 500
LARGEST_FILE = 4 * 1024**3  # bytes, unpacked
LOGS = re.compile(r"\.(?:jsonl|ndjson|log)(?:\.[0-9]{1,4})?(?:\.gz)?$")
FIXED = ("time", "id", "version", "prediction", "label")
# RFC 3339, as the service writes it; Python reads the rest.
TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)")


class LeftOutError(Exception):
    """A line that is not taken, and why."""


@dataclass
class Row:
    """One answered instance; all values are text as a CSV has it, empty where there is none."""

    time: str
    id: str
    version: str
    features: dict[str, str]
    prediction: str = ""
    label: str = ""

    @property
    def week(self) -> str:
        """The ISO week in UTC, such as `2026-W48`."""
        year, week, _ = datetime.fromisoformat(self.time).isocalendar()
        return f"{year}-W{week:02}"


@dataclass
class Collected:
    """The weeks (name → id → row), and what was counted."""

    weeks: dict[str, dict[str, Row]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, row: Row) -> None:
        """Take a row whose id its week does not have yet."""
        self.weeks.setdefault(row.week, {}).setdefault(row.id, row)


def cell(value: Any) -> str:
    """Return a value as a CSV has it: a finite number, a short text, or nothing."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        try:
            number = float(value)
        except OverflowError:
            return ""
        if not math.isfinite(number):
            return ""
        return str(value) if isinstance(value, int) and abs(value) < 2**53 else repr(number)
    if not isinstance(value, str):
        return ""
    return "".join(one for one in value if one.isprintable()).strip()[:LONGEST_TEXT]


def is_name(name: str) -> bool:
    """Whether a text may name a column."""
    short = 0 < len(name) <= LONGEST_TEXT and name == name.strip()
    return short and name.isprintable() and name not in FIXED and name[0] not in "=+-@"


def read_time(text: Any, latest: datetime) -> str:
    """Return a time in UTC, to the second. Raises LeftOutError for what is none, or is to come."""
    try:
        if not isinstance(text, str) or not TIME.fullmatch(text):
            raise ValueError
        fraction = re.sub(r"\.\d+", "", text.upper())
        time = datetime.fromisoformat(fraction).astimezone(UTC)
    except (ValueError, OverflowError):
        raise LeftOutError("no time") from None
    if time > latest:  # else a forged line would be the newest week for years
        raise LeftOutError("a time that is to come")
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def parse(line: bytes, model: str, latest: datetime) -> Row:
    """Read one line of the log. Raises LeftOutError."""
    if len(line) > LONGEST_LINE:
        raise LeftOutError("too long")
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        raise LeftOutError("no JSON") from None
    if not isinstance(data, dict) or not isinstance(data.get("instance"), dict):
        raise LeftOutError("no request")
    about = data.get("model")
    if not isinstance(about, dict) or about.get("name") != model:
        raise LeftOutError("another model")
    version = cell(about.get("version") or about.get("hash"))
    if not version:
        raise LeftOutError("no version")
    instance = data["instance"]
    if not instance or len(instance) > MOST_COLUMNS or not all(map(is_name, instance)):
        raise LeftOutError("no names of columns")
    time = read_time(data.get("time"), latest)
    known = cell(data.get("id")) or hashlib.sha256(line.strip()).hexdigest()[:32]
    features = {name: cell(value) for name, value in instance.items()}
    return Row(time, known, version, features, cell(data.get("prediction")))


def lines(path: Path) -> Iterator[bytes]:
    """Yield a file's lines; of one that is too long a piece that is too long."""
    with path.open("rb") as raw, gzip.open(raw) if path.suffix == ".gz" else raw as stream:
        read = 0
        while line := stream.readline(LONGEST_LINE + 1):
            read += len(line)
            yield line
            while len(line) > LONGEST_LINE and not line.endswith(b"\n"):
                line = stream.readline(LONGEST_LINE + 1)
                read += len(line)
                if not line:
                    break
            if read > LARGEST_FILE:
                raise EOFError(f"more than {LARGEST_FILE} bytes")


def read_log(folder: Path, model: str, found: Collected, latest: datetime) -> None:
    """Take what is new from the log files of a folder, in the order of their names."""
    for path in sorted(folder.rglob("*")):
        if not LOGS.search(path.name) or not path.is_file():
            continue
        found.counts["files"] += 1
        try:
            for line in lines(path):
                if not line.strip():
                    continue
                found.counts["lines"] += 1
                try:
                    found.add(parse(line, model, latest))
                    found.counts["requests"] += 1
                except LeftOutError as why:
                    found.counts[f"left out: {why}"] += 1
        except (OSError, EOFError) as error:  # what gzip raises too
            found.counts["files that end early"] += 1
            print(f"collect: {path.name!a} was read to where it can be: {error}", file=sys.stderr)


def read_labels(folder: Path, counts: Counter[str]) -> dict[str, str]:
    """Return id → label of the CSV files of a folder; a later file corrects an earlier one."""
    labels: dict[str, str] = {}
    for path in sorted(folder.rglob("*.csv")):
        # Lines first: a quote that is never closed must not swallow the file.
        for line in lines(path):
            text = line[:LONGEST_LINE].decode("utf-8-sig", errors="replace")
            row = next(csv.reader([text]), [])
            if row[:2] == ["id", "label"] or not text.strip():
                continue
            known, label = (cell(one) for one in (*row, "", "")[:2])
            if known and label:
                labels[known] = label
            else:
                counts["labels left out"] += 1
    return labels


def label(found: Collected, labels: dict[str, str]) -> None:
    """Give each row the label of its id."""
    left = set(labels)
    for week in found.weeks.values():
        for row in week.values():
            if row.id in labels:
                row.label = labels[row.id]
                left.discard(row.id)
    found.counts["labels"] = len(labels) - len(left)
    if left:
        found.counts["labels without a row"] = len(left)


def read_weeks(folder: Path) -> Collected:
    """Read what earlier runs wrote."""
    found = Collected()
    for path in sorted(folder.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            for cells in csv.DictReader(file):
                fixed = {name: cells.pop(name, "") or "" for name in FIXED}
                features = {name: value for name, value in cells.items() if value}
                found.add(Row(features=features, **fixed))
    return found


def text_of(rows: list[Row]) -> str:
    """Return a week as CSV: columns by name, rows by time."""
    names = Counter(name for row in rows for name in row.features)
    columns = sorted(sorted(names, key=lambda name: (-names[name], name))[:MOST_COLUMNS])
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["time", "id", "version", *columns, "prediction", "label"])
    for row in sorted(rows, key=lambda row: (row.time, row.id)):
        values = [row.features.get(name, "") for name in columns]
        writer.writerow([row.time, row.id, row.version, *values, row.prediction, row.label])
    return file.getvalue()


def sample(rows: list[Row]) -> list[Row]:
    """Return at most MOST_ROWS of a week's rows: the same ones in each run."""
    if len(rows) <= MOST_ROWS:
        return rows
    return sorted(rows, key=lambda row: hashlib.sha256(row.id.encode()).digest())[:MOST_ROWS]


def write(path: Path, text: str) -> None:
    """Write a file as a whole, where it changed: DVC may have linked the old one into its cache."""
    if path.is_file() and path.read_bytes() == text.encode():
        return
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)


def fetch(source: str, folder: Path, root: Path) -> Path:
    """Return the folder of `source`: one of this machine, or a copy of what a bucket has."""
    if "://" not in source:
        return root / source
    # DVC knows each kind of bucket, and finds the credentials as for its remotes.
    command = ["dvc", "get-url", "--quiet", "--force", "--", source, str(folder)]
    if subprocess.run(command, cwd=root, check=False).returncode:
        raise SystemExit(f"collect: DVC can't read {source!a}, and says above why")
    return folder


def collect(
    windows: Path, logs: Path | None, labels: Path | None, model: str, now: datetime
) -> Counter[str]:
    """Bring the folder `windows` up to date; what was counted."""
    windows.mkdir(parents=True, exist_ok=True)
    found = read_weeks(windows)
    if logs:
        read_log(logs, model, found, now + timedelta(days=1))
    if labels:
        label(found, read_labels(labels, found.counts))
    for name, week in sorted(found.weeks.items()):
        rows = sample(list(week.values()))
        found.counts["rows"] += len(rows)
        write(windows / f"{name}.csv", text_of(rows))
    return found.counts


def main() -> int:
    """Collect what params.yaml, or the environment, names; 0 is good."""
    params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))["collect"]
    logs = os.environ.get("MONITOR_LOGS") or params["logs"] or ""
    labels = os.environ.get("MONITOR_LABELS") or params["labels"] or ""
    root = Path.cwd().parent
    if not logs:
        print(
            "collect: no request log is named: set MONITOR_LOGS, or `logs` in monitor/params.yaml"
        )
    with tempfile.TemporaryDirectory() as name:
        folders = [
            fetch(source, Path(name) / kind, root) if source else None
            for kind, source in (("logs", logs), ("labels", labels))
        ]
        for source, folder in zip((logs, labels), folders, strict=True):
            if folder and not folder.is_dir():
                print(f"collect: there is no folder {source!a} yet")
        counts = collect(Path("windows"), *folders, params["model"], datetime.now(UTC))
    Path("collected.json").unlink(missing_ok=True)
    Path("collected.json").write_text(json.dumps(dict(sorted(counts.items())), indent=2) + "\n")
    print("collect: " + (", ".join(f"{key} {counts[key]}" for key in sorted(counts)) or "nothing"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
