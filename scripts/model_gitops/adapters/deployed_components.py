"""Which commit the deployed image of each component was built from, as the deploy repository says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from model_gitops import runner
from model_gitops.adapters import git
from model_gitops.adapters.deploy_repository import DeployRepository, connected
from model_gitops.adapters.tracing.overlays import Overlays
from model_gitops.adapters.tracing.places import deploy_location
from model_gitops.adapters.tracing.pull_requests import PullRequests
from model_gitops.core.deploy import kustomization
from model_gitops.core.deploy.kustomization import Image
from model_gitops.core.deploy.location import check_path
from model_gitops.core.flow.promotion import Promotion
from model_gitops.core.image.names import commit_of_tag
from model_gitops.core.markdown import code
from model_gitops.errors import InputError


@dataclass
class Deployed:
    """The deploy repositories, each opened once for all models, at one commit."""

    credentials: Mapping[str, str] = field(repr=False)
    branch: str
    stack: ExitStack
    opened: dict[str, tuple[DeployRepository, str]] = field(default_factory=dict)

    def images(self, promotion: Promotion) -> dict[str, Image]:
        """Return the entries of the first training environment's overlay, by name.

        None of them where there is no such overlay yet: the bump says so. Raises InputError for a kustomization that
        can't be read, ExternalError where the server does not answer.
        """
        training = promotion.components
        deploy, tip = self._at(promotion)
        path = check_path(training.overlay(training.environments[0]))
        try:
            file = deploy.read_kustomization(tip, path)
        except InputError as error:
            runner.notice(f"every component of {promotion.model} counts: {error.message}")
            return {}
        return {one.name: one for one in kustomization.read(file.text, source=file.path)}

    def _at(self, promotion: Promotion) -> tuple[DeployRepository, str]:
        name = promotion.deploy_repository
        if name not in self.opened:
            token, key = self.credentials["token"], self.credentials["ssh-key"]
            location = deploy_location(promotion, runner.context().server_url, token, key)
            deploy = self.stack.enter_context(
                connected(location, token, key, self.credentials["known-hosts"])
            )
            shown = location.slug or location.url
            branch = Overlays(promotion, deploy, shown, PullRequests(None), self.branch).branch
            self.opened[name] = (deploy, deploy.fetch(branch))
        return self.opened[name]


@contextmanager
def opened(token: str, ssh_key: str, known_hosts: str, branch: str) -> Iterator[Deployed]:
    """Give the deploy repositories, which are opened when they are asked."""
    runner.mask(token)
    runner.mask(ssh_key)
    with ExitStack() as stack:
        secrets = {"token": token, "ssh-key": ssh_key, "known-hosts": known_hosts}
        yield Deployed(secrets, branch, stack)


def compared_with(image: Image | None, head: str, repository: git.Git) -> tuple[str | None, str]:
    """Return the commit that a deployed image was built from, and in words, as Markdown, why it is not known.

    The tag says it, which build-push-image takes from the commit. `head` itself where that commit is later:
    then nothing is to be built.
    """
    if image is None or image.is_placeholder:
        return None, "not deployed yet"
    named = commit_of_tag(image.tag)
    if not named:
        return None, f"its tag {code(image.tag)} is no commit"
    found = repository.find_commit(named)
    if found is None:
        return None, f"the commit {named[:12]} that it was built from is not there"
    return (head if repository.is_ancestor(head, found) else found), ""
