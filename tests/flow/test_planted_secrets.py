"""The templates' secrets, planted in the demo's runs: in nothing that these leave but what says so."""

from __future__ import annotations

import base64
import gzip
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from canaries import forms, unpacked

from model_gitops_local.demo import Demo
from model_gitops_local.flow import DEPLOY, MODEL, SECRETS, secrets_of


def names_in(content: bytes, tokens: dict[str, str]) -> set[str]:
    content = unpacked(content)
    return {name for name, token in tokens.items() if any(form in content for form in forms(token))}


@pytest.fixture(scope="session")
def planted(demo: Demo) -> dict[str, str]:
    return {name: demo.flow.tokens[name] for name in ("GITHUB_TOKEN", *SECRETS)}


def test_the_search_finds_what_is_there(planted: dict[str, str]) -> None:
    for name, token in planted.items():
        for text in (token, base64.b64encode(f"x-access-token:{token}".encode()).decode()):
            assert names_in(text.encode(), planted) == {name}
            assert names_in(gzip.compress(text.encode()), planted) == {name}


def test_no_log_tells_them(demo: Demo, planted: dict[str, str]) -> None:
    logs = sorted((demo.flow.root / "runs").glob("*.log"))
    ran = {re.sub(r"^\d+-", "", log.stem) for log in logs}
    assert ran >= {"experiment", "promote", "deploy"}
    assert {log.name: names_in(log.read_bytes(), planted) for log in logs} == {
        log.name: set() for log in logs
    }


def test_what_writes_the_deploy_repository_reaches_jobs_of_an_environment_only(demo: Demo) -> None:
    workflows = demo.flow.bare(MODEL)
    entered = [
        name
        for name in workflows.run("ls-tree", "--name-only", "main:.github/workflows").split()
        if "DEPLOY_TOKEN"
        in secrets_of(workflows.file_at("main", f".github/workflows/{name}") or "")
    ]
    assert entered == [
        "components.yml",
        "deploy.yml",
        "hold.yml",
        "kubeflow.yml",
        "rollback.yml",
    ]


def test_a_checkout_keeps_the_token_that_it_was_checked_out_with_and_no_other(
    checkouts: list[tuple[str, bytes]], demo: Demo, planted: dict[str, str]
) -> None:
    found = {place: names for place, content in checkouts if (names := names_in(content, planted))}
    # actions/checkout itself writes these, with `persist-credentials: true`; so does its stand-in.
    assert {place.split("/", 1)[1] for place in found} == {".git/config"}
    for place, names in found.items():
        assert names == {"COMMIT_TOKEN" if "-experiment/" in place else "GITHUB_TOKEN"}
    for place, content in checkouts:
        if place.endswith("/.git/config"):
            assert content.count(b"extraheader") == 1


@pytest.mark.parametrize("repository", [MODEL, DEPLOY])
def test_no_object_of_a_repository_holds_them(
    repository: str, demo: Demo, planted: dict[str, str]
) -> None:
    everything = "".join(_objects(demo, repository))
    known = {MODEL: "Reproduce the pipeline", DEPLOY: "Deploy diabetes"}[repository]
    assert known in everything, "the search reads what it should"
    assert names_in(everything.encode(), planted) == set()


def _objects(demo: Demo, repository: str) -> Iterator[str]:
    bare = demo.flow.bare(repository)
    yield bare.run("log", "--all", "--patch", "--text", "--format=raw")
    yield bare.run("for-each-ref", "--format=%(refname) %(contents)")


def test_no_comment_or_pull_request_tells_them(demo: Demo, planted: dict[str, str]) -> None:
    assert demo.flow.comments(1)
    for number in range(1, 5):
        for body in demo.flow.comments(number):
            assert names_in(body.encode(), planted) == set()


def test_no_image_and_no_model_holds_them(
    demo: Demo, machine_state: Path, planted: dict[str, str]
) -> None:
    looked = 0
    for folder in (machine_state / "registry" / "images", demo.flow.root / "remote"):
        for path in folder.rglob("*"):
            # The base image's layers are larger; nothing of a run is in them.
            if path.is_file() and path.stat().st_size < 20_000_000:
                looked += 1
                assert names_in(path.read_bytes(), planted) == set(), path
    assert looked > 20
