"""The model's artifact that a deploy commit says: what the registry has of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from model_gitops.adapters.registry_client import unanswered
from model_gitops.adapters.tracing.image_registry import ImageRegistry
from model_gitops.adapters.tracing.signatures import Signatures
from model_gitops.core.image.names import registry_host
from model_gitops.core.lineage.artifact import sha256_of
from model_gitops.core.lineage.facts import Deployed, ModelArtifact
from model_gitops.errors import ExternalError


@dataclass(frozen=True)
class ModelArtifacts:
    """Asks the registry, as `images` and `signatures` do."""

    images: ImageRegistry
    signatures: Signatures

    def of(self, deployed: Deployed) -> ModelArtifact | None:
        """Return what there is of the artifact; None where the deploy commit says none.

        Raises ExternalError where the registry can't be asked, and `images` is not tolerant.
        """
        promotion = self.signatures.promotion
        found = ModelArtifact(deployed.says("model-artifact", promotion.model))
        name, _, digest = found.reference.partition("@")
        if not digest:
            return None
        if name != promotion.artifact:
            # Whoever edits a deploy commit must not choose the server that hears our login.
            return replace(found, problem="only the artifact of promotion.yaml is asked for")
        if why := self.images.silent.get(registry_host(name)):
            return replace(found, problem=why)
        try:
            manifest = self.images.client.manifest_of(name, digest)
            if manifest is None:
                return replace(found, found=False)
            signed = self.signatures.of_artifact(
                found.reference, deployed.says("model-hash", promotion.model)
            )
        except ExternalError as error:
            if not self.images.tolerant:
                raise
            return replace(found, problem=unanswered(error))
        sha256 = sha256_of(manifest)
        return replace(found, found=True, sha256=sha256, signature=signed)
