"""What asks for a signature says how, or the step ends before anything is built."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest
import yaml

from model_gitops.adapters.signing import read as read_signing
from model_gitops.core.flow import promotion
from model_gitops.errors import InputError

ROOT = Path(__file__).parents[2]

KEY = "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\neyJr\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n"
IDENTITY = {
    "ACTIONS_ID_TOKEN_REQUEST_URL": "https://token.example/?x=1",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "canary",
}


@pytest.fixture(autouse=True)
def _no_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in IDENTITY:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("given", "says", "fix"),
    [
        (("yes", "", "", True), "neither `key` nor `keyless`", "sign: key"),
        (("key", "", "", True), "`signing-key` is empty", "secrets.COSIGN_KEY"),
        (("key", "cosign.key", "", True), "is no key", "secrets.COSIGN_KEY"),
        (("key", KEY, "", False), "no image in the registry", "leave `sign` out"),
        (("", KEY, "", True), "would not be used", "sign: key"),
        (("", "", "password", True), "would not be used", "sign: key"),
        (("keyless", KEY, "", True), "would not be used", "sign: key"),
        (("keyless", "", "", True), "may not ask for an identity", "id-token: write"),
        (("keyless", "", "", False), "no image in the registry", "leave `sign` out"),
    ],
)
def test_half_a_wish_is_refused(given: tuple[str, str, str, bool], says: str, fix: str) -> None:
    sign, key, password, push = given
    with pytest.raises(InputError, match=says) as caught:
        read_signing(sign, key, password, push=push)
    assert fix in caught.value.fix
    assert "eyJr" not in str(caught.value)
    assert "cosign.key'" not in str(caught.value)


def test_nothing_is_signed_where_nobody_asks() -> None:
    found = read_signing("", "", "", push=True)
    assert (found.pair, found.identity) == (None, None)
    assert read_signing("", "", "", push=False) == found


def test_the_key_and_the_identity_are_shown_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    found = read_signing("key", KEY, "secret", push=True)
    assert found.pair is not None
    assert (found.pair.private, found.pair.password) == (KEY, "secret")
    for name, value in IDENTITY.items():
        monkeypatch.setenv(name, value)
    keyless = read_signing("keyless", "", "", push=True)
    assert (keyless.pair, keyless.identity) == (None, IDENTITY)
    for shown in (repr(found), repr(keyless)):
        assert not any(word in shown for word in ("eyJr", "secret", "canary"))


def test_the_page_of_signatures_shows_what_works() -> None:
    page = (ROOT / "docs" / "signatures.md").read_text("utf-8")
    key = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE"
    steps, rules = 0, 0
    for text in re.findall(r"(?ms)^ *```yaml\n(.*?)^ *```$", page.replace(f"{key}…", key)):
        shown = yaml.safe_load(textwrap.dedent(text))
        steps += len(shown) if isinstance(shown, list) else 0  # their inputs: test_pages.py
        if isinstance(shown, dict) and "signatures" in shown:
            start = {"model": "m", "image": "m", "environments": []}
            assert promotion.parse({**start, **shown}).signatures is not None
            rules += 1
    assert (steps, rules) == (3, 2)
