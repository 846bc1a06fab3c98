"""What a version's tag records of its model: the SHA-256 of the bytes that have DVC's MD5.

The last paragraph of the tag's message says both, so a record needs nothing but its tag:

    Model-Hash: 79054025255fb1a26e4bc422aef54eb4
    Model-SHA256: 8d12236e5c4ed9f4e790db4d868fd5c399df267e18ff65c1107c328228cffc98
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from model_gitops.core.gto import tags
from model_gitops.errors import RefusedError

_HASH = re.compile(r"Model-Hash: ([0-9a-f]{32}(?:\.dir)?)")
_SHA256 = re.compile(r"Model-SHA256: ([0-9a-f]{64})")
_KEYS = ("Model-Hash:", "Model-SHA256:")


@dataclass(frozen=True)
class Expected:
    """The SHA-256 that a model must have, and who says so. Both are empty where nobody does.

    `tag` is empty where an input says so.
    """

    sha256: str = ""
    tag: str = ""


def add(message: str, model_hash: str, sha256: str) -> str:
    """Return the message of a version's tag with the record as its last paragraph.

    Without `sha256` nothing is recorded. A line of the message that looks like a part of a record
    is set in by a space: the text may be a commit's, which anybody wrote.
    """
    text = "\n".join(
        f" {line}" if line.startswith(_KEYS) else line
        for line in message.strip().replace("\r\n", "\n").replace("\r", "\n").split("\n")
    )
    return f"{text}\n\nModel-Hash: {model_hash}\nModel-SHA256: {sha256}" if sha256 else text


def read(body: str) -> tuple[str, str] | None:
    """Read the record (DVC's MD5, SHA-256) of a tag's message, its first paragraph left out.

    Anybody who may push a tag writes one. Whatever is not of the very form is no record: each key
    once, in the last paragraph, on one line, in lowercase.
    """
    last = body.rstrip("\n").rpartition("\n\n")[2].split("\n")
    hashes, sums = ([line for line in last if line.startswith(key)] for key in _KEYS)
    if len(hashes) != 1 or len(sums) != 1:
        return None
    found = _HASH.fullmatch(hashes[0]), _SHA256.fullmatch(sums[0])
    return (found[0][1], found[1][1]) if found[0] and found[1] else None


def expected(bodies: Mapping[str, str], model_hash: str) -> Expected:
    """Return what version tags record for the MD5 `model_hash`. `bodies`: tag's name → body.

    A version that was taken back counts too: the bytes are what they were. Raises RefusedError
    where two tags say different things.
    """
    known: Expected | None = None
    for tag, body in bodies.items():
        parsed, record = tags.parse(tag), read(body)
        if record is None or record[0] != model_hash or not parsed or parsed.action != "register":
            continue
        if known and known.sha256 != record[1]:
            raise RefusedError(
                f"two tags record different files with the MD5 {model_hash}: {known.tag} the"
                f" SHA-256 {known.sha256}, and {tag} the SHA-256 {record[1]}",
                fix="find out which file was tested (`sha256sum` where the model was trained), and"
                f" delete the other tag: git push --delete origin '{known.tag}' (or '{tag}')."
                " dvc-pull-model's input `sha256` says it for one run",
            )
        known = known or Expected(record[1], tag)
    return known or Expected()


def check(wanted: Expected, subject: str, model_hash: str, sha256: str) -> None:
    """Refuse a model whose SHA-256 is not the wanted one. Raises RefusedError.

    `subject` says in the message which file it is: `what is at 'models/m.onnx'`.
    """
    if wanted.sha256 in ("", sha256):
        return
    source = f"{wanted.tag} recorded" if wanted.tag else "the input `sha256` gives"
    mend = f"delete the tag: git push --delete origin '{wanted.tag}'"
    raise RefusedError(
        f"{subject} has the MD5 {model_hash} and the SHA-256 {sha256}, and not the SHA-256"
        f" {wanted.sha256} that {source}: it is another file with the same MD5",
        fix="find out which file was tested (`sha256sum` where the model was trained). If it is the"
        f" other one, delete this file where it lies: DVC replaces no object of the same MD5. If it"
        f" is this one, {mend if wanted.tag else 'correct `sha256`'}",
    )
