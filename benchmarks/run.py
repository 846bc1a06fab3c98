"""Time each action as a process, beside the plain tools that do the same.

usage: run.sh dev python benchmarks/run.py [NAME…]   (a NAME of BENCHMARKS; none means all)
Writes benchmarks/results.json when all run, and a Markdown table to stdout.
A comparison is one file here, with `measure`, and its line in BENCHMARKS.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import build_push_image
import bump_kustomize_tag
import cml_report
import dvc_pull_model
import gto_register_stage
import hop
import rollback
import scale
import start_up
from timing import ROOT, RUN, Result, run


class Benchmark(NamedTuple):
    """A comparison: the action that is started once before it, and what measures in a folder."""

    action: str
    measure: Callable[[Path], list[Result]]


BENCHMARKS = {
    "register": Benchmark("gto-register-stage", gto_register_stage.measure),
    "start-up": Benchmark("check-promotion", start_up.measure),
    "pull": Benchmark("dvc-pull-model", dvc_pull_model.measure),
    "report": Benchmark("cml-report", cml_report.measure),
    "bump": Benchmark("bump-kustomize-tag", bump_kustomize_tag.measure),
    "image": Benchmark("build-push-image", build_push_image.measure),
    "rollback": Benchmark("rollback", rollback.measure),
    "scale": Benchmark("bump-kustomize-tag", scale.measure),
    "hop": Benchmark("check-promotion", hop.measure),
}


def table(results: list[Result]) -> str:
    """Return the results as Markdown; a ratio above 1 means that the action is faster."""
    lines = ["| action | plain tools | plain | action | ratio |", "|---|---|---:|---:|---:|"]
    for one in results:
        more = "> " if one.raw_cut_off else ""
        ratio = f"{more}{one.raw / one.ours:.1f}×"
        raw = f"{more}{one.raw:.2f} s"
        lines.append(f"| {one.name} | {one.raw_tool} | {raw} | {one.ours:.2f} s | {ratio} |")
    return "\n".join(lines)


def main() -> int:
    """Run the benchmarks named on the command line, or all."""
    names = sys.argv[1:] or list(BENCHMARKS)
    if unknown := set(names) - set(BENCHMARKS):
        print(f"no such benchmark: {unknown}; there are: {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    for name in names:  # makes the environments, which is not what is timed
        run([RUN, BENCHMARKS[name].action, "--help"], ROOT)
    results = []
    for name in names:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            results += BENCHMARKS[name].measure(Path(folder))
    print(table(results))
    if not sys.argv[1:]:
        record = {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "cores": os.cpu_count(),
            "machine": "shared; other work may have run at the same time",
            "results": [asdict(one) for one in results],
        }
        text = json.dumps(record, indent=2) + "\n"
        (ROOT / "benchmarks/results.json").write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
