"""Go back to the last good version of an environment, and hold it there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from model_gitops import runner
from model_gitops.actions.rollback import stage, summary
from model_gitops.actions.rollback.attempts import Attempts
from model_gitops.actions.rollback.past import Past, Verifications
from model_gitops.adapters import clock, git, person, promotion_file
from model_gitops.adapters.github_client import HURRIED, Client
from model_gitops.adapters.model_place import Place
from model_gitops.adapters.tracing.places import opened_overlays
from model_gitops.core.deploy import hold, rollback
from model_gitops.core.deploy.location import is_slug
from model_gitops.core.flow.environment import named
from model_gitops.core.image.names import is_digest
from model_gitops.errors import InputError
from model_gitops.options import (
    Config,
    DeployBranch,
    DeployWriteKey,
    DeployWriteToken,
    HoldUntil,
    KnownHosts,
    option,
    secret,
)

OUTPUTS = ("operation", "version", "from", "image", "commit", "pull-request")


def command(
    environment: Annotated[
        str, option("environment", "Environment to roll back, as promotion.yaml names it.")
    ] = "",
    version: Annotated[
        str,
        option(
            "version",
            "Version to go back to, as v1.2.3: one that was deployed there. Default: the last good one.",
        ),
    ] = "",
    reason: Annotated[
        str, option("reason", "Why, in one sentence: status and the hold say it.")
    ] = "",
    until: HoldUntil = "",
    by: Annotated[
        str,
        option(
            "by",
            "What decided it, where no person did, such as `verify.yml`. Who started the run is said"
            " besides.",
        ),
    ] = "",
    if_image: Annotated[
        str,
        option(
            "if-image",
            "Roll back only where this image runs still, as name@digest: what failed a verification may have been"
            " replaced. Default: whatever runs.",
        ),
    ] = "",
    config: Config = "promotion.yaml",
    deploy_branch: DeployBranch = "",
    token: DeployWriteToken = "",
    ssh_key: DeployWriteKey = "",
    known_hosts: KnownHosts = "",
    source_token: Annotated[
        str,
        secret(
            "source-token",
            "Token that may read this repository's commit statuses. Without one nobody is asked which"
            " verification failed.",
        ),
    ] = "",
) -> None:
    """Set overlay and hold in one commit, then assign the stage."""
    runner.mask(source_token)
    checkout = git.open_repository(Path.cwd())
    promotion = promotion_file.read_promotion(promotion_file.place(config), checkout)
    one = named(promotion.environments, environment, config)
    now = clock.now().replace(microsecond=0)
    ends = hold.parse_until(until, now)
    context = runner.context()
    asked = rollback.Asked(
        environment=one.name,
        model=promotion.model,
        version=rollback.parse_version(version, promotion.model),
        reason=rollback.one_line(reason),
        by=rollback.decided(by, person.who(checkout)),
        run=context.run,
        digest=_digest(if_image),
    )
    place = Place.of(checkout)
    with (
        opened_overlays(
            promotion, checkout, token, ssh_key, deploy_branch, known_hosts, with_pulls=True
        ) as overlays,
        runner.group(f"Rolling back {one.name}"),
    ):
        attempts = Attempts(
            Past(overlays, one),
            asked,
            since=now,
            until=ends,
            server_url=place.server_url,
            api=overlays.pulls.api,
            verifications=Verifications(_statuses(place, source_token)),
        )
        result = git.until_won(attempts.once, f"rollback of {one.name}")
    # The deployment is what counts. Its stage says so, as soon as the model's server takes a tag.
    assigned = stage.assign(checkout, promotion, one, result)
    runner.write_outputs(
        {
            "operation": assigned.operation or result.operation,
            "version": result.version,
            "from": result.previous,
            "image": result.image.reference,
            "commit": result.commit,
            "pull-request": result.pull_request,
        }
    )
    runner.write_summary(summary.markdown(asked, result, assigned))
    runner.say(summary.text(asked, result, assigned))


def _digest(image: str) -> str:
    """Return the digest of `name@digest`; empty for no image. Raises InputError."""
    digest = image.partition("@")[2]
    if image and not is_digest(digest):
        raise InputError.of(
            "if-image", image, "it is no image with a digest",
            fix="if-image: ${{ needs.wait.outputs.image }}, the output `image` of verify-deployment",
        )  # fmt: skip
    return digest


def _statuses(place: Place, token: str) -> Client | None:
    """Return the API that is asked for commit statuses; None without a token, or for a bare folder."""
    if not token or not is_slug(place.repository):
        return None
    return Client(place.repository, token, api_url=place.api_url, patience=HURRIED)
