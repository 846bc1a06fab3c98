"""The workflow files of a checkout, as they are in its working tree."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from model_gitops.adapters import paths
from model_gitops.core import document, workflow
from model_gitops.core.health import runs
from model_gitops.core.health.runs import Expected, Problem
from model_gitops.errors import InputError

_MOST = 200


def expected(top: Path, branches: Sequence[str]) -> tuple[list[Expected], list[Problem]]:
    """Return the workflows that have runs of their own, and those that are no YAML.

    `top` is the folder of the checkout, and `branches` are those whose runs count.
    """
    found, broken = [], []
    for file in _files(top):
        path = file.relative_to(top).as_posix()
        try:
            content = paths.read_bounded(file, document.LARGEST_YAML)
            text = content.decode("utf-8", errors="replace")
            one = runs.expected(path, document.load_yaml(text, source=path), branches)
        except InputError as error:
            broken.append(Problem(file.name, error.message, error.fix))
            continue
        except OSError as error:
            broken.append(Problem(file.name, f"it can't be read: {error.strerror}"))
            continue
        if one and one.runs_alone:
            found.append(one)
    return found, broken


def _files(top: Path) -> list[Path]:
    """Return the workflow files; what a link leads out to is none."""
    return [
        file
        for folder in workflow.FOLDERS
        if paths.is_folder(top / folder)
        for file in sorted((top / folder).iterdir())[:_MOST]
        if file.suffix in workflow.ENDINGS and paths.is_inside(file, top) and paths.is_file(file)
    ]
