"""What evidently's JSON says: reports of 0.7 (`metric_name`, `value`) and of 0.4 (`metric`, `result`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from model_gitops.core.flow import metrics


def drift(data: Mapping[str, Any]) -> bool | None:
    """Whether the whole data set drifted, by evidently's own share of columns; None for other JSON."""
    for kind, config, value in _metrics(data):
        if kind == "DriftedColumnsCount":
            share = metrics.number(value.get("share")) if isinstance(value, Mapping) else None
            bound = metrics.number(config.get("drift_share"))
            if share is not None and bound is not None:
                return share >= bound
    for result in _results(data):
        if isinstance(result.get("dataset_drift"), bool):
            return bool(result["dataset_drift"])
    return None


def columns(data: Mapping[str, Any]) -> list[str]:
    """Return the columns that drifted, each by evidently's own test of it."""
    found = []
    for kind, config, value in _metrics(data):
        column, number = config.get("column"), metrics.number(value)
        bound = metrics.number(config.get("threshold"))
        if kind == "ValueDrift" and isinstance(column, str) and None not in (number, bound):
            # A p-value is small where there is drift, a distance large.
            is_p_value = "p_value" in str(config.get("method"))
            if number < bound if is_p_value else number >= bound:  # type: ignore[operator]
                found.append(column)
    for result in _results(data):
        by_column = result.get("drift_by_columns")
        if isinstance(by_column, Mapping):
            found += [
                str(name)
                for name, one in by_column.items()
                if isinstance(one, Mapping) and one.get("drift_detected") is True
            ]
    return found


def _metrics(data: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], Any]]:
    """Yield kind, settings and value of each metric of a report of 0.7."""
    for one in _entries(data):
        config = one.get("config")
        name = str(one.get("metric_name", ""))
        yield name.split("(", 1)[0], config if isinstance(config, Mapping) else {}, one.get("value")


def _results(data: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the result of each metric of a report of 0.4."""
    for one in _entries(data):
        if isinstance(one.get("result"), Mapping):
            yield one["result"]


def _entries(data: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    found = data.get("metrics")
    yield from (one for one in found if isinstance(one, Mapping)) if isinstance(found, list) else ()
