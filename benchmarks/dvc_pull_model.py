"""dvc-pull-model beside `dvc pull`."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

from benchmarks.repositories import project
from benchmarks.timing import RUN, TOOLS, Command, Result, compare, expect


def measure(work: Path) -> list[Result]:
    """A 50 MB model in a project with 1,000 small files; the cache is empty before each run."""
    files = {f"data/{n}.txt": f"row {n}\n".encode() for n in range(1000)}
    files["model.bin"] = random.Random(1).randbytes(50_000_000)
    files["dvc.yaml"] = b"artifacts:\n  diabetes:\n    path: model.bin\n    type: model\n"
    checkout = project(work, files, ["data", "model.bin"])

    def emptied() -> Path:
        for folder in (checkout / ".dvc/cache", checkout / ".dvc/tmp", checkout / "data"):
            shutil.rmtree(folder, ignore_errors=True)
        (checkout / "model.bin").unlink(missing_ok=True)
        return checkout

    def ours(_: int) -> tuple[Command, Path]:
        return [RUN, "dvc-pull-model", "--model", "diabetes"], emptied()

    dvc = str(TOOLS / "dvc")
    results = [
        compare(
            "dvc-pull-model, 50 MB beside 1,000 small files",
            "`dvc pull`",
            lambda n: [([dvc, "pull"], emptied())],
            ours,
            runs=3,
        ),
        compare(
            "dvc-pull-model",
            "`dvc pull model.bin`",
            lambda n: [([dvc, "pull", "model.bin"], emptied())],
            ours,
        ),
    ]
    expect((checkout / "model.bin").read_bytes() == files["model.bin"], "the whole model")
    return results
