"""The flows of a checkout: each promotion.yaml, read, or why it can't be."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from model_gitops.adapters import git, paths, promotion_file
from model_gitops.core.flow.promotion import Promotion
from model_gitops.errors import InputError


@dataclass(frozen=True)
class Flow:
    """One promotion.yaml: its path from here, and what it says or why it can't be read."""

    path: str
    promotion: Promotion | None
    error: InputError | None = None

    @property
    def label(self) -> str:
        """What tells it from the flows of other models."""
        return self.promotion.model if self.promotion else self.path


def find_flows(checkout: git.Git, config: str) -> list[Flow]:
    """Read the promotion.yaml that `config` names, a file or a folder, else all that there are."""
    return [_read(Path(one), checkout) for one in _places(checkout, config)]


def _places(checkout: git.Git, config: str) -> list[str]:
    if config:
        return [promotion_file.place(config).as_posix()]
    listed = checkout.run(
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
        "--",
        f":(top,glob)**/{promotion_file.NAME}",
    )
    top = [checkout.directory / one for one in listed.split("\0") if one]
    found = [Path(os.path.relpath(one, Path.cwd())).as_posix() for one in top if paths.is_file(one)]
    # In a model's folder that model is meant.
    here = [one for one in found if not one.startswith("../")]
    return sorted(here or found, key=lambda one: (one.count("/"), one)) or [promotion_file.NAME]


def _read(path: Path, checkout: git.Git) -> Flow:
    try:
        return Flow(path.as_posix(), promotion_file.read_promotion(path, checkout))
    except InputError as error:
        return Flow(path.as_posix(), None, error)
