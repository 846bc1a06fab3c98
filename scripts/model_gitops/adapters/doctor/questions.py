"""The questions of `doctor`, in lanes: what is asked of one place is asked in turn."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

from model_gitops.adapters import paths
from model_gitops.adapters.champion import Champion
from model_gitops.adapters.doctor import deploy_place, dvc_places, machine
from model_gitops.adapters.doctor.bounded import Question
from model_gitops.adapters.doctor.deploy_place import Access, DeployPlace
from model_gitops.adapters.doctor.dvc_places import Remote
from model_gitops.adapters.doctor.model_repository import Checkout
from model_gitops.adapters.doctor.server import Server
from model_gitops.adapters.flows import Flow
from model_gitops.core.deploy import kustomization
from model_gitops.core.deploy.containers import Container
from model_gitops.core.doctor import (
    argocd,
    building,
    containers,
    deploying,
    dvc_project,
    protecting,
    verifying,
    workflows,
)
from model_gitops.core.doctor.deploying import Overlay
from model_gitops.core.doctor.dvc_project import Measured
from model_gitops.core.doctor.finding import Finding, NotAskedError
from model_gitops.core.flow.promotion import Promotion
from model_gitops.core.lineage.facts import pick
from model_gitops.errors import ActionError, InputError


@dataclass
class World:
    """All that is asked, for one promotion.yaml out of `flows`."""

    flow: Flow
    flows: Sequence[Flow]
    checkout: Checkout
    access: Access
    remote: Remote
    stack: ExitStack
    # The places of all flows, which several of them may have in common.
    deploys: dict[Hashable, DeployPlace | ActionError] = field(default_factory=dict)
    servers: dict[Hashable, Server] = field(default_factory=dict)

    @property
    def place(self) -> Hashable:
        """What is equal for flows that are deployed to the same places; None where it can't be read."""
        one = self.flow.promotion
        return one and (
            one.deploy_repository,
            tuple(
                (each.name, each.branch, each.deploy, each.approvals) for each in one.environments
            ),
        )

    @property
    def promotion(self) -> Promotion:
        """What promotion.yaml says. Raises NotAskedError where it can't be read."""
        if self.flow.promotion is None:
            raise NotAskedError("promotion.yaml can't be read", fix="see the check promotion")
        return self.flow.promotion

    @property
    def promotions(self) -> list[Promotion]:
        """What all of them say that can be read."""
        return [one.promotion for one in self.flows if one.promotion]

    @property
    def deploy(self) -> DeployPlace:
        """The deploy repository. Raises ActionError where it can't be opened."""
        if self.server.is_refused and not self.access.folder:
            raise NotAskedError("the token was refused", fix="see the check token")
        if self.place not in self.deploys:
            try:
                self.deploys[self.place] = self.stack.enter_context(
                    deploy_place.opened(self.promotion, self.checkout.git, self.access)
                )
            except ActionError as error:
                self.deploys[self.place] = error
        found = self.deploys[self.place]
        if isinstance(found, ActionError):
            raise found
        return found

    @property
    def server(self) -> Server:
        """The server of both repositories."""
        if self.place not in self.servers:
            self.servers[self.place] = Server(self.promotion, self.checkout, self.access.token)
        return self.servers[self.place]

    # --- the model repository ---------------------------------------------------------------------

    def promotion_file(self) -> Finding:
        """Judge promotion.yaml itself."""
        return dvc_project.promotion_file(
            self.flow.path, self.flow.error, is_there=paths.is_file(Path(self.flow.path))
        )

    def model(self) -> Finding:
        """Judge the model at HEAD."""
        return dvc_project.model(self.promotion.model, self.checkout.at_head, self.checkout.now)

    def workflow_branches(self) -> Finding:
        """Judge the workflows' branches."""
        checkout = self.checkout
        return workflows.branches(
            checkout.workflows, self.promotions, self.promotion, checkout.broken_workflows
        )

    def workflow_secrets(self) -> Finding:
        """Judge which jobs read what writes the deploy repository."""
        return workflows.secrets(self.checkout.workflows)

    def workflow_packages(self) -> Finding:
        """Judge which jobs may write packages."""
        return workflows.packages(self.checkout.workflows, [self.promotion])

    def workflow_verify(self) -> Finding:
        """Judge whether what is deployed is verified."""
        return verifying.workflows(self.checkout.workflows, self.promotions, self.promotion)

    def dockerfile(self) -> Finding:
        """Judge whether there is a Dockerfile."""
        path = self.promotion.build.dockerfile
        is_built = not self.promotion.build.elsewhere
        return building.dockerfile(path, is_there=bool(self.checkout.text(path)), is_built=is_built)

    # --- DVC --------------------------------------------------------------------------------------

    def metrics(self) -> Finding:
        """Judge the gate's metrics at HEAD."""
        found = (
            list(
                dvc_places.measured(
                    self.promotion, self.checkout, self.checkout.head, dvc_project.HEAD, self.remote
                )
            )
            if self.checkout.head
            else []
        )
        return self._metrics("metrics", found, trained=self.checkout.is_trained(self.promotion))

    def champion_metrics(self) -> Finding:
        """Judge them at the commit of each environment's champion."""
        if not self.promotion.gate:
            return self._metrics("champion-metrics", [], trained=True)
        self.deploy.require()
        found: list[Measured] = []
        for environment in self.promotion.environments:
            try:
                champion = self.deploy.champion(self.promotion, environment, self.checkout.git)
            except InputError:
                continue  # the check overlays says what is wrong with it
            if champion is not None:
                found += self._of_champion(champion)
        return self._metrics("champion-metrics", found, trained=True)

    def _of_champion(self, champion: Champion) -> list[Measured]:
        promotion, checkout = self.promotion, self.checkout
        if champion.problem:
            fix = (
                "git fetch --unshallow origin" if checkout.git.is_shallow() else "git fetch origin"
            )
            if "no deploy commit" in champion.problem:
                fix = "promote once more: a deployment by bump-kustomize-tag says where its image is from"
            return [Measured("the gate", champion.name, False, champion.problem, fix, unasked=True)]
        return list(
            dvc_places.measured(promotion, checkout, champion.commit, champion.name, self.remote)
        )

    def _metrics(self, check: str, found: Sequence[Measured], *, trained: bool) -> Finding:
        gated = any(not rule.measured for rule in self.promotion.gate)
        new_pass = self.promotion.allow_new_metrics
        return dvc_project.metrics(check, found, gated=gated, trained=trained, new_pass=new_pass)

    def dvc_remote(self) -> Finding:
        """Judge the default remote."""
        try:
            return dvc_places.remote(self.promotion, self.checkout)
        except InputError as error:
            return Finding("dvc-remote", False, error.message, "dvc init, where dvc.yaml is")

    def model_pushed(self) -> Finding:
        """Ask the remote for the model."""
        return dvc_places.model_pushed(self.promotion, self.checkout, self.remote)

    def data_pushed(self) -> Finding:
        """Ask the remote for all else."""
        return dvc_places.data_pushed(self.promotion, self.checkout, self.remote)

    # --- the deploy repository --------------------------------------------------------------------

    def deploy_repository(self) -> Finding:
        """Read the deploy repository."""
        return self.deploy.read()

    @property
    def _overlays(self) -> list[Overlay]:
        manifests = self.deploy.require()
        return [manifests.overlay(one) for one in self.promotion.environments]

    def overlays(self) -> Finding:
        """Judge whether the overlays are there."""
        base = self.deploy.require().base_of(self.promotion)
        return deploying.overlays(self._overlays, self.promotion, base)

    def overlay_images(self) -> Finding:
        """Judge the image that each sets."""
        return deploying.images(self._overlays, self.promotion)

    @cached_property
    def _containers(self) -> list[Container]:
        """The containers with the image: as a base has it, before overlays set it."""
        manifests, found = self.deploy.require(), list[Container]()
        for overlay in self._overlays:
            if overlay.path:
                names = {self.promotion.name, self.promotion.image, *self._entry(overlay)}
                found += manifests.containers(overlay, sorted(names))
        # Overlays share a base.
        return [one for place, one in enumerate(found) if one not in found[:place]]

    def _entry(self, overlay: Overlay) -> list[str]:
        try:
            entries = kustomization.read(overlay.text, source=overlay.path)
            return [
                pick(entries, self.promotion.name, self.promotion.image, source=overlay.path).name
            ]
        except InputError:
            return []

    def container_user(self) -> Finding:
        """Judge who runs the containers."""
        return containers.user(self._containers, self.checkout.runtime(self.promotion))

    def container_command(self) -> Finding:
        """Judge what they start."""
        text = self.checkout.installs(self.promotion)
        return containers.command(self._containers, self.checkout.runtime(self.promotion), text)

    def container_ports(self) -> Finding:
        """Judge their ports and probes."""
        return containers.ports(self._containers, self.checkout.runtime(self.promotion))

    def argocd_applications(self) -> Finding:
        """Judge Argo CD's Applications."""
        manifests = self.deploy.require()
        return argocd.judge_applications(
            manifests.argocd(self.promotion.deploy_repository)[0],
            [one.folder for one in self._overlays],
            self.promotion.deploy_repository,
            deploy_place.wanted_url(self.promotion, self.checkout.git),
            self.deploy.branch,
            manifests.folders,
        )

    def argocd_project(self) -> Finding:
        """Judge what their projects allow."""
        manifests = self.deploy.require()
        applications, projects = manifests.argocd(self.promotion.deploy_repository)
        built = [manifests.built(one) for one in self._overlays if one.path]
        return argocd.judge_project(applications, projects, built)

    # --- the server -------------------------------------------------------------------------------

    def token(self) -> Finding:
        """Ask whether the token is one."""
        return self.server.accepted()

    def branch_protection(self) -> Finding:
        """Judge the environments' branches."""
        return protecting.branches(self.server.model_settings)

    def tag_rule(self) -> Finding:
        """Judge the rule of tags."""
        return protecting.tags(self.server.model_settings)

    def merge_methods(self) -> Finding:
        """Judge the merge methods."""
        return protecting.merge_methods(self.server.model_settings)

    def environments(self) -> Finding:
        """Judge the environments' branches."""
        return protecting.environments(self.server.model_settings)

    def reviewers(self) -> Finding:
        """Judge who approves deployments."""
        return protecting.reviewers(self.server.model_settings, self.promotion)

    def secrets(self) -> Finding:
        """Judge whether each secret is there."""
        settings = self.server.model_settings
        return protecting.secrets(settings, are_here=self.server.shows_secrets)

    def secrets_scope(self) -> Finding:
        """Judge whether none is where it should not be."""
        settings = self.server.model_settings
        return protecting.secrets_scope(settings, are_here=self.server.shows_secrets)

    def actions_permissions(self) -> Finding:
        """Judge what workflows may do."""
        return protecting.actions(self.server.model_settings)

    def deploy_branch_protection(self) -> Finding:
        """Judge the deploy repository's branch."""
        return protecting.deploy_branch(self.server.deploy_settings)

    # --- this machine -----------------------------------------------------------------------------

    def base_image(self) -> Finding:
        """Ask the registries for what the Dockerfile starts from."""
        return machine.base_images(self.promotion, self.checkout)

    def buildx(self) -> Finding:
        """Ask docker for buildx."""
        return machine.buildx(self.promotion)


