"""What buildx says of an image in a registry."""

from __future__ import annotations

import pytest

from model_gitops.core.image.published import (
    Published,
    digest_said,
    manifests_of,
    published,
)
from model_gitops.errors import ExternalError

DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64


def test_the_digest_is_read_from_buildx() -> None:
    assert digest_said(f"Name: a\nDigest:    {DIGEST}\n  Digest: {OTHER}\n") == DIGEST
    assert digest_said("Name: a\n") == ""


def test_published_reads_one_platform_and_many() -> None:
    config = {"config": {"Labels": {"a": "1"}}, "architecture": "amd64"}
    one = {"manifest": {"digest": DIGEST}, "image": config}
    platforms = {"linux/amd64": config, "linux/arm64": {"config": {"Labels": {"a": "1", "b": "2"}}}}
    many = {"manifest": {"digest": DIGEST}, "image": platforms}
    assert published(one) == published(many) == Published(DIGEST, {"a": "1"})
    # A label that one platform says otherwise says nothing of the image.
    platforms["linux/arm64"] = {"config": {"Labels": {"a": "2"}}}
    assert published(many) == Published(DIGEST)
    assert published({**many, "image": {**platforms, "linux/arm64": {}}}).labels == {}
    for wrong in ({"manifest": {}}, {"manifest": None}, None, []):
        with pytest.raises(ExternalError):
            published(wrong)


def test_manifests_leave_out_attestations() -> None:
    attestation = {
        "digest": OTHER,
        "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
    }
    assert manifests_of({"manifests": [{"digest": DIGEST}, attestation]}) == [DIGEST]
    assert manifests_of({"config": {"digest": DIGEST}}) == []
