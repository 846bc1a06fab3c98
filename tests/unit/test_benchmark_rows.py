"""How benchmarks/ judges what was measured, and how it shows it. Nothing is timed here."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT))

from benchmarks import chart, page, rows, run  # noqa: E402
from benchmarks.rows import Figures, Kind, Measured, Point, Row, Target  # noqa: E402

SVG = "{http://www.w3.org/2000/svg}"
ROW = Row(
    name="copy",
    work="a copy & its check of `files`",
    size="files",
    peer="`cp -r`",
    tools=("cp",),
    targets=(Target(Kind.FASTER, 3), Target(Kind.GROWTH, 2, "cpu", 1000)),
    means="Means.",
    floor="Floor.",
    slower="Slower.",
)


def side(cpu: float, *, memory: int = 10, bytes_: int | None = None) -> Figures:
    """Return a side that waits as long again as it computes."""
    return Figures(wall=2 * cpu, cpu=cpu, memory=memory, runs=3, bytes=bytes_)


def measured(*points: Point) -> Measured:
    return Measured(points, "2026-11-30", "abcdef0", 2, "a machine", {"cp": "9.1"})


SMALL = Point(10, side(1, memory=100), side(2), side(0.5))
LARGE = Point(1000, side(3, memory=150, bytes_=4_000_000), side(12, bytes_=8_000_000), side(2.5))


@pytest.mark.parametrize(
    ("target", "found", "reached"),
    [
        (Target(Kind.FASTER, 3), 4, True),
        (Target(Kind.FASTER, 4), 4, True),
        (Target(Kind.FASTER, 3, size=10), 2, False),
        (Target(Kind.SHARE, 0.5, "bytes"), 0.5, True),
        (Target(Kind.SHARE, 0.2), 0.25, False),
        (Target(Kind.GROWTH, 2, "cpu"), 3, False),
        (Target(Kind.GROWTH, 2, "memory"), 1.5, True),
        (Target(Kind.ABOVE_FLOOR, 1), 1, True),
        (Target(Kind.ABOVE_FLOOR, 0.9), 1, False),
        (Target(Kind.MOST, 150, "memory"), 150, True),
        (Target(Kind.MOST, 149, "memory"), 150, False),
    ],
)
def test_a_target_is_a_ratio_a_difference_or_a_figure(
    target: Target, found: float, reached: bool
) -> None:
    value = rows.value(target, [SMALL, LARGE])
    assert value == pytest.approx(found)
    assert rows.reached(target, found) is reached


@pytest.mark.parametrize(
    ("target", "points"),
    [
        (Target(Kind.FASTER, 3), []),
        (Target(Kind.FASTER, 3, size=500), [SMALL, LARGE]),
        (Target(Kind.FASTER, 3), [replace(SMALL, peer=None)]),
        (Target(Kind.GROWTH, 2), [SMALL]),
        (Target(Kind.ABOVE_FLOOR, 1), [replace(SMALL, floor=None)]),
        (Target(Kind.MOST, 1, "bytes"), [SMALL]),
    ],
)
def test_what_was_not_measured_has_no_value(target: Target, points: list[Point]) -> None:
    assert rows.value(target, points) is None


def test_a_ratio_that_fell_by_more_than_a_third_is_said_and_no_other() -> None:
    before = {"copy": measured(SMALL, LARGE), "gone": measured(SMALL)}
    at_a_third = replace(LARGE, ours=side(4.49))  # 4.00 to 2.67, and 1/3 to 1/4.49
    assert rows.fallen(before, {"copy": measured(SMALL, at_a_third)}) == []
    below = replace(LARGE, ours=side(4.6))
    assert rows.fallen(before, {"copy": measured(SMALL, below), "new": measured(SMALL)}) == [
        "copy, beside its peer, size 1000: 2.6, and was 4",
        "copy, size 1000 beside 10: 0.22, and was 0.33",
    ]
    # A row without a peer is held to its own growth; one that got better is not said.
    alone = [replace(one, peer=None) for one in (SMALL, below)]
    assert rows.fallen(before, {"copy": measured(*alone)}) == [
        "copy, size 1000 beside 10: 0.22, and was 0.33"
    ]
    assert rows.fallen(before, {"copy": measured(SMALL, replace(LARGE, ours=side(1)))}) == []


def test_what_is_written_is_what_is_read() -> None:
    some = {"copy": measured(SMALL, LARGE), "bare": measured(Point(1, side(1)))}
    assert rows.read(json.loads(json.dumps(rows.written(some)))) == some


def test_the_table_says_what_is_wanted_measured_and_reached() -> None:
    lines = page.targets([ROW], {"copy": measured(SMALL, LARGE)}).splitlines()[2:]
    work = "| a copy & its check of `files`"
    assert lines == [
        f"{work} | `cp -r` | 1,000 files | time: ≥ 3 × as fast | 4 × | yes |",
        f"{work} | the same at 10 | 1,000 files | CPU time: ≤ 2 × | 3 × | **no** |",
    ]
    lines = page.targets([ROW], {}).splitlines()[2:]
    assert [line.rsplit("|", 3)[1:3] for line in lines] == [["  ", " not measured "]] * 2


def test_a_section_has_all_sides_the_versions_and_what_it_means() -> None:
    cut = replace(LARGE, peer=replace(side(12), cut_off=True))
    text = page.sections([ROW], {"copy": measured(SMALL, cut)})
    assert "| 1,000 files, ours | 6.0 s | 3.0 s | 150 B | 4.0 MB | more than 4 × |" in text
    assert "| 1,000 files, the peer | more than 24 s | more than 12 s | 10 B |  |  |" in text
    assert "| 10 files, the floor | 1.0 s | 0.5 s | 10 B |  |  |" in text
    assert "cp 9.1. Medians of 3 runs, 2026-11-30, commit abcdef0, 2 cores (a machine)." in text
    assert text.endswith("- It means: Means.\n- Its floor: Floor.\n- Not faster: Slower.\n")
    assert "Not measured yet." in page.sections([ROW], {})


def test_the_picture_has_a_panel_for_each_row_with_several_sizes() -> None:
    one = replace(ROW, name="one")
    nothing = replace(SMALL, size=0)  # a logarithm has no place for it
    some = {"copy": measured(nothing, SMALL, LARGE), "one": measured(nothing, SMALL)}
    svg = chart.draw([ROW, one], some)
    tree = ElementTree.fromstring(svg)
    titles = [text.text for text in tree.iter(f"{SVG}title")]
    assert titles == [
        "Time beside size",
        *(
            f"{name}, {size:,} files: {cpu * 2:g} s"
            for name, cpus in (("ours", (1, 3)), ("peer", (2, 12)), ("floor", (0.5, 2.5)))
            for size, cpu in zip((10, 1000), cpus, strict=True)
        ),
    ]
    assert "prefers-color-scheme:dark" in svg
    ours = list(tree.iter(f"{SVG}circle"))[1:]  # without the legend's
    # Ten to the power of two to the right; three times as long, upwards.
    (x, y), (to_x, to_y) = ((float(one.attrib["cx"]), float(one.attrib["cy"])) for one in ours)
    assert to_x > x
    assert to_y < y


def test_each_row_is_declared_once_and_all_that_is_recorded_is_declared() -> None:
    names = [row.name for row in run.declared()]
    assert len(names) == len(set(names))
    for small in (False, True):
        assert set(run.recorded(small=small)) <= set(names)


@pytest.mark.parametrize("row", run.declared(), ids=lambda row: row.name)
def test_a_row_says_what_it_means_and_its_targets_are_of_sizes_that_are_measured(row: Row) -> None:
    assert row.means and row.floor
    (sizes,) = (
        one.sizes
        for one in run.BENCHMARKS.values()
        if isinstance(one, run.Benchmark) and row in one.rows
    )
    for target in row.targets:
        assert target.size in (0, *sizes)
        assert row.peer or target.kind not in (Kind.FASTER, Kind.SHARE)
        assert len(sizes) > 1 or target.kind is not Kind.GROWTH
