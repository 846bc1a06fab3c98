"""A model's file or folder on disk: its size, and its hashes, each file read once for all of them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from model_gitops.adapters import paths, python_packages
from model_gitops.core.dvc import artifacts, checksums, hashes

_CHUNK = 1024 * 1024


def sha256_of(artifact: artifacts.Artifact, place: Path) -> str:
    """Return the SHA-256 of the model at `place`; "" unless `place` holds exactly it, by its MD5."""
    if not artifact.is_folder:
        if not paths.is_file(place):
            return ""
        md5, sha256 = hashes_of(place, artifact.hash_name)
        return sha256 if md5 == artifact.hash else ""
    if not paths.is_folder(place):
        return ""
    found = {
        path.relative_to(place).as_posix(): hashes_of(path, artifact.hash_name)
        for path in place.rglob("*")
        if path.is_file()
    }
    if hashes.manifest_hash({path: md5 for path, (md5, _) in found.items()}) != artifact.hash:
        return ""
    return checksums.of_folder({path: sha256 for path, (_, sha256) in found.items()})


def put(fresh: Path, place: Path, folder: Path, *, executable: bool) -> None:
    """Put `fresh` at `place` with one rename; a folder that was there is moved into `folder`."""
    if executable:
        make_executable(fresh)
    if place.is_dir() and not place.is_symlink():
        place.rename(folder / "old")
    os.replace(fresh, place)  # noqa: PTH105 - one system call, for a file and for a folder


def make_executable(file: Path) -> None:
    """Let those who may read a file run it, as DVC does for `isexec`."""
    mode = file.stat().st_mode
    if (wanted := mode | (mode & 0o444) >> 2) != mode:
        file.chmod(wanted)


def size_of(place: Path) -> int:
    """Return the bytes of a file, or of all files in a folder."""
    if place.is_file():
        return place.stat().st_size
    return sum(path.stat().st_size for path in place.rglob("*") if path.is_file())


def hashes_of(file: Path, hash_name: str) -> tuple[str, str]:
    """Return DVC's hash and the SHA-256 of a file, in one read.

    Only DVC's old kind of hash, for which line endings do not count, takes a second one.
    """
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    # A step that hashes nothing need not load it.
    from concurrent.futures import ThreadPoolExecutor

    with file.open("rb") as stream, ThreadPoolExecutor(1) as pool:
        while chunk := stream.read(_CHUNK):
            # Side by side: hashlib lets other threads run meanwhile. A small file needs no thread.
            if len(chunk) < _CHUNK:
                sha256.update(chunk)
                md5.update(chunk)
            else:
                beside = pool.submit(sha256.update, chunk)
                md5.update(chunk)
                beside.result()
    if hash_name != hashes.LEGACY_HASH:
        return md5.hexdigest(), sha256.hexdigest()
    python_packages.ensure_dvc("which has this model's old kind of hash")
    from dvc_data.hashfile.hash import file_md5
    from dvc_objects.fs.local import localfs

    return str(file_md5(str(file), localfs, name=hashes.LEGACY_HASH)), sha256.hexdigest()
