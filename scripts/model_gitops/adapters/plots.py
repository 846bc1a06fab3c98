"""Plots as pictures: Vega-Lite to PNG without any network, named by their content."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model_gitops.core.report.page import Picture

MOST_PLOTS = 40
# About as many as a picture of this size can show; drawing them takes some 10 seconds.
MOST_POINTS = 100_000
_SCALE = 1.5
_SIGNATURES = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpg", b"GIF8": "gif"}


def draw(matched: Sequence[Any], folder: Path) -> tuple[list[Picture], list[str]]:
    """Draw DVC's renderers into `folder`; return the pictures and why others are missing.

    A file's name is the start of its SHA-256, so the same plot is always the same file.
    """
    pictures: list[Picture] = []
    problems: list[str] = []
    for number, one in enumerate(matched):
        title = str(one.renderer.properties.get("title") or one.renderer.name)
        # An older revision may well lack a plot; what counts is that nobody has it.
        missing = [str(error).splitlines()[0][:200] for error in one.definition_errors.values()]
        if number >= MOST_PLOTS:
            problems.append(
                f"{len(matched) - number} more plots are left out: {MOST_PLOTS} are shown"
            )
            break
        try:
            drawn = _draw(one.renderer)
        except Exception as error:
            problems.append(f"the plot {title!r} can't be drawn: {str(error).strip()[:200]}")
            continue
        if not drawn:
            why = missing[0] if missing else "its data is neither in Git nor in the DVC cache here"
            problems.append(f"the plot {title!r} has nothing to show: {why}")
        for name, content in drawn:
            picture = save(name or title, content, folder)
            if picture:
                pictures.append(picture)
    return pictures, problems


def save(title: str, content: bytes, folder: Path) -> Picture | None:
    """Write a PNG, JPEG or GIF into `folder` under its content's name; None for anything else."""
    kind = next((kind for start, kind in _SIGNATURES.items() if content.startswith(start)), "")
    if not kind:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{hashlib.sha256(content).hexdigest()[:16]}.{kind}"
    file.write_bytes(content)
    width = struct.unpack(">I", content[16:20])[0] if kind == "png" else 0
    return Picture(title, file.name, width)


def _draw(renderer: Any) -> list[tuple[str, bytes]]:
    """Return title (or nothing) and content of a renderer's pictures."""
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
    import vl_convert

    filled = renderer.get_filled_template()
    specification = json.loads(filled) if isinstance(filled, str) else filled
    # A template is text from a branch: it must not read addresses or files of this machine. What
    # may be loaded is limited for http only, so a `file:` address is looked for here.
    if _loads_something(specification):
        raise ValueError("its template loads data from an address (`url`), which is not allowed")
    png = vl_convert.vegalite_to_png(specification, scale=_SCALE, allowed_base_urls=[])
    return [("", bytes(png))]


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
