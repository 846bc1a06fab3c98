"""Folders for a moment. What a killed run left behind, secrets too, the next run removes."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_LOCK = ".model-gitops-lock"
_SETTLED_SECONDS = 60


@contextmanager
def folder(prefix: str, parent: Path | None = None) -> Iterator[Path]:
    """Make a folder that only we can enter, in `parent` or the system's place; removed after.

    Its lock file is held as long as we live, however we end: folders of the same `prefix` whose
    lock nobody holds are of runs that were killed, and are removed first.
    """
    place = parent or Path(tempfile.gettempdir())
    _sweep(place, prefix)
    made = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
    try:
        # Locked before it has its name: nobody sees it unlocked. No child inherits it.
        with (made / f"{_LOCK}-new").open("wb") as lock:
            with suppress(OSError):  # some file systems lock nothing: never swept then
                fcntl.flock(lock, fcntl.LOCK_EX)
                (made / f"{_LOCK}-new").rename(made / _LOCK)
            yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _sweep(place: Path, prefix: str) -> None:
    for young in place.glob(f"{prefix}*"):
        # Of a run that was killed before it had its lock: there is nothing in it yet.
        with suppress(OSError):
            if time.time() - young.stat().st_mtime > _SETTLED_SECONDS:
                (young / f"{_LOCK}-new").unlink(missing_ok=True)
                young.rmdir()
    for old in place.glob(f"{prefix}*/{_LOCK}"):
        # Not ours to read (another user's), held by who lives, or gone meanwhile: not our matter.
        with suppress(OSError), old.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(old.parent, ignore_errors=True)
