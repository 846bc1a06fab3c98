"""Measure the actions as processes, beside the plain tools that do the same.

usage: run.sh dev python -m benchmarks.run [--small] [--write] [--compare] [NAME…]
NAME is one of BENCHMARKS; none means all. --small takes the sizes that need minutes. --write records
what was measured in benchmarks/results.json (small: results-small.json), row by row; --compare says
which ratios are far below the recorded ones, and fails for none.
A comparison is one file here, with rows and `measure`, and its line in BENCHMARKS.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from benchmarks import (
    build_push_image,
    bump_kustomize_tag,
    chart,
    cml_report,
    dvc_pull_model,
    fingerprint,
    flow_steps,
    gto_register_stage,
    hop,
    page,
    rollback,
    scale,
    set_up,
    start_up,
    status,
)
from benchmarks.rows import Measured, Point, Row, fallen, read, value, written
from benchmarks.timing import ROOT, RUN, answer, run
from benchmarks.tools import machine, versions

# Bytes that the largest measurement may need: images of an engine, 10,000 files on both sides.
_ROOM = 8_000_000_000


class Benchmark(NamedTuple):
    """Rows that are measured together, in one folder: `measure` returns points by the row's name.

    `action` is started once before. `small` are the sizes of the small form, () for none: it takes
    seconds, and needs no engine.
    """

    action: str
    measure: Callable[[Path, Sequence[int]], dict[str, list[Point]]]
    rows: tuple[Row, ...]
    sizes: tuple[int, ...]
    small: tuple[int, ...] = ()


BENCHMARKS: dict[str, Benchmark] = {
    "register": Benchmark(
        "gto-register-stage",
        gto_register_stage.measure,
        (gto_register_stage.REGISTER, gto_register_stage.CHECK, gto_register_stage.GATE),
        (100, 10_000, 40_000),
        (100, 10_000),
    ),
    "start-up": Benchmark("check-promotion", start_up.measure, (start_up.START_UP,), (1,), (1,)),
    "pull": Benchmark(
        "dvc-pull-model", dvc_pull_model.files, (dvc_pull_model.FILE,), (5, 50, 200), (5, 50)
    ),
    "pull-folder": Benchmark(
        "dvc-pull-model",
        dvc_pull_model.folders,
        (dvc_pull_model.FOLDER,),
        (100, 1_000, 10_000),
        (100, 1_000),
    ),
    "pull-s3": Benchmark(
        "dvc-pull-model", dvc_pull_model.buckets, (dvc_pull_model.BUCKET,), (100, 1_000, 10_000)
    ),
    "report": Benchmark("cml-report", cml_report.measure, (cml_report.REPORT,), (0, 1, 4), (0, 4)),
    "bump": Benchmark(
        "bump-kustomize-tag",
        bump_kustomize_tag.measure,
        (bump_kustomize_tag.BUMP, bump_kustomize_tag.GUARDED, bump_kustomize_tag.FAR),
        (500, 5_000, 50_000),
        (500, 5_000),
    ),
    "image": Benchmark(
        "build-push-image", build_push_image.measure, (build_push_image.IMAGE,), (100, 10_000)
    ),
    "rollback": Benchmark(
        "rollback",
        rollback.measure,
        (rollback.ROLLBACK, rollback.FIRST),
        (10, 1_000, 10_000),
        (10, 1_000),
    ),
    "status": Benchmark(
        "status", status.measure, (status.STATUS, status.WAITS), (50, 500, 5_000), (50, 500)
    ),
    "scale": Benchmark(
        "bump-kustomize-tag", scale.measure, (scale.APPLICATIONS,), (10, 100, 1_000), (10, 100)
    ),
    "at-once": Benchmark("bump-kustomize-tag", scale.measure_at_once, (scale.AT_ONCE,), (1_000,)),
    "writers": Benchmark(
        "bump-kustomize-tag", scale.measure_writers, (scale.WRITERS,), (2, 10, 50), (2, 10)
    ),
    "set-up": Benchmark("check-promotion", set_up.measure, set_up.ROWS, (1,), (1,)),
    "set-up-job": Benchmark("check-promotion", set_up.measure_job, (set_up.JOB,), (1,)),
    "fingerprint": Benchmark(
        "build-push-image",
        fingerprint.measure,
        (fingerprint.FIRST, fingerprint.SECOND),
        (200, 2_000, 20_000),
        (200, 2_000),
    ),
    "flow-steps": Benchmark("check-promotion", flow_steps.measure, (flow_steps.WARM,), (1,)),
    "flow-steps-cold": Benchmark(
        "check-promotion", flow_steps.measure_cold, (flow_steps.COLD,), (1,)
    ),
    "hop": Benchmark("check-promotion", hop.measure, (hop.HOP,), (100, 10_000)),
}


def results(*, small: bool) -> Path:
    """Return the file of what was measured."""
    return ROOT / "benchmarks" / ("results-small.json" if small else "results.json")


def recorded(*, small: bool) -> dict[str, Measured]:
    """Return what was measured and recorded, by the row's name."""
    file = results(small=small)
    return read(json.loads(file.read_text("utf-8"))) if file.exists() else {}


