"""People who ask the service: real requests, whose log is then dated into past weeks, and labels.

The world changes between the weeks: patients get heavier, and each point of their body mass index counts
more than it did. That is drift of the data and of the concept, and a model that was trained before
is wrong about both.
"""

from __future__ import annotations

import csv
import json
import random
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from model_gitops.errors import ExternalError

_IN_ONE_REQUEST = 20
# Body mass index: how much heavier, and what each of these points adds to the progression.
_HEAVIER, _WORTH = 5.0, 15.0


@dataclass(frozen=True)
class Patient:
    """Ten measurements by their names, and what will come of them."""

    measurements: Mapping[str, float]
    progression: float


def read_patients(file: Path) -> list[Patient]:
    """Read a training or test set: its last column is the target."""
    with file.open(encoding="utf-8", newline="") as stream:
        head, *rows = list(csv.reader(stream))
    return [
        Patient(dict(zip(head[:-1], map(float, row[:-1]), strict=True)), float(row[-1]))
        for row in rows
    ]


def week_of(patients: Sequence[Patient], number: int, *, drifted: bool, seed: int) -> list[Patient]:
    """Return the `number` patients of one week, drawn with `seed`."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    found = []
    for one in chance.choices(patients, k=number):
        noise = chance.gauss(0, 0.3)
        more = _HEAVIER + noise if drifted else noise
        measured = {**one.measurements, "bmi": one.measurements["bmi"] + more}
        worth = _WORTH * more if drifted else 0.0
        found.append(Patient(measured, one.progression + worth))
    return found


def ask(url: str, patients: Sequence[Patient]) -> int:
    """Ask the service about all of them; return how many were answered. Raises ExternalError."""
    answered = 0
    for start in range(0, len(patients), _IN_ONE_REQUEST):
        some = patients[start : start + _IN_ONE_REQUEST]
        body = json.dumps({"instances": [dict(one.measurements) for one in some]}).encode()
        call = urllib.request.Request(  # noqa: S310 - our own loopback address
            f"{url}/predict", data=body, headers={"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(call, timeout=30) as answer:  # noqa: S310
                answered += len(json.load(answer)["predictions"])
        except (OSError, ValueError, KeyError) as error:
            raise ExternalError(f"{url} did not answer: {error}") from error
    return answered


def dated(log: Path, weeks_ago: int, target: Path) -> list[dict[str, Any]]:
    """Move the lines of the request log into a past week, and return them.

    Only their time is another one: what was asked and answered stays as the service wrote it.
    """
    lines = [json.loads(line) for line in log.read_text("utf-8").splitlines() if line.strip()]
    monday = datetime.now(UTC) - timedelta(weeks=weeks_ago)
    monday -= timedelta(days=monday.weekday())
    for number, line in enumerate(lines):
        moment = monday.replace(hour=8, minute=0) + timedelta(minutes=number % 600)
        line["time"] = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    return lines


def write_labels(
    lines: Sequence[Mapping[str, Any]], patients: Sequence[Patient], target: Path
) -> int:
    """Write what became of the patients whom the log's lines are about, `id,label`; return how many."""
    by_values = {_key(one.measurements): one.progression for one in patients}
    rows = [
        (line["id"], by_values[key])
        for line in lines
        if (key := _key(line.get("instance") or {})) in by_values
    ]
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("id", "label"))
        writer.writerows((name, f"{label:.3f}") for name, label in rows)
    return len(rows)


def _key(measured: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    return tuple(sorted((name, round(float(value), 4)) for name, value in measured.items()))
