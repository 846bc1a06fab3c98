"""The facts of the model repository: the checkout around us, and HEAD."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property

from model_gitops.adapters import git, paths, project_files
from model_gitops.adapters.flows import Flow
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
