"""The signatures of what is deployed, where promotion.yaml says who must have signed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from model_gitops.adapters import docker
from model_gitops.adapters.cosign import Cosign
from model_gitops.adapters.registry_client import with_fix
from model_gitops.core.flow.promotion import Promotion
from model_gitops.core.image import signature
from model_gitops.core.image.names import registry_host
from model_gitops.core.lineage.facts import Deployed, Signed
from model_gitops.errors import ExternalError, InputError


@dataclass(frozen=True)
class Signatures:
    """Asks cosign, with docker's login. A `tolerant` one leaves out what can't be asked, and says why.

    `silent` says by host why it can't be asked.
    """

    promotion: Promotion
    client: docker.Docker
    tolerant: bool = False
    silent: Mapping[str, str] = field(default_factory=dict)

    def of(self, deployed: Deployed, unasked: dict[str, str]) -> Signed | None:
        """Return what the signature of the deployed image says; None where promotion.yaml demands none.

        None also where nobody can be asked: `unasked` then says why, for the end `signature`. Raises
        ExternalError for that where we are not tolerant.
        """
        signer, model = self.promotion.signatures, self.promotion.model
        if signer is None:
            return None
        if deployed.name != self.promotion.image:
            # Whoever edits an overlay must not choose the server that hears our login.
            unasked["signature"] = "only the image of promotion.yaml is asked for"
            return None
        try:
            facts = signature.demanded(
                tag=deployed.image.tag,
                model=model,
                model_hash=deployed.says("model-hash", model),
                fingerprint=deployed.says("image-fingerprint", model),
            )
        except InputError as error:
            return Signed(signer.name, problem=error.message)
        if why := self.silent.get(registry_host(deployed.name)):
            unasked["signature"] = why
            return None
        said = signature.shown(facts)
        if not deployed.image.digest:
            return Signed(signer.name, said, problem="a tag alone has no signature")
        try:
            cosign = Cosign.find(self.client.env, self.client.say)
            problem = cosign.problem_of(f"{deployed.name}@{deployed.image.digest}", signer, facts)
        except ExternalError as error:
            if not self.tolerant:
                raise
            unasked["signature"] = f"it can't be asked for: {with_fix(error)}"
            return None
        return Signed(signer.name, said, problem)

    def of_artifact(self, reference: str, model_hash: str) -> Signed | None:
        """Return what the signature of the model's artifact says; None where promotion.yaml demands none.

        Raises ExternalError where nobody can be asked.
        """
        signer = self.promotion.signatures
        if signer is None:
            return None
        try:
            facts = signature.demanded(
                tag="", model=self.promotion.model, model_hash=model_hash, fingerprint=""
            )
        except InputError as error:
            return Signed(signer.name, problem=error.message)
        problem = Cosign.find(self.client.env, self.client.say).problem_of(reference, signer, facts)
        return Signed(signer.name, signature.shown(facts), problem)
