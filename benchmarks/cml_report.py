"""cml-report beside DVC's own diffs."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.repositories import git, project
from benchmarks.timing import RUN, TOOLS, Result, compare


def measure(work: Path) -> list[Result]:
    """The comparison with the target branch, plots included; no token, so nothing is posted."""

    def files(quality: float) -> dict[str, bytes]:
        curve = "\n".join(["epoch,loss", *(f"{n},{80 / (1 + n * quality)}" for n in range(60))])
        return {
            "dvc.yaml": b"metrics: [metrics.json]\nparams: [params.yaml]\n"
            b"plots:\n  - curve.csv: {x: epoch, y: loss}\n",
            "metrics.json": json.dumps({"r2": quality}).encode(),
            "params.yaml": f"epochs: {int(quality * 100)}\n".encode(),
            "curve.csv": curve.encode() + b"\n",
        }

    checkout = project(work, files(0.4), [])
    git(checkout, "switch", "--quiet", "-c", "experiment")
    for name, content in files(0.5).items():
        (checkout / name).write_bytes(content)
    git(checkout, "commit", "--quiet", "-am", "candidate")
    dvc = str(TOOLS / "dvc")
    return [
        compare(
            "cml-report, without posting",
            "`dvc metrics diff`, `params diff` and `plots diff`",
            lambda n: [
                ([dvc, what, "diff", "origin/main"], checkout)
                for what in ("metrics", "params", "plots")
            ],
            lambda n: ([RUN, "cml-report", "--base", "main"], checkout),
        )
    ]
