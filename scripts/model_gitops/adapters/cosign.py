"""cosign: signs an image in its registry, and says whether a signature holds."""

from __future__ import annotations

import os
import random
import re
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from model_gitops.adapters import process
from model_gitops.core import retry
from model_gitops.core.image import faults, signature
from model_gitops.core.image.signature import Signer
from model_gitops.errors import ExternalError, InputError

# Older ones of version 3 lose annotations, or do not compare them.
_OLDEST = (3, 1, 3)
_FIX = (
    f"put cosign {'.'.join(map(str, _OLDEST))} or newer on the runner's PATH: the distribution's package, its"
    " release, or a step sigstore/cosign-installer before this one"
)
# What cosign asks the runner's issuer for an identity with.
_IDENTITY_URL, _IDENTITY_TOKEN = "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
# Of cosign's own process: nothing secret, and no key, stands in its arguments.
_PRIVATE, _PUBLIC = "MODEL_GITOPS_PRIVATE_KEY", "MODEL_GITOPS_PUBLIC_KEY"
_ATTEMPTS = 3
_ANSWER_SECONDS: float = 300


@dataclass(frozen=True)
class KeyPair:
    """A private key as `cosign generate-key-pair` writes it, and the password that it asks for."""

    private: str = field(repr=False)
    password: str = field(repr=False)

    @property
    def env(self) -> dict[str, str]:
        """The variables that one process of cosign gets."""
        return {_PRIVATE: self.private, "COSIGN_PASSWORD": self.password}


def identity_variables() -> dict[str, str]:
    """Return what a job that may ask for an identity token has. Raises InputError for another one."""
    found = {name: os.environ.get(name, "") for name in (_IDENTITY_URL, _IDENTITY_TOKEN)}
    if not all(found.values()):
        raise InputError.of(
            "sign", "keyless", "this job may not ask for an identity token",
            fix="permissions: {id-token: write} in the job; a server that issues none needs `sign: key`",
        )  # fmt: skip
    return found


@dataclass(frozen=True)
class Cosign:
    """The program, for one step.

    `env` says where docker's configuration is, in a folder that is removed with the step; what cosign
    keeps goes beside it. `say` gets a message that tells progress.
    """

    program: str
    env: Mapping[str, str]
    say: Callable[[str], None] = print

    @classmethod
    def find(cls, env: Mapping[str, str], say: Callable[[str], None]) -> Cosign:
        """Return cosign as it is on PATH. Raises ExternalError where there is none, or an older one."""
        program = shutil.which("cosign")
        if program is None:
            raise ExternalError("the program `cosign` is not on this machine", fix=_FIX)
        said = process.run([program, "version", "--json"], check=False, timeout=60).stdout
        version = re.search(r'"gitVersion":\s*"v?(\d+)\.(\d+)\.(\d+)', said)
        if version is None or tuple(map(int, version.groups())) < _OLDEST:
            shown = ".".join(version.groups()) if version else "it tells no version"
            raise ExternalError(f"this cosign is older than v3.1.3: {shown}", fix=_FIX)
        # The account's cache of trusted roots may be what another job left there.
        cache = {"TUF_ROOT": os.environ.get("TUF_ROOT") or str(_beside(env) / "sigstore")}
        return cls(program, {**env, **cache}, say)

    def public_key(self, pair: KeyPair) -> str:
        """Return the public key, PEM. Raises InputError where the password does not open the key."""
        words = ["public-key", f"--key=env://{_PRIVATE}"]
        done = self._run(*words, env=pair.env)
        if done.returncode != 0 or not signature.is_public_key(done.stdout):
            said = _last(done)
            password = "decrypt" in said
            raise InputError(
                f"inputs `signing-key` and `signing-password`: cosign can't read the key: {said}",
                fix="signing-password: the one that `cosign generate-key-pair` was given"
                if password
                else "signing-key: the content of cosign.key, as `cosign generate-key-pair` wrote it",
            )
        return done.stdout

    def sign(
        self,
        references: Sequence[str],
        facts: Mapping[str, str],
        by: KeyPair | Mapping[str, str],
    ) -> None:
        """Sign each `name@digest`, with `facts`, by a key or with the variables of an identity.

        A key's signature is kept in the registry alone: no service hears of it. Raises ExternalError
        with the fix.
        """
        words = ["sign", "--yes", *_options(facts)]
        if isinstance(by, KeyPair):
            words += [f"--key=env://{_PRIVATE}", *self._without_services()]
            env: Mapping[str, str] = by.env
        else:
            env = by
        done = self._again(*words, "--", *references, env=env)
        if done.returncode != 0:
            raise _failure(done, references[0])

    def problem_of(self, reference: str, by: Signer, facts: Mapping[str, str]) -> str:
        """Return why `name@digest` has no signature by that signer with these facts; "" if it has one.

        Raises ExternalError where the registry can't be asked.
        """
        words = ["verify", *_options(facts)]
        env = {}
        if by.key:
            # Nobody logs such a signature, so there is no log to ask.
            words += [f"--key=env://{_PUBLIC}", "--insecure-ignore-tlog=true"]
            env = {_PUBLIC: by.key}
        else:
            words += [
                f"--certificate-identity={by.identity}",
                f"--certificate-oidc-issuer={by.issuer}",
            ]
        done = self._again(*words, "--", reference, env=env)
        # Said by cosign's words alone: those of a success speak of a log that was not asked.
        found = signature.problem(done.returncode, _said(done))
        if found is None:
            raise _failure(done, reference)
        return found

    def _without_services(self) -> list[str]:
        """Return the options that let cosign ask no certificate authority, log or clock."""
        folder, options = _beside(self.env), []
        for option in ("signing-config", "trusted-root"):
            file = folder / f"{option}.json"
            if not file.exists():
                done = self._run(option, "create", f"--out={file}")
                if done.returncode != 0:
                    raise process.ProcessError(done)
            options.append(f"--{option}={file}")
        return options

    def _run(self, *words: str, env: Mapping[str, str] | None = None) -> process.Completed:
        given = {**self.env, **(env or {})}
        return process.run([self.program, *words], env=given, check=False, timeout=_ANSWER_SECONDS)

    def _again(self, *words: str, env: Mapping[str, str]) -> process.Completed:
        """Run cosign against a registry, again after faults that may pass."""
        for attempt in range(_ATTEMPTS):
            done = self._run(*words, env=env)
            passing = faults.is_transient(_said(done)) and not faults.is_not_found(_said(done))
            if done.returncode == 0 or not passing or attempt + 1 == _ATTEMPTS:
                break
            self.say(f"the registry did not answer ({_last(done)}): trying again")
            time.sleep(retry.pause(attempt + 1, random.random()))  # noqa: S311 - jitter
        return done


def _beside(env: Mapping[str, str]) -> Path:
    return Path(env["DOCKER_CONFIG"]).parent


def _options(facts: Mapping[str, str]) -> list[str]:
    return [f"--annotations={key}={value}" for key, value in facts.items()]


def _said(done: process.Completed) -> str:
    """Return what cosign said, less the names that it was asked about."""
    return faults.without_names(done.stderr, (word for word in done.args if "@" in word))


def _failure(done: process.Completed, reference: str) -> ExternalError:
    fix = faults.registry_fix(reference.partition("@")[0], _said(done))
    return ExternalError(f"`cosign {done.args[1]}` failed for {reference}: {_last(done)}", fix=fix)


def _last(done: process.Completed) -> str:
    lines = done.stderr.strip().splitlines()
    return lines[-1].removeprefix("error during command execution: ")[:300] if lines else "nothing"
