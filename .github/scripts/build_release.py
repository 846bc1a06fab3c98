"""Build the sdist and the wheel of a release's tag, and write SHA256SUMS beside them.

`scripts/run.sh dev python -I .github/scripts/build_release.py v0.3.1 dist`, in a clone that has the
tag. The same tag gives the same bytes, so that anybody can check a release by building it again.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

TIMEOUT = 600  # seconds


def git(*args: str) -> bytes:
    """Return what git says; exits with its words where it fails."""
    done = subprocess.run(["git", *args], check=False, capture_output=True)
    if done.returncode != 0:
        sys.exit(f"::error::git {args[0]}: {done.stderr.decode(errors='replace').strip()[-300:]}")
    return done.stdout


def build(source: Path, out: Path, epoch: str) -> None:
    """Build the source into `out` with the backend that the source's lock names, by its hash."""
    lock = source / "scripts/requirements.txt"
    done = subprocess.run(
        [
            *("uv", "build", "--no-config", "--no-progress", "--python", sys.executable),
            *("--build-constraints", lock, "--require-hashes", "--out-dir", out, source),
        ],
        env={**os.environ, "SOURCE_DATE_EPOCH": epoch},
        check=False,
        timeout=TIMEOUT,
    )
    if done.returncode != 0:
        sys.exit("::error::the build failed, see above")


def checksums(files: list[Path]) -> str:
    """Return the files' hashes in the form that `sha256sum --check` reads."""
    return "".join(
        f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files
    )


def main(tag: str, folder: str) -> int:
    """Build `tag` into `folder`, which must be empty or not there."""
    dist = Path(folder)
    if dist.exists() and any(dist.iterdir()):
        sys.exit(f"::error::{folder} holds files already: give an empty folder")
    commit = git("rev-parse", "--verify", f"refs/tags/{tag}^{{commit}}").decode().strip()
    epoch = git("show", "--no-patch", "--format=%ct", commit).decode().strip()
    with tempfile.TemporaryDirectory() as temporary:
        # The tag's files only: whatever else lies in the working tree stays out.
        source, out = Path(temporary, "source"), Path(temporary, "out")
        with tarfile.open(fileobj=io.BytesIO(git("archive", "--format=tar", commit))) as archive:
            archive.extractall(source, filter="data")
        build(source, out, epoch)
        built = sorted([*out.glob("*.tar.gz"), *out.glob("*.whl")])
        dist.mkdir(parents=True, exist_ok=True)
        for file in built:
            shutil.copyfile(file, dist / file.name)
        sums = checksums(built)
    (dist / "SHA256SUMS").write_text(sums, encoding="utf-8")
    print(sums, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
