"""What an environment runs and ran, as its overlay's history tells, and which of it comes back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from model_gitops import runner
from model_gitops.adapters.commit_statuses import context_of, latest
from model_gitops.adapters.deploy_repository import DeployRepository
from model_gitops.adapters.deploy_store import KustomizationFile
from model_gitops.adapters.github_client import ApiError, Client
from model_gitops.adapters.tracing.overlays import Overlays
from model_gitops.core.deploy import history, kustomization, rollback
from model_gitops.core.deploy.history import Change, Standing
from model_gitops.core.deploy.kustomization import Image
from model_gitops.core.deploy.location import check_path
from model_gitops.core.deploy.rollback import Asked, Target
from model_gitops.core.flow.environment import Environment
from model_gitops.core.lineage.facts import WentBack, pick

# So much history is fetched at once: it tells as a rule.
_DEPTH = 50
# Of a verification that could not be made, is at work, or was killed: such a version is not known to be good.
_NO_RESULT = ("error", "pending")
# So many versions are asked for, to find a verified one.
_MOST_ASKED = 20


@dataclass
class Verifications:
    """What the commit statuses of the model repository say of earlier deployments.

    `api` is None where nobody may ask. Any workflow of that repository may write such a status: by it one of the
    versions that ran comes back in another one's place, and no other.
    """

    api: Client | None = None

    def state(self, target: Target, asked: Asked) -> str:
        """Return what the verification of this deployment came to; empty where there is none to know of."""
        image, trailers = target.image, target.change.trailers
        origin = history.origin(trailers, model=asked.model, digest=image.digest)
        if self.api is None or origin is None:
            return ""
        if origin.repository.lower() != self.api.repository.lower():
            return ""
        try:
            found = latest(self.api, origin.commit, context_of(asked.environment, asked.model))
        except ApiError as error:
            self.api = None  # nobody waits in an incident for each version again
            runner.warning(f"which verifications failed can't be asked: {error.message}")
            return ""
        return found.state if found else ""


@dataclass
class Remembered:
    """The changes of an entry, newest first: each is read once, when somebody comes to it."""

    source: Iterator[Change]
    known: list[Change] = field(default_factory=list)

    def __iter__(self) -> Iterator[Change]:
        place = 0
        while True:
            if place == len(self.known):
                one = next(self.source, None)
                if one is None:
                    return
                self.known.append(one)
            yield self.known[place]
            place += 1


@dataclass(frozen=True)
class State:
    """An overlay at one tip, and how its entry came to be what it is.

    `version` is the one that runs, empty where no deploy commit names it. `back` is what a person took
    back before.
    """

    tip: str
    file: KustomizationFile
    entry: Image
    changes: Remembered
    standing: Standing
    back: WentBack | None
    version: str

    @property
    def name(self) -> str:
        """What runs, as people call it; empty for nothing."""
        return self.version or ("" if self.entry.is_placeholder else self.entry.reference)


@dataclass
class Past:
    """An environment's overlay with its history."""

    overlays: Overlays
    environment: Environment

    @property
    def repository(self) -> DeployRepository:
        """The deploy repository."""
        return self.overlays.repository

    @property
    def folder(self) -> str:
        """The overlay's folder."""
        return check_path(self.environment.overlay)

    @property
    def model(self) -> str:
        """The model's name, as GTO has it."""
        return self.overlays.promotion.model

    def read(self) -> State:
        """Fetch the overlay and what tells how it came to be so. Raises InputError, ExternalError."""
        promotion, branch = self.overlays.promotion, self.overlays.branch
        tip = self.repository.fetch(branch, depth=_DEPTH)
        file = self.repository.read_kustomization(tip, self.folder)
        entries = kustomization.read(file.text, source=file.path)
        entry = pick(entries, promotion.name, promotion.image, source=file.path)
        changes = Remembered(
            self.repository.changes(branch, file.path, self.overlays.picked(entry.name), tip=tip)
        )
        found = history.standing(changes, self.model, lambda one: self._brought(file, one))
        version = history.version_of(found.deployment, self.model) if found.deployment else ""
        back = WentBack.of(found, self.model)
        return State(tip, file, entry, changes, found, back, version)

    def was_done_by(self, run: str, state: State) -> bool:
        """Whether a commit says that this workflow run has made it."""
        said = self.repository.said(state.tip, state.file.path)
        return any(run in one.trailers.get("rollback-run", ()) for one in said)

    def earlier(self, state: State) -> Iterator[Target]:
        """Yield what ran before and was not taken back, the newest first."""
        brought = partial(self._brought, state.file)
        yield from rollback.earlier(state.changes, self.model, brought)
        # The newest changes are of other models: all that speak of ours.
        more = self.repository.changes(
            self.overlays.branch, state.file.path, self.overlays.picked(state.entry.name), tip=state.tip,
            also=self._is_ours,
        )  # fmt: skip
        known = {one.commit for one in state.changes.known}
        for one in rollback.earlier(more, self.model, brought):
            if one.change.commit not in known:
                yield one

    def find(self, state: State, asked: Asked) -> Target:
        """Return the newest deployment of the version that was asked for. Raises RefusedError."""
        found = self.repository.changes(
            self.overlays.branch, state.file.path, self.overlays.picked(state.entry.name), tip=state.tip,
            only=lambda trailers: rollback.names_version(trailers, self.model, asked.version),
        )  # fmt: skip
        for one in found:
            if (target := self._target(one)) and target.version == asked.version:
                return target
        # A squash merge may have lost what its commit said.
        told = list(self.told(state))
        for one in told:
            if (target := self._target(one)) and target.version == asked.version:
                return target
        known = [*told, *self.repository.said(state.tip, state.file.path)]
        raise rollback.refuse_version(asked, rollback.versions(known, self.model))

    def told(self, state: State) -> Iterator[Change]:
        """Yield the changes with what a squash merge lost of their messages."""
        for one in state.changes:
            if one.trailers.get("image-digest") or not (one.image and one.image.digest):
                yield one
            else:
                yield replace(one, trailers=self._brought(state.file, one) or one.trailers)

    def _target(self, change: Change) -> Target | None:
        if change.image is None or not change.says_its_digest:
            return None
        return Target(change.image, change, history.version_of(change, self.model))

    def _is_ours(self, trailers: Mapping[str, Sequence[str]]) -> bool:
        return any(one.partition("@")[0] == self.model for one in trailers.get("model", ()))

    def _brought(self, file: KustomizationFile, change: Change) -> Mapping[str, Sequence[str]]:
        return self.overlays.squashed(change, file.path)


