"""Refuse a candidate that is worse than what its target runs."""

from __future__ import annotations

from typing import Annotated

from model_gitops.options import (
    Config,
    DeployBranch,
    DeployKey,
    DeployToken,
    DvcRemote,
    DvcRemoteConfig,
    KnownHosts,
    option,
)

OUTPUTS = ("passed", "table")


def command(
    config: Config = "promotion.yaml",
    baseline: Annotated[
        str,
        option(
            "baseline",
            "What to compare with: a version, name#stage or Git revision. Default: what the target"
            " environment runs.",
        ),
    ] = "",
    candidate: Annotated[
        str, option("candidate", "What to judge, likewise. Default: the commit checked out.")
    ] = "",
    environment: Annotated[
        str,
        option(
            "environment",
            "With `flow: trunk`, the later environment that is promoted to: the champion is what it runs.",
        ),
    ] = "",
    measured_text: Annotated[
        str, option("measured", "What compare-models measured, for rules with `measured: true`.")
    ] = "",
    deploy_branch: DeployBranch = "",
    token: DeployToken = "",
    ssh_key: DeployKey = "",
    known_hosts: KnownHosts = "",
    remote: DvcRemote = "",
    remote_config: DvcRemoteConfig = "",
) -> None:
    """Judge each rule of the gate, show all verdicts, and refuse if one says no."""
    # The rest is imported only when it runs: `--help` needs none of it.
    from model_gitops.actions.gate_metrics import judge

    judge.run(
        config=config,
        baseline=baseline,
        candidate=candidate,
        environment=environment,
        measured_text=measured_text,
        deploy_branch=deploy_branch,
        token=token,
        ssh_key=ssh_key,
        known_hosts=known_hosts,
        remote=remote,
        remote_config=remote_config,
    )
