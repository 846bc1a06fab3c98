"""The files of one commit as they are meant: with what Git LFS and attributes make of them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from model_gitops import runner
from model_gitops.adapters import scratch
from model_gitops.adapters.git import Git
from model_gitops.core import document
from model_gitops.core.dvc import checkout

# Of a file in Git LFS that is read into memory.
LARGEST_IN_LFS = 64 * 1024 * 1024


class Tree:
    """The files that Git has at `commit`, for `core.dvc.pipeline`."""

    def __init__(self, git: Git, commit: str) -> None:
        self._git, self._commit = git, commit

    def content(self, path: str) -> dict[str, bytes]:
        """Return the files at or below `path`: relative path ("" for itself) → bytes."""
        found = self._git.contents_at(self._commit, path)
        return {name: real_content(self._git, data) for name, data in found.items()}

    def attributes(self, path: str) -> dict[str, dict[str, str]]:
        """Return the attributes, as this commit has them, of the files at or below `path`.

        The index of the checkout, and what its user configured, do not count. Raises ProcessError.
        """
        with scratch.folder("model-gitops-index-", runner.temporary_folder()) as made:
            env = {"GIT_INDEX_FILE": str(made.resolve() / "index")}
            self._git.run("read-tree", self._commit, env=env)
            listing = self._git.run(
                "ls-files", "-z", "--cached", "--full-name", "--", f":(top,literal){path}", env=env
            )
            names = [name for name in listing.split("\0") if name]
            answer = self._git.run(
                "-c", f"core.attributesFile={os.devnull}",
                "check-attr", "--cached", "--stdin", "-z", *checkout.ATTRIBUTES,
                input="".join(f"{name}\0" for name in names), env=env,
            ).split("\0")  # fmt: skip
        found: dict[str, dict[str, str]] = {name[len(path) :].lstrip("/"): {} for name in names}
        for name, attribute, value in zip(answer[::3], answer[1::3], answer[2::3], strict=False):
            found[name[len(path) :].lstrip("/")][attribute] = value
        return found


def real_content(git: Git, data: bytes) -> bytes:
    """Return the file that a pointer of Git LFS stands for, where this repository has it; else `data`.

    No program is run for it, and nothing downloaded: the name of an object is its SHA-256.
    """
    wanted = document.lfs_object(data)
    if wanted is None or wanted[1] > LARGEST_IN_LFS:
        return data
    sha256, size = wanted
    folder = git.directory / git.run("rev-parse", "--git-common-dir").rstrip("\n")
    file = folder / "lfs" / "objects" / sha256[:2] / sha256[2:4] / sha256
    content = _read(file, size)
    return content if hashlib.sha256(content).hexdigest() == sha256 else data


def _read(file: Path, size: int) -> bytes:
    try:
        return file.read_bytes() if file.stat().st_size == size else b""
    except OSError:
        return b""
