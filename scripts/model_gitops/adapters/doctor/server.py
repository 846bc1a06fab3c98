"""The facts of both repositories on their server: what a token may see of their settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from model_gitops import runner
from model_gitops.adapters import event_checkout, github, github_client
from model_gitops.adapters.doctor import deploy_place
from model_gitops.adapters.doctor.model_repository import Checkout
from model_gitops.adapters.github_client import ApiError, Client, ForbiddenError
from model_gitops.adapters.protection import facts, repositories
from model_gitops.adapters.protection.facts import Repository
from model_gitops.adapters.protection.repositories import Protection
from model_gitops.core.deploy.location import is_on, is_slug, locate
from model_gitops.core.doctor.finding import Finding, NotAskedError
from model_gitops.core.doctor.protecting import Protected
from model_gitops.core.flow.promotion import Promotion
from model_gitops.core.protection.wanted import Asked
from model_gitops.errors import ActionError

T = TypeVar("T")

_CHECK = "token"
_SETTINGS = "model settings"
_EXPORT = "export MODEL_GITOPS_TOKEN=$(gh auth token)"


@dataclass
class Server:
    """The server of the model repository, asked with `token`."""

    promotion: Promotion
    checkout: Checkout
    token: str
    is_refused: bool = False
    _is_accepted: bool = False
    # What was asked, an error too: nobody is asked twice.
    _known: dict[str, object] = field(default_factory=dict)

    def accepted(self) -> Finding:
        """Ask whether the token is one, and shows the repository."""
        if not self.token:
            return Finding(
                _CHECK, None, "no token was given: settings of the server are not asked", _EXPORT
            )
        if not self._slug:
            return Finding(
                _CHECK, None, "the remote `origin` is on no server with an API",
                "git remote set-url origin https://HOST/OWNER/NAME.git",
            )  # fmt: skip
        try:
            github_client.reach(self._api)
            repository = self.model
        except ForbiddenError as error:
            if error.status in (401, 404):
                self.is_refused = error.status == 401
                return Finding(_CHECK, False, error.message, f"{_EXPORT}: {error.fix}")
            raise
        except ApiError as error:
            return Finding(_CHECK, None, error.message, error.fix)
        self._is_accepted = True
        return Finding(_CHECK, True, f"it may read {repository.name}")

    @property
    def _client(self) -> Client:
        return Client(self._slug, self.token, api_url=self._api)

    @cached_property
    def _slug(self) -> str:
        context = runner.context()
        if context.repository:
            return context.repository
        origin = event_checkout.origin_of(self.checkout.git, context.server_url)
        return origin.slug if origin is not None and is_slug(origin.slug) else ""

    @cached_property
    def _api(self) -> str:
        context, server = runner.context(), deploy_place.server(self.checkout.git)
        same = server == context.server_url
        return (context.api_url if same else "") or github.find_api(server)

    def _once(self, key: str, ask: Callable[[], T]) -> T:
        if key not in self._known:
            try:
                self._known[key] = ask()
            except ActionError as error:
                self._known[key] = _said_already(key, error)
                raise
        found = self._known[key]
        if isinstance(found, ActionError):
            raise found
        return found  # type: ignore[return-value]

    @property
    def model(self) -> Repository:
        """The model repository. Raises ApiError."""
        return self._once("model", lambda: Repository(self._client))

    @property
    def deploy(self) -> Repository | None:
        """The deploy repository; None where it is on another server, or the token can't see it."""
        return self._once("deploy", self._find_deploy)

    def _find_deploy(self) -> Repository | None:
        if not self.promotion.deploy_repository:
            return None
        server = deploy_place.server(self.checkout.git)
        where = locate(self.promotion.deploy_repository, server_url=server)
        if not where.slug or not is_on(where, server):
            return None
        try:
            return Repository(Client(where.slug, self.token, api_url=self._api))
        except ForbiddenError:
            return None

    def require(self) -> None:
        """Raise NotAskedError where the token was not accepted."""
        if not self._is_accepted:
            why = (
                "without a token nobody was asked" if not self.token else "the token was of no use"
            )
            raise NotAskedError(why, fix=f"see the check {_CHECK}" if self.token else _EXPORT)

    @property
    def shows_secrets(self) -> bool:
        """Whether this server's API has the names of environments' secrets."""
        return not self.model.client.dialect.is_gitea

    @property
    def model_settings(self) -> Protected:
        """What is wanted of the model repository, and what differs."""
        self.require()
        return self._once(_SETTINGS, self._read_model)

    def _read_model(self) -> Protected:
        found = repositories.of_model(self.model, self.promotion, Asked(), self.deploy)
        knows = self.shows_secrets and facts.secret_names(self.model, frozenset()) is not None
        return _protected(self.model.name, found, knows_secrets=knows)

    @property
    def deploy_settings(self) -> Protected:
        """The same of the deploy repository. Raises NotAskedError where it can't be seen."""
        self.require()
        return self._once("deploy settings", self._read_deploy)

    def _read_deploy(self) -> Protected:
        if self.deploy is None:
            raise NotAskedError(
                "the token does not see the deploy repository",
                fix=f"{_EXPORT}, of an account that may read it",
            )
        found = repositories.of_deploy(self.deploy, self.promotion)
        return _protected(self.deploy.name, found, model=self.model.name)


def _said_already(key: str, error: ActionError) -> ActionError:
    """Return what the later checks say, where the first of several has told why nobody can know."""
    if key != _SETTINGS:
        return error
    return NotAskedError("the settings could not be read", fix="see the check branch-protection")


def _protected(
    name: str, found: Protection, *, knows_secrets: bool = False, model: str = ""
) -> Protected:
    return Protected(
        repository=name,
        wanted=found.desired.settings,
        changes=tuple(found.changes),
        unseen=tuple(found.unseen),
        todos=found.desired.todos,
        notes=found.desired.notes,
        found=found.found,
        knows_secrets=knows_secrets,
        model=model,
    )
