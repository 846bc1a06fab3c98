"""Metrics: numbers by dotted name, and which direction of a change is the better one."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from model_gitops.core import document
from model_gitops.errors import InputError

# A file of metrics has tens of values; aliases of YAML make billions of a few lines.
MOST_VALUES = 100_000
DEEPEST = 50


def load(text: str, *, source: str) -> dict[str, Any]:
    """Parse a metrics or params file (JSON, YAML or TOML, by its name) and flatten it.

    Raises InputError naming `source`.
    """
    document.refuse_pointer(text, source)
    try:
        if source.endswith(".toml"):
            import tomllib  # few projects need it

            data: Any = tomllib.loads(text)
        elif source.endswith(".json"):
            data = json.loads(text)
        else:
            data = document.load_yaml(text, source=source)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{source} can't be parsed: {error}") from error
    try:
        return flatten(data)
    except InputError as error:
        raise InputError(f"{source} can't be used: {error.message}") from error


def flatten(data: Any) -> dict[str, Any]:
    """Return nested mappings and lists as one mapping with dotted keys, in their order.

    Raises InputError for more values, or deeper ones, than any real file has.
    """
    found: dict[str, Any] = {}
    seen = 0

    def walk(node: Any, prefix: str, depth: int) -> None:
        nonlocal seen
        seen += 1
        if seen > MOST_VALUES or depth > DEEPEST:
            raise InputError(f"it holds more than {MOST_VALUES} values or {DEEPEST} levels")
        if isinstance(node, Mapping):
            for key, value in node.items():
                name = format_number(key) if type(key) is int else str(key)
                walk(value, f"{prefix}.{name}" if prefix else name, depth + 1)
        elif isinstance(node, Sequence) and not isinstance(node, str):
            for place, value in enumerate(node):
                walk(value, f"{prefix}.{place}" if prefix else str(place), depth + 1)
        else:
            found[prefix] = node

    walk(data, "", 0)
    return found


def format_number(value: Any) -> str:
    """Write a metric for a person: five significant digits, `–` for nothing."""
    if value is None:
        return "–"
    if not is_number(value):
        return str(value)
    if isinstance(value, float):
        return f"{value:.5g}"
    # Python writes no longer integer, and nobody reads one.
    return str(value) if value.bit_length() < 1024 else f"an integer of {value.bit_length()} bits"


def is_number(value: Any) -> bool:
    """Whether a value is written as a number: NaN and the infinities are, a boolean is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def number(value: Any) -> float | None:
    """Return a metric's value as a finite number, or None."""
    if not is_number(value):
        return None
    try:
        found = float(value)
    except OverflowError:  # an integer of hundreds of digits
        return None
    return found if math.isfinite(found) else None


def direction(change: float, better: Literal["higher", "lower"] | None) -> str:
    """Return ▲ for a change to the better, ▼ to the worse, and nothing where it is not known."""
    if better is None or change == 0:
        return ""
    return "▲" if (change > 0) == (better == "higher") else "▼"
