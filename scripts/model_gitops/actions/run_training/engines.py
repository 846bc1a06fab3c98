"""Which engine is asked: by promotion.yaml, and by the inputs that are given."""

from __future__ import annotations

from pathlib import Path

from model_gitops.actions.run_training.inputs import Inputs
from model_gitops.adapters.training_engines import Engine
from model_gitops.core.flow.training import Training
from model_gitops.errors import InputError


def opened(inputs: Inputs, training: Training) -> Engine | None:
    """Return the engine of the environment; None where no input says how it is reached. Raises InputError."""
    return _kubeflow(inputs, training) if training.engine == "kubeflow" else _argo(inputs, training)


def _argo(inputs: Inputs, training: Training) -> Engine | None:
    from model_gitops.adapters.training_engines.argo import ArgoKubernetes, ArgoServer

    namespace = inputs.namespace or training.namespace_in(inputs.environment)
    if inputs.argo_server:
        return ArgoServer(
            inputs.argo_server,
            inputs.argo_token,
            inputs.argo_authority,
            namespace,
            training.workflow,
        )
    if inputs.kubernetes:
        return ArgoKubernetes(inputs.kubernetes, namespace, training.workflow)
    return None


def _kubeflow(inputs: Inputs, training: Training) -> Engine | None:
    from model_gitops.adapters.training_engines.kubeflow import Kubeflow
    from model_gitops.core.training.kubeflow import package_of

    if not inputs.kubeflow_server:
        return None
    package = None
    if inputs.kubeflow_package:
        try:
            text = Path(inputs.kubeflow_package).read_text()
        except (OSError, ValueError) as error:
            raise InputError.of(
                "kubeflow-package", inputs.kubeflow_package, "there is no such text file",
                fix="make pipeline IMAGES=FOLDER, and kubeflow-package: pipeline/pipeline.yaml",
            ) from error  # fmt: skip
        package = package_of(text, inputs.kubeflow_package)
    elif inputs.operation == "run":
        raise InputError(
            "input `kubeflow-package` is empty, so there is no pipeline that a run could be started of",
            fix="make pipeline IMAGES=FOLDER, and kubeflow-package: pipeline/pipeline.yaml",
        )
    return Kubeflow(
        inputs.kubeflow_server, inputs.kubeflow_token, inputs.kubeflow_authority,
        inputs.namespace or training.namespace_in(inputs.environment),
        package if inputs.operation == "run" else None,  # without one it changes nothing
    )  # fmt: skip
