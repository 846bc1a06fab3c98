"""Where the deploy repository is asked: in a clone's folder, or on its server."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from model_gitops import runner
from model_gitops.adapters import champion, event_checkout, git, paths, process
from model_gitops.adapters.champion import Champion
from model_gitops.adapters.deploy_repository import DeployRepository, check_secrets, connected
from model_gitops.adapters.doctor.deploy_files import Folder, Manifests
from model_gitops.adapters.tracing.overlays import Overlays
from model_gitops.adapters.tracing.pull_requests import PullRequests
from model_gitops.core.deploy.location import Location, locate, server_of
from model_gitops.core.doctor.finding import Finding, NotAskedError
from model_gitops.core.flow.environment import Environment
from model_gitops.core.flow.promotion import Promotion
from model_gitops.errors import ActionError, InputError

_CHECK = "deploy-repository"
_NOBODY = re.compile("could not read Username|Permission denied", re.IGNORECASE)


@dataclass(frozen=True)
class Access:
    """How the deploy repository is reached: `folder` is a clone of it."""

    folder: str = ""
    token: str = ""
    ssh_key: str = ""
    known_hosts: str = ""
    branch: str = ""


@dataclass
class DeployPlace:
    """One deploy repository. `manifests` are there once it could be read."""

    location: Location
    repository: DeployRepository
    access: Access
    manifests: Manifests | None = None
    branch: str = ""
    _overlays: dict[str, Overlays] = field(default_factory=dict)

    def read(self) -> Finding:
        """Read what it has; say whether that worked."""
        name = self.location.slug or self.location.url
        if self.access.folder:
            folder = Path(self.access.folder)
            if not paths.is_folder(folder):
                return Finding(
                    _CHECK, False, f"`--deploy`: there is no folder {self.access.folder}",
                    "give the folder of a clone of the deploy repository, or leave `--deploy` out",
                )  # fmt: skip
            self.manifests = Manifests(Folder(folder))
            self.branch = self.access.branch or _default_branch(git.Git(folder))
            return Finding(_CHECK, True, f"the clone in {self.access.folder}")
        try:
            # Once, and without the patience of a step in a workflow.
            self.repository.ask_once()
        except process.ProcessError as error:
            said = error.completed.said.splitlines()
            clone = posixpath.join("..", posixpath.basename(self.location.slug or "deploy"))
            more = (
                f"git clone {self.location.url} {clone} (or, where there is none yet: model-gitops adopt --deploy"
                f" {clone}), then: model-gitops doctor --deploy {clone}"
            )
            if error.completed.returncode == 128 and _NOBODY.search(error.completed.said):
                raise  # `connected` says that nothing was given, and what to give
            # Git's advice, which ends what it says, is not the reason.
            reason = next((one for one in said if one.startswith(("fatal: ", "ERROR: "))), "")
            problem = f"{name} can't be read: {reason or (said[-1] if said else error.message)}"
            return Finding(_CHECK, None, problem, error.fix or more)
        refs = self.repository.refs()
        self.branch = self.access.branch or refs.default
        if self.branch not in refs.branches:
            names = ", ".join(sorted(refs.branches)[:20]) or "none: it is empty"
            return Finding(
                _CHECK, False, f"{name} has no branch {self.branch or 'yet'}; it has {names}",
                "model-gitops init writes both repositories"
                if not refs.branches
                else "--deploy-branch BRANCH",
            )  # fmt: skip
        self.manifests = Manifests(self.repository, self.repository.fetch(self.branch))
        return Finding(_CHECK, True, f"{name}, branch {self.branch}")

    def require(self) -> Manifests:
        """Return the files. Raises NotAskedError where they could not be read."""
        if self.manifests is None:
            raise NotAskedError(
                "the deploy repository could not be read", fix=f"see the check {_CHECK}"
            )
        return self.manifests

    def champion(
        self, promotion: Promotion, environment: Environment, checkout: git.Git
    ) -> Champion | None:
        """Return what an environment runs, by the deploy commits."""
        if promotion.model not in self._overlays:
            self._overlays[promotion.model] = Overlays(
                promotion,
                self.repository,
                self.location.slug or self.location.url,
                PullRequests(),
                self.access.branch,
            )
        deployed = self._overlays[promotion.model].deployed(environment)
        return champion.of(deployed, environment.name, promotion.model, checkout)


def _default_branch(clone: git.Git) -> str:
    """Return the branch that a clone's origin has by default; empty where the clone does not know it."""
    for ref, others in (("refs/remotes/origin/HEAD", False), ("HEAD", True)):
        said = clone.run("symbolic-ref", "--quiet", "--short", ref, check=False).strip()
        # One that `init` made and pushed has no origin/HEAD: what is checked out may be a change's branch.
        if said and (not others or said in ("main", "master")):
            return said.removeprefix("origin/")
    return ""


@contextmanager
def opened(promotion: Promotion, checkout: git.Git, access: Access) -> Iterator[DeployPlace]:
    """Give the place of a flow's deploy repository; nothing is asked of it yet. Raises InputError."""
    runner.mask(access.token)
    runner.mask(access.ssh_key)
    if access.folder:
        where = locate(str(Path(access.folder).resolve()), server_url="")
        with connected(where, "", "") as repository:
            yield DeployPlace(where, repository, access)
        return
    if not promotion.deploy_repository:
        raise InputError(
            "promotion.yaml names no deploy repository",
            fix="in promotion.yaml: deploy: {repository: OWNER/NAME}",
        )
    where = locate(
        promotion.deploy_repository, server_url=server(checkout), ssh=bool(access.ssh_key)
    )
    check_secrets(where, access.token, access.ssh_key, server(checkout))
    with connected(where, access.token, access.ssh_key, access.known_hosts) as repository:
        yield DeployPlace(where, repository, access)


def server(checkout: git.Git) -> str:
    """Return the web address of the server: the runner's, else that of the clone's origin."""
    context = runner.context()
    if context.repository:
        return context.server_url
    origin = event_checkout.origin_of(checkout, context.server_url)
    return server_of(origin, server_url=context.server_url) if origin else context.server_url


def wanted_url(promotion: Promotion, checkout: git.Git) -> str:
    """Return what Argo CD's `repoURL` should be; empty where nobody can say."""
    try:
        found = locate(promotion.deploy_repository, server_url=server(checkout))
    except ActionError:
        return ""
    return found.url if found.scheme in ("http", "https") else ""
