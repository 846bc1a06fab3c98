"""cml-report beside DVC's own diffs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.repositories import git, project
from benchmarks.rows import Kind, Point, Row, Target
from benchmarks.timing import RUN, TOOLS, point

REPORT = Row(
    name="report",
    work="cml-report, without posting: metrics, params and so many plots",
    size="plots",
    peer="`dvc metrics diff`, `dvc params diff`, and `dvc plots diff` where there are plots",
    tools=("dvc",),
    targets=(Target(Kind.FASTER, 3),),
    means="One report of a pull request. `dvc plots diff` draws nothing: its page lets the reader's browser do"
    " it, where a comment needs pictures.",
    floor="Drawing these plots in one process, which is started for it: V8 with Vega, and a PNG of each.",
    slower="With some plots: V8 starts before anything is read, but each plot is drawn and painted after the one"
    " before, a quarter of a second each here. `dvc plots diff` does neither. A second process that draws"
    " would end a little sooner, and take more CPU time: its V8 has to start, too.",
)
# Prints nothing: draws what the report draws, without what is not seen, and does nothing else.
_DRAW = r"""
import json, re, sys, vl_convert
unseen = re.compile(r'<(?:line|path|rect)\b[^>]* opacity="0"[^>]*/>')
vl_convert.configure(allowed_base_urls=[], base_url=False)
for plot in json.load(open(sys.argv[1])):
    svg = vl_convert.vegalite_to_svg(plot)
    vl_convert.svg_to_png(unseen.sub("", svg), scale=1.5)
"""


def measure(work: Path, sizes: Sequence[int]) -> dict[str, list[Point]]:
    """The comparison with the target branch; no token, so nothing is posted."""
    return {REPORT.name: [_of(work / str(size), size) for size in sizes]}


def _of(folder: Path, size: int) -> Point:
    folder.mkdir()
    checkout = project(folder, _files(0.4, size), [])
    git(checkout, "switch", "--quiet", "-c", "experiment")
    for name, content in _files(0.5, size).items():
        (checkout / name).write_bytes(content)
    git(checkout, "commit", "--quiet", "-am", "candidate")
    kinds = ["metrics", "params", *(["plots"] if size else [])]
    drawn = folder / "drawn.json"
    drawn.write_text(json.dumps([_specification(number) for number in range(size)]))
    dvc, python = str(TOOLS / "dvc"), str(TOOLS / "python")
    return point(
        size,
        ours=lambda n: [([RUN, "cml-report", "--base", "main"], checkout)],
        peer=lambda n: [([dvc, what, "diff", "origin/main"], checkout) for what in kinds],
        floor=lambda n: [([python, "-c", _DRAW, str(drawn)], folder)],
        runs=5,
    )


def _specification(number: int) -> Any:
    """Return what DVC's own template makes of a plot that `_files` has."""
    from dvc_render import VegaRenderer

    points = [
        {"epoch": str(n), "loss": str(loss), "rev": revision}
        for revision, quality in (("candidate", 0.5), ("main", 0.4))
        for n, loss in _curve(quality, number)
    ]
    return VegaRenderer(points, f"curve-{number}.csv", x="epoch", y="loss").get_filled_template()


def _curve(quality: float, number: int) -> list[tuple[int, float]]:
    return [(n, 80 / (1 + n * quality * (number + 1))) for n in range(60)]


def _files(quality: float, plots: int) -> dict[str, bytes]:
    def content(number: int) -> bytes:
        lines = (f"{n},{loss}" for n, loss in _curve(quality, number))
        return ("\n".join(["epoch,loss", *lines]) + "\n").encode()

    drawn = [f"curve-{number}.csv" for number in range(plots)]
    return {
        "dvc.yaml": "".join(
            [
                "metrics: [metrics.json]\nparams: [params.yaml]\n",
                *(["plots:\n"] if drawn else []),
                *(f"  - {name}: {{x: epoch, y: loss}}\n" for name in drawn),
            ]
        ).encode(),
        "metrics.json": json.dumps({"r2": quality}).encode(),
        "params.yaml": f"epochs: {int(quality * 100)}\n".encode(),
        **{name: content(number) for number, name in enumerate(drawn)},
    }
