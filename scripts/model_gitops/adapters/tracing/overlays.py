"""The overlays of the deploy repository: what each says is deployed, and what waits to be."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property

from model_gitops.adapters import github
from model_gitops.adapters.deploy_repository import DeployRepository
from model_gitops.adapters.deploy_store import KustomizationFile, Refs
from model_gitops.adapters.overlay_history import Pick
from model_gitops.adapters.tracing.pull_requests import PullRequests
from model_gitops.core.deploy import deployment, guard, hold, kustomization
from model_gitops.core.deploy.history import Change, standing
from model_gitops.core.deploy.hold import Hold
from model_gitops.core.deploy.location import check_path
from model_gitops.core.deploy.trailers import read_trailers
from model_gitops.core.flow.environment import Environment
from model_gitops.core.flow.promotion import Promotion
from model_gitops.core.lineage.facts import Before, Deployed, WentBack, pick
from model_gitops.errors import InputError

# How much history is fetched at once: it tells as a rule.
_DEPTH = 50


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
            if not refs.branches:
                raise InputError(
                    f"the deploy repository {self.repository.url} is empty",
                    fix="model-gitops adopt --deploy ../NAME-deploy makes its files: push them to it",
                )
            problem = f"{self.repository.url} has no such branch; it has {', '.join(sorted(refs.branches)[:20])}"
            fix = f"deploy-branch: {refs.default or min(refs.branches)}"
            raise InputError.of("deploy-branch", branch, problem, fix=fix)
        return branch

    def deployed(self, environment: Environment) -> Deployed:
        """Return what the environment's overlay sets. Raises InputError for no such overlay."""
        if environment.name not in self._read:
            self._read[environment.name] = self._read_overlay(environment)
        return self._read[environment.name]

    def hold(self, environment: Environment) -> Hold | None:
        """Return what holds the environment, also a hold that ran out; None for nothing.

        A file that can't be read holds, and says why. Raises InputError for no such branch.
        """
        return self.repository.hold_at(self._tip, check_path(environment.overlay))

    @cached_property
    def _tip(self) -> str:
        tip = self.repository.fetch(self.branch, depth=_DEPTH)
        # As a rule the overlays of all environments are read.
        paths: list[str] = []
        for one in self.promotion.environments:
            with suppress(InputError):  # who asks for this one hears of it
                folder = check_path(one.overlay)
                paths += [*kustomization.paths_in(folder), hold.path_of(folder)]
        self.repository.read_ahead(tip, paths)
        return tip

    def image_of(self, fingerprint: str, name: str, overlays: Sequence[str]) -> str:
        """Return the digest of the image `name` that one of the overlays deployed with this content, or ""."""
        folders = [check_path(one) for one in overlays]
        return self.repository.image_of(self.branch, fingerprint, name, folders)

    def before(self, environment: Environment, digest: str) -> Before | None:
        """Return how the environment before ran `digest`, if it did; None for the first one."""
        earlier = self.promotion.before(environment)
        if earlier is None or not digest:
            return None
        try:
            one = self.deployed(earlier)
        except InputError as error:
            return Before(earlier.name, problem=error.message)
        if one.image.digest == digest and digest in one.trailers.get("image-digest", ()):
            return Before(earlier.name, one.path, one.commit, image=one.image)  # it still has
        changes = self.repository.changes(
            self.branch, one.path, self.pick, tip=self._tip, digest=digest
        )
        found = next((change for change in changes if _has(change.image, digest)), None)
        if found is None:
            # A squash merge may have lost what it said.
            changes = self.repository.changes(self.branch, one.path, self.pick, tip=self._tip)
            had = [change for change in changes if _has(change.image, digest)]
            if had:
                told = replace(had[-1], trailers=self.squashed(had[-1], one.path))
                found = told if told.says_its_digest else None
        if found is None:
            return Before(earlier.name, one.path)
        return Before(earlier.name, one.path, found.commit, image=found.image)

    def squashed(self, change: Change, path: str) -> Mapping[str, Sequence[str]]:
        """Return the trailers that a squash merge lost: of the pull request's commit, or in its text."""
        try:
            pulls = self.pulls.merged_into(change.commit, self.branch)
        except github.ApiError:
            pulls = []
        asked = guard.Change(change.commit, change.image or kustomization.Image(""), {}, "")
        tip = f"refs/remotes/origin/{self.branch}"
        told = self.repository.told(asked, tip, path, lambda _: [pull.number for pull in pulls])
        if told.trailers:
            return told.trailers
        # A title or a body may be written anew after the merge: it tells where nothing else does.
        texts = [f"{pull.title}\n\n{pull.body}" for pull in pulls]
        said = (read_trailers(text) for text in texts)
        return next((one for one in said if one.get("image-digest")), {})

    def pick(self, entries: Sequence[kustomization.Image]) -> kustomization.Image | None:
        """Return the entry of our model, None where there is not one."""
        try:
            return pick(entries, self.promotion.name, self.promotion.image, source="")
        except InputError:
            return None

    def picked(self, name: str) -> Pick:
        """Return what takes our entry out of a file, as if it always had its present `name`.

        People rename it, and what it set before is still what it went back to.
        """

        def pick_ours(entries: Sequence[kustomization.Image]) -> kustomization.Image | None:
            found = self.pick(entries)
            return replace(found, name=name) if found else None

        return pick_ours

    def _read_overlay(self, environment: Environment) -> Deployed:
        promotion, repository = self.promotion, self.repository
        folder = check_path(environment.overlay)
        tip = self._tip
        file = repository.read_kustomization(tip, folder)
        entries = kustomization.read(file.text, source=file.path)
        now = self.pick(entries)
        changes = repository.changes(
            self.branch, file.path, self.picked(now.name) if now else self.pick, tip=tip
        )
        found = standing(changes, promotion.model, lambda change: self.squashed(change, file.path))
        try:
            entry = pick(entries, promotion.name, promotion.image, source=file.path)
        except InputError as error:
            if not found.is_new:
                raise
            entry = kustomization.Image(promotion.name)
            return Deployed(
                self.name, self.branch, file.path, entry, is_new=True, missing=error.message
            )
        overruled = kustomization.overruling(entries, entry) or kustomization.forestalling(
            entries, entry
        )
        waiting, proposed_in = self._waiting(file, folder, entry)
        deployed = Deployed(
            self.name,
            self.branch,
            file.path,
            entry,
            waiting=waiting,
            proposed_in=proposed_in,
            overruled=overruled,
            is_new=found.is_new,
            back=WentBack.of(found, promotion.model),
            model=promotion.model,
            artifact=kustomization.artifact(entries, entry.name),
        )
        arrival, told = found.arrival, found.deployment or found.arrival
        if arrival is None or told is None:
            return deployed
        since = repository.landed(tip, arrival.commit)[1]
        deployed = replace(
            deployed,
            commit=told.commit,
            recorded=told.image,
            trailers=told.trailers,
            since=since,
            age=time.time() - since,
        )
        return replace(deployed, waiting={}) if self._was_merged(deployed) else deployed

    def _was_merged(self, deployed: Deployed) -> bool:
        """Whether what seems to wait was merged as another commit, and its branch was left behind."""
        waits, origin = deployed.waiting.get("source-commit"), deployed.origin
        if not waits or origin is None:
            return False
        # What was taken back may be proposed again: only the server can say.
        gone = [origin.rolled_back] if self.pulls.api is None else []
        return waits[-1] in (origin.commit, *gone)

    def _waiting(
        self, file: KustomizationFile, folder: str, entry: kustomization.Image
    ) -> tuple[Mapping[str, Sequence[str]], str]:
        """Return the trailers and the address of our own pull request into the overlay.

        Both are empty where none waits.
        """
        base_tip = self._refs.branches[self.branch]
        for branch in self._refs.branches:
            # It may set other images of the folder too, which its name then says.
            if not deployment.may_propose(branch, folder):
                continue
            tip = self.repository.fetch(branch)
            proposed = self.repository.image_at(tip, file.path, entry.name)
            if proposed in (None, entry) or self.repository.is_merged(tip, base_tip):
                continue
            if (url := self.pulls.open_of(branch, self.branch)) is not None:
                return read_trailers(self.repository.message(tip)), url
        return {}, ""


def _has(image: kustomization.Image | None, digest: str) -> bool:
    return image is not None and image.digest == digest
