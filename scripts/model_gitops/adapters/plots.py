"""Plots as pictures: Vega-Lite to PNG without any network, named by their content."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model_gitops.adapters.vega import Vega
from model_gitops.core.report import pictures as kinds
from model_gitops.core.report.pictures import Picture

MOST_PLOTS = 40
# About as many as a picture of this size can show; drawing them takes some 10 seconds.
MOST_POINTS = 100_000
# A picture goes into Git, and is loaded by each reader.
LARGEST_PICTURE = 10 * 1024 * 1024

_ABSENT = "its data is neither in Git nor in the DVC cache here"


class NotShown(Exception):
    """A file that a comment can't show; says why: "it is …"."""


def draw(
    matched: Sequence[Any], folder: Path, *, candidate: str, vega: Vega
) -> tuple[list[Picture], list[str]]:
    """Draw DVC's renderers into `folder`; return the pictures and why others are missing.

    `candidate` is the name of the revision that must have each plot; an older one may lack some.
    A file's name is the start of its SHA-256, so the same plot is always the same file.
    """
    pictures: list[Picture] = []
    problems: list[str] = []
    plots = [(one, _content(one.renderer)) for one in matched[:MOST_PLOTS]]
    pngs = vega.draw([found for _, found in plots if isinstance(found, dict)])
    for one, found in plots:
        title = str(one.renderer.properties.get("title") or one.renderer.name)
        missing = _missing(one, candidate)
        drawn = next(pngs) if isinstance(found, dict) else found
        if isinstance(drawn, Exception):
            problems.append(f"the plot {title!r} can't be drawn: {str(drawn).strip()[:200]}")
            continue
        if not drawn:
            problems.append(f"the plot {title!r} has nothing to show: {missing or _ABSENT}")
        elif missing:
            problems.append(f"the plot {title!r} lacks {candidate}: {missing}")
        for name, content in [("", drawn)] if isinstance(drawn, bytes) else drawn:
            try:
                pictures.append(save(name or title, content, folder))
            except NotShown as why:
                problems.append(f"the plot {name or title!r} is not shown: {why}")
    if more := len(matched) - len(plots):
        problems.append(f"{more} more plots are left out: {MOST_PLOTS} are shown")
    return pictures, problems


def save(title: str, content: bytes, folder: Path) -> Picture:
    """Write a picture into `folder` under its content's name. Raises NotShown."""
    kind = kinds.kind(content)
    if not kind:
        raise NotShown(kinds.why_not(content))
    if len(content) > LARGEST_PICTURE:
        raise NotShown(f"it has more than {LARGEST_PICTURE // 1024 // 1024} MiB")
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{hashlib.sha256(content).hexdigest()[:16]}.{kind}"
    file.write_bytes(content)
    return Picture(title, file.name)


def _missing(one: Any, candidate: str) -> str:
    """Say why `candidate` lacks the plot or a part of it; empty where it does not."""
    errors = [*one.source_errors.get(candidate, {}).values()]
    if candidate in one.definition_errors:
        errors.append(one.definition_errors[candidate])
    if not errors:
        return ""
    if isinstance(errors[0], FileNotFoundError):
        return _ABSENT
    # Only now, for its import takes longer than drawing: whoever has an error has it already.
    from dvc.repo.plots import PlotMetricTypeError

    if isinstance(errors[0], PlotMetricTypeError):
        return (
            "DVC takes data from JSON, YAML, CSV and TSV files, and pictures from files that end in"
            " .gif, .jpeg, .jpg, .png or .svg"
        )
    said = str(errors[0]).strip().splitlines()
    return said[0][:200] if said else type(errors[0]).__name__


def _content(renderer: Any) -> dict[str, Any] | list[tuple[str, bytes]] | Exception:
    """Return what Vega draws, or name and content of pictures that are there, or why there is none."""
    try:
        points = renderer.datapoints
        if renderer.TYPE == "image":
            return [
                (f"{renderer.name} ({point.get('rev', '')})", _decode(str(point.get("src", ""))))
                for point in points
            ]
        if not points:
            return []
        if len(points) > MOST_POINTS:
            raise ValueError(f"it has {len(points)} points, {MOST_POINTS} can be drawn")
        filled = renderer.get_filled_template()
        specification = json.loads(filled) if isinstance(filled, str) else filled
        # A template is text from a branch: it must not read addresses or files of this machine. What
        # may be loaded is limited for http only, so a `file:` address is looked for here.
        if _loads_something(specification):
            raise ValueError(
                "its template loads data from an address (`url`), which is not allowed"
            )
        return dict(specification)
    except Exception as error:
        return error


def _loads_something(node: Any) -> bool:
    """Whether a specification has an address anywhere but in its data, which is only drawn."""
    if isinstance(node, dict):
        return any(
            key == "url" or _loads_something(value)
            for key, value in node.items()
            if key not in ("values", "datasets")
        )
    return isinstance(node, list) and any(_loads_something(value) for value in node)


def _decode(source: str) -> bytes:
    _, comma, data = source.partition(",")
    try:
        return base64.b64decode(data, validate=True) if comma else b""
    except binascii.Error:
        return b""