def declared() -> list[Row]:
    """Return every row, in the order of BENCHMARKS."""
    return [row for one in BENCHMARKS.values() for row in one.rows]


def told() -> dict[str, str]:
    """Return what docs/performance.md and its picture say of what was recorded."""
    rows, found = declared(), recorded(small=False)
    return {
        "targets": page.targets(rows, found),
        "measured": page.sections(rows, found),
        "picture": chart.draw(rows, found),
    }


def record(now: dict[str, Measured], *, small: bool) -> None:
    """Put rows into the file; those that are there no more leave it."""
    together = recorded(small=small) | now
    kept = {row.name: together[row.name] for row in declared() if row.name in together}
    text = json.dumps(written(kept), indent=1) + "\n"
    results(small=small).write_text(text, encoding="utf-8")


def measured(name: str, *, small: bool) -> dict[str, Measured]:
    """Measure one of BENCHMARKS."""
    one = BENCHMARKS[name]
    if small and not one.small:
        return {}
    run([RUN, one.action, "--help"], ROOT)  # makes the environment, which is not what is timed
    print(name, file=sys.stderr)
    with in_memory() as folder:
        points = one.measure(folder, one.small if small else one.sizes)
    return {
        row.name: Measured(
            points=tuple(points[row.name]),
            date=datetime.now(UTC).date().isoformat(),
            revision=answer(["git", "rev-parse", "--short=7", "HEAD"], ROOT).strip(),
            cores=os.cpu_count() or 0,
            machine=machine(),
            versions=versions(row.tools),
        )
        for row in one.rows
    }


@contextmanager
def in_memory() -> Iterator[Path]:
    """Make the folder of a measurement, with all temporary files in it: in memory, where there is room.

    A disk takes very different times for the same files, and would be most of what is measured.
    """
    memory = Path("/dev/shm")
    has_room = memory.is_dir() and shutil.disk_usage(memory).free > _ROOM
    before = os.environ.get("TMPDIR")
    with tempfile.TemporaryDirectory(prefix="bench-", dir=memory if has_room else None) as folder:
        temporary = Path(folder, "tmp")
        temporary.mkdir()
        # For what is started, and for this process, which has looked already.
        os.environ["TMPDIR"] = tempfile.tempdir = str(temporary)
        try:
            yield Path(folder)
        finally:
            tempfile.tempdir = None
            os.environ.pop("TMPDIR")
            if before is not None:
                os.environ["TMPDIR"] = before


def main() -> int:
    """Run the benchmarks named on the command line, or all; 1 if one of them failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--small", action="store_true", help="the sizes that need minutes")
    parser.add_argument("--write", action="store_true", help="record what was measured")
    parser.add_argument("--compare", action="store_true", help="say which ratios fell far")
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(BENCHMARKS):
        parser.error(
            f"no such benchmark: {', '.join(sorted(unknown))}; use {', '.join(BENCHMARKS)}"
        )
    failed = []
    now: dict[str, Measured] = {}
    for name in asked.names or BENCHMARKS:
        try:
            done = measured(name, small=asked.small)
        except SystemExit as error:  # the others are measured all the same
            print(f"error: {name}: {error}", file=sys.stderr)
            failed.append(name)
            continue
        now |= done
        if asked.write:
            record(done, small=asked.small)
    if asked.compare:
        notice = "::notice title=benchmark::" if "GITHUB_ACTIONS" in os.environ else "notice: "
        for sentence in fallen(recorded(small=asked.small), now):
            print(f"{notice}a ratio fell by more than a third: {sentence}")
    print("\n".join(summary(now)))
    return 1 if failed else 0


def summary(now: dict[str, Measured]) -> list[str]:
    """Return a line for each size of each row, and one for each target."""
    lines = []
    for row in declared():
        points = now[row.name].points if row.name in now else ()
        for one in points:
            sides = {"ours": one.ours, "peer": one.peer, "floor": one.floor}
            told = [
                f"{side} {'> ' if found.cut_off else ''}{found.wall:.2f} s, {found.cpu:.2f} s CPU, "
                f"{found.memory / 1e6:.0f} MB"
                + ("" if found.bytes is None else f", {found.bytes / 1e6:.1f} MB counted")
                for side, found in sides.items()
                if found is not None
            ]
            lines.append(f"{row.name}, size {one.size:,}: {'; '.join(told)}")
        for target in row.targets:
            found_value = value(target, points)
            if found_value is not None:
                lines.append(
                    f"  {target.figure}, {target.kind}: {found_value:.3g} (target {target.limit:g})"
                )
    return lines


if __name__ == "__main__":
    sys.exit(main())
