"""Merge dvc.lock by stages, as a merge driver of Git.

Set up in a clone, with `dvc.lock merge=dvc-lock` in .gitattributes:

    git config merge.dvc-lock.driver 'model-gitops merge-lock %O %A %B %P'
"""

from __future__ import annotations

import os
import posixpath
import shlex
from pathlib import Path

from model_gitops.adapters import git, paths
from model_gitops.core.dvc import lock_merge
from model_gitops.errors import ActionError, InputError, RefusedError

# As Git hands them over: %O, %A, %B and %P. The default of one that may be left out.
ARGUMENTS = {"base": None, "ours": None, "theirs": None, "path": "dvc.lock"}


def command(base: str, ours: str, theirs: str, path: str) -> None:
    """Write the merged file to OURS, as Git expects it.

    Raises RefusedError where a stage changed on both sides: OURS is without it then, and Git keeps the
    conflict. A file that is no dvc.lock gets Git's own conflict marks.
    """
    files = [Path(one) for one in (base, ours, theirs)]
    texts = [_text(file) for file in files]
    try:
        merged = lock_merge.merge(*texts)
    except ActionError:
        git.merge_file(*files)
        raise
    paths.write_whole(files[1], merged.text)
    if merged.conflicts:
        folder = posixpath.dirname(path)
        pipeline = f"{folder}/dvc.yaml" if folder else ""
        names = [f"{pipeline}:{one}" if folder else one for one in merged.conflicts]
        problem = f"both sides changed {', '.join(merged.conflicts)} in {path}"
        if merged.gone:
            # dvc.yaml may name them no more: then DVC finds no such stage.
            names = [pipeline] if folder else []
            problem += f" (one side removed {', '.join(merged.gone)})"
        # Git says so where it was started below the repository's top.
        top = 'cd "$(git rev-parse --show-toplevel)" && ' if os.environ.get("GIT_PREFIX") else ""
        raise RefusedError(
            f"{problem}: left out there, as neither result is of the merged files",
            fix="solve the conflicts of other files first; then"
            f" {top}{shlex.join(['dvc', 'repro', *names])} && git add {shlex.quote(path)}",
        )


def _text(file: Path) -> str:
    """Return a file's text; Git gives an empty file where a side has none."""
    try:
        return file.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{str(file)!r} can't be read: {error}",
            fix="git config merge.dvc-lock.driver '… merge-lock %O %A %B %P'",
        ) from error
