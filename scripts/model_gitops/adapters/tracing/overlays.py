"""The overlays of the deploy repository: what each says is deployed, and what waits to be."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from model_gitops.adapters.deploy_history import DEEPER
from model_gitops.adapters.deploy_repository import DeployRepository
from model_gitops.adapters.deploy_store import KustomizationFile, Refs
from model_gitops.adapters.tracing.pull_requests import PullRequests
from model_gitops.core.deploy import deployment, kustomization
from model_gitops.core.deploy.guard import Change
from model_gitops.core.deploy.location import check_path
from model_gitops.core.deploy.trailers import read_trailers
from model_gitops.core.flow.promotion import Environment, Promotion
from model_gitops.core.lineage.facts import Before, Deployed, pick
from model_gitops.errors import InputError


@dataclass
class Overlays:
    """The overlays on one branch of the deploy repository, each read once.

    `name` is what people call the repository, `wanted_branch` empty for its default branch, and
    `pulls` are its pull requests.
    """

    promotion: Promotion
    repository: DeployRepository
    name: str
    pulls: PullRequests
    wanted_branch: str = ""
    _read: dict[str, Deployed] = field(default_factory=dict)

    @cached_property
    def _refs(self) -> Refs:
        return self.repository.refs()

    @cached_property
    def branch(self) -> str:
        """The branch that is deployed from. Raises InputError where the repository has no such one."""
        refs = self._refs
        branch = self.wanted_branch or refs.default
        if branch not in refs.branches:
            names = ", ".join(sorted(refs.branches)[:20]) or "none: it is empty"
            problem = f"{self.repository.url} has no such branch; it has {names}"
            raise InputError.of("deploy-branch", branch, problem, fix="deploy-branch: main")
        return branch

    def deployed(self, environment: Environment) -> Deployed:
        """Return what the environment's overlay sets. Raises InputError for no such overlay."""
        if environment.name not in self._read:
            self._read[environment.name] = self._read_overlay(environment)
        return self._read[environment.name]

    def image_of(self, fingerprint: str) -> str:
        """Return the digest of promotion.yaml's image that was deployed with this content, or ""."""
        folders = [check_path(one.overlay) for one in self.promotion.environments]
        return self.repository.image_of(self.branch, fingerprint, self.promotion.image, folders)

    def running(self, environment: Environment) -> Deployed:
        """Return what the overlay sets, with the deployment that first did where a revert set it again.

        Raises InputError for no such overlay.
        """
        one = self.deployed(environment)
        found = self._deployment(one, one.image.digest) if one.image.digest else None
        if found is None or found.commit == one.commit:
            return one
        return replace(one, commit=found.commit, recorded=found.image, trailers=found.trailers)

    def before(self, environment: Environment, digest: str) -> Before | None:
        """Return how the environment before ran `digest`, if it did; None for the first one."""
        earlier = self.promotion.before(environment)
        if earlier is None or not digest:
            return None
        try:
            one = self.deployed(earlier)
        except InputError as error:
            return Before(earlier.name, problem=error.message)
        found = self._deployment(one, digest)
        commit, image = (found.commit, found.image) if found else ("", None)
        return Before(earlier.name, one.path, commit, image=image)

    def _deployment(self, one: Deployed, digest: str) -> Change | None:
        """Return the deployment by which an overlay had `digest`; None for none."""
        if one.image.digest == digest and digest in one.trailers.get("image-digest", ()):
            return Change(one.commit, one.image, one.trailers, one.commit)  # it still has
        return self.repository.find_deployment(
            self.branch, one.path, one.image.name, digest, pulls=self.pulls.merged_with
        )

    def _read_overlay(self, environment: Environment) -> Deployed:
        promotion, repository = self.promotion, self.repository
        folder = check_path(environment.overlay)
        tip = repository.fetch(self.branch, depth=DEEPER[0])
        file = repository.read_kustomization(tip, folder)
        entries = kustomization.read(file.text, source=file.path)
        entry = pick(entries, promotion.name, promotion.image, source=file.path)
        overruled = kustomization.overruling(entries, entry) or kustomization.forestalling(
            entries, entry
        )
        found = repository.last_change(
            self.branch, file, entry, depths=DEEPER, pulls=self.pulls.merged_with
        )
        waiting = self._waiting(file, folder, entry)
        proposed = waiting.get("source-commit")
        if found and proposed and proposed == found.trailers.get("source-commit"):
            waiting = {}  # merged as another commit, and the branch was left behind
        deployed = Deployed(
            self.name, self.branch, file.path, entry, waiting=waiting, overruled=overruled
        )
        if found is None:
            return replace(deployed, is_new=deployed.is_placeholder)
        since = repository.landed(tip, found.commit)[1]
        return replace(
            deployed,
            commit=found.commit,
            recorded=found.image,
            trailers=found.trailers,
            since=since,
            age=time.time() - since,
            is_new=deployed.is_placeholder and not repository.was_deployed(self.branch, file.path),
        )

    def _waiting(
        self, file: KustomizationFile, folder: str, entry: kustomization.Image
    ) -> Mapping[str, Sequence[str]]:
        """Return the trailers of our own pull request into the overlay; empty where none waits."""
        base_tip = self._refs.branches[self.branch]
        for branch in self._refs.branches:
            # It may set other images of the folder too, which its name then says.
            if not deployment.may_propose(branch, folder):
                continue
            tip = self.repository.fetch(branch)
            proposed = self.repository.image_at(tip, file.path, entry.name)
            if proposed in (None, entry) or self.repository.is_merged(tip, base_tip):
                continue
            if self.pulls.may_be_open(branch, self.branch):
                return read_trailers(self.repository.message(tip))
        return {}
