"""cml-report beside DVC's own diffs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

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
    floor="Drawing: Vega in V8 and a PNG of each plot, which the report is not the report without.",
    slower="Each plot more takes longer than in `dvc plots diff`, for it is drawn.",
)
# Prints nothing: draws what the report draws, and does nothing else.
_DRAW = """
import json, sys, vl_convert
values = [{"epoch": n, "loss": 80 / (1 + n), "rev": "a"} for n in range(60)]
encoding = {"x": {"field": "epoch", "type": "quantitative"}, "y": {"field": "loss", "type": "quantitative"}}
plot = {"data": {"values": values}, "mark": "line", "encoding": encoding, "width": 300, "height": 300}
for _ in range(int(sys.argv[1])):
    vl_convert.vegalite_to_png(plot, scale=1.5)
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
    dvc, python = str(TOOLS / "dvc"), str(TOOLS / "python")
    return point(
        size,
        ours=lambda n: [([RUN, "cml-report", "--base", "main"], checkout)],
        peer=lambda n: [([dvc, what, "diff", "origin/main"], checkout) for what in kinds],
        floor=lambda n: [([python, "-c", _DRAW, str(size)], folder)],
        runs=5,
    )


def _files(quality: float, plots: int) -> dict[str, bytes]:
    def curve(number: int) -> bytes:
        lines = (f"{n},{80 / (1 + n * quality * (number + 1))}" for n in range(60))
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
        **{name: curve(number) for number, name in enumerate(drawn)},
    }
