"""A model out of DVC's cache or its remote without DVC, which takes longer to start than most to copy.

Whatever goes wrong is left to DVC, from the start: what it says of a fault is what people find.
"""
# A folder may have 100,000 files, and Path takes longer than the system does.
# ruff: noqa: PTH103, PTH105, PTH108, PTH118, PTH120, PTH123

from __future__ import annotations

import hashlib
import io
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from itertools import cycle
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Lock, Thread
from typing import Any

from model_gitops import runner
from model_gitops.adapters import local_stores, model_files, scratch
from model_gitops.adapters.objects import NotSure, Reader, Remote
from model_gitops.core.dvc import artifacts, checksums, hashes
from model_gitops.errors import InputError, RefusedError

_CHUNK = 1024 * 1024
# So many objects are asked for one after the other in the time that DVC takes to load.
_MOST_ONE_BY_ONE = 32
# Below this another thread costs more than it helps.
_WORTH_A_THREAD = 128 * 1024
_LARGEST_LISTING = 256 * 1024 * 1024
# DVC protects what is in its cache so, and takes it for verified then.
_PROTECTED = 0o444


class Folder:
    """Objects in a folder, as DVC lays them out."""

    at_once = 2

    def __init__(self, folder: Path, shown: str) -> None:
        self.folder, self.shown = folder, shown
        self._start = os.path.join(folder, "files", "md5")

    def path(self, md5: str) -> str:
        """Return where the object of this hash is."""
        return f"{self._start}/{md5[:2]}/{md5[2:]}"

    def open(self, md5: str) -> io.FileIO:
        """Open an object. Raises OSError, also for a device or a pipe."""
        file = io.FileIO(os.open(self.path(md5), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK))
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise NotSure(f"object {md5} is no file")
        return file

    def has(self, md5: str) -> bool:
        """Whether an object is there that DVC takes for verified: it reads any other."""
        try:
            mode = Path(self.path(md5)).stat().st_mode
        except OSError:
            return False
        return stat.S_ISREG(mode) and stat.S_IMODE(mode) == _PROTECTED


def of_project(
    root: Path,
    remote: str,
    settings: Mapping[str, str] | None,
    artifact: artifacts.Artifact,
    place: Path,
    accept: Callable[[str, str], None],
    *,
    jobs: int | None = None,
    part: str = "",
) -> str:
    """Do `pull` with the stores of the DVC project in `root`: its cache, and `remote` or the default one.

    `settings` are options of the remote that no file has.
    """
    found = local_stores.find(root, remote, settings)
    if artifact.hash_name != hashes.MD5:
        raise NotSure("it has DVC's old kind of hash")
    if found is None:
        raise NotSure(
            "its remote is no plain folder or S3 bucket, or has more settings than are known here"
        )
    cache, source = Folder(found.cache, f"DVC's cache ({found.cache}/files/md5)"), _source(found)
    return pull(cache, source, artifact, place, accept, jobs=jobs, part=part)


def has_all(
    root: Path, remote: str, settings: Mapping[str, str], hash_name: str, wanted: Set[str]
) -> bool:
    """Whether the remote surely has all these objects, as `of_project` finds it; else DVC must look."""
    if hash_name != hashes.MD5 or len(wanted) > _MOST_ONE_BY_ONE:
        return False
    found = local_stores.find(root, remote, settings)
    return found is not None and all(map(_source(found).has, wanted))


def _source(found: local_stores.Stores) -> Remote:
    shown = f"the DVC remote {found.name!r} ({found.remote})"
    if not found.remote.startswith("s3://"):
        return Folder(Path(found.remote), shown)
    from model_gitops.adapters import s3_objects

    return s3_objects.Bucket(found.remote, found.options, shown)


