"""Train with the images of an overlay, and say whether that ended well."""

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

OUTPUTS = ("operation", "state", "run", "url", "images", "commit", "reason")


def command(
    environment: Annotated[
        str, option("environment", "The environment whose training overlay is meant.")
    ] = "",
    operation: Annotated[
        str,
        option(
            "operation",
            "`run`: find or start the run of the overlay's images, and wait for its end. `check`: only say"
            " whether there is evidence.",
        ),
    ] = "run",
    again: Annotated[
        bool,
        flag("again", "Whether a run that ended badly is no answer, and another one is started."),
    ] = False,
    timeout: Annotated[
        str, option("timeout", "How long the run's end is waited for, for example 2h.")
    ] = "1h",
    parameters: Annotated[
        str,
        option(
            "parameters",
            "Lines `name=value`: parameters of a run that is started. `revision` is the commit that the"
            " images are of, where it is not given.",
        ),
    ] = "",
    argo_server: Annotated[
        str, option("argo-server", "Address of Argo Server, which runs the pipeline.")
    ] = "",
    argo_token: Annotated[
        str, secret("argo-token", "Token of a ServiceAccount, for Argo Server.")
    ] = "",
    argo_authority: Annotated[
        str,
        option(
            "argo-authority",
            "Certificate of the authority that signed Argo Server's, as PEM. Default: the machine's.",
        ),
    ] = "",
    kubeconfig: Annotated[
        str,
        secret(
            "kubeconfig",
            "Text of a kubeconfig: Argo's resources are read and made by Kubernetes' API.",
        ),
    ] = "",
    kubeflow_server: Annotated[
        str, option("kubeflow-server", "Address of Kubeflow Pipelines, where `engine` is kubeflow.")
    ] = "",
    kubeflow_token: Annotated[
        str, secret("kubeflow-token", "Token of a ServiceAccount or user, for Kubeflow Pipelines.")
    ] = "",
    kubeflow_authority: Annotated[
        str,
        option(
            "kubeflow-authority",
            "Certificate of the authority that signed Kubeflow's, as PEM. Default: the machine's.",
        ),
    ] = "",
    kubeflow_package: Annotated[
        str,
        option(
            "kubeflow-package",
            "File of the compiled pipeline that a run is started of: `make pipeline` writes it.",
        ),
    ] = "",
    namespace: Annotated[
        str,
        option("namespace", "The namespace of the runs. Default: the one of promotion.yaml."),
    ] = "",
    writer: Annotated[
        str,
        option(
            "writer",
            "For `check` without an engine: the login that must have written the commit status. Default:"
            " anybody who may write the repository.",
        ),
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
            "Token that may write this repository's commit statuses; for `check`, read. Without one none is"
            " written.",
        ),
    ] = "",
) -> None:
    """Find or start the run, wait, and write the commit status; or only look."""
    # The rest is imported only when it runs: `--help` needs none of it.
    from model_gitops import runner
    from model_gitops.actions.run_training import steps
    from model_gitops.actions.run_training.inputs import Inputs

    # `argo auth token` prints it with the word.
    argo_token = argo_token.removeprefix("Bearer ")
    for one in (argo_token, kubeconfig, kubeflow_token, token, ssh_key, source_token):
        runner.mask(one)
    steps.run(
        Inputs.of(
            environment=environment,
            operation=operation,
            again=again,
            timeout=timeout,
            parameters=parameters,
            argo_server=argo_server,
            argo_token=argo_token,
            argo_authority=argo_authority,
            kubeconfig=kubeconfig,
            kubeflow_server=kubeflow_server,
            kubeflow_token=kubeflow_token,
            kubeflow_authority=kubeflow_authority,
            kubeflow_package=kubeflow_package,
            namespace=namespace,
            writer=writer,
            config=config,
            deploy_branch=deploy_branch,
            token=token,
            ssh_key=ssh_key,
            known_hosts=known_hosts,
            source_token=source_token,
        )
    )