# What is asked in turn, each lane beside the others.
LANES: tuple[tuple[tuple[str, Callable[[World], Finding]], ...], ...] = (
    (
        ("promotion", World.promotion_file),
        ("model", World.model),
        ("workflow-branches", World.workflow_branches),
        ("workflow-secrets", World.workflow_secrets),
        ("workflow-packages", World.workflow_packages),
        ("workflow-verify", World.workflow_verify),
        ("dockerfile", World.dockerfile),
        ("token", World.token),
        ("deploy-repository", World.deploy_repository),
        ("overlays", World.overlays),
        ("overlay-images", World.overlay_images),
        ("container-user", World.container_user),
        ("container-command", World.container_command),
        ("container-ports", World.container_ports),
        ("argocd-applications", World.argocd_applications),
        ("argocd-project", World.argocd_project),
        ("branch-protection", World.branch_protection),
        ("tag-rule", World.tag_rule),
        ("merge-methods", World.merge_methods),
        ("environments", World.environments),
        ("reviewers", World.reviewers),
        ("secrets", World.secrets),
        ("secrets-scope", World.secrets_scope),
        ("actions-permissions", World.actions_permissions),
        ("deploy-branch-protection", World.deploy_branch_protection),
        ("metrics", World.metrics),
        ("champion-metrics", World.champion_metrics),
        ("dvc-remote", World.dvc_remote),
        ("model-pushed", World.model_pushed),
        ("data-pushed", World.data_pushed),
    ),
    (("buildx", World.buildx), ("base-image", World.base_image)),
)


