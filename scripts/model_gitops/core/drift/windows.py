"""Windows of any JSON: where they are, and which of them say drift.

Without a path the shapes of several tools are known: this project's monitor/drift.json, lists of
violations, evidently's reports of 0.4 and 0.7. What strangers wrote is read as data: sizes are bounded.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from model_gitops.core import document
from model_gitops.core.drift import evidently
from model_gitops.core.drift.rule import MOST_WINDOWS, Threshold
from model_gitops.core.flow import metrics
from model_gitops.errors import InputError

MOST_COLUMNS = 1000
_LONGEST_NAME = 120
# In this order; each as tools write it.
_SAY_DRIFT = ("drift", "drifted", "drift_detected", "dataset_drift", "violation", "violated")
_NAMES = ("window", "week", "name", "timestamp", "time", "date", "id")


@dataclass(frozen=True)
class Paths:
    """Where in the JSON things are, as dotted paths; empty where the shape is to be known."""

    windows: str = ""
    drift: str = ""
    columns: str = ""
    threshold: Threshold | None = None


@dataclass(frozen=True)
class Window:
    """One window. `drift` and `rows` are None where the JSON does not say; `value` is the number judged."""

    name: str
    drift: bool | None
    rows: int | None = None
    columns: tuple[str, ...] = ()
    value: float | None = None


def read(text: str, paths: Paths, *, source: str) -> list[Window]:
    """Return the windows of a file in its order. Raises InputError naming `source`."""
    document.refuse_pointer(text, source)
    try:
        if source.endswith((".jsonl", ".ndjson")):
            data: Any = [json.loads(line) for line in text.split("\n") if line.strip()]
        else:
            data = json.loads(text)
        metrics.flatten(data)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{source} can't be read as JSON: {str(error)[:200]}",
            fix="`file` names JSON, or JSON lines in a file whose name ends with .jsonl",
        ) from error
    except InputError as error:
        raise InputError(f"{source} can't be used: {error.message}") from error
    found = _list(data, paths, source)
    if len(found) > MOST_WINDOWS:
        raise InputError(f"{source} has {len(found)} windows: more than {MOST_WINDOWS}")
    return [_window(name, one, paths, source) for name, one in found]


def _list(data: Any, paths: Paths, source: str) -> list[tuple[str, Any]]:
    """Return the windows with the names that their places give them."""
    stem = re.sub(r"\.\w+$", "", source.rsplit("/", 1)[-1])
    if paths.windows:
        there, data = at(data, paths.windows)
        if not there or not isinstance(data, list | dict):
            raise InputError.of(
                "windows", paths.windows, f"{source} has no list or mapping there",
                fix="give the dotted path of the windows, such as `result.windows`; nothing for a file that is"
                " one window",
            )  # fmt: skip
    elif isinstance(data, Mapping):
        if not isinstance(data.get("windows"), list | dict):
            return [(stem, data)]
        data = data["windows"]
    elif not isinstance(data, list):
        return [(stem, data)]
    if isinstance(data, Mapping):
        return [(str(name), one) for name, one in data.items()]
    return [(str(number), one) for number, one in enumerate(data, 1)]


def at(data: Any, path: str) -> tuple[bool, Any]:
    """Return whether a dotted path leads somewhere in `data`, and what is there."""
    for step in path.split("."):
        if isinstance(data, Mapping) and step in data:
            data = data[step]
        elif isinstance(data, list) and re.fullmatch(r"-?[0-9]{1,6}", step):
            if not -len(data) <= int(step) < len(data):
                return False, None
            data = data[int(step)]
        else:
            return False, None
    return True, data


def _window(name: str, data: Any, paths: Paths, source: str) -> Window:
    told = data if isinstance(data, Mapping) else {}
    given = next(
        (told[key] for key in _NAMES if isinstance(told.get(key), str | int) and told[key] != ""), name
    )  # fmt: skip
    shown = str(given)[:_LONGEST_NAME]
    drift, value = _drift(data, paths, source, shown)
    rows = metrics.number(told.get("rows"))
    return Window(
        name=shown,
        drift=drift,
        rows=int(rows) if rows is not None and rows >= 0 else None,
        columns=_columns(data, paths),
        value=value,
    )


def _drift(data: Any, paths: Paths, source: str, window: str) -> tuple[bool | None, float | None]:
    """Return whether a window says drift, and by which number."""
    if paths.drift:
        there, found = at(data, paths.drift)
        if not there:
            return None, None
        return _said(found, paths, source, window)
    if isinstance(data, bool) or metrics.is_number(data):
        return _said(data, paths, source, window)
    if not isinstance(data, Mapping):
        return None, None
    for key in _SAY_DRIFT:
        if isinstance(data.get(key), bool | str) or metrics.is_number(data.get(key)):
            return _said(data[key], paths, source, window)
    violations = data.get("violations")
    if isinstance(violations, list):
        return bool(violations), None
    if metrics.is_number(violations):  # how many: none is no drift, where nobody says otherwise
        return _said(
            violations,
            replace(paths, threshold=paths.threshold or Threshold(">", 0)),
            source,
            window,
        )
    return evidently.drift(data), None


def _said(found: Any, paths: Paths, source: str, window: str) -> tuple[bool | None, float | None]:
    """Judge a boolean or a number, also where it is written as a text; None of null, NaN and a mapping."""
    if isinstance(found, str):
        found = _of_text(found, source, window)
    if isinstance(found, bool):
        return found, None
    if not metrics.is_number(found):
        return None, None
    try:
        value = float(found)
    except OverflowError:  # an integer of hundreds of digits
        value = math.inf if found > 0 else -math.inf
    if math.isnan(value):
        return None, None
    if paths.threshold is None:
        raise InputError.of(
            "threshold", "", f"window {window!r} of {source} says the number {value:g}, and from where on it is"
            " drift nobody says",
            fix='threshold: "> 0.1"',
        )  # fmt: skip
    return paths.threshold.holds(value), value


def _of_text(text: str, source: str, window: str) -> bool | float | None:
    """Read what a shell or a table wrote as a text. Raises InputError for one that says neither."""
    word = text.strip().lower()
    if word in ("true", "false"):
        return word == "true"
    if not word:
        return None
    try:
        return float(word)
    except ValueError:
        raise InputError(
            f"window {window!r} of {source} says {text[:80]!r} of drift: that is no boolean and no number",
            fix="drift: the dotted path of a boolean or a number in a window, such as `result.drifted`",
        ) from None


def _columns(data: Any, paths: Paths) -> tuple[str, ...]:
    """Return which columns drifted, as far as the JSON tells."""
    if paths.columns:
        found = _names(at(data, paths.columns)[1])
    elif not isinstance(data, Mapping):
        found = []
    else:
        found = _names(data.get("columns")) + _names(data.get("violations"))
        found = found or evidently.columns(data)
        performance = data.get("performance")
        if isinstance(performance, Mapping) and performance.get("drift") is True:
            found.append("performance")
    return tuple(dict.fromkeys(one[:_LONGEST_NAME] for one in found[:MOST_COLUMNS]))


def _names(data: Any) -> list[str]:
    """Return the columns that drifted of a list of names, or of what each column says."""
    if isinstance(data, Mapping):
        return [str(name) for name, one in data.items() if _is_drift(one)]
    if not isinstance(data, Sequence) or isinstance(data, str):
        return []
    found = []
    for one in data:
        if isinstance(one, str):
            found.append(one)
        elif isinstance(one, Mapping):
            name = one.get("column", one.get("name"))
            says = [key for key in _SAY_DRIFT if isinstance(one.get(key), bool)]
            if isinstance(name, str) and (not says or _is_drift(one)):
                found.append(name)
    return found


def _is_drift(one: Any) -> bool:
    if isinstance(one, Mapping):
        return any(one.get(key) is True for key in _SAY_DRIFT)
    return one is True
