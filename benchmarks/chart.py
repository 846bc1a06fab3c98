"""The picture of docs/performance.md: how time grows with size, log-log, one panel a row. Pure.

SVG with its own background and colours for light and dark, so that it can be read on any page.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10
from textwrap import wrap

from benchmarks.rows import Figures, Measured, Point, Row

_COLUMNS, _WIDTH, _HEIGHT = 2, 400, 290
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 34, 56, 44  # around the axes of a panel
_HEAD = 44  # the legend's
_SIDES = ("ours", "peer", "floor")
_STYLE = """
.card{fill:#fff}.grid{stroke:#e3e6ea}.linear{stroke:#8b949e;stroke-dasharray:1 4}
text{fill:#1f2328;font:12px system-ui,sans-serif}.title{font-weight:600}.small{fill:#57606a}
.line{fill:none;stroke-width:2}.peer .line{stroke-dasharray:7 3}.floor .line{stroke-dasharray:2 3}
.ours .line{stroke:#0b5fcc}.peer .line{stroke:#b3500b}.floor .line{stroke:#6e7781}
.ours .mark{fill:#0b5fcc}.peer .mark{fill:#b3500b}.floor .mark{fill:#6e7781}
@media (prefers-color-scheme:dark){.card{fill:#0d1117}.grid{stroke:#2a3038}.linear{stroke:#6e7681}
text{fill:#e6edf3}.small{fill:#9aa4ae}
.ours .line{stroke:#6cb0ff}.peer .line{stroke:#f0a35e}.floor .line{stroke:#9aa4ae}
.ours .mark{fill:#6cb0ff}.peer .mark{fill:#f0a35e}.floor .mark{fill:#9aa4ae}}
"""


@dataclass(frozen=True)
class _Axis:
    """Decades from `low` to `high`, drawn from `start` to `end`."""

    low: int
    high: int
    start: float
    end: float

    def at(self, number: float) -> float:
        share = (log10(number) - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)


def draw(rows: Iterable[Row], measured: Mapping[str, Measured]) -> str:
    """Return the picture: a panel for each row that was measured at two sizes or more, without size 0."""
    some = [
        (row, tuple(one for one in measured[row.name].points if one.size > 0))
        for row in rows
        if row.name in measured
    ]
    panels = [(row, points) for row, points in some if len(points) > 1]
    width = _COLUMNS * _WIDTH
    height = _HEAD + max(1, ceil(len(panels) / _COLUMNS)) * _HEIGHT
    drawn = [
        f'<g transform="translate({number % _COLUMNS * _WIDTH},{_HEAD + number // _COLUMNS * _HEIGHT})">'
        f"{_panel(row, points)}</g>"
        for number, (row, points) in enumerate(panels)
    ]
    if not panels:
        drawn = [_text(24, _HEAD + 24, "No row was measured at two sizes yet.")]
    told = "; ".join(row.work for row, _ in panels)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
            f"<title>Time beside size</title><desc>{escape(_plain(told))}</desc>",
            f"<style>{_STYLE}</style>",
            f'<rect class="card" width="{width}" height="{height}" rx="8"/>',
            _legend(),
            *drawn,
            "</svg>\n",
        ]
    )


def _legend() -> str:
    parts = []
    names = {"ours": "ours", "peer": "what it is beside", "floor": "the floor"}
    for number, side in enumerate(_SIDES):
        x = 24 + number * 150
        parts.append(
            f'<g class="{side}"><path class="line" d="M{x} 24H{x + 34}"/>{_mark(side, x + 17, 24)}</g>'
            + _text(x + 42, 28, names[side])
        )
    parts.append(
        '<path class="linear" d="M474 24H508"/>' + _text(516, 28, "in proportion to the size")
    )
    return "".join(parts)


def _panel(row: Row, points: tuple[Point, ...]) -> str:
    sides = {
        name: [(one.size, found) for one in points if (found := _side(one, name)) is not None]
        for name in _SIDES
    }
    sizes = [one.size for one in points]
    times = [found.wall for some in sides.values() for _, found in some]
    across = _Axis(*_decades(sizes), _LEFT, _WIDTH - _RIGHT)
    up = _Axis(*_decades(times), _HEIGHT - _BOTTOM, _TOP)
    title = wrap(_plain(row.work), 46)[:2]
    parts = [_text(_LEFT, 16 + 16 * number, line, "title") for number, line in enumerate(title)]
    parts += [_tick_across(across, one) for one in range(across.low, across.high + 1)]
    parts += [_tick_up(up, one) for one in range(up.low, up.high + 1)]
    parts.append(_text(_WIDTH - _RIGHT, _HEIGHT - 10, row.size, "small", anchor="end"))
    parts.append(_linear(across, up, sides["ours"]))
    for name, some in sides.items():
        if not some:
            continue
        places = [(across.at(number), up.at(found.wall)) for number, found in some]
        line = "L".join(f"{x} {y}" for x, y in places)
        parts.append(f'<g class="{name}"><path class="line" d="M{line}"/>')
        parts += [
            _mark(name, *place, f"{name}, {number:,} {row.size}: {found.wall:.3g} s", found.cut_off)
            for place, (number, found) in zip(places, some, strict=True)
        ]
        parts.append("</g>")
    return "".join(parts)


def _side(one: Point, name: str) -> Figures | None:
    return {"ours": one.ours, "peer": one.peer, "floor": one.floor}[name]


def _decades(numbers: Iterable[float]) -> tuple[int, int]:
    found = list(numbers)
    low, high = floor(log10(min(found))), ceil(log10(max(found)))
    return low, max(high, low + 1)


def _tick_across(axis: _Axis, decade: int) -> str:
    x = axis.at(10.0**decade)
    line = f'<path class="grid" d="M{x} {_TOP}V{_HEIGHT - _BOTTOM}"/>'
    return line + _text(x, _HEIGHT - _BOTTOM + 16, f"{10**decade:,}", "small", anchor="middle")


def _tick_up(axis: _Axis, decade: int) -> str:
    y = axis.at(10.0**decade)
    line = f'<path class="grid" d="M{_LEFT} {y}H{_WIDTH - _RIGHT}"/>'
    return line + _text(_LEFT - 6, y + 4, f"{10.0**decade:g} s", "small", anchor="end")


def _linear(across: _Axis, up: _Axis, ours: list[tuple[int, Figures]]) -> str:
    """Draw how ours would grow if twice the size took twice the time, as far as the panel reaches."""
    size, found = min(ours, key=lambda one: one[0])
    last = min(max(number for number, _ in ours), size * 10**up.high / found.wall)
    start = f"{across.at(size)} {up.at(found.wall)}"
    return (
        f'<path class="linear" d="M{start}L{across.at(last)} {up.at(found.wall * last / size)}"/>'
    )


def _mark(side: str, x: float, y: float, told: str = "", cut_off: bool = False) -> str:
    inside = f"<title>{escape(told)}</title>" if told else ""
    above = _text(x, y - 8, "↑", "small", anchor="middle") if cut_off else ""
    if side == "ours":
        return f'<circle class="mark" cx="{x}" cy="{y}" r="4.5">{inside}</circle>{above}'
    shape = f"M{x - 4} {y - 4}h8v8h-8z" if side == "peer" else f"M{x} {y - 5}l5 9h-10z"
    return f'<path class="mark" d="{shape}">{inside}</path>{above}'


def _text(x: float, y: float, text: str, style: str = "", anchor: str = "start") -> str:
    kind = f' class="{style}"' if style else ""
    return f'<text{kind} x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'


def _plain(markdown: str) -> str:
    return markdown.replace("`", "")
