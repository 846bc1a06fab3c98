"""DVC's own files: what dvc.yaml, dvc.lock and .dvc files say, with paths from the repository's top."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from model_gitops.core import document
from model_gitops.core.dvc import hashes


@dataclass(frozen=True)
class Tracked:
    """A file or folder with the hash that DVC wrote for it. `path` is POSIX, from the top.

    `hash` is an MD5 (ending in `.dir` for a folder), for what lies outside a checkout the ETag or
    checksum of its server; empty where there is none. `hash_name` is its kind. `size` is in bytes, and
    `files` the number of files in a folder, each -1 where it is not known. `listing` has a folder's
    files (relative path → MD5, empty where DVC wrote none) on a remote that keeps versions.

    `cached` is false for what Git keeps (`cache: false`), `pushed` for what no remote gets
    (`push: false`). `imported` names the repository that it comes from (`dvc import`), and `partial`
    says that an import was not downloaded (`--no-download`).
    """

    path: str
    hash: str
    hash_name: str = hashes.MD5
    size: int = -1
    remote: str = ""
    files: int = -1
    listing: Mapping[str, str] = field(default_factory=dict)
    executable: bool = False
    cached: bool = True
    pushed: bool = True
    versioned: bool = False
    imported: str = ""
    partial: bool = False

    @property
    def md5(self) -> str:
        """The hash if it is an MD5 that names an object of DVC's; else an empty string."""
        of_dvc = self.hash_name in (hashes.MD5, hashes.LEGACY_HASH) and hashes.is_hash(self.hash)
        return self.hash if of_dvc else ""


def agree(one: Tracked, other: Tracked) -> bool | None:
    """Whether two entries are of the same content; None where their hashes do not tell."""
    if (known := hashes.agree(one.hash, one.hash_name, other.hash, other.hash_name)) is not None:
        return known
    if one.listing and other.listing:
        both = [(md5, other.listing.get(path, "")) for path, md5 in one.listing.items()]
        differ = one.listing.keys() != other.listing.keys() or any(
            a != b for a, b in both if a and b
        )
        return False if differ else None
    return None


class Project:
    """The files (path from the top → text), each parsed once and only when needed."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self.files = files
        self._parsed: dict[str, dict[str, Any]] = {}

    def load(self, source: str) -> dict[str, Any]:
        """Return the mapping in file `source`. Raises InputError where it is no YAML."""
        if source not in self._parsed:
            self._parsed[source] = _parsed(self.files[source], source)
        return self._parsed[source]

    def called(self, basename: str) -> list[str]:
        """Return the paths of the files with this name."""
        return [path for path in self.files if posixpath.basename(path) == basename]


@lru_cache(maxsize=16)
def _parsed(text: str, source: str) -> dict[str, Any]:
    """Parse once what several commits have alike: a large dvc.lock takes seconds. Not to be changed."""
    data = document.load_yaml(text, source=source)
    return data if isinstance(data, dict) else {}


def names(value: Any) -> Iterator[str]:
    """Go through the paths of a list in dvc.yaml: each is text, or a mapping with its options."""
    for one in value if isinstance(value, list) else [value] if value else ():
        yield from (str(name) for name in one) if isinstance(one, dict) else (str(one),)


def below(project: Project, folder: str) -> Iterator[Tracked]:
    """Go through what the .dvc files inside of `folder` track there. No other one is read."""
    for source in project.files:
        if source.startswith(f"{folder}/") and source.endswith(".dvc"):
            yield from (
                one for one in outs_of(project, source) if one.path.startswith(f"{folder}/")
            )


def added(project: Project, path: str) -> tuple[Tracked, str] | None:
    """Return `path` as a .dvc file tracks it, and that file's name; None where none does."""
    # DVC names the file after what it tracks, unless it is told otherwise.
    usual, basename = f"{path}.dvc", posixpath.basename(path)
    others = (one for one in project.files if one.endswith(".dvc") and one != usual)
    for source in (*([usual] if usual in project.files else []), *others):
        if basename not in project.files[source]:
            continue
        for found in outs_of(project, source):
            if found.path == path:
                return found, source
    return None


def outs_of(project: Project, source: str) -> Iterator[Tracked]:
    """Go through what the .dvc file `source` tracks."""
    data = project.load(source)
    base = posixpath.join(posixpath.dirname(source), str(data.get("wdir") or ""))
    repositories = (one.get("repo") for one in dicts(data.get("deps")))
    url = next((str(one.get("url")) for one in repositories if isinstance(one, dict)), "")
    for entry in dicts(data.get("outs")):
        found = tracked(entry, base, entry)
        # Only an import has what it comes from.
        yield replace(found, imported=url, partial=not found.hash and bool(dicts(data.get("deps"))))


def dicts(value: Any) -> list[dict[str, Any]]:
    """Return the mappings in a list; an empty list for anything else."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def tracked(entry: Mapping[str, Any], base: str, flags: Mapping[str, Any]) -> Tracked:
    """Read one entry of dvc.lock or a .dvc file; `flags` are what its definition says of it."""
    size, files, remote = entry.get("size"), entry.get("nfiles"), entry.get("remote")
    value, kind = _hash(entry)
    listed = dicts(entry.get("files"))
    listing = {str(one.get("relpath")): str(one.get("md5") or "") for one in listed}
    if not value and listing and all(map(hashes.is_file_hash, listing.values())):
        # On a remote that keeps versions DVC writes the files of a folder instead of its hash.
        value, kind = hashes.manifest_hash(listing), hashes.MD5
    return Tracked(
        path=full_path(str(entry.get("path")), base),
        hash=value,
        hash_name=kind,
        size=size if isinstance(size, int) else sum(_sizes(listed)) if listed else -1,
        remote=str(remote or flags.get("remote") or ""),
        files=files if isinstance(files, int) else len(listing) if listing else -1,
        listing=listing,
        executable=entry.get("isexec") is True,
        cached=flags.get("cache") is not False,
        pushed=flags.get("push") is not False,
        versioned="files" in entry or "cloud" in entry,
    )


def _hash(entry: Mapping[str, Any]) -> tuple[str, str]:
    """Return the hash of an entry, and its kind; an empty text where it has none."""
    if entry.get("md5"):
        kind = str(entry.get("hash") or hashes.LEGACY_HASH)
        return str(entry["md5"]), kind
    for kind in ("etag", "checksum"):
        if entry.get(kind):
            return str(entry[kind]), kind
    return "", hashes.MD5


def _sizes(entries: list[dict[str, Any]]) -> Iterator[int]:
    yield from (one["size"] if isinstance(one.get("size"), int) else 0 for one in entries)


def full_path(path: str, base: str) -> str:
    """Return a path of a DVC file, from the top; `base` is where that file's paths start."""
    # A URL (s3://…) is no path of this repository.
    return path if "://" in path else posixpath.normpath(posixpath.join(base, path))
