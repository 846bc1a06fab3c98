"""Opens the places that the facts of a lineage are in, for the model repository around us."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from model_gitops import runner
from model_gitops.adapters import git, github, registry_client
from model_gitops.adapters.deploy_repository import check_secrets, connected
from model_gitops.adapters.gto_registry import Tags
from model_gitops.adapters.model_place import Place
from model_gitops.adapters.tracing.gatherer import Gatherer
from model_gitops.adapters.tracing.image_registry import ImageRegistry
from model_gitops.adapters.tracing.model_repository import ModelRepository
from model_gitops.adapters.tracing.overlays import Overlays
from model_gitops.adapters.tracing.pull_requests import PullRequests
from model_gitops.adapters.tracing.signatures import Signatures
from model_gitops.core.deploy.location import Location, is_on, is_slug, locate
from model_gitops.core.flow.promotion import Promotion
from model_gitops.errors import InputError


@dataclass(frozen=True)
class Credentials:
    """What proves who we are: to the deploy repository, the model's repository, the registry."""

    token: str = ""
    ssh_key: str = ""
    source_token: str = ""
    username: str = ""
    password: str = ""
    known_hosts: str = ""


@contextmanager
def opened(
    promotion: Promotion,
    credentials: Credentials,
    *,
    deploy_branch: str = "",
    tolerant: bool = False,
) -> Iterator[Gatherer]:
    """Open all places that the facts are in, for the model repository around us.

    Raises InputError for credentials that do not fit, ExternalError where a place can't be reached.
    """
    for secret in (
        credentials.token,
        credentials.ssh_key,
        credentials.source_token,
        credentials.password,
    ):
        runner.mask(secret)
    checkout = git.open_repository(Path.cwd())
    known, branches = _server_says(checkout, promotion)
    place = Place.of(checkout)
    location = deploy_location(promotion, place.server_url, credentials.token, credentials.ssh_key)
    silent: dict[str, str] = {}
    with (
        connected(
            location, credentials.token, credentials.ssh_key, credentials.known_hosts
        ) as deploy,
        registry_client.opened(
            promotion.image,
            credentials.username,
            credentials.password,
            refused=silent if tolerant else None,
        ) as client,
    ):
        unasked = {}
        source_api = None
        if credentials.source_token and is_slug(place.repository):
            source_api = github.GitHub(
                place.repository, credentials.source_token, api_url=place.api_url
            )
        else:
            unasked["pull request"] = "without `source-token` nobody was asked who approved"
        deploy_api = _deploy_api(location, place, credentials.token)
        name = location.slug or location.url
        overlays = Overlays(
            promotion, deploy, name, PullRequests(deploy_api, "token"), deploy_branch
        )
        _ = overlays.branch  # a wrong `deploy-branch` ends here, not as every overlay's fault
        yield Gatherer(
            promotion=promotion,
            overlays=overlays,
            images=ImageRegistry(client, tolerant=tolerant, silent=silent),
            repository=ModelRepository(
                promotion, checkout, known, branches, place.repository, source_api
            ),
            pulls=PullRequests(source_api),
            signatures=Signatures(promotion, client, tolerant=tolerant, silent=silent),
            unasked=unasked,
        )


@contextmanager
def opened_overlays(
    promotion: Promotion,
    checkout: git.Git,
    token: str,
    ssh_key: str,
    deploy_branch: str,
    known_hosts: str = "",
    *,
    with_pulls: bool = False,
    once: bool = False,
) -> Iterator[Overlays]:
    """Open the deploy repository alone, for who asks only what an environment runs.

    With `with_pulls` its pull requests are asked too, where the token is for their server. With `once` a
    server that does not answer is not asked again. Raises InputError and ExternalError as `opened` does.
    """
    runner.mask(token)
    runner.mask(ssh_key)
    place = Place.of(checkout)
    location = deploy_location(promotion, place.server_url, token, ssh_key)
    with connected(location, token, ssh_key, known_hosts) as deploy:
        name = location.slug or location.url
        api = _deploy_api(location, place, token) if with_pulls else None
        overlays = Overlays(promotion, deploy, name, PullRequests(api, "token"), deploy_branch)
        if once:
            deploy.ask_once()
        _ = overlays.branch
        yield overlays


def _server_says(checkout: git.Git, promotion: Promotion) -> tuple[Tags, Mapping[str, str]]:
    """Return the server's tags and branches: what only this clone has, or still has, says nothing."""
    names = [one.branch for one in promotion.environments]
    if not checkout.has_remote():
        own = {name: checkout.commit_of(f"refs/heads/{name}") or "" for name in names}
        return Tags.own(checkout), own
    known = Tags.published(checkout, "origin", *(f"refs/heads/{name}" for name in names))
    heads = {name: known.listing.object_of(f"refs/heads/{name}") for name in names}
    return known, {name: commit for name, commit in heads.items() if commit}


def _deploy_api(location: Location, place: Place, token: str) -> github.GitHub | None:
    """Return the API of the deploy repository; None without a token, or for another server."""
    if not (token and is_on(location, place.server_url) and is_slug(location.slug)):
        return None
    return github.GitHub(location.slug, token, api_url=place.api_url)


def deploy_location(promotion: Promotion, server_url: str, token: str, ssh_key: str) -> Location:
    """Return where promotion.yaml's deploy repository is. Raises InputError, also for credentials."""
    if not promotion.deploy_repository:
        raise InputError(
            "promotion.yaml names no deploy repository, so nobody can say what is deployed",
            fix="deploy: {repository: OWNER/NAME} in promotion.yaml",
        )
    location = locate(promotion.deploy_repository, server_url=server_url, ssh=bool(ssh_key))
    check_secrets(location, token, ssh_key, server_url)
    return location
