"""The deploy repository, as check-promotion asks it: what an environment runs, and what holds it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from model_gitops import runner
from model_gitops.adapters import git
from model_gitops.adapters.tracing import overlays as tracing
from model_gitops.adapters.tracing.places import opened_overlays
from model_gitops.core.deploy.hold import Hold
from model_gitops.core.flow.environment import Environment
from model_gitops.core.flow.promotion import Promotion
from model_gitops.core.lineage import hop


class Overlays:
    """What environments run, by the deploy repository, asked where a question comes up."""

    def __init__(
        self,
        promotion: Promotion,
        repository: git.Git,
        deploy_branch: str,
        token: str,
        ssh_key: str,
        known_hosts: str,
    ) -> None:
        self.promotion = promotion
        self._repository = repository
        self._branch = deploy_branch
        self._token = token
        self._ssh_key = ssh_key
        self._known_hosts = known_hosts
        # What one connection answered beside its own question.
        self._holds: dict[str, Hold | None] = {}
        self._since: dict[str, int] = {}

    def under(self, rules: Promotion) -> Overlays:
        """Return the same, asked under other rules."""
        return Overlays(
            rules, self._repository, self._branch, self._token, self._ssh_key, self._known_hosts
        )

    def running(self, environment: Environment) -> hop.Promoted:
        """Return what `environment` runs. Raises RefusedError, InputError, ExternalError."""
        promotion = self.promotion
        with (
            runner.group(f"Asking what {environment.name} runs"),
            self._opened() as overlays,
        ):
            deployed = overlays.deployed(environment)
            self._since[environment.name] = deployed.since
            for one in promotion.environments:
                self._holds[one.overlay] = overlays.hold(one)
        return hop.running(deployed, environment.name, model=promotion.model, image=promotion.image)

    def since(self, environment: Environment) -> int:
        """Return when what `environment` runs landed there, in Unix seconds; 0 where `running` was not asked."""
        return self._since.get(environment.name, 0)

    def hold(self, environment: Environment, *, once: bool) -> Hold | None:
        """Return what holds `environment`, also one that ran out. Raises InputError, ExternalError.

        With `once` a server that does not answer is not asked again.
        """
        if environment.overlay not in self._holds:
            with (
                runner.group(f"Asking whether {environment.name} is held"),
                self._opened(once=once) as overlays,
            ):
                self._holds[environment.overlay] = overlays.hold(environment)
        return self._holds[environment.overlay]

    @contextmanager
    def _opened(self, *, once: bool = False) -> Iterator[tracing.Overlays]:
        with opened_overlays(
            self.promotion,
            self._repository,
            self._token,
            self._ssh_key,
            self._branch,
            self._known_hosts,
            once=once,
        ) as overlays:
            yield overlays
