"""The drift report as one HTML page: no script, nothing loaded, what comes from the log escaped."""

from __future__ import annotations

from html import escape
from typing import Any

STYLE = """
:root { color-scheme: light dark; --ink: #1f2328; --soft: #59636e; --line: #d1d9e0;
  --page: #fff; --bad: #cf222e; --good: #1a7f37; --fill: 207 34 46; }
@media (prefers-color-scheme: dark) { :root { --ink: #f0f6fc; --soft: #9198a1; --line: #3d444d;
  --page: #0d1117; --bad: #f85149; --good: #3fb950; --fill: 248 81 73; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page);
  max-width: 70rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; }
th, td { border: 1px solid var(--line); padding: .25rem .6rem; text-align: right;
  white-space: nowrap; }
th { font-weight: 600; } th[scope=row], td.text { text-align: left; }
.drift { color: var(--bad); font-weight: 600; } .none { color: var(--good); }
.soft { color: var(--soft); }
"""
NOTHING = "&ndash;"


def html(found: dict[str, Any]) -> str:
    """Return the page for the document that is drift.json."""
    windows, about = found["windows"], found["reference"]
    of = f"{about['version'] or 'the model'} of commit {about['commit'][:12]}"
    parts = [
        f"<p>Reference: {_text(of)}, trained on {about['rows']} rows.</p>",
        _overview(windows) if windows else "<p>There is no week to compare yet.</p>",
        _performance(windows),
        *(_details(one) for one in reversed(windows)),
        _collected(found["collected"]),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Drift</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>Drift</h1>\n"
        + "\n".join(part for part in parts if part)
        + "\n</body>\n</html>\n"
    )


def _text(value: object) -> str:
    return escape("".join(one for one in str(value) if one.isprintable())[:120])


def _effect(told: dict[str, Any]) -> float:
    return max((one["effect"] for one in told["tests"]), default=1.0)


def _overview(windows: list[dict[str, Any]]) -> str:
    """Draw columns by weeks: how large each difference is, and whether it is drift."""
    names = sorted({name for one in windows for name in one["columns"]})
    head = ["", *(_text(one["window"]) for one in windows)]
    lines = [_row("rows", *(f"<td>{one['rows']}</td>" for one in windows))]
    for name in names:
        cells = []
        for one in windows:
            told = one["columns"].get(name)
            if told is None:
                cells.append(f'<td class="soft">{NOTHING}</td>')
                continue
            effect, mark = _effect(told), " ●" if told["drift"] else ""
            shade = f"background: rgb(var(--fill) / {min(effect, 1) * 0.6:.2f})"
            cells.append(f'<td style="{shade}">{effect:.2f}{mark}</td>')
        lines.append(_row(name, *cells))
    return (
        "<h2>Columns by weeks</h2>\n<p>The share of rows that would have to move for the week to"
        " look like the training data; ● is drift: large, and no chance.</p>\n"
        + _table(head, lines)
    )


def _row(name: str, *cells: str) -> str:
    return f'<tr><th scope="row">{_text(name)}</th>{"".join(cells)}</tr>'


def _table(head: list[str], lines: list[str]) -> str:
    names = "".join(f'<th scope="col">{one}</th>' for one in head)
    top = f"<tr>{names}</tr>\n" if head else ""
    return f'<div class="wide"><table>{top}' + "\n".join(lines) + "</table></div>"


def _verdict(told: dict[str, Any], word: str) -> str:
    if told["drift"]:
        return f'<td class="drift">● {word}</td>'
    return '<td class="none">○ no</td>'


def _performance(windows: list[dict[str, Any]]) -> str:
    measured = [(one["window"], one["performance"]) for one in windows if one["performance"]]
    if not measured:
        return ""
    lines = []
    for window, told in measured:
        low, high = told["interval"]
        numbers = (
            told["rows"],
            f"{told['value']:.4g}",
            f"{told['reference']:.4g}",
            f"{low:+.4g} to {high:+.4g}",
        )
        cells = [f"<td>{one}</td>" for one in numbers]
        lines.append(_row(window, *cells, _verdict(told, "worse")))
    head = ["week", "labels", "now", "test set", "99 % interval of the difference", "drift"]
    metric = _text(measured[0][1]["metric"])
    return f"<h2>Performance on labelled rows ({metric})</h2>\n" + _table(head, lines)


def _details(window: dict[str, Any]) -> str:
    state = "drift" if window["drift"] else "no drift"
    said = [
        f"{kind}: {', '.join(_text(name) for name in window['schema'][key])}"
        for key, kind in (
            ("missing", "Missing columns"),
            ("new", "New columns"),
            ("type", "Of another type"),
            ("unseen", "Values that were never trained on"),
        )
        if window["schema"][key]
    ]
    if window["other_versions"]:
        said.append(f"Rows of other versions, left out: {window['other_versions']}")
    lines = []
    for name, told in window["columns"].items():
        for one in told["tests"]:
            numbers = (
                *(f"{one[key]:.4g}" if key in one else NOTHING for key in ("before", "now")),
                f"{one['effect']:.3f}",
                f"{one['adjusted']:.2g}",
            )
            cells = [f'<td class="text">{one["test"]}</td>', *(f"<td>{n}</td>" for n in numbers)]
            lines.append(_row(name, *cells, _verdict(one, "yes")))
    head = ["column", "test", "mean before", "mean now", "effect", "adjusted p", "drift"]
    return "\n".join(
        [
            f"<h2>{_text(window['window'])}: {state}</h2>",
            *(f"<p>{one}.</p>" for one in said),
            _table(head, lines) if lines else "",
        ]
    )


def _collected(counts: dict[str, int]) -> str:
    if not counts:
        return ""
    lines = [_row(name, f"<td>{number}</td>") for name, number in counts.items()]
    return "<h2>What was collected</h2>\n" + _table([], lines)
