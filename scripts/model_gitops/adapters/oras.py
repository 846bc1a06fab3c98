"""oras: carries an artifact to a registry, and asks which digest a tag names."""

from __future__ import annotations

import json
import random
import re
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from model_gitops.adapters import process
from model_gitops.core import retry
from model_gitops.core.deploy.location import is_loopback
from model_gitops.core.image import faults
from model_gitops.core.image.modelpack import MANIFEST_TYPE, Artifact, File
from model_gitops.core.image.names import is_digest, registry_host
from model_gitops.errors import ExternalError

_OLDEST = (1, 3)
_FIX = (
    "put oras 1.3 or newer on the runner's PATH: the distribution's package, its release, or a step"
    " oras-project/setup-oras before this one"
)
_ATTEMPTS = 3
_ANSWER_SECONDS: float = 120
# The longest job of GitHub's own runners: how fast a model is uploaded nobody knows, and oras shows no progress.
_TRANSFER_SECONDS: float = 6 * 3600


class TagTakenError(ExternalError):
    """A tag names another artifact, and the registry does not let it move."""


@dataclass(frozen=True)
class Oras:
    """The program, for one step; `env` says where docker's configuration is, with the login.

    `say` gets a message that tells progress.
    """

    program: str
    env: Mapping[str, str]
    say: Callable[[str], None] = print

    @classmethod
    def find(cls, env: Mapping[str, str], say: Callable[[str], None]) -> Oras:
        """Return oras as it is on PATH. Raises ExternalError where there is none, or an older one."""
        program = shutil.which("oras")
        if program is None:
            raise ExternalError("the program `oras` is not on this machine", fix=_FIX)
        said = process.run([program, "version"], check=False, timeout=60).stdout
        version = re.search(r"^Version:\s*v?(\d+)\.(\d+)", said, re.MULTILINE)
        if version is None or tuple(map(int, version.groups())) < _OLDEST:
            shown = ".".join(version.groups()) if version else "it tells no version"
            raise ExternalError(f"this oras is older than v1.3: {shown}", fix=_FIX)
        # A cache that outlives the job may hold what another job left there.
        return cls(program, {**env, "ORAS_CACHE": ""}, say)

    def digest_of(self, reference: str) -> str:
        """Return the digest that the registry has under `reference`; "" for none, or where it is hidden.

        Many registries say `denied` for what does not exist; the push then tells the truth. Raises
        ExternalError where the registry can't be asked.
        """
        done = self._again("manifest", "fetch", "--descriptor", *_plain(reference), "--", reference)
        said = _said(done)
        if done.returncode == 0:
            try:
                found = json.loads(done.stdout).get("digest")
            except (ValueError, AttributeError):
                found = None
            if is_digest(found):
                return str(found)
            raise ExternalError(f"oras gave no digest for {reference}")
        if faults.is_not_found(said) or (faults.is_denied(said) and not faults.is_transient(said)):
            return ""
        raise _failure(done, reference)

    def push(self, name: str, artifact: Artifact, files: Mapping[File, Path], folder: Path) -> None:
        """Push the artifact to the repository `name`, without a tag; what is there is not sent again.

        The files are read where they are, by links in `folder`, which must be empty. Raises ExternalError.
        """
        _lay_out(folder, artifact, files)
        plain = ["--to-plain-http"] if _plain(name) else []
        source = f"{folder}@{artifact.digest}"
        done = self._again(
            "cp",
            "--no-tty",
            "--from-oci-layout",
            *plain,
            "--",
            source,
            name,
            seconds=_TRANSFER_SECONDS,
        )
        if done.returncode != 0:
            raise _failure(done, name)

    def tag(self, name: str, digest: str, tag: str) -> None:
        """Let a tag name `name@digest`. Raises TagTakenError, ExternalError."""
        done = self._again("tag", *_plain(name), "--", f"{name}@{digest}", tag)
        if done.returncode != 0:
            raise _failure(done, f"{name}:{tag}")

    def _again(self, *words: str, seconds: float = _ANSWER_SECONDS) -> process.Completed:
        """Run oras, again after faults that may pass."""
        for attempt in range(_ATTEMPTS):
            done = process.run([self.program, *words], env=self.env, check=False, timeout=seconds)
            passing = faults.is_transient(_said(done)) and not faults.is_not_found(_said(done))
            if done.returncode == 0 or not passing or attempt + 1 == _ATTEMPTS:
                break
            self.say(f"the registry did not answer ({_last(done)}): trying again")
            step = attempt + (5 if faults.is_limited(_said(done)) else 1)
            time.sleep(retry.pause(step, random.random()))  # noqa: S311 - jitter
        return done


def _lay_out(folder: Path, artifact: Artifact, files: Mapping[File, Path]) -> None:
    """Make `folder` an OCI image layout of the artifact, whose layers are links: nothing large is copied."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    for file, place in files.items():
        link = blobs / file.sha256
        if not link.is_symlink():  # two files may have one content
            link.symlink_to(place.resolve())
    for digest, data in (
        (artifact.digest, artifact.manifest),
        (json.loads(artifact.manifest)["config"]["digest"], artifact.config),
    ):
        (blobs / digest.partition(":")[2]).write_bytes(data)
    entry = {"mediaType": MANIFEST_TYPE, "digest": artifact.digest, "size": len(artifact.manifest)}
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}', encoding="ascii")
    index = {"schemaVersion": 2, "manifests": [entry]}
    (folder / "index.json").write_text(json.dumps(index), encoding="ascii")


def _plain(reference: str) -> list[str]:
    """Return the option for a registry that is reached without TLS: one of this machine alone."""
    return ["--plain-http"] if is_loopback(registry_host(reference)) else []


def _said(done: process.Completed) -> str:
    """Return what oras said, less the names that it was asked about."""
    return faults.without_names(
        done.stderr, (word for word in done.args if not word.startswith("-"))
    )


def _failure(done: process.Completed, name: str) -> ExternalError:
    said = _said(done)
    kind = TagTakenError if faults.is_immutable(said) else ExternalError
    fix = faults.registry_fix(name.partition("@")[0], said)
    return kind(f"`oras {done.args[1]}` failed for {name}: {_last(done)}", fix=fix)


def _last(done: process.Completed) -> str:
    lines = [one for one in done.stderr.strip().splitlines() if one.strip()]
    errors = [one for one in lines if one.startswith("Error")]
    return (errors or lines or ["it said nothing"])[0][:300]
