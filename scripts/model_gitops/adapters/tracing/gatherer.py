"""Joins what each place says of one subject into the trace of its lineage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace

from model_gitops.adapters import commit_statuses, github
from model_gitops.adapters.tracing import run_approvals
from model_gitops.adapters.tracing.image_registry import ImageRegistry
from model_gitops.adapters.tracing.model_artifacts import ModelArtifacts
from model_gitops.adapters.tracing.model_repository import ModelRepository
from model_gitops.adapters.tracing.overlays import Overlays
from model_gitops.adapters.tracing.pull_requests import PullRequests
from model_gitops.adapters.tracing.signatures import Signatures
from model_gitops.core.deploy.kustomization import Image
from model_gitops.core.deploy.trailers import is_commit
from model_gitops.core.flow.environment import Environment
from model_gitops.core.flow.promotion import Promotion
from model_gitops.core.gto import tags
from model_gitops.core.image.names import commit_of_tag
from model_gitops.core.lineage import approval as approvals
from model_gitops.core.lineage.deciding import Verified
from model_gitops.core.lineage.facts import (
    Approval,
    Deployed,
    NothingDeployed,
    Pull,
    Registered,
    Source,
    Stored,
    Trace,
)
from model_gitops.errors import InputError


@dataclass(frozen=True)
class Gatherer:
    """The places that are asked: overlays, registry of images, model repository, pull requests.

    `unasked` says what can't be asked and why, by the link's end; each Trace says the same, and what
    could not be asked for it alone. Each place is asked once for the same thing.
    """

    promotion: Promotion
    overlays: Overlays
    images: ImageRegistry
    repository: ModelRepository
    pulls: PullRequests
    signatures: Signatures
    unasked: dict[str, str] = field(default_factory=dict)

    def environment(self, environment: Environment) -> Trace:
        """Walk from an environment's overlay to the data. Raises InputError for no such overlay."""
        promotion, repository, unasked = self.promotion, self.repository, dict(self.unasked)
        deployed = self.overlays.deployed(environment)
        held, held_problem = repository.held(environment.stage)
        self._refuse_nothing(environment, deployed, held, held_problem)
        by_pull = environment.deploy == "pull-request"
        if by_pull and self.overlays.pulls.api is None:
            unasked["deploy pull request"] = (
                "without `token` nobody was asked which pull request of the deploy repository it was"
            )
        origin = deployed.origin
        with ThreadPoolExecutor(2) as pool:
            asked = pool.submit(self._deployed_image, deployed, unasked)
            source = (
                repository.source(origin.commit, environment.branch, taken_back=origin.rolled_back)
                if origin
                else None
            )
            stored = asked.result()
        deploy_pull = _find_merged(
            self.overlays.pulls,
            deployed.commit,
            [deployed.branch],
            "deploy pull request",
            unasked,
        )
        trace = Trace(
            subject=environment.name,
            model=promotion.model,
            environment=environment.name,
            stage_name=environment.own_stage,
            deployed=deployed,
            stored=stored,
            signature=self.signatures.of(deployed, unasked),
            artifact=ModelArtifacts(self.images, self.signatures).of(deployed),
            source=source,
            version=repository.registered(deployed.says("model", promotion.model)),
            held=held.version if held else "",
            held_hash=held.model_hash if held else "",
            held_problem=held_problem,
            held_since=repository.registry.spoken(promotion.model, environment.stage),
            moves_early=self._moves_early(environment, held, unasked),
            repository=repository.name,
            image=promotion.image,
            tagged=self._tagged(deployed, source, unasked),
            by_pull=by_pull,
            before=self.overlays.before(environment, deployed.image.digest),
            pull=self._source_pull(source, [environment.branch], unasked),
            deploy_pull=deploy_pull,
            approval=approvals.of_pull(deploy_pull)
            if by_pull and deploy_pull
            else self._approved(environment, deployed, unasked),
        )
        return self._complete(trace, unasked)

    def _refuse_nothing(
        self, environment: Environment, deployed: Deployed, held: Registered | None, problem: str
    ) -> None:
        """Raise NothingDeployed where the environment runs nothing, by its history.

        Raises InputError where its stage says all the same that something runs.
        """
        pinned = deployed.is_new and not deployed.runs_nothing
        if not deployed.runs_nothing and not (pinned and self._is_nowhere(deployed)):
            return
        name, model, stage = environment.name, self.promotion.model, environment.stage
        where = f"{deployed.path} of {deployed.repository}"
        sets = "has no entry for it" if deployed.missing else f"sets {deployed.image.reference}"
        back = deployed.back
        comes = deployed.waiting or self.promotion.stage_on == "pull_request"
        holds = problem or (f"the stage {model}#{stage} holds {held.version}" if held else "")
        if holds and not (comes or back):
            raise InputError(
                f"nothing was deployed to {name} yet ({where} {sets}), and {holds}",
                fix=f"run deploy.yml of {environment.branch!r} again: gh run list --workflow deploy.yml"
                f" --branch {environment.branch}",
            )
        said = [deployed.missing] if deployed.missing else []
        if deployed.name != self.promotion.image:
            said.append(f"{where} {sets}, and promotion.yaml says image: {self.promotion.image}")
        elif not deployed.image.is_placeholder:
            said.append(f"{where} {sets}, which no deployment did")
        if back:
            said.append(f"{back.sentence}; nothing was deployed before that, so nothing runs")
        if back and held:
            said.append(
                f"the stage {model}#{stage} still holds {held.version}; to take that back: gto deprecate"
                f" {model} {held.version} {stage}, then git push --tags"
            )
        waits = ": its first deployment waits in a pull request" if deployed.waiting else ""
        raise NothingDeployed(
            f"{name} runs nothing yet{waits}: {where} {sets}",
            fix=f"merge the pull request into {deployed.repository}"
            if waits
            else f"merge a pull request into {environment.branch!r}: deploy.yml sets the image",
            waiting=deployed.proposal,
            proposed_in=deployed.proposed_in,
            said=said,
        )

    def _is_nowhere(self, deployed: Deployed) -> bool:
        """Whether the registry has no image with the digest that somebody wrote into a new overlay."""
        stored = self._deployed_image(deployed, {})
        return stored is not None and not stored.digest

    def image(self, name: str, tag: str, digest: str) -> Trace:
        """Walk from an image to the data, by the environment that runs it, if one does.

        Raises InputError where the registry has no such image.
        """
        asked = Image(name, "", tag, digest)
        unasked = dict(self.unasked)
        stored = self.images.stored(asked, unasked)
        if stored is None or not (stored.digest or stored.tag_digest):
            raise InputError.of(
                "subject", asked.reference, "the registry has no such image, or does not show it",
                fix="log in to the registry (`username`, `password`), or give another image",
            )  # fmt: skip
        found = digest or stored.tag_digest
        # What else has the digest says nothing of this tag, where the tag is a commit's.
        alone = self.repository.checkout.commit_of(tag) == tag
        if running := self._running(lambda one: one.image.digest == found, tag, only_tag=alone):
            return replace(running, subject=asked.reference)
        if not digest:
            stored = self.images.stored(replace(asked, digest=found), unasked) or stored
        # A commit's hash as its tag: of a promoted image that is a later hop than it was built at.
        commit = tag if alone else stored.revision
        source = self.repository.source(commit) if commit else None
        version = self.repository.version_of(source.model_hash) if source else None
        return self._loose(asked.reference, stored, source, version, unasked)

    def version(self, version: tags.Version) -> Trace:
        """Walk from a registered version to the data, by the environment that runs it, if one does."""
        name = f"{version.model}@{version.version}"
        unasked = dict(self.unasked)
        model = self.promotion.model
        if running := self._running(lambda one: one.says("model", model) == name, ""):
            return replace(running, subject=name)
        image = Image(self.promotion.image, "", version.commit)
        stored = self.images.stored(image, unasked)
        if stored is not None:
            known = stored.tag_digest
            stored = self.images.stored(replace(image, digest=known), unasked) if known else None
        source = self.repository.source(version.commit)
        return self._loose(name, stored, source, self.repository.registered(name), unasked)

    def open_pulls(self, environment: Environment) -> list[str]:
        """Return the open pull requests into the environment, each as a short sentence."""
        try:
            found = self.pulls.open_into(environment.branch)
        except github.ApiError as error:
            self.unasked["open pull requests"] = error.message
            return []
        return [f"pull request #{one.number} ({one.head_ref} → {one.base_ref})" for one in found]

    def brought(self, commit: str, environment: Environment) -> Pull | None:
        """Return the merged pull request that brought `commit` onto the environment's branch; None for none."""
        return _find_merged(self.pulls, commit, [environment.branch], "pull request", self.unasked)

    def verified_before(self, environment: Environment) -> Verified | None:
        """Return what came of the verification of what the environment before runs.

        None where there is none before, it runs nothing, or promotion.yaml asks for no verification there.
        """
        before = self.promotion.before(environment)
        if before is None or before.verify is None:
            return None
        try:
            origin = self.overlays.deployed(before).origin
        except InputError:
            return None  # the environment's own lineage says so
        if origin is None:
            return None
        end = f"verification in {before.name}"
        api = self.pulls.api
        if api is None:
            self.unasked[end] = "without `source-token` nobody was asked"
            return None
        try:
            context = commit_statuses.context_of(before.name, self.promotion.model)
            found = commit_statuses.latest(api.client, origin.commit, context)
        except github.ApiError as error:
            self.unasked[end] = (
                f"{error.message}. To do: {error.fix}" if error.fix else error.message
            )
            return None
        if found is None:
            return Verified(before.name)
        return Verified(before.name, found.state, found.description, found.target_url)

    def _running(
        self, wanted: Callable[[Deployed], bool], tag: str, *, only_tag: bool = False
    ) -> Trace | None:
        """Return the trace of the environment that runs what is wanted: the furthest, or of `tag`."""
        found: list[tuple[Environment, Deployed]] = []
        for environment in self.promotion.environments:
            with suppress(InputError):  # nobody can say what this one runs
                deployed = self.overlays.deployed(environment)
                # A placeholder runs nothing, whatever its commit says of another overlay.
                if wanted(deployed) and not deployed.image.is_placeholder:
                    found.append((environment, deployed))
        tagged = [pair for pair in found if pair[1].image.tag == tag]
        for environment, _ in reversed(tagged or ([] if only_tag else found)):
            return self.environment(environment)
        return None

    def _loose(
        self,
        subject: str,
        stored: Stored | None,
        source: Source | None,
        version: Registered | None,
        unasked: dict[str, str],
    ) -> Trace:
        """Return the lineage of what no environment runs."""
        bases = [one.branch for one in self.promotion.environments]
        trace = Trace(
            subject,
            self.promotion.model,
            stored=stored,
            source=source,
            version=version,
            pull=self._source_pull(source, bases, unasked),
        )
        return self._complete(trace, unasked)

    def _complete(self, trace: Trace, unasked: dict[str, str]) -> Trace:
        """Add what follows from the rest: the commit the image was built from, and the recipe."""
        revision = trace.stored.revision if trace.stored else ""
        # A branch's name would be compared with wherever that branch is today.
        built = self.repository.source(revision) if is_commit(revision) else None
        recipe = built_by = None
        if trace.source and trace.source.model_path:
            recipe = self.repository.recipe(trace.source.commit)
        if trace.source and trace.source.known:
            built_by = self.repository.rules(trace.source.commit)
        return replace(
            trace,
            built=built,
            built_by=built_by,
            recipe=recipe,
            flow=self.promotion,
            unasked=unasked,
        )

    def _deployed_image(self, deployed: Deployed, unasked: dict[str, str]) -> Stored | None:
        if deployed.name != self.promotion.image:
            # Whoever edits an overlay must not choose the server that hears our login.
            unasked["registry"] = "only the image of promotion.yaml is asked for"
            return None
        return self.images.stored(deployed.image, unasked)

    def _approved(
        self, environment: Environment, deployed: Deployed, unasked: dict[str, str]
    ) -> Approval | None:
        """Return who approved the run that deployed it; None, and why, where nobody can be asked."""
        address = (deployed.trailers.get("deploy-run") or [""])[-1]
        run, api = approvals.run_of(address, self.repository.name), self.pulls.api
        if not run:
            why = "the deploy commit names no run of this repository (Deploy-Run)"
        elif api is None:
            why = "without `source-token` nobody was asked who approved the run"
        elif api.dialect.is_gitea:
            why = "this server has no reviewers of environments"
        else:
            try:
                by = run_approvals.approved_by(api.client, run, environment.name)
                return Approval(f"run {run}", address, by)
            except github.ApiError as error:
                why = error.message
        if environment.reviewers:
            unasked["approval"] = why
        return None

    def _moves_early(
        self, environment: Environment, held: Registered | None, unasked: dict[str, str]
    ) -> bool | None:
        """Whether an open pull request into the environment has the model that the stage holds."""
        if self.promotion.stage_on != "pull_request":
            return None
        if self.pulls.api is None:
            unasked["open pull requests"] = "without `source-token` nobody was asked"
            return None
        try:
            heads = [one.head_sha for one in self.pulls.open_into(environment.branch)]
        except github.ApiError as error:
            unasked["open pull requests"] = error.message
            return None
        has, model_hash = self.repository.has, self.repository.model_hash
        return held is not None and any(
            has(head) and model_hash(head) == held.model_hash for head in heads
        )

    def _tagged(self, deployed: Deployed, source: Source | None, unasked: dict[str, str]) -> str:
        """Return the digest that the source commit's own tag names, where the overlay has another."""
        if source is None or not source.known or commit_of_tag(deployed.image.tag):
            return ""
        found = self.images.stored(Image(self.promotion.image, "", source.commit), unasked)
        return found.tag_digest if found else ""

    def _source_pull(
        self, source: Source | None, bases: Sequence[str], unasked: dict[str, str]
    ) -> Pull | None:
        commit = source.commit if source else ""
        return _find_merged(self.pulls, commit, bases, "pull request", unasked)


def _find_merged(
    pulls: PullRequests, commit: str, bases: Sequence[str], end: str, unasked: dict[str, str]
) -> Pull | None:
    try:
        return pulls.find_merged(commit, bases)
    except github.ApiError as error:
        unasked[end] = error.message
        return None
