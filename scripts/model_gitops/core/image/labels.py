"""The labels of an image: OCI's, and our own of the model, the content and the test."""

from __future__ import annotations

from collections.abc import Mapping

# Our own labels. Keys are in reverse DNS, as OCI asks of everybody but itself.
MODEL_LABELS = "io.model-gitops.model"
FINGERPRINT_LABEL = "io.model-gitops.fingerprint"
SMOKE_TEST_LABEL = "io.model-gitops.smoke-test"
REVISION_LABEL = "org.opencontainers.image.revision"


def labels(
    *,
    name: str,
    tag: str,
    revision: str,
    source: str,
    model: str,
    model_version: str,
    model_hash: str,
    fingerprint: str,
    smoke_test: str,
    own: Mapping[str, str],
) -> dict[str, str]:
    """Return an image's labels: OCI's, the model's, then the user's `own`, which win.

    There is no `created`: it would make each build of the same content another image.
    """
    ours = {
        "org.opencontainers.image.title": name.rpartition("/")[2],
        "org.opencontainers.image.version": model_version or tag,
        REVISION_LABEL: revision,
        "org.opencontainers.image.source": source,
        f"{MODEL_LABELS}.name": model,
        f"{MODEL_LABELS}.version": model_version,
        f"{MODEL_LABELS}.hash": model_hash,
        FINGERPRINT_LABEL: fingerprint,
        SMOKE_TEST_LABEL: smoke_test,
    }
    return {**{key: value for key, value in ours.items() if value}, **own}