# What is asked of places: once for all flows that are deployed to the same.
_OF_PLACES = {
    "workflow-secrets", "token", "deploy-repository", "branch-protection", "tag-rule", "merge-methods",
    "environments", "reviewers", "secrets", "secrets-scope", "actions-permissions",
    "deploy-branch-protection", "buildx",
}  # fmt: skip


def lanes(
    flows: Sequence[Flow], checkout: Checkout, access: Access, remote: Remote, stack: ExitStack
) -> list[list[Question]]:
    """Return the questions about all flows; of several each says which it is about."""
    found: list[list[Question]] = [[] for _ in LANES]
    deploys: dict[Hashable, DeployPlace | ActionError] = {}
    servers: dict[Hashable, Server] = {}
    worlds = [World(one, flows, checkout, access, remote, stack, deploys, servers) for one in flows]
    places = {one.place for one in worlds} - {None}
    asked: set[Hashable] = set()
    for world in worlds:
        for number, lane in enumerate(LANES):
            for name, ask in lane:
                of_place = name in _OF_PLACES
                if of_place and (world.place in asked or (places and world.place is None)):
                    continue
                is_one = len(flows) == 1 or (of_place and len(places) < 2)
                label = name if is_one else f"{name} ({world.flow.label})"
                found[number].append(Question(label, partial(_asked, world, label, ask)))
        asked.add(world.place)
    return found


def _asked(world: World, label: str, ask: Callable[[World], Finding]) -> Finding:
    return replace(ask(world), check=label)
