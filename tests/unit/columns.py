"""The columns of a report's comparison."""

from __future__ import annotations

from model_gitops.core.report.comparison import Column, Place

FILE = "eval/metrics.json"


def column(name: str, *, file: str = FILE, **values: object) -> Column:
    return Column(name, {(file, key): value for key, value in values.items()})


def unknown(_: Place) -> None:
    """The direction of a metric of which nobody knows what is better."""
