"""The signature of what was pushed: made last, and nothing is put out without it where it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from model_gitops import runner
from model_gitops.adapters.cosign import Cosign, KeyPair, identity_variables
from model_gitops.core.image import signature
from model_gitops.core.image.signature import Signer
from model_gitops.errors import ExternalError, InputError

# Another job that signs the same image at the same moment may overwrite the list of its signatures.
_ATTEMPTS = 3
_GITHUB = "https://github.com"

# Signs each `name@digest` of the list, with facts that it says.
Sign = Callable[[Sequence[str], Mapping[str, str]], None]


@dataclass(frozen=True)
class Signing:
    """How to sign: `pair` is the key, None without one; `identity` the variables for an identity token.

    Nothing is signed where both are None.
    """

    pair: KeyPair | None = None
    identity: Mapping[str, str] | None = field(default=None, repr=False)

    def prepare(self, env: Mapping[str, str]) -> Sign | None:
        """Return what signs; None where nothing is to be signed.

        All that can be wrong with cosign or the key is found here. Raises InputError for a key that
        can't be opened, ExternalError where there is no cosign.
        """
        by = self.pair or self.identity
        if by is None:
            return None
        cosign = Cosign.find(env, runner.say)
        who = Signer(key=cosign.public_key(self.pair)) if self.pair else _own_identity()

        def sign(references: Sequence[str], facts: Mapping[str, str]) -> None:
            with runner.group(f"cosign: {references[0]}"):
                _sign(cosign, references, facts, by, who)

        return sign


def read(sign: str, key: str, password: str, *, push: bool = True) -> Signing:
    """Check the inputs `sign`, `signing-key` and `signing-password`. Raises InputError."""
    runner.mask(key)
    runner.mask(password)
    if sign not in ("", "key", "keyless"):
        raise InputError.of("sign", sign, "it is neither `key` nor `keyless`", fix="sign: key")
    if sign != "key" and (key or password):
        raise InputError.of(
            "sign", sign, "a key or its password is given, and would not be used", fix="sign: key"
        )
    if not sign:
        return Signing()
    if not push:
        raise InputError.of(
            "sign", sign, "with `push: false` there is no image in the registry to sign",
            fix="push: true, or leave `sign` out",
        )  # fmt: skip
    if sign == "keyless":
        return Signing(identity=identity_variables())
    if not key.strip().startswith("-----BEGIN "):
        raise InputError(
            "input `signing-key` is empty, and `sign` is 'key'"
            if not key.strip()
            else "input `signing-key` is no key: it does not start with -----BEGIN",
            fix="signing-key: ${{ secrets.COSIGN_KEY }}, the content of cosign.key, as a secret of the GitHub"
            " environment that the job names",
        )
    return Signing(KeyPair(key, password))


def _sign(
    cosign: Cosign,
    every: Sequence[str],
    facts: Mapping[str, str],
    by: KeyPair | Mapping[str, str],
    who: Signer | None,
) -> None:
    said = signature.shown(facts) or "nothing"
    missing = every
    for attempt in range(_ATTEMPTS):
        if who is not None:
            missing = [one for one in every if cosign.problem_of(one, who, facts)]
        if not missing:
            state = "signed" if attempt else "nothing is signed: it has a signature"
            runner.say(f"{state} by {who.name if who else 'this job'}, which says {said}")
            return
        cosign.sign(missing, facts, by)
        if who is None:
            runner.say(f"signed by this job's identity, which says {said}")
            return
    raise ExternalError(
        f"{', '.join(missing)} was signed, and the registry does not have the signature",
        fix="run the job again; where it stays so, does the registry let the tag sha256-… be written again?",
    )


def _own_identity() -> Signer | None:
    """Return this workflow as Sigstore's certificates name it; None where that is not known."""
    context = runner.context()
    if context.server_url != _GITHUB or not context.workflow_ref:
        return None
    return Signer(
        identity=f"{_GITHUB}/{context.workflow_ref}",
        issuer="https://token.actions.githubusercontent.com",
    )
