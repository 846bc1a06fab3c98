"""The SHA-256 of many files: several at once, and each once in a job.

What a file's hash was is kept beside the Python environment of the job's steps, and nowhere else: who can
write there can write the code that runs here (SECURITY.md, "What outlives a job"). A store that outlives
the job gets no such file, and none is believed that lies elsewhere.
"""

from __future__ import annotations

import hashlib
import os
import stat
import struct
import sys
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from model_gitops import runner

# A change within one tick of a file system's clock leaves the time as it is: a younger file is not kept.
_SETTLED_NS = 2_000_000_000
_CHUNK = 1 << 18
_MOST_THREADS = 4
# What says that a file is as it was, and its hash after it: six numbers, and 32 bytes.
_KEY, _KEY_SIZE, _HASH_SIZE = "=6Q", 48, 32
_WHOLE = (1 << 64) - 1
# Of a smaller one Python's own work is the greater part, which threads do one after the other.
_LARGE = 1 << 20


class Unreadable(OSError):
    """A file that can't be read; `filename` is its path."""


def hashes(files: Mapping[str, os.stat_result], folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each regular file of `folder`: by path, with what `lstat` said of it.

    Raises Unreadable.
    """
    kept = _Kept(folder)
    found = kept.of(files)
    if len(found) == len(files):
        return found
    missing = [path for path in files if path not in found]
    # Where all is known they are not needed, and take longer to start than many a look.
    from concurrent.futures import ThreadPoolExecutor

    large = deque(path for path in missing if files[path].st_size >= _LARGE)
    small = deque(path for path in missing if files[path].st_size < _LARGE)

    def work(ahead: deque[str]) -> None:
        buffer = bytearray(_CHUNK)
        while ahead:
            try:
                path = ahead.popleft()
            except IndexError:  # another thread was first
                return
            try:
                found[path] = _sha256(path, buffer)
            except OSError as error:
                raise Unreadable(error.errno, error.strerror, path) from error

    # hashlib and read() let other threads run meanwhile.
    threads = min(_MOST_THREADS, os.cpu_count() or 1, len(large))
    with ThreadPoolExecutor(max(threads, 1)) as pool:
        started = [pool.submit(work, large) for _ in range(threads)]
        work(small)
        for one in started:
            one.result()
    kept.keep(files, found, set(missing))
    return found


def _sha256(path: str, buffer: bytearray) -> str:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        count = os.readv(file, [buffer])
        digest = hashlib.sha256(memoryview(buffer)[:count])
        while count:
            count = os.readv(file, [buffer])
            digest.update(memoryview(buffer)[:count])
    finally:
        os.close(file)
    return digest.hexdigest()


class _Kept:
    """What the files of one folder hashed to earlier in this job.

    A file is known by all that a change of it changes: the inode's change time can't be set back, as
    the time of the content can. That holds on the file system whose clock is asked here.
    """

    def __init__(self, folder: Path) -> None:
        self.known: dict[bytes, str] = {}
        self._file: Path | None = None
        store = _store_of_job()
        if store is None:
            return
        name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
        self._file = store / f"hashes-{name}"
        with suppress(OSError):
            read = self._file.read_bytes()
            count, rest = divmod(len(read), _KEY_SIZE + _HASH_SIZE)
            if rest:
                return
            keys = [read[at : at + _KEY_SIZE] for at in range(0, count * _KEY_SIZE, _KEY_SIZE)]
            hashes = read[count * _KEY_SIZE :].hex("\n", -_HASH_SIZE).split()
            self.known = dict(zip(keys, hashes, strict=True))

    def of(self, files: Mapping[str, os.stat_result]) -> dict[str, str]:
        """Return the hashes of those files that are as they were."""
        if not self.known:
            return {}
        known = map(self.known.get, map(_key, files.values()))
        return {path: sha256 for path, sha256 in zip(files, known, strict=True) if sha256}

    def keep(
        self, files: Mapping[str, os.stat_result], found: Mapping[str, str], new: set[str]
    ) -> None:
        """Keep the hash of each file that did not change while it was read. A full disk keeps none.

        Of the `new` ones; those of the others were kept before.
        """
        if self._file is None:
            return
        import tempfile

        with suppress(OSError):
            # Its own time is the file system's, as those of the files are.
            file, path = tempfile.mkstemp(prefix="hashes-", dir=self._file.parent)
            made = os.fstat(file)
            kept = {
                _key(seen): found[name]
                for name, seen in files.items()
                if name not in new or self._is_settled(name, seen, made)
            }
            with os.fdopen(file, "wb") as stream:
                stream.write(b"".join(kept) + bytes.fromhex("".join(kept.values())))
            Path(path).replace(self._file)

    def _is_settled(self, path: str, seen: os.stat_result, made: os.stat_result) -> bool:
        if seen.st_dev != made.st_dev or seen.st_ctime_ns > made.st_ctime_ns - _SETTLED_NS:
            return False
        with suppress(OSError):
            return _key(os.lstat(path)) == _key(seen)
        return False


def _key(seen: os.stat_result) -> bytes:
    """Return what says that a file is as it was. A time may be of before 1970, or of after 2262."""
    return struct.pack(
        _KEY, seen.st_dev, seen.st_ino, seen.st_mode, seen.st_size,
        seen.st_mtime_ns & _WHOLE, seen.st_ctime_ns & _WHOLE,
    )  # fmt: skip


def _store_of_job() -> Path | None:
    """Return the folder of this job that holds the environment that runs us, if that is where it is."""
    temporary = runner.temporary_folder()
    store = Path(sys.prefix).parent
    if temporary is None or store != temporary / "model-gitops":
        return None
    with suppress(OSError):
        seen = store.lstat()
        if stat.S_ISDIR(seen.st_mode) and seen.st_uid == os.geteuid() and not seen.st_mode & 0o022:
            return store
    return None
