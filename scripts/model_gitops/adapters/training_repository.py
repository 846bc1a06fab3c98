"""A model repository far from its checkouts: cloned for a moment, its data pulled, committed and pushed by DVC."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model_gitops import runner
from model_gitops.adapters import dvc, dvc_git, git_credentials, paths, promotion_file, scratch
from model_gitops.adapters.git import Git
from model_gitops.core import retry
from model_gitops.core.deploy import location
from model_gitops.errors import ActionError, ExternalError, InputError

_ATTEMPTS = 4


@contextmanager
def cloned(token: str) -> Iterator[Git]:
    """Make an empty clone of the repository that this run is about; removed after.

    The token goes to that server only. Raises InputError where the repository is not known.
    """
    context = runner.context()
    if not context.repository:
        raise InputError(
            "nobody says which repository: GITHUB_REPOSITORY is empty",
            fix="export GITHUB_REPOSITORY=owner/name, and GITHUB_SERVER_URL where it is not on github.com",
        )
    place = location.locate(context.repository, server_url=context.server_url)
    if token:
        location.check_token(place, context.server_url)
    with scratch.folder("model-gitops-training-") as folder:
        made = Git(folder / "clone", git_credentials.token_credentials(place.url, token))
        made.directory.mkdir()
        made.run("init", "--quiet")
        made.run("remote", "add", "--", "origin", place.url)
        yield made


def checkout(repository: Git, revision: str, *depth: str) -> str:
    """Fetch and check out `revision` of the server, a branch, a tag or a commit; return its commit.

    Raises InputError where the server does not have it, ExternalError where it can't be asked.
    """
    if revision.startswith("-") or not repository.try_fetch(revision, *depth):
        raise InputError.of(
            "revision", revision, "the server has no such branch, tag or commit, or shows it to others only",
            fix="revision: main, and a token that may read the repository",
        )  # fmt: skip
    repository.run("checkout", "--quiet", "--detach", "FETCH_HEAD")
    return repository.run("rev-parse", "HEAD").strip()


def config_of(repository: Git, config: str) -> Path:
    """Return the promotion.yaml of the clone that the input `config` means. Raises InputError."""
    place = promotion_file.place(str(repository.directory / config))
    if not paths.is_file(place) or not paths.is_inside(place, repository.directory):
        raise InputError.of(
            "config", config, "the repository has no such file",
            fix=promotion_file.others(repository) or "add a promotion.yaml: see templates/model",
        )  # fmt: skip
    return place


@dataclass(frozen=True)
class Data:
    """What DVC keeps of the model in `folder`. `root` is the project's folder; `settings` stay in memory."""

    root: Path
    folder: Path
    remote: str = ""
    settings: Mapping[str, str] = field(default_factory=dict, repr=False)

    def pull(self, paths: Sequence[Path]) -> None:
        """Bring files or folders into the checkout, from the remote. Raises InputError, ExternalError."""
        if paths:
            self._with_remote("pulled", lambda repo: repo.pull(targets=list(map(str, paths))))

    def push(self, stages: Sequence[str]) -> None:
        """Send what `stages` of the folder's dvc.yaml made to the remote. Raises InputError, ExternalError."""
        self._with_remote("pushed", lambda repo: repo.push(targets=list(stages)))

    def commit(self, stages: Sequence[str]) -> None:
        """Lock `stages` of the folder's dvc.yaml with what is there. Nothing runs. Raises ExternalError."""
        from dvc.repo import Repo

        dvc_git.trust_as_git_does()
        # DVC takes the name of a stage for one of the working directory's dvc.yaml.
        with _errors("committed"), chdir(self.folder), Repo(str(self.root)) as repo:
            for name in stages:
                repo.commit(name, force=True)

    def _with_remote(self, what: str, do: Callable[[Any], object]) -> None:
        start, number = time.monotonic(), 0
        while True:
            number += 1
            try:
                opened = dvc.opened(self.root, self.remote, self.settings)
                with _errors(what), chdir(self.folder), opened as (repo, _):
                    do(repo)
                return
            except ExternalError as error:
                late = time.monotonic() - start > retry.FAULT_SECONDS
                if number == _ATTEMPTS or late or dvc.is_denied(error.message):
                    raise
                runner.say(f"{error.message}: trying again")
                time.sleep(retry.pause(number + 1, random.random()))  # noqa: S311 - jitter


@contextmanager
def _errors(what: str) -> Iterator[None]:
    """Say in our words what DVC raises. What it prints is no answer of ours."""
    from dvc.config import ConfigError

    try:
        with redirect_stdout(sys.stderr):
            yield
    except ActionError:
        raise
    except ConfigError as error:
        raise InputError(
            f"DVC's configuration is wrong: {error}", fix="correct .dvc/config or `remote-config`"
        ) from error
    except Exception as error:
        raise ExternalError(
            f"data can't be {what}: {type(error).__name__}: {error}",
            fix="look whether the DVC remote has it, and whether the credentials (`remote-config`) may"
            " read and write there",
        ) from error
