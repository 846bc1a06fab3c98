"""What DVC leaves to Git (`cache: false`): put in place as it was when DVC hashed it."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from model_gitops.adapters import git_tree, model_files, scratch
from model_gitops.adapters.dvc import Pulled
from model_gitops.adapters.git import Git
from model_gitops.core import document
from model_gitops.core.dvc import artifacts, checkout, hashes
from model_gitops.core.dvc.files import Tracked
from model_gitops.errors import InputError


def take(
    git: Git,
    commit: str,
    artifact: artifacts.Artifact,
    place: Path,
    accept: Callable[[str, str], None],
) -> Pulled:
    """Put the model, as Git has it at `commit`, at `place`: with the hash that dvc.lock says.

    `accept` is told what it is and its SHA-256, and may raise RefusedError: then what is at `place`
    stays. Raises InputError where Git has no such file, another one, or only a pointer of Git LFS.
    """
    if there := model_files.sha256_of(artifact, place):
        accept(f"what is at {artifact.path!r}", there)
        return Pulled(False, there)
    tree = git_tree.Tree(git, commit)
    found = tree.content(artifact.path)
    tracked = Tracked(artifact.path, artifact.hash, artifact.hash_name)
    if any(".." in PurePosixPath(name).parts for name in found):
        raise InputError(f"Git has a file in {artifact.path!r} whose name leads out of it")
    files = checkout.with_hash(found, tree.attributes(artifact.path), tracked) if found else None
    if files is None:
        raise _problem(artifact, commit, found)
    place.parent.mkdir(parents=True, exist_ok=True)
    with scratch.folder(".model-gitops-", place.parent) as folder:
        fresh = folder / "fresh"
        for name, data in files.items():
            file = fresh / name if name else fresh
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        sha256 = model_files.sha256_of(artifact, fresh)
        if not sha256:
            raise _problem(artifact, commit, found)
        accept(f"what Git has of {artifact.path!r} at {commit[:12]}", sha256)
        model_files.put(fresh, place, folder, executable=artifact.executable)
    return Pulled(True, sha256)


def _problem(artifact: artifacts.Artifact, commit: str, found: dict[str, bytes]) -> InputError:
    path, quoted = artifact.path, shlex.quote(artifact.path)
    if not found:
        return InputError(
            f"by `cache: false` Git keeps {path!r}, and {commit[:12]} has no such file",
            fix=f"git add --force {quoted}, and commit it together with {artifact.source}",
        )
    if any(map(document.is_lfs_pointer, found.values())):
        return InputError(
            f"by `cache: false` Git keeps {path!r}, and has at {commit[:12]} only a pointer of Git LFS",
            fix=f"git lfs fetch origin {commit}, or `lfs: true` in the inputs of actions/checkout",
        )
    kept = checkout.as_kept(found, Tracked(path, "", hashes.MD5), {})[0]
    return InputError(
        f"{artifact.source} has {path!r} with the hash {artifact.hash}, and what Git has of it at"
        f" {commit[:12]} has {kept}",
        fix=f"run `dvc repro`, and commit {quoted} together with {artifact.source}",
    )
