"""dvc-pull-model beside `dvc pull`, from a folder and from S3; the cache is empty before each run."""

from __future__ import annotations

import os
import random
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.repositories import git, project
from benchmarks.rows import Kind, Point, Row, Target
from benchmarks.servers import listening
from benchmarks.timing import RUN, TOOLS, Steps, expect, point, run
from benchmarks.tools import tool

FILE_SIZE = 20_000
KEY, SECRET = "bench", "bench-bench"

FILE = Row(
    name="pull-file",
    work="dvc-pull-model, one file, from a folder",
    size="MB",
    peer="`dvc pull TARGET`",
    tools=("dvc",),
    targets=(Target(Kind.FASTER, 3, size=50), Target(Kind.ABOVE_FLOOR, 0.25, size=50)),
    means="What a job pays to have its model, which both sides write twice: into DVC's cache and in its place.",
    floor="`cp` of the file, once, without a look at its hash.",
    slower="`cp` is always faster: it starts no Python, hashes nothing and keeps no cache. With files of some"
    " 200 MB `dvc pull` comes near: it believes a protected object of the remote, where we hash each (MD5, SHA-256).",
)
FOLDER = Row(
    name="pull-folder",
    work="dvc-pull-model, a folder of files of 20 kB, from a folder",
    size="files",
    peer="`dvc pull TARGET`",
    tools=("dvc",),
    targets=(Target(Kind.FASTER, 2.5), Target(Kind.MOST, 100e6, "memory")),
    means="Models that are many files. Each is hashed twice (MD5, SHA-256) and written twice.",
    floor="`cp -r` of the folder, once.",
    slower="`cp -r`, as above.",
)
BUCKET = Row(
    name="pull-folder-s3",
    work="dvc-pull-model, a folder of files of 20 kB, from S3",
    size="files",
    peer="`dvc pull TARGET`",
    tools=("dvc", "versitygw"),
    targets=(Target(Kind.FASTER, 2.5), Target(Kind.MOST, 100e6, "memory")),
    means="One request a file. The server is on the same machine, and takes its share of the cores.",
    floor="Not measured: the client's Python and the server, not the network, are the limit here.",
)


def files(work: Path, sizes: Sequence[int]) -> dict[str, list[Point]]:
    """One file of so many MB."""
    return {FILE.name: [_of_file(work / str(size), size) for size in sizes]}


def folders(work: Path, sizes: Sequence[int]) -> dict[str, list[Point]]:
    """A folder of so many files."""
    return {FOLDER.name: [_of_folder(work / str(size), size) for size in sizes]}


def buckets(work: Path, sizes: Sequence[int]) -> dict[str, list[Point]]:
    """The same from S3."""
    data = work / "data"
    (data / "bucket").mkdir(parents=True)
    with _gateway(data) as url:
        return {BUCKET.name: [_of_bucket(work / str(size), size, data, url) for size in sizes]}


def _of_file(folder: Path, size: int) -> Point:
    content = random.Random(1).randbytes(size * 1_000_000)
    checkout = _checkout(folder, {"model.bin": content}, "model.bin")
    found = point(
        size,
        ours=lambda n: [(_ours("model.bin"), _emptied(checkout))],
        peer=lambda n: [([str(TOOLS / "dvc"), "pull", "model.bin"], _emptied(checkout))],
        floor=lambda n: _copy(folder, checkout, "model.bin"),
        runs=5,
    )
    run(_ours("model.bin"), _emptied(checkout))
    expect((checkout / "model.bin").read_bytes() == content, "the whole model")
    return found


def _of_folder(folder: Path, size: int) -> Point:
    checkout = _checkout(folder, _many(size), "many")
    found = point(
        size,
        ours=lambda n: [(_ours("many"), _emptied(checkout))],
        peer=lambda n: [([str(TOOLS / "dvc"), "pull", "many"], _emptied(checkout))],
        floor=lambda n: _copy(folder, checkout, "many"),
    )
    _expect_all(checkout, size)
    return found


def _of_bucket(folder: Path, size: int, data: Path, url: str) -> Point:
    checkout = _checkout(folder, _many(size), "many")
    shutil.copytree(folder / "store", data / "bucket" / str(size))
    (checkout / ".dvc/config").write_text(
        "[core]\n    analytics = false\n    remote = s3\n['remote \"s3\"']\n"
        f"    url = s3://bucket/{size}\n    endpointurl = {url}\n",
        encoding="utf-8",
    )
    git(checkout, "commit", "--quiet", "--all", "--message", "s3")
    # Has the packages for S3 installed, which is not what is timed.
    run(_ours("many"), _emptied(checkout))
    dvc = str(_with_s3() / "dvc")
    found = point(
        size,
        ours=lambda n: [(_ours("many"), _emptied(checkout))],
        peer=lambda n: [([dvc, "pull", "many"], _emptied(checkout))],
        peer_runs=2,
    )
    _expect_all(checkout, size)
    return found


def _ours(model: str) -> list[str]:
    return [RUN, "dvc-pull-model", "--model", model]


def _many(size: int) -> dict[str, bytes]:
    chance = random.Random(2)
    return {f"many/{n % 100:02d}/{n}.bin": chance.randbytes(FILE_SIZE) for n in range(size)}


def _checkout(folder: Path, files: dict[str, bytes], add: str) -> Path:
    folder.mkdir()
    return project(folder, files, [add])


def _emptied(checkout: Path) -> Path:
    for gone in (".dvc/cache", ".dvc/tmp", "many"):
        shutil.rmtree(checkout / gone, ignore_errors=True)
    (checkout / "model.bin").unlink(missing_ok=True)
    return checkout


def _copy(folder: Path, checkout: Path, model: str) -> Steps:
    """Copy what the side before has pulled."""
    to = folder / "copied"
    shutil.rmtree(to, ignore_errors=True)
    to.unlink(missing_ok=True)
    return [(["cp", "-r", str(checkout / model), str(to)], folder)]


def _expect_all(checkout: Path, size: int) -> None:
    found = list((checkout / "many").rglob("*.bin"))
    expect(
        len(found) == size and all(one.stat().st_size == FILE_SIZE for one in found), "all files"
    )


@contextmanager
def _gateway(data: Path) -> Iterator[str]:
    """Serve the folders in `data` as buckets, for these keys, which both sides find in the environment."""
    os.environ |= {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
    }

    def gateway(port: int) -> list[str]:
        # As the services do: they keep connections open.
        words = ["--keep-alive", "--quiet", "--port", f"127.0.0.1:{port}", "posix", str(data)]
        return [tool("versitygw"), *words]

    with listening(gateway, {"ROOT_ACCESS_KEY": KEY, "ROOT_SECRET_KEY": SECRET}) as port:
        yield f"http://127.0.0.1:{port}"


def _with_s3() -> Path:
    """Return the programs of the newest environment that has DVC's package for S3: the one just made."""
    store = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "model-gitops"
    made = sorted(store.glob("*/ready-remote-s3"), key=lambda one: one.stat().st_mtime)
    if not made:
        sys.exit(f"no environment in {store} has dvc[s3]")
    return made[-1].parent / "bin"
