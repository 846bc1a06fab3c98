"""Wait until a deployment runs, test it, and write a commit status."""

from __future__ import annotations

from typing import Annotated

from model_gitops.options import (
    Config,
    DeployBranch,
    DeployKey,
    DeployToken,
    KnownHosts,
    flag,
    option,
    secret,
)

OUTPUTS = (
    "verdict",
    "operation",
    "check",
    "reason",
    "rollback",
    "environment",
    "commit",
    "version",
    "image",
    "model",
    "results",
    "table",
    "report",
)


def command(
    environment: Annotated[
        str, option("environment", "The environment whose deployment is verified.")
    ] = "",
    part: Annotated[
        str,
        option(
            "part",
            "`all`, or one part for a job of its own: `wait` (reads the cluster), `check` (runs the"
            " project's code, and holds nothing) or `record` (writes the commit status).",
        ),
    ] = "all",
    again: Annotated[
        bool, flag("again", "Whether a deployment that was verified before is verified again.")
    ] = False,
    url: Annotated[
        str, option("url", "Address of the service. Default: the one of promotion.yaml.")
    ] = "",
    timeout: Annotated[
        str,
        option(
            "timeout",
            "How long the image may take to run, for example 10m. Default: promotion.yaml's.",
        ),
    ] = "",
    argocd_server: Annotated[
        str, option("argocd-server", "Address of Argo CD's API, which is asked what runs.")
    ] = "",
    argocd_token: Annotated[
        str, secret("argocd-token", "Token of Argo CD that may `get` the Application.")
    ] = "",
    argocd_application: Annotated[
        str,
        option(
            "argocd-application",
            "The Application. Default: the model's name, a dash, the environment's.",
        ),
    ] = "",
    kubeconfig: Annotated[
        str,
        secret(
            "kubeconfig",
            "Text of a kubeconfig whose user may `list` Pods: Kubernetes is asked what runs.",
        ),
    ] = "",
    namespace: Annotated[
        str,
        option(
            "namespace",
            "The namespace of the Pods. Default: the kubeconfig's, else the model's name, a dash, the"
            " environment's.",
        ),
    ] = "",
    results: Annotated[
        str, option("results", "For `check` and `record`: the output `results` of the part `wait`.")
    ] = "",
    checked: Annotated[
        str, option("checked", "For `record`: the output `results` of the part `check`.")
    ] = "",
    config: Config = "promotion.yaml",
    deploy_branch: DeployBranch = "",
    token: DeployToken = "",
    ssh_key: DeployKey = "",
    known_hosts: KnownHosts = "",
    source_token: Annotated[
        str,
        secret(
            "source-token",
            "Token that may write this repository's commit statuses. Without one none is written.",
        ),
    ] = "",
) -> None:
    """Wait, check and record, or one part of it."""
    # The rest is imported only when it runs: `--help` needs none of it.
    from model_gitops import runner
    from model_gitops.actions.verify_deployment import parts
    from model_gitops.actions.verify_deployment.inputs import Inputs

    for one in (argocd_token, kubeconfig, token, ssh_key, source_token):
        runner.mask(one)
    parts.run(
        Inputs.of(
            environment=environment,
            part=part,
            again=again,
            url=url,
            timeout=timeout,
            argocd_server=argocd_server,
            argocd_token=argocd_token,
            argocd_application=argocd_application,
            kubeconfig=kubeconfig,
            namespace=namespace,
            results=results,
            checked=checked,
            config=config,
            deploy_branch=deploy_branch,
            token=token,
            ssh_key=ssh_key,
            known_hosts=known_hosts,
            source_token=source_token,
        )
    )
