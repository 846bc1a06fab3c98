"""The facts of the model repository: the checkout around us, and HEAD."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from model_gitops.adapters import git, paths, project_files, promotion_file
from model_gitops.adapters.project_files import ProjectFiles
from model_gitops.core import document, workflow
from model_gitops.core.doctor import workflows
from model_gitops.core.doctor.workflows import Workflow
from model_gitops.core.dvc import artifacts
from model_gitops.core.flow.promotion import Promotion
from model_gitops.core.image.runtime import Runtime, runtime
from model_gitops.errors import InputError

# What names the packages whose programs an image has.
_INSTALLS = re.compile(
    r"(?:^|/)(?:[^/]*requirements[^/]*\.(?:txt|in)|requirements/[^/]+\.(?:txt|in)|pyproject\.toml|setup\.(?:py|cfg)"
    r"|Pipfile|environment\.ya?ml|conda[^/]*\.ya?ml|package\.json|apt[^/]*\.txt|packages\.txt|[^/]+\.sh)$"
)
_LARGEST = 1024 * 1024


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


class Checkout:
    """The checkout around us, each fact read once."""

    def __init__(self, repository: git.Git) -> None:
        self.git = repository
        self.top = repository.directory.resolve()

    @cached_property
    def head(self) -> str:
        """The commit of HEAD; empty where there is none yet."""
        return self.git.commit_of("HEAD") or ""

    @cached_property
    def at_head(self) -> ProjectFiles | None:
        """DVC's files at HEAD."""
        return project_files.at(self.git, self.head) if self.head else None

    @cached_property
    def now(self) -> ProjectFiles:
        """DVC's files as they are in the checkout."""
        return project_files.at(self.git, None)

    @property
    def workflows(self) -> list[Workflow]:
        """The workflows that use our actions."""
        return self._workflows[0]

    @property
    def broken_workflows(self) -> list[InputError]:
        """What is wrong with workflows that are no YAML."""
        return self._workflows[1]

    @cached_property
    def _workflows(self) -> tuple[list[Workflow], list[InputError]]:
        files = [
            file
            for folder in workflow.FOLDERS
            if paths.is_folder(self.top / folder)
            for file in sorted((self.top / folder).iterdir())
            if file.suffix in workflow.ENDINGS
        ]
        documents, broken = {}, []
        for name in (file.relative_to(self.top).as_posix() for file in files):
            try:
                documents[name] = document.load_yaml(self.text(name), source=name)
            except InputError as error:
                broken.append(error)
        return workflows.read_all(documents), broken

    def text(self, path: str) -> str:
        """Return the text of a file, from the top; empty where there is none, or it is no file of ours."""
        file = self.top / path
        if not paths.is_inside(file, self.top) or not paths.is_file(file):
            return ""
        return paths.read_bounded(file, _LARGEST).decode("utf-8", errors="replace")

    def installs(self, promotion: Promotion) -> str:
        """Return what says which programs the image has: the Dockerfile, what it installs, and files."""
        build = promotion.build
        listed = self.git.run("ls-files", "-z").split("\0")
        texts = [self.text(one) for one in listed if _INSTALLS.search(one)]
        return "\n".join([self.text(build.dockerfile), *texts, *listed])

    def is_trained(self, promotion: Promotion) -> bool:
        """Whether HEAD has the model, and not only its name."""
        return self.at_head is not None and not artifacts.awaited(promotion.model, self.at_head)

    def runtime(self, promotion: Promotion) -> Runtime | None:
        """Return how the image runs, None where no Dockerfile here says so."""
        if promotion.build.elsewhere:
            return None
        text = self.text(promotion.build.dockerfile)
        return runtime(text, promotion.build.target) if text else None


def promotions(flows: Sequence[Flow]) -> list[Promotion]:
    """Return what could be read."""
    return [one.promotion for one in flows if one.promotion is not None]
