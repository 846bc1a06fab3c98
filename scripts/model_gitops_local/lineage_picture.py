"""A lineage as a picture: SVG that needs no script, drawn from what `trace-model --json` says."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

# Where each end of a link stands, from the data on the left to what runs on the right.
_PLACES = {
    "branch": (1, 0), "pull request": (2, 0), "deploy pull request": (3, 0),
    "data": (0, 1), "model": (1, 1), "source commit": (2, 1), "deploy commit": (3, 1),
    "overlay": (4, 1),
    "stage": (0, 2), "version": (1, 2), "image": (2, 2), "build commit": (3, 2),
    "registry": (4, 2), "checkout": (2, 3),
}  # fmt: skip
_WIDTH, _HEIGHT, _ACROSS, _DOWN = 168, 58, 212, 112
# Of the page, which has others in the dark.
_COLOURS = {"verified": "good", "broken": "bad", "pending": "wait", "unknown": "odd"}
_WORST_LAST = ("verified", "unknown", "pending", "broken")
_LONGEST = 25  # characters that fit in a box


def draw(lineage: Mapping[str, Any]) -> str:
    """Return the picture as SVG, with a legend."""
    links: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for link in lineage["links"]:
        links.setdefault((link["from"], link["to"]), []).append(link)
    ends = dict.fromkeys(end for pair in links for end in pair if end in _PLACES)
    rows = 1 + max((_PLACES[end][1] for end in ends), default=0)
    width, height = 4 * _ACROSS + _WIDTH + 4, (rows - 1) * _DOWN + _HEIGHT + 4
    parts = [_line(pair, found) for pair, found in links.items() if set(pair) <= set(ends)]
    parts += [_box(end, _detail(lineage, end)) for end in ends]
    counts = ", ".join(
        f'<tspan style="fill:var(--{_COLOURS[state]})">{number} {state}</tspan>'
        for state in _WORST_LAST
        if (number := sum(one["state"] == state for one in lineage["links"]))
    )
    return (
        f'<svg viewBox="-2 -2 {width} {height + 28}" role="img" style="width:100%;height:auto;'
        f'min-width:46rem;fill:var(--text)" font-family="system-ui,sans-serif" font-size="13"><title>Lineage of'
        f" {escape(lineage['subject'])}</title><defs>{_arrows()}</defs>{''.join(parts)}"
        f'<text x="0" y="{height + 16}">Links: {counts}</text></svg>'
    )


def _arrows() -> str:
    return "".join(
        f'<marker id="{state}" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7"'
        f' orient="auto"><path d="M0 0L8 4L0 8z" style="fill:var(--{colour})"/></marker>'
        for state, colour in _COLOURS.items()
    )


def _line(pair: tuple[str, str], links: list[Mapping[str, Any]]) -> str:
    """Draw the links between two boxes as one line, in the colour of the worst; hovering says both
    sides.
    """
    state = max((str(link["state"]) for link in links), key=_WORST_LAST.index)
    (column, row), (to_column, to_row) = _PLACES[pair[0]], _PLACES[pair[1]]
    across, down = to_column - column, to_row - row
    x, y = column * _ACROSS + _WIDTH / 2, row * _DOWN + _HEIGHT / 2
    to_x, to_y = to_column * _ACROSS + _WIDTH / 2, to_row * _DOWN + _HEIGHT / 2
    if down == 0 and abs(across) > 1:  # over the box between
        y, to_y = y - _HEIGHT / 2, to_y - _HEIGHT / 2
        to_x += _WIDTH / 4
        path = f"M{x} {y}C{x} {y - 40} {to_x} {to_y - 40} {to_x} {to_y}"
    else:
        if down:
            y, to_y = (y + _sign(down) * _HEIGHT / 2, to_y - _sign(down) * _HEIGHT / 2)
            x, to_x = x + across * _WIDTH / 4, to_x - across * _WIDTH / 4
        else:
            x, to_x = x + _sign(across) * _WIDTH / 2, to_x - _sign(across) * _WIDTH / 2
        path = f"M{x} {y}L{to_x} {to_y}"
    dash = "" if state == "verified" else ' stroke-dasharray="6 4"'
    said = "\n".join(f"{one['from_says']}; {one['to_says']}" for one in links)
    return (
        f'<path d="{path}" fill="none" style="stroke:var(--{_COLOURS[state]})" stroke-width="2"{dash}'
        f' marker-end="url(#{state})"><title>{escape(f"{pair[0]} → {pair[1]}: {state}")}\n'
        f"{escape(said)}</title></path>"
    )


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)


def _box(end: str, lines: list[str]) -> str:
    column, row = _PLACES[end]
    x, y = column * _ACROSS, row * _DOWN
    shown = "".join(
        f'<text x="{x + 8}" y="{y + 34 + 16 * number}" font-size="11"'
        f' style="fill:var(--quiet)">'
        f"{escape(line if len(line) <= _LONGEST else f'{line[: _LONGEST - 1]}…')}</text>"
        for number, line in enumerate(lines[:2])
    )
    return (
        f'<g><rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="6"'
        f' style="fill:var(--box);stroke:var(--line)"/><text x="{x + 8}" y="{y + 18}" font-weight="600">{escape(end)}</text>'
        f"{shown}<title>{escape(' '.join([end, *lines]))}</title></g>"
    )


def _detail(lineage: Mapping[str, Any], end: str) -> list[str]:
    """Return what stands in a box below its name, in at most two lines."""

    def get(*path: str) -> Any:
        found: Any = lineage
        for key in path:
            found = found.get(key) if found else None
        return found or ""

    def approved(*path: str) -> list[str]:
        pull = get(*path)
        if not pull:
            return []
        names = ", ".join(pull["approved_by"]) or "nobody"
        return [f"#{pull['number']}", f"approved by {names}"]

    environment = get("environment")
    details = {
        "data": [line for one in get("data") or [] for line in (one["path"], one["hash"][:12])],
        "model": [get("source", "model_path").rpartition("/")[2], get("source", "model_hash")[:12]],
        "source commit": [get("source", "commit")[:12]],
        "build commit": [get("built_from", "commit")[:12]],
        "deploy commit": [get("deployment", "commit")[:12], get("deployment", "since")[:10]],
        "overlay": [get("deployment", "path").removesuffix("/kustomization.yaml")],
        "branch": [get("source", "branch")],
        "pull request": approved("pull_request"),
        "deploy pull request": approved("deployment", "pull_request"),
        "stage": [f"{get('model')}#{environment}", get("stage", "version")],
        "version": [f"{get('model')}@{get('version', 'name')}"],
        "image": [get("image", "digest")[:19]],
        "registry": list(get("image", "name").partition("/")[::2]),
    }
    return [line for line in details.get(end, []) if line]
