"""The health of a pipeline as one picture, SVG: the newest runs of each workflow, and the deliveries.

It is written by hand, as it needs no program to look at and none to draw.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from html import escape

from model_gitops.core.health.deliveries import Measures
from model_gitops.core.health.view import Flow, Health, sentence
from model_gitops.core.line import shortened

_WIDTH, _LEFT, _ROW, _SQUARE = 760, 200, 22, 16
_RUNS = 30
_LONGEST_NAME = 26
_MOST_ROWS = 60
_STYLE = """
text{font:13px system-ui,sans-serif;fill:#1f2328}.q{fill:#59636e;font-size:11px}.h{font-weight:600}
.good{fill:#2da44e}.bad{fill:#cf222e}.none{fill:#d0d7de}.back{fill:#fff}
@media(prefers-color-scheme:dark){text{fill:#f0f6fc}.q{fill:#9198a1}.back{fill:#0d1117}.none{fill:#3d444d}}
"""


def svg(health: Health) -> str:
    """Return the picture. Names are text in it, and nothing of them is markup."""
    parts: list[str] = []
    y = 30
    head = sentence(health)
    parts.append(_text(12, y, head[:1].upper() + head[1:], "h", longest=90))
    if health.watched:
        y += _ROW
        said = "the newest runs; the last is on the right"
        parts.append(_text(_LEFT, y, said, "q", longest=60))
        for one in health.watched[:_MOST_ROWS]:
            y += _ROW
            parts.append(_text(12, y, one.expected.file))
            for place, run in enumerate(reversed(one.runs[:_RUNS])):
                kind = "bad" if run.is_bad else "good" if run.conclusion == "success" else "none"
                x = _LEFT + place * (_SQUARE + 2)
                said = f"{run.created:%Y-%m-%d %H:%M} {run.branch}: {run.conclusion or run.status}"
                parts.append(_square(x, y, kind, said))
    for flow in health.flows:
        y += 2 * _ROW
        said = f"{flow.model}: deployments in {health.days:g} days; red was taken back"
        parts.append(_text(12, y, said, "h", longest=90))
        y = _deliveries(parts, y, flow, health)
    height = y + 24
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">'
        f'<style>{_STYLE}</style><rect class="back" width="{_WIDTH}" height="{height}"/>'
        f"{''.join(parts)}</svg>\n"
    )


def _deliveries(parts: list[str], y: int, flow: Flow, health: Health) -> int:
    """Draw a time line of each environment; return where it ends."""
    begins = _begins(flow, health)
    for one in flow.measures[:_MOST_ROWS]:
        y += _ROW
        parts.append(_text(12, y, one.environment))
        parts.append(
            f'<rect class="none" x="{_LEFT}" y="{y - 5}" width="{_WIDTH - _LEFT - 20}" height="1"/>'
        )
        parts += [_dot(x, y, bad=bad) for x, bad in _places(one, begins, health)]
    y += _ROW
    form = "%Y-%m-%d" if health.now - begins > timedelta(days=3) else "%Y-%m-%d %H:%M"
    parts.append(_text(_LEFT, y, f"{begins:{form}}", "q"))
    parts.append(_text(_WIDTH - 110, y, f"{health.now:{form}}", "q"))
    return y


def _begins(flow: Flow, health: Health) -> datetime:
    """Return where the time line begins: not long before the first deployment of a young project."""
    all_of = [each.at for one in flow.measures for each in one.deployments]
    now, first = health.now.timestamp(), health.now.timestamp() - health.days * 86400
    if all_of:
        first = max(first, min(all_of) - (now - min(all_of)) / 20 - 60)
    return health.now - timedelta(seconds=now - first)


def _places(one: Measures, begins: datetime, health: Health) -> list[tuple[float, bool]]:
    """Return where each deployment is on the line, and whether it was taken back."""
    first = begins.timestamp()
    length = health.now.timestamp() - first
    width = _WIDTH - _LEFT - 20
    return [
        (_LEFT + (each.at - first) / length * width, each.taken_back is not None)
        for each in one.deployments
    ]


def _text(x: float, y: float, said: str, kind: str = "", *, longest: int = _LONGEST_NAME) -> str:
    plain = "".join(one for one in said if one.isprintable())
    shown = shortened(plain, longest)
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{x}" y="{y}"{named}>{escape(shown)}</text>'


def _square(x: float, y: float, kind: str, said: str) -> str:
    plain = escape("".join(one for one in said if one.isprintable()))
    return (
        f'<rect class="{kind}" x="{x}" y="{y - 13}" width="{_SQUARE}" height="{_SQUARE}" rx="3">'
        f"<title>{plain}</title></rect>"
    )


def _dot(x: float, y: float, *, bad: bool) -> str:
    return f'<circle class="{"bad" if bad else "good"}" cx="{x:.1f}" cy="{y - 4}" r="5"/>'