def chosen(past: Past, state: State, asked: Asked, verifications: Verifications) -> Target:
    """Return the version that comes back: the one asked for, else the last good one.

    That is the last one whose verification did not fail. Where it came to no result, an earlier one that was
    verified is better; without such a one it comes back, which a warning says. Raises RefusedError where there is none.
    """
    if asked.version:
        return past.find(state, asked)
    if state.entry.is_placeholder:
        raise rollback.refuse_nothing(asked, "")
    failed: list[str] = []
    open_one: Target | None = None
    for number, one in enumerate(past.earlier(state)):
        found = verifications.state(one, asked)
        if found == "failure":
            failed.append(one.name)
            runner.notice(f"{one.name} is left out: its verification failed in {asked.environment}")
        elif found in _NO_RESULT:
            open_one = open_one or one
        elif open_one is None:
            return one
        elif found == "success":
            runner.notice(
                f"{open_one.name} is passed over: its verification in {asked.environment} came to no result,"
                f" and {one.name} was verified"
            )
            return one
        if open_one and (verifications.api is None or number >= _MOST_ASKED):
            break
    if open_one is None:
        raise rollback.refuse_nothing(asked, state.name, failed)
    runner.warning(
        f"{open_one.name} comes back, and its verification in {asked.environment} came to no result: no version"
        " before it was verified"
    )
    return open_one


def is_done(past: Past, state: State, asked: Asked) -> str:
    """Say why there is nothing to do; empty where there is something."""
    where = f"{asked.environment} runs {state.name or 'nothing'}"
    if asked.run and runner.run_again() and past.was_done_by(asked.run, state):
        return f"{where}: this run has rolled it back before, and was started again"
    if asked.version:
        return f"{where} already" if asked.version == state.version else ""
    if state.back:
        return f"{where}, {state.back.sentence}; to go back further give `version`"
    return ""
