"""What compare-models measured: two models on the same examples, by the same code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from model_gitops.core.flow import metrics
from model_gitops.errors import InputError

FORMAT = 1


@dataclass(frozen=True)
class Slice:
    """The examples with one value of the slices' column, and both models' number for them."""

    name: str
    examples: int
    champion: float
    candidate: float


@dataclass(frozen=True)
class Difference:
    """One metric of both models. `interval` bounds candidate - champion with 95 % confidence.

    It is None where the examples' own predictions are not known, or do not give this metric.
    """

    metric: str
    champion: float | None
    candidate: float | None
    interval: tuple[float, float] | None = None
    slices: tuple[Slice, ...] = ()


@dataclass(frozen=True)
class Measured:
    """The whole comparison: which models (DVC's hashes), at which commits, by whose code."""

    champion_hash: str
    candidate_hash: str
    champion_commit: str = ""
    candidate_commit: str = ""
    evaluation_commit: str = ""
    stage: str = ""
    differences: Mapping[str, Difference] = field(default_factory=dict)


def dump(measured: Measured) -> str:
    """Write a comparison as JSON on one line, for a step's output."""
    data = {
        "format": FORMAT,
        "champion": {"commit": measured.champion_commit, "model-hash": measured.champion_hash},
        "candidate": {"commit": measured.candidate_commit, "model-hash": measured.candidate_hash},
        "evaluation": {"commit": measured.evaluation_commit, "stage": measured.stage},
        "metrics": [
            {
                "metric": one.metric,
                "champion": one.champion,
                "candidate": one.candidate,
                "interval": list(one.interval) if one.interval else None,
                "slices": [
                    {
                        "name": part.name,
                        "examples": part.examples,
                        "champion": part.champion,
                        "candidate": part.candidate,
                    }
                    for part in one.slices
                ],
            }
            for one in measured.differences.values()
        ],
    }
    return json.dumps(data, separators=(",", ":"))


def parse(text: str, *, source: str = "input `measured`") -> Measured:
    """Read what `dump` wrote. Raises InputError, naming `source`, for anything else."""
    try:
        data = json.loads(text)
        if data["format"] != FORMAT:
            raise ValueError(f"format {data['format']!r} is not known here")
        found = [_difference(one) for one in data["metrics"]]
        return Measured(
            champion_hash=str(data["champion"]["model-hash"]),
            candidate_hash=str(data["candidate"]["model-hash"]),
            champion_commit=str(data["champion"]["commit"]),
            candidate_commit=str(data["candidate"]["commit"]),
            evaluation_commit=str(data["evaluation"]["commit"]),
            stage=str(data["evaluation"]["stage"]),
            differences={one.metric: one for one in found},
        )
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise InputError(
            f"{source} is no result of compare-models: {type(error).__name__}: {error}",
            fix="measured: ${{ steps.compare.outputs.measured }}",
        ) from error


def _difference(entry: Any) -> Difference:
    interval = entry["interval"]
    return Difference(
        metric=str(entry["metric"]),
        champion=metrics.number(entry["champion"]),
        candidate=metrics.number(entry["candidate"]),
        interval=(_finite(interval[0]), _finite(interval[1])) if interval is not None else None,
        slices=tuple(
            Slice(
                str(one["name"]),
                int(one["examples"]),
                _finite(one["champion"]),
                _finite(one["candidate"]),
            )
            for one in entry.get("slices", ())
        ),
    )


def _finite(value: Any) -> float:
    found = metrics.number(value)
    if found is None:
        raise ValueError(f"{value!r} is no finite number")
    return found
