"""What a signature binds, whose it is, and what cosign's answers mean."""

from __future__ import annotations

import base64
import hashlib

import pytest

from model_gitops.core.image import signature
from model_gitops.core.image.signature import Signer
from model_gitops.errors import InputError

COMMIT, HASH, PRINT = "1" * 40, "c" * 32, "f" * 40
DER = b"a key as openssl pkey -outform DER writes it"
LINES = base64.b64encode(DER).decode()
KEY = f"-----BEGIN PUBLIC KEY-----\n{LINES[:20]}\n{LINES[20:]}\n-----END PUBLIC KEY-----\n"
FACTS = {
    "io.model-gitops.commit": COMMIT,
    "io.model-gitops.model.name": "diabetes",
    "io.model-gitops.model.hash": HASH,
    "io.model-gitops.fingerprint": PRINT,
}


def test_a_signature_binds_commit_model_and_content() -> None:
    given = {"commit": COMMIT, "model": "diabetes", "model_hash": HASH, "fingerprint": PRINT}
    assert signature.facts(**given) == FACTS
    # What is not known is not said, and so not demanded either.
    assert list(signature.facts(**{**given, "fingerprint": "", "commit": ""})) == [
        "io.model-gitops.model.name",
        "io.model-gitops.model.hash",
    ]


@pytest.mark.parametrize("value", ["a,io.model-gitops.commit=x", 'a"b', "a b", "a\nb", "a=b"])
def test_a_value_that_would_be_read_as_several_is_refused(value: str) -> None:
    with pytest.raises(InputError) as caught:
        signature.facts(commit=COMMIT, model=value, model_hash=HASH, fingerprint=PRINT)
    assert caught.value.message == (
        f"input `io.model-gitops.model.name` is {value!r}: a signature can't bind it: it holds a space,"
        " comma, quote or `=`"
    )
    assert caught.value.fix == "use letters, digits and - _ / . : in the model's name and hash"


@pytest.mark.parametrize(
    ("tag", "commit"),
    [
        (COMMIT, COMMIT),
        ("2" * 64, "2" * 64),
        # build-push-image's own, where the commit's tag is taken and does not move.
        (f"{COMMIT}-{'a' * 12}", COMMIT),
        ("v1.2.3", ""),
        ("", ""),
        (f"{COMMIT}-{'a' * 11}", ""),
        (f"x{COMMIT}", ""),
        ("1" * 41, ""),
    ],
)
def test_the_commit_that_is_demanded_is_the_tags(tag: str, commit: str) -> None:
    found = signature.demanded(tag=tag, model="m", model_hash=HASH, fingerprint=PRINT)
    assert found.get("io.model-gitops.commit", "") == commit
    assert found["io.model-gitops.model.name"] == "m"
    assert found["io.model-gitops.model.hash"] == HASH
    assert found["io.model-gitops.fingerprint"] == PRINT


def test_a_public_key_is_known_by_its_hash() -> None:
    assert signature.is_public_key(KEY)
    assert signature.is_public_key(KEY.rstrip("\n"))
    short = hashlib.sha256(DER).hexdigest()[:16]
    assert Signer(key=KEY).name == f"the key sha256:{short}"
    assert Signer(identity="https://a", issuer="https://b").name == "https://a (by https://b)"


@pytest.mark.parametrize(
    "text",
    ["", "cosign.pub", KEY.replace("PUBLIC", "PRIVATE"), KEY[:-5], KEY + "x", KEY.replace("\n", "\n!")],
)  # fmt: skip
def test_what_is_no_public_key(text: str) -> None:
    assert not signature.is_public_key(text)
    assert not signature.is_public_key(KEY.replace(LINES[20:], "a"))


# As cosign 3.1.3 says it, shortened: tests/integration/test_signatures.py has it say so.
NONE = "Error: no signatures found\nerror during command execution: no signatures found"
WRONG_KEY = "Error: no matching attestations: accepted signatures do not match threshold"
MOVED = "Error: no matching attestations: missing or incorrect annotation"
AWAY = 'Error: Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused'


@pytest.mark.parametrize(
    ("status", "said", "problem"),
    [
        (0, "The claims were present in the transparency log", ""),
        (10, NONE, "it has no signature"),
        (1, WRONG_KEY, "its signature is another signer's"),
        (12, "Error: no matching signatures: ", "its signature is another signer's"),
        (1, MOVED, "its signature was made for something else"),
        (12, MOVED, "its signature was made for something else"),
        (1, AWAY, None),
        (1, "UNAUTHORIZED: authentication required", None),
        (1, "no signatures found", None),
    ],
)
def test_cosigns_answers(status: int, said: str, problem: str | None) -> None:
    assert signature.problem(status, said) == problem


def test_facts_are_shown_on_one_line() -> None:
    assert signature.shown({"a": "b", "c": "d"}) == "a=b, c=d"