def pull(
    cache: Folder,
    remote: Remote,
    artifact: artifacts.Artifact,
    place: Path,
    accept: Callable[[str, str], None],
    *,
    jobs: int | None = None,
    part: str = "",
) -> str:
    """Put the model at `place`, as `dvc.pull` does, and return its SHA-256; "" for a `part` that it lacks.

    An object's hashes are those of the bytes that are written: it has its name only once they are
    right. Raises NotSure, which leaves nothing behind, and what `accept` raises.
    """
    with ExitStack() as stack:
        coming = _Coming(cache, remote, artifact, stack)
        try:
            return coming.put(place, accept, jobs or remote.at_once, part)
        except RefusedError:
            coming.forget()
            raise
        except (NotSure, OSError, InputError, ValueError) as error:
            coming.forget()
            why = str(error) if isinstance(error, NotSure) else type(error).__name__
            raise NotSure(f"{remote.shown} did not give it at once: {why}") from error


class _Coming:
    """One model on its way."""

    def __init__(
        self, cache: Folder, remote: Remote, artifact: artifacts.Artifact, stack: ExitStack
    ) -> None:
        self._cache, self._remote, self._artifact = cache, remote, artifact
        self._stack, self._lock = stack, Lock()
        # Set where the whole fails or is cancelled: nobody waits for the rest of a large object then.
        self.stop = Event()
        self._room = ""
        self._fetched: list[str] = []

    def put(self, place: Path, accept: Callable[[str, str], None], at_once: int, part: str) -> str:
        artifact, listing, is_new = self._artifact, b"", False
        files: dict[str, str] = {}
        if artifact.is_folder:
            listing, is_new = self._listing()
            files = hashes.folder_files(listing, artifact.path)
            if part and part not in files:
                return ""
        place.parent.mkdir(parents=True, exist_ok=True)
        # What is not whole yet is where the next run finds and removes it, should this one be killed.
        folder = self._stack.enter_context(scratch.folder(".model-gitops-", place.parent))
        fresh = folder / "fresh"
        if artifact.is_folder and not part:
            fresh.mkdir()
            sha256 = self._folder(files, str(fresh), at_once)
        else:
            with _copier() as copier:
                sha256 = copier.copy(self, files.get(part, artifact.hash), str(fresh))
        if is_new:
            # Last, when its files are there.
            self._keep_listing(listing)
        where = self._remote.shown if self._fetched else self._cache.shown
        accept(f"what {where} has of {artifact.path!r}", sha256)
        model_files.put(fresh, place, folder, executable=artifact.executable)
        return sha256

    def forget(self) -> None:
        """Take what came out of the cache again."""
        for md5 in self._fetched:
            with suppress(OSError):
                os.unlink(self._cache.path(md5))

    def open(self, md5: str) -> tuple[AbstractContextManager[Reader], bool]:
        """Open an object in the cache, or the remote's; returns which."""
        try:
            return self._cache.open(md5), False
        except FileNotFoundError:
            return self._remote.open(md5), True

    def discard(self, md5: str, what: str) -> None:
        """Take a damaged object out of the cache, where DVC would take it for good."""
        os.unlink(self._cache.path(md5))
        runner.say(f"DVC's cache holds a damaged {what}: pulling it again")

    def room(self) -> str:
        """Return a folder beside the cache's objects for what is not verified yet."""
        with self._lock:
            if not self._room:
                self._cache.folder.mkdir(parents=True, exist_ok=True)
                made = scratch.folder(".model-gitops-", self._cache.folder)
                self._room = str(self._stack.enter_context(made))
            return self._room

    def keep(self, file: str, md5: str) -> None:
        """Put a verified file into the cache under its name."""
        to = self._cache.path(md5)
        try:
            os.replace(file, to)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(to), exist_ok=True)
            os.replace(file, to)
        self._fetched.append(md5)

    def _listing(self) -> tuple[bytes, bool]:
        """Return the list of a folder's files, verified, and whether the cache lacks it."""
        wanted = self._artifact.hash
        while True:
            opened, is_new = self.open(wanted)
            with opened as reader:
                content = _all_of(reader)
            if hashes.of_data(content) + ".dir" == wanted:
                return content, is_new
            if is_new:
                raise NotSure("the list of its files is not what its hash says")
            self.discard(wanted, "list of files")

    def _keep_listing(self, content: bytes) -> None:
        file = f"{self.room()}/{self._artifact.hash}"
        with open(file, "xb") as stream:
            stream.write(content)
            os.fchmod(stream.fileno(), _PROTECTED)
        self.keep(file, self._artifact.hash)

    def _folder(self, files: Mapping[str, str], to: str, at_once: int) -> str:
        for folder in {os.path.dirname(path) for path in files}:
            os.makedirs(os.path.join(to, folder), exist_ok=True)
        # Two files of one object go together: it comes once.
        objects: dict[str, list[str]] = {}
        for path, md5 in files.items():
            objects.setdefault(md5, []).append(path)
        listed = list(objects.items())
        workers = max(1, min(at_once, len(listed)))

        def share(mine: list[tuple[str, list[str]]]) -> dict[str, str]:
            try:
                with _copier() as copier:
                    return {
                        path: copier.copy(self, md5, f"{to}/{path}")
                        for md5, paths in mine
                        for path in paths
                    }
            except BaseException:
                self.stop.set()
                raise

        # A single file need not load it.
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(workers) as pool:
            shares = pool.map(share, [listed[start::workers] for start in range(workers)])
            try:
                return checksums.of_folder(
                    {path: one for found in shares for path, one in found.items()}
                )
            except BaseException:
                self.stop.set()
                raise


