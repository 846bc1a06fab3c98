"""Fetch what a training outside of Git starts from: params and data.

Nothing of the repository runs. The repository is GITHUB_REPOSITORY on GITHUB_SERVER_URL.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

from model_gitops import runner
from model_gitops.adapters import dvc, dvc_remote, paths, training_repository
from model_gitops.adapters.training_repository import Data
from model_gitops.core.dvc.training import pairs
from model_gitops.errors import InputError
from model_gitops.options import Config, DvcRemote, DvcRemoteConfig, lines, option, secret

ARGUMENTS: dict[str, None] = {}


def command(
    revision: Annotated[
        str, option("revision", "Branch, tag or commit. HEAD: the default branch.")
    ] = "HEAD",
    files: Annotated[
        str,
        option("files", "Lines `PATH=OUT`: a path from the folder of `config`, and where it goes."),
    ] = "",
    commit: Annotated[str, option("commit", "File that gets the commit's hash.")] = "",
    config: Config = "promotion.yaml",
    remote: DvcRemote = "",
    remote_config: DvcRemoteConfig = "",
    token: Annotated[str, secret("token", "Token that may read the repository.")] = "",
) -> None:
    """Clone one commit, pull what of `files` DVC keeps, and put all of them out."""
    runner.mask(token)
    settings = dvc_remote.settings(lines(remote_config))
    wanted = pairs("files", lines(files))
    with training_repository.cloned(token) as repository:
        found = training_repository.checkout(repository, revision, "--depth=1")
        folder = training_repository.config_of(repository, config).parent
        missing = [folder / path for path in wanted if not (folder / path).exists()]
        if missing:
            root = dvc.project_root(folder, repository.directory)
            Data(root, folder, remote, settings).pull(missing)
        for path, place in wanted.items():
            if not paths.is_file(folder / path) or not paths.is_inside(folder / path, folder):
                raise InputError.of(
                    "files", path, f"neither Git nor DVC has that file at {found[:12]}",
                    fix="files: params.yaml=OUT, a path from the folder of promotion.yaml",
                )  # fmt: skip
            _put(folder / path, Path(place))
    if commit:
        Path(commit).parent.mkdir(parents=True, exist_ok=True)
        Path(commit).write_text(f"{found}\n", encoding="utf-8")
    runner.write_outputs({"commit": found})


def _put(file: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, place)
