"""The signature of the image that was pushed or reused."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from model_gitops.actions.build_push_image.inputs import Inputs
from model_gitops.actions.build_push_image.job import Job, Result
from model_gitops.adapters.docker import Docker
from model_gitops.adapters.signing import Signing
from model_gitops.core.image import signature


def signer(client: Docker, given: Inputs, how: Signing) -> Callable[[Job, Result], None]:
    """Return what signs the result of the build; what can be wrong is found before anything is built.

    Raises as `Signing.prepare`, and InputError for facts that no signature can bind.
    """
    signs = how.prepare(client.env)
    if signs is None:
        return lambda job, result: None
    _facts(given, "")

    def sign(job: Job, result: Result) -> None:
        # A signature of an index is none of its images, and a cluster may ask for either.
        digests = (result.digest, *client.manifests(job.name, result.digest))
        signs([f"{job.name}@{one}" for one in digests], _facts(given, job.fingerprint))

    return sign


def _facts(given: Inputs, fingerprint: str) -> Mapping[str, str]:
    return signature.facts(
        commit=given.revision,
        model=given.model,
        model_hash=given.model_hash,
        fingerprint=fingerprint,
    )
