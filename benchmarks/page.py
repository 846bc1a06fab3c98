"""The generated parts of docs/performance.md, from the rows and what was measured of them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from benchmarks.rows import Figures, Kind, Measured, Point, Row, Target, reached, value

_FIGURES = {"wall": "time", "cpu": "CPU time", "memory": "peak memory", "bytes": "bytes"}


def targets(rows: Iterable[Row], measured: Mapping[str, Measured]) -> str:
    """Return the table of targets: what is wanted, what was measured, and whether it is reached."""
    head = "| work | beside | at | wanted | measured | reached |\n|---|---|---:|---:|---:|---|\n"
    lines = []
    for row in rows:
        points = measured[row.name].points if row.name in measured else ()
        for one in row.targets:
            cells = [row.work, _beside(row, one, points), _at(row, one, points), _wanted(one)]
            lines.append(f"| {' | '.join([*cells, *_found(one, points)])} |\n")
    return head + "".join(lines)


def sections(rows: Iterable[Row], measured: Mapping[str, Measured]) -> str:
    """Return a section for each row: its figures at each size, and what they mean."""
    return "\n".join(_section(row, measured.get(row.name)) for row in rows)


def _section(row: Row, measured: Measured | None) -> str:
    peer = f"Beside {row.peer}." if row.peer else "Beside itself at its smallest size."
    parts = [f"### {row.work}", peer]
    if measured is None:
        parts.append("Not measured yet.")
    else:
        parts.append(_table(row, measured.points))
        tools = ", ".join(f"{tool} {version}" for tool, version in measured.versions.items())
        runs = max(one.ours.runs for one in measured.points)
        parts.append(
            f"{tools + '. ' if tools else ''}Medians of {runs} {'runs' if runs > 1 else 'run'},"
            f" {measured.date}, commit {measured.revision}, {measured.cores} cores ({measured.machine})."
        )
    told = [("It means", row.means), ("Its floor", row.floor), ("Not faster", row.slower)]
    parts.append("\n".join(f"- {name}: {text}" for name, text in told if text))
    return "\n\n".join(parts) + "\n"


def _table(row: Row, points: Sequence[Point]) -> str:
    counted = any(one.ours.bytes is not None for one in points)
    head = ["", "time", "CPU time", "peak memory", *(["bytes"] if counted else []), "times as fast"]
    lines = [f"| {' | '.join(head)} |", f"|---{'|---:' * (len(head) - 1)}|"]
    for one in points:
        at = f"{one.size:,} {row.size}, " if row.size else ""
        for name, side in (("ours", one.ours), ("the peer", one.peer), ("the floor", one.floor)):
            if side is None:
                continue
            fast = ""
            if name == "ours" and one.peer is not None:
                fast = f"{_more(one.peer)}{one.peer.wall / one.ours.wall:.2g} ×"
            more = _more(side)
            cells = [f"{at}{name}", f"{more}{seconds(side.wall)}", f"{more}{seconds(side.cpu)}"]
            cells += [size(side.memory), *([_bytes(side)] if counted else []), fast]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def seconds(number: float) -> str:
    """Return a time as a person reads it, with two digits that count."""
    if number >= 9.95:
        return f"{number:,.0f} s"
    return f"{number:.1f} s" if number >= 0.995 else f"{number:.2g} s"


def size(number: float) -> str:
    """Return a number of bytes in a unit that suits it."""
    for unit, amount in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= amount:
            return f"{number / amount:.{0 if number >= 9.5 * amount else 1}f} {unit}"
    return f"{number:.0f} B"


def _bytes(side: Figures) -> str:
    return "" if side.bytes is None else size(side.bytes)


def _more(side: Figures) -> str:
    return "more than " if side.cut_off else ""


def _beside(row: Row, target: Target, points: Sequence[Point]) -> str:
    if target.kind is Kind.GROWTH:
        smallest = min((one.size for one in points), default=None)
        return "the same at " + (f"{smallest:,}" if smallest is not None else "the smallest size")
    return {Kind.ABOVE_FLOOR: "its floor", Kind.MOST: ""}.get(target.kind, row.peer)


def _at(row: Row, target: Target, points: Sequence[Point]) -> str:
    number = target.size or max((one.size for one in points), default=0)
    return f"{number:,} {row.size}" if row.size and number else ""


def _wanted(target: Target) -> str:
    name = _FIGURES[target.figure]
    if target.kind is Kind.FASTER:
        return f"{name}: ≥ {target.limit:g} × as fast"
    if target.kind in (Kind.GROWTH, Kind.SHARE):
        return f"{name}: ≤ {target.limit:g} ×"
    above = " more" if target.kind is Kind.ABOVE_FLOOR else ""
    return f"{name}: ≤ {_amount(target, target.limit)}{above}"


def _found(target: Target, points: Sequence[Point]) -> tuple[str, str]:
    found = value(target, points)
    if found is None:
        return "", "not measured"
    shown = f"{found:.2g} ×"
    if target.kind in (Kind.ABOVE_FLOOR, Kind.MOST):
        shown = _amount(target, found)
    return shown, "yes" if reached(target, found) else "**no**"


def _amount(target: Target, number: float) -> str:
    return seconds(number) if target.figure in ("wall", "cpu") else size(number)
