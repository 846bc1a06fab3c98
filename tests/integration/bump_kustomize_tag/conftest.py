"""A deploy repository, a model repository, a step and the stand-in for GitHub."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from bump_step import (
    BOT,
    CANARY,
    DEPLOY,
    KUSTOMIZATION,
    OVERLAY,
    POD,
    READER,
    Step,
    Work,
    repository,
)

from model_gitops_local.forge import Forge
from model_gitops_local.forge.openapi import strict_forge


@pytest.fixture
def deploy(tmp_path: Path) -> Work:
    work = repository(tmp_path, "deploy")
    work.commit(
        {
            "base/kustomization.yaml": "resources: [pod.yaml]\n",
            "base/pod.yaml": POD,
            f"{OVERLAY}/kustomization.yaml": KUSTOMIZATION,
        },
        "first",
    )
    return work


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Work:
    """The model repository; its checkout is where the step runs."""
    work = repository(tmp_path, "source")
    work.commit({"model.py": "1\n"}, "first")
    monkeypatch.chdir(work.git.directory)
    return work


@pytest.fixture(autouse=True)
def clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("GITHUB_", "MODEL_GITOPS_", "GIT_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))


@pytest.fixture
def step(monkeypatch: pytest.MonkeyPatch, deploy: Work) -> Step:
    return Step(monkeypatch, deploy)


@pytest.fixture
def forge(tmp_path: Path, deploy: Work, monkeypatch: pytest.MonkeyPatch) -> Iterator[Forge]:
    with strict_forge(tmp_path / "forge") as made:
        made.add_repository(DEPLOY, deploy.remote)
        made.add_token(BOT, "deployer[bot]")
        made.add_token(READER, "github-actions[bot]", {"contents": "read", "pull-requests": "read"})
        made.add_token(CANARY, "deployer[bot]", {"contents": "write", "pull-requests": "read"})
        monkeypatch.setenv("GITHUB_SERVER_URL", made.url)
        monkeypatch.setenv("GITHUB_API_URL", made.api_url)
        yield made
