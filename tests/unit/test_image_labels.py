"""The labels that an image gets."""

from __future__ import annotations

from model_gitops.core.image.labels import labels
from model_gitops.core.lineage.facts import Stored


def test_labels_name_the_model_and_the_users_win() -> None:
    made = labels(
        name="ghcr.io/acme/diabetes", tag="t", revision="c0ffee", source="https://example.com/acme/m",
        model="diabetes", model_version="v1.2.3", model_hash="abc", fingerprint="f" * 40,
        smoke_test="5" * 64, own={"org.opencontainers.image.title": "Mine", "com.acme.team": "ml"},
    )  # fmt: skip
    assert made == {
        "org.opencontainers.image.title": "Mine",
        "org.opencontainers.image.version": "v1.2.3",
        "org.opencontainers.image.revision": "c0ffee",
        "org.opencontainers.image.source": "https://example.com/acme/m",
        "io.model-gitops.model.name": "diabetes",
        "io.model-gitops.model.version": "v1.2.3",
        "io.model-gitops.model.hash": "abc",
        "io.model-gitops.fingerprint": "f" * 40,
        "io.model-gitops.smoke-test": "5" * 64,
        "com.acme.team": "ml",
    }
    assert Stored("a", "t", "", "", made).fingerprint == "f" * 40
    assert Stored("a", "t", "", "").fingerprint == ""


def test_what_is_not_known_has_no_label() -> None:
    made = labels(
        name="a/b/app", tag="t", revision="", source="", model="", model_version="", model_hash="",
        fingerprint="", smoke_test="", own={"mine": ""},
    )  # fmt: skip
    assert made == {
        "org.opencontainers.image.title": "app",
        "org.opencontainers.image.version": "t",
        "mine": "",
    }
