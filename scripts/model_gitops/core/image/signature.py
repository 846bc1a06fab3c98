"""A signature: which facts it binds to the image's digest, who must have made it, and if it holds."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from model_gitops.core.image.labels import FINGERPRINT_LABEL, MODEL_LABELS
from model_gitops.core.image.names import commit_of_tag
from model_gitops.errors import InputError

# The image's labels have the same keys, but for this one: a label says which commit built the image,
# the signature which commit released it. Of a reused image these are two.
COMMIT = "io.model-gitops.commit"
_PUBLIC_KEY = re.compile(
    r"-----BEGIN PUBLIC KEY-----\n([A-Za-z0-9+/=\n]+)\n-----END PUBLIC KEY-----\n?"
)
# cosign divides its option at commas, and reads quotes.
_VALUE = re.compile(r"[^\s,\"=]+")
# Of cosign's exit codes: no signature, no such image, none that matches, none with a certificate.
_UNSIGNED = (10, 11, 12, 13)


@dataclass(frozen=True)
class Signer:
    """Who signs: the owner of a key, or a workflow by the identity that its OIDC issuer gives it.

    `key` is the public key, PEM. Without one there are `identity` and `issuer`.
    """

    key: str = ""
    identity: str = ""
    issuer: str = ""

    @property
    def name(self) -> str:
        """The signer as messages have it."""
        if self.key:
            return f"the key {key_id(self.key)}"
        return f"{self.identity} (by {self.issuer})"


def is_public_key(text: str) -> bool:
    """Whether `text` is a public key as PEM."""
    return _der(text) != b""


def key_id(key: str) -> str:
    """Return what people tell public keys apart by: the start of the SHA-256 of its DER form."""
    return f"sha256:{hashlib.sha256(_der(key)).hexdigest()[:16]}"


def _der(text: str) -> bytes:
    """Return what is in a public key's PEM; nothing where it is none."""
    found = _PUBLIC_KEY.fullmatch(text)
    if found is None:
        return b""
    try:
        return base64.b64decode("".join(found[1].split("\n")), validate=True)
    except binascii.Error:
        return b""


def facts(*, commit: str, model: str, model_hash: str, fingerprint: str) -> Mapping[str, str]:
    """Return the facts that a signature binds to the digest; what is empty is left out.

    Raises InputError for a value that cosign would read as several.
    """
    found = {
        COMMIT: commit,
        f"{MODEL_LABELS}.name": model,
        f"{MODEL_LABELS}.hash": model_hash,
        FINGERPRINT_LABEL: fingerprint,
    }
    for key, value in found.items():
        if value and not _VALUE.fullmatch(value):
            raise InputError.of(
                key, value, "a signature can't bind it: it holds a space, comma, quote or `=`",
                fix="use letters, digits and - _ / . : in the model's name and hash",
            )  # fmt: skip
    return {key: value for key, value in found.items() if value}


def demanded(*, tag: str, model: str, model_hash: str, fingerprint: str) -> Mapping[str, str]:
    """Return the facts that the signature of a deployed image must say.

    The commit is what the image's tag names: a hop takes the tag over with the image, while each
    environment has a merge commit of its own. A tag that names none demands none.
    """
    return facts(
        commit=commit_of_tag(tag), model=model, model_hash=model_hash, fingerprint=fingerprint
    )


def problem(status: int, said: str) -> str | None:
    """Return what is wrong with a signature by cosign's answer; "" if it holds.

    None where the answer tells nothing of it: the registry was away, or refused.
    """
    if status == 0:
        return ""
    if "missing or incorrect annotation" in said:
        return "its signature was made for something else"
    if status in _UNSIGNED and "no signatures found" in said:
        return "it has no signature"
    if status in _UNSIGNED or re.search(r"no matching (?:attestations|signatures)", said):
        return "its signature is another signer's"
    return None


def shown(said: Mapping[str, str]) -> str:
    """Return facts as one line."""
    return ", ".join(f"{key}={value}" for key, value in said.items())
