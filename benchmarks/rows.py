"""What is measured: rows, their sizes and targets, and how a target or an earlier ratio is judged. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any


@dataclass(frozen=True)
class Figures:
    """One side at one size: medians of `runs` runs.

    `wall` and `cpu` are seconds, `cpu` that of all processes that ended; `memory` is the peak of the
    largest process in bytes; `bytes` is what the row counts (downloaded, read), where it counts.
    `cut_off` says that a run was stopped at the limit: it takes longer.
    """

    wall: float
    cpu: float
    memory: int
    runs: int
    bytes: int | None = None
    cut_off: bool = False


@dataclass(frozen=True)
class Point:
    """All sides at one size; `floor` is what nothing that does this work can be below, where measured."""

    size: int
    ours: Figures
    peer: Figures | None = None
    floor: Figures | None = None


class Kind(StrEnum):
    """What a target compares; FASTER is reached from its limit on, the others up to theirs."""

    GROWTH = "growth"  # ours at a size / ours at the smallest
    FASTER = "faster"  # the peer's / ours
    SHARE = "share"  # ours / the peer's
    ABOVE_FLOOR = "above floor"  # ours - the floor's, in seconds or bytes
    MOST = "most"  # ours, in seconds or bytes


@dataclass(frozen=True)
class Target:
    """A figure of ours (wall, cpu, memory, bytes) that a row shall reach, at a size (0: its largest)."""

    kind: Kind
    limit: float
    figure: str = "wall"
    size: int = 0


@dataclass(frozen=True)
class Row:
    """One comparison: what is done, beside what, and what its numbers mean.

    `size` is what a size counts, "" where there is one only. `peer` is Markdown, "" for a row that is
    only compared with itself at its smallest size. `tools` are the programs whose versions count.
    """

    name: str
    work: str
    size: str
    peer: str
    tools: tuple[str, ...]
    targets: tuple[Target, ...]
    means: str
    floor: str
    slower: str = ""


@dataclass(frozen=True)
class Measured:
    """What was measured of one row, when, of which commit, and by which versions of its tools."""

    points: tuple[Point, ...]
    date: str
    revision: str
    cores: int
    machine: str
    versions: Mapping[str, str]


def written(measured: Mapping[str, Measured]) -> dict[str, Any]:
    """Return measured rows by name as JSON has them."""
    return {name: asdict(one) for name, one in measured.items()}


def read(record: Mapping[str, Any]) -> dict[str, Measured]:
    """Return measured rows by name; TypeError or KeyError for another shape."""

    def figures(one: Mapping[str, Any] | None) -> Figures | None:
        return None if one is None else Figures(**one)

    def point(one: Mapping[str, Any]) -> Point:
        return Point(
            one["size"], Figures(**one["ours"]), figures(one["peer"]), figures(one["floor"])
        )

    return {
        name: replace(Measured(**one), points=tuple(point(each) for each in one["points"]))
        for name, one in record.items()
    }


def value(target: Target, points: Sequence[Point]) -> float | None:
    """Return what a target is about, or None where that was not measured."""
    size = target.size or max((one.size for one in points), default=0)
    at = next((one for one in points if one.size == size), None)
    smallest = min(points, key=lambda one: one.size, default=None)
    if at is None or smallest is None:
        return None
    ours, peer = _figure(at.ours, target.figure), _figure(at.peer, target.figure)
    if target.kind is Kind.MOST:
        return ours
    if target.kind is Kind.ABOVE_FLOOR:
        return _difference(ours, _figure(at.floor, target.figure))
    if target.kind is Kind.GROWTH:
        return None if at is smallest else _quotient(ours, _figure(smallest.ours, target.figure))
    return _quotient(peer, ours) if target.kind is Kind.FASTER else _quotient(ours, peer)


def reached(target: Target, found: float) -> bool:
    """Say whether a value reaches its target."""
    return found >= target.limit if target.kind is Kind.FASTER else found <= target.limit


def ratios(points: Sequence[Point]) -> dict[str, float]:
    """Return each ratio of a row by what it compares; higher is better.

    At each size the peer's CPU time by ours, and at each but the smallest ours at the smallest by
    ours. CPU time, because another machine's other work changes it least.
    """
    found: dict[str, float | None] = {}
    smallest = min(points, key=lambda one: one.size, default=None)
    for one in points:
        if one.peer is not None:
            found[f"beside its peer, size {one.size}"] = _quotient(one.peer.cpu, one.ours.cpu)
        if smallest is not None and one is not smallest:
            found[f"size {one.size} beside {smallest.size}"] = _quotient(
                smallest.ours.cpu, one.ours.cpu
            )
    return {name: ratio for name, ratio in found.items() if ratio is not None}


def fallen(
    before: Mapping[str, Measured], now: Mapping[str, Measured], share: float = 1 / 3
) -> list[str]:
    """Return a sentence for each ratio that is lower than before by more than `share` of it."""
    said = []
    for name, measured in now.items():
        earlier = ratios(before[name].points) if name in before else {}
        for what, ratio in ratios(measured.points).items():
            if what in earlier and ratio < earlier[what] * (1 - share):
                said.append(f"{name}, {what}: {ratio:.2g}, and was {earlier[what]:.2g}")
    return said


def _figure(side: Figures | None, name: str) -> float | None:
    found = None if side is None else getattr(side, name)
    return None if found is None else float(found)


def _quotient(first: float | None, second: float | None) -> float | None:
    return first / second if first is not None and second else None


def _difference(first: float | None, second: float | None) -> float | None:
    return first - second if first is not None and second is not None else None
