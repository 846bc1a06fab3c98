"""Which engine is asked: by promotion.yaml, and by the inputs that are given."""

from __future__ import annotations

from model_gitops.actions.run_training.inputs import Inputs
from model_gitops.adapters.training_engines import Engine
from model_gitops.core.flow.training import Training
from model_gitops.errors import InputError


def opened(inputs: Inputs, training: Training) -> Engine | None:
    """Return the engine of the environment; None where no input says how it is reached. Raises InputError."""
    if training.engine == "argo":
        return _argo(inputs, training)
    raise InputError(
        f"promotion.yaml says `engine: {training.engine}`, and run-training can't ask it",
        fix="engine: argo",
    )


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