@contextmanager
def _copier() -> Iterator[_Copier]:
    """Give a copier, and a thread for it."""
    todo, done = SimpleQueue[tuple[Any, memoryview] | None](), SimpleQueue[None]()

    def work() -> None:
        while one := todo.get():
            one[0].update(one[1])
            done.put(None)

    beside = Thread(target=work, daemon=True)
    beside.start()
    try:
        yield _Copier(todo, done)
    finally:
        todo.put(None)
        beside.join()


class _Copier:
    """Copies objects one after the other, with two buffers, whatever their size.

    The MD5 takes longest: it is computed in a thread beside ours, which goes on with the other buffer.
    """

    def __init__(
        self, todo: SimpleQueue[tuple[Any, memoryview] | None], done: SimpleQueue[None]
    ) -> None:
        self._todo, self._done = todo, done
        self._buffers = [memoryview(bytearray(_CHUNK)) for _ in range(2)]

    def copy(self, coming: _Coming, md5: str, to: str) -> str:
        """Write an object to `to`, and to the cache if it lacks it; return its SHA-256."""
        while True:
            opened, is_new = coming.open(md5)
            fresh = f"{coming.room()}/{md5}" if is_new else ""
            with opened as reader, ExitStack() as stack:
                outs = [stack.enter_context(_created(one)) for one in (to, fresh) if one]
                found, sha256 = self._write(reader, outs, coming.stop)
                if found == md5 and fresh:
                    os.fchmod(outs[1].fileno(), _PROTECTED)
            if found == md5:
                if fresh:
                    coming.keep(fresh, md5)
                return sha256
            os.unlink(to)
            if fresh:
                os.unlink(fresh)
                raise NotSure(f"object {md5} is not what its hash says")
            coming.discard(md5, f"object {md5}")

    def _write(self, reader: Reader, outs: list[io.FileIO], stop: Event) -> tuple[str, str]:
        md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
        waiting = 0  # pieces that the thread has, in their order
        for buffer in cycle(self._buffers):
            if waiting == len(self._buffers):
                self._done.get()
                waiting -= 1
            size = reader.readinto(buffer) or 0
            if stop.is_set():
                raise NotSure("another object failed, or the whole was cancelled")
            piece = buffer[:size]
            if size > _WORTH_A_THREAD:
                self._todo.put((md5, piece))
                waiting += 1
            else:
                for _ in range(waiting):
                    self._done.get()
                waiting = 0
                md5.update(piece)
            if not size:
                break
            sha256.update(piece)
            for out in outs:
                rest = piece
                while rest:
                    rest = rest[out.write(rest) :]
        return md5.hexdigest(), sha256.hexdigest()


def _created(file: str) -> io.FileIO:
    """Open a new file for writing. Raises FileExistsError."""
    return io.FileIO(file, "xb")


def _all_of(reader: Reader) -> bytes:
    parts, size, buffer = [], 0, memoryview(bytearray(_CHUNK))
    while found := reader.readinto(buffer):
        parts.append(bytes(buffer[:found]))
        if (size := size + found) > _LARGEST_LISTING:
            raise NotSure("a list of files that is too long")
    return b"".join(parts)
