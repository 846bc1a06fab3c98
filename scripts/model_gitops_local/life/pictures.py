"""Pictures of the story, SVG written by hand: the weeks beside the training data, and measured latencies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

_WIDTH, _LEFT, _ROW = 720, 170, 46
_BINS = 36
_STYLE = """
text{font:13px system-ui,sans-serif;fill:#1f2328}.q{fill:#59636e;font-size:11px}
.back{fill:#fff}.bar{fill:#0969da}.bad{fill:#cf222e}.line{stroke:#cf222e;stroke-dasharray:4}
@media(prefers-color-scheme:dark){text{fill:#f0f6fc}.q{fill:#9198a1}.back{fill:#0d1117}.bar{fill:#4493f8}
.bad{fill:#f85149}.line{stroke:#f85149}}
"""


def histograms(rows: Mapping[str, Sequence[float]], unit: str) -> str:
    """Return how the values of each row are spread, one under the other on one scale."""
    low = min(min(values) for values in rows.values())
    high = max(max(values) for values in rows.values())
    width = (_WIDTH - _LEFT - 20) / _BINS
    parts: list[str] = []
    for number, (name, values) in enumerate(rows.items()):
        base = 20 + (number + 1) * _ROW
        counts = [0] * _BINS
        for value in values:
            place = int((value - low) / max(high - low, 1e-9) * _BINS)
            counts[min(place, _BINS - 1)] += 1
        most = max(counts)
        parts.append(_text(12, base - 8, name))
        for place, count in enumerate(counts):
            height = count / most * (_ROW - 10)
            parts.append(
                f'<rect class="bar" x="{_LEFT + place * width:.1f}" y="{base - height:.1f}"'
                f' width="{width - 1:.1f}" height="{height:.1f}"/>'
            )
    bottom = 20 + len(rows) * _ROW + 18
    parts.append(_text(_LEFT, bottom, f"{low:.0f}", "q"))
    parts.append(_text(_WIDTH - 110, bottom, f"{high:.0f} {unit}", "q"))
    return _picture(parts, bottom + 12)


def bars(rows: Sequence[tuple[str, float]], limit: float, unit: str) -> str:
    """Return one bar a row, red where it is longer than `limit`, which is a line through all."""
    longest = max([limit, *(value for _, value in rows)]) * 1.15
    scale = (_WIDTH - _LEFT - 90) / longest
    parts = []
    for number, (name, value) in enumerate(rows):
        y = 20 + number * 30
        kind = "bad" if value > limit else "bar"
        parts.append(_text(12, y + 14, name))
        parts.append(
            f'<rect class="{kind}" x="{_LEFT}" y="{y}" width="{value * scale:.1f}" height="20"/>'
        )
        parts.append(_text(_LEFT + value * scale + 6, y + 14, f"{value:.0f} {unit}", "q"))
    bottom = 20 + len(rows) * 30
    x = _LEFT + limit * scale
    parts.append(f'<line class="line" x1="{x:.1f}" x2="{x:.1f}" y1="10" y2="{bottom}"/>')
    parts.append(_text(x - 20, bottom + 14, f"{limit:.0f} {unit} allowed", "q"))
    return _picture(parts, bottom + 26)


def _picture(parts: Sequence[str], height: float) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:.0f}" role="img">'
        f'<style>{_STYLE}</style><rect class="back" width="{_WIDTH}" height="{height:.0f}"/>'
        f"{''.join(parts)}</svg>\n"
    )


def _text(x: float, y: float, said: str, kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{named}>{escape(said)}</text>'
