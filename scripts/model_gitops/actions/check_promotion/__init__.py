"""Say whether this hop is allowed, and what it promotes."""

from __future__ import annotations

from typing import Annotated

from model_gitops.options import (
    Config,
    DeployBranch,
    DeployKey,
    DeployToken,
    KnownHosts,
    RegistryPassword,
    RegistryUser,
    option,
    secret,
)

OUTPUTS = (
    "environment",
    "stage",
    "model",
    "overlay-entry",
    "image",
    "deploy-repository",
    "deploy-path",
    "deploy-mode",
    "incumbent",
    "has-model",
    "new-branch",
    "model-hash",
    "promote-image",
    "promote-version",
    "promote-fingerprint",
    "promote-sha256",
    "artifact",
    "promote-artifact",
    "promote-commit",
    "dockerfile",
    "context",
    "target",
    "smoke-test",
    "build-contexts",
    "built-elsewhere",
    "push-candidates",
    "assign-stage",
    "rules-changed",
    "rules",
    "reviewers",
    "refusal",
)


def command(
    config: Config = "promotion.yaml",
    base_ref: Annotated[
        str, option("base-ref", "Branch that the change goes into. Default: from the event.")
    ] = "",
    head_ref: Annotated[
        str,
        option(
            "head-ref",
            "Branch that the change comes from, empty for a push. Default: from the event.",
        ),
    ] = "",
    environment: Annotated[
        str,
        option(
            "environment",
            "With `flow: trunk`, the later environment to promote to: it takes what the one before it runs.",
        ),
    ] = "",
    deploy_branch: DeployBranch = "",
    token: DeployToken = "",
    ssh_key: DeployKey = "",
    known_hosts: KnownHosts = "",
    username: RegistryUser = "",
    password: RegistryPassword = "",
    source_token: Annotated[
        str,
        secret(
            "source-token",
            "Token that may read this repository's commit statuses: where promotion.yaml asks for a"
            " verification of the environment before.",
        ),
    ] = "",
) -> None:
    """Read the rules of the base, refuse a hop that is not allowed, put out plain values."""
    # The rest is imported only when it runs: `--help` needs none of it.
    from model_gitops import runner
    from model_gitops.actions.check_promotion import decide
    from model_gitops.errors import RefusedError

    runner.mask(source_token)
    try:
        decide.run(
            config=config,
            base_ref=base_ref,
            head_ref=head_ref,
            environment=environment,
            deploy_branch=deploy_branch,
            token=token,
            ssh_key=ssh_key,
            known_hosts=known_hosts,
            username=username,
            password=password,
            source_token=source_token,
        )
    except RefusedError as error:
        # Who tells people must know a rule's no from a server that is away.
        runner.write_outputs({"refusal": error.message})
        raise
