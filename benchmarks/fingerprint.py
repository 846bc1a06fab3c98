"""The fingerprint of a build context, beside the plain way to hash a folder."""

from __future__ import annotations

import os
import random
import time
import venv
from collections.abc import Sequence
from pathlib import Path

from benchmarks.rows import Kind, Point, Row, Target
from benchmarks.timing import ROOT, Steps, answer, expect, point

_PEER = "`tar c . \\| sha256sum`"  # in a table
FIRST = Row(
    name="fingerprint",
    work="fingerprint of a build context: 32 KB a file, three quarters of it in four files",
    size="files",
    peer=_PEER,
    tools=("python",),
    targets=(Target(Kind.SHARE, 0.3), Target(Kind.MOST, 100e6, "memory")),
    means="What build-push-image reads before it asks whether this content was deployed before.",
    floor="Every byte is read and hashed once, in as many threads as there are cores, and each file is opened.",
)
SECOND = Row(
    name="fingerprint-again",
    work="fingerprint of the same context a second time in a job",
    size="files",
    peer=_PEER,
    tools=("python",),
    targets=(Target(Kind.SHARE, 0.1),),
    means="Files that are as they were, by inode, size and times, are not read again.",
    floor="One look at each file.",
    slower="A file that changed within two seconds before it was hashed is read again.",
)
_PROGRAM = f"""\
import sys
sys.path.insert(0, {str(ROOT / "scripts")!r})
from pathlib import Path
from model_gitops.adapters import build_context
from model_gitops.core.image.content import Content, fingerprint
files = build_context.entries(Path(sys.argv[1]))
print(fingerprint(Content(files=files, dockerfile=b"")))
"""


def measure(work: Path, sizes: Sequence[int]) -> dict[str, list[Point]]:
    """Both rows, for contexts of so many files."""
    found: dict[str, list[Point]] = {FIRST.name: [], SECOND.name: []}
    job = work / "job"
    python = job / "model-gitops" / "environment" / "bin" / "python"
    python.parent.mkdir(parents=True, mode=0o700)
    venv.EnvBuilder(symlinks=True).create(python.parents[1])
    (job / "model-gitops").chmod(0o700)
    ours = [str(python), "-I", "-c", _PROGRAM]
    for size in sizes:
        context = work / str(size)
        fill(context, size)
        first: Steps = [(["env", "-uRUNNER_TEMP", *ours, str(context)], work)]
        second: Steps = [(["env", f"RUNNER_TEMP={job}", *ours, str(context)], work)]
        plain: Steps = [(["bash", "-c", 'tar c -C "$0" . | sha256sum', str(context)], work)]
        time.sleep(2.1)  # a younger file is not remembered
        told = {answer(*first[0]), answer(*second[0]), answer(*second[0])}
        expect(len(told) == 1, "the same fingerprint each time")
        for row, side in ((FIRST, first), (SECOND, second)):
            found[row.name].append(
                point(size, ours=lambda n, s=side: s, peer=lambda n, s=plain: s, runs=5)  # type: ignore[misc]
            )
    return found


def fill(folder: Path, files: int) -> None:
    """Make a context of `files` files, 32 KB each on average."""
    chance = random.Random(files)
    small = files * 8_000
    for number in range(files - 4):
        place = folder / f"d{number % 40}" / f"e{number % 7}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"f{number}.bin").write_bytes(os.urandom(chance.randint(1, 16_000)))
    for number in range(4):
        (folder / f"model{number}.bin").write_bytes(os.urandom(small * 3 // 4))
