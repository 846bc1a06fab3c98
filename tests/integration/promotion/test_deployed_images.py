"""Which image was deployed with a fingerprint: the deploy repository's own commits tell, no others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from deploys import Deploys, message, overlay
from promotion_world import Flow
from world import READER

from model_gitops.adapters.deploy_repository import opened
from model_gitops.adapters.git_credentials import ANONYMOUS, token_credentials

if TYPE_CHECKING:
    from conftest import Flow

IMAGE = "registry.example/acme/diabetes"
A, B, C = (f"sha256:{letter * 64}" for letter in "abc")
OURS, OTHER = "1" * 40, "2" * 40
FOLDERS = ("overlays/dev", "overlays/staging")


@pytest.fixture
def deploys(tmp_path: Path) -> Deploys:
    return Deploys(tmp_path, IMAGE)


def found(deploys: Deploys, fingerprint: str = OURS, folders: Sequence[str] = FOLDERS) -> str:
    with opened(deploys.bare.as_uri(), ANONYMOUS) as repository:
        return repository.image_of("main", fingerprint, IMAGE, folders)


def test_what_was_deployed_is_found_by_its_fingerprint(deploys: Deploys) -> None:
    assert found(deploys) == ""
    deploys.deploy(f"{IMAGE}:v1@{A}", OURS)
    assert (found(deploys), found(deploys, OTHER)) == (A, "")
    # The overlay moved on since, and the content comes back.
    deploys.deploy(f"{IMAGE}:v2@{B}", OTHER)
    assert (found(deploys), found(deploys, OTHER)) == (A, B)
    # The same content built anew: the newest is taken, from whichever environment.
    deploys.deploy(f"{IMAGE}:v3@{C}", OURS, "staging")
    assert found(deploys) == C
    assert found(deploys, folders=["overlays/dev"]) == A
    assert found(deploys, folders=["overlays/nowhere"]) == ""


def test_a_commit_that_no_deployed_branch_has_says_nothing(deploys: Deploys) -> None:
    planted = {"dev": overlay(IMAGE, "v1", A)}
    deploys.commit(planted, message(OURS, A), branch="model-gitops/bump-never-merged")
    assert found(deploys) == ""
    # Merged, it does.
    deploys.clone.run("push", "--quiet", "origin", "HEAD:refs/heads/main")
    assert found(deploys) == A


@pytest.mark.parametrize(
    ("overlays", "said"),
    [
        ({"dev": overlay("registry.example/acme/other", "v1", A)}, message(OURS, A)),
        ({"dev": overlay(IMAGE, "v1", B)}, message(OURS, A)),
        ({"dev": overlay(IMAGE, "v1")}, message(OURS, A)),
        ({"other-team": overlay(IMAGE, "v1", A)}, message(OURS, A)),
        ({"dev": overlay(IMAGE, "v1", A)}, message(OURS, A, B)),
        ({"dev": overlay(IMAGE, "v1", A)}, message(OURS)),
        ({"dev": overlay(IMAGE, "v1", A)}, f"Deploy\n\nFingerprint: {OURS}\nImage-Digest: {A}"),
        ({"dev": "images: {no: list}\n"}, message(OURS, A)),
    ],
    ids=["other name", "other digest", "no digest", "other overlay", "two digests", "none", "other key", "odd file"],
)  # fmt: skip
def test_trailers_alone_say_nothing(deploys: Deploys, overlays: dict[str, str], said: str) -> None:
    deploys.commit(overlays, said)
    assert found(deploys) == ""


def test_a_commit_that_did_not_set_the_image_says_nothing_of_it(deploys: Deploys) -> None:
    deploys.commit({"dev": overlay(IMAGE, "v1", A)}, "By hand")
    deploys.commit({}, message(OURS, A))
    assert found(deploys) == ""
    deploys.commit({"dev": overlay(IMAGE, "v2", A)}, message(OURS, A))
    assert found(deploys) == A


def test_of_several_images_in_one_commit_each_has_its_own(deploys: Deploys) -> None:
    both = (
        overlay(IMAGE, "v1", A)
        + overlay("registry.example/acme/b", "v1", B, "b").partition("\n")[2]
    )
    deploys.commit(
        {"dev": both}, f"{message(OTHER, B)}\nImage-Fingerprint: {OURS}\nImage-Digest: {A}"
    )
    assert (found(deploys), found(deploys, OTHER)) == (A, "")


def test_a_squashed_pull_request_and_a_merged_one_count(deploys: Deploys) -> None:
    git = deploys.clone
    start = git.run("rev-parse", "HEAD").strip()
    deploys.commit({"dev": overlay(IMAGE, "v1", A)}, message(OURS, A), branch="a")
    git.run("checkout", "--quiet", "--detach", start)
    deploys.commit({}, "Something else")
    git.run("merge", "--quiet", "--no-ff", "-m", "Merge pull request #1", "origin/a")
    git.run("push", "--quiet", "origin", "HEAD:refs/heads/main")
    squashed = f"Deploy (#2)\n\n* Deploy\n\n{message(OTHER, B)}\n\n---------\n\nCo-authored-by: Grace <g@x>"
    deploys.commit({"dev": overlay(IMAGE, "v2", B)}, squashed)
    assert (found(deploys), found(deploys, OTHER)) == (A, B)


def test_over_http_what_is_left_out_comes_with_the_token(flow: Flow) -> None:
    commit = flow.change("main", flow.files("better", 60))
    flow.deploy("dev", commit, A, trailers=f"Image-Fingerprint: {OURS}")
    flow.deploy(
        "dev", flow.change("main", {"more": "1"}), B, trailers=f"Image-Fingerprint: {OTHER}"
    )
    url = f"{flow.forge.url}/acme/deploy.git"
    with opened(url, token_credentials(url, READER)) as repository:
        assert repository.image_of("main", OURS, IMAGE, FOLDERS) == A
