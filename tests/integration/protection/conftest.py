"""A stand-in with both repositories of a flow, held to GitHub's description of its API."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from protect_world import DEPLOY, MODEL, TEMPLATES, Run, guard, runner, serve

from model_gitops import __main__ as program
from model_gitops.adapters import process
from model_gitops_local.forge import Forge
from model_gitops_local.forge.openapi import strict_forge
from model_gitops_local.forge.state import Guard


@pytest.fixture(scope="session")
def bares(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Both templates as bare repositories, with the branches of their environments."""
    top = tmp_path_factory.mktemp("protected")
    made = {}
    for name, template, branches in (
        (MODEL, "model", ["main", "staging", "production"]),
        (DEPLOY, "deploy", ["main"]),
    ):
        work, bare = top / template, top / f"{template}.git"
        shutil.copytree(TEMPLATES / template, work)
        for name_of_file in ("audit", "experiment", "report-fork", "stages"):
            # They judge nothing, and reading them takes most of the time of a test.
            (work / f".github/workflows/{name_of_file}.yml").unlink(missing_ok=True)
        git = ["git", "-C", work, "-c", "user.name=t", "-c", "user.email=t@t"]
        process.run(["git", "init", "--quiet", "--initial-branch=main", work])
        process.run([*git, "add", "--force", "."])
        process.run([*git, "commit", "--quiet", "--message=start"])
        process.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", bare])
        process.run(
            [*git, "push", "--quiet", bare, *(f"main:refs/heads/{one}" for one in branches)]
        )
        made[name] = bare
    return made


@pytest.fixture
def forge(tmp_path: Path, bares: dict[str, Path]) -> Iterator[Forge]:
    with strict_forge(tmp_path / "forge") as made:
        serve(made, bares)
        yield made


@pytest.fixture
def run(forge: Forge, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(forge, monkeypatch, capsys)


@pytest.fixture(scope="module")
def protected(tmp_path_factory: pytest.TempPathFactory, bares: dict[str, Path]) -> Iterator[Forge]:
    """A stand-in with both repositories protected once, for tests that loosen a setting."""
    with Forge(tmp_path_factory.mktemp("protect") / "forge") as made:
        serve(made, bares)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("GITHUB_SERVER_URL", made.url)
            patch.setenv("GITHUB_API_URL", made.api_url)
            patch.setenv("MODEL_GITOPS_TOKEN", "admin")
            words = ["protect", MODEL, "--yes", "--deployer", "app:deployer"]
            assert program.main(words) == 0
        yield made


@pytest.fixture
def settled(protected: Forge) -> Iterator[Forge]:
    """The same, put back as it was after the test."""
    before = {name: json.dumps(vars(guard(protected, name))) for name in (MODEL, DEPLOY)}
    yield protected
    for name, text in before.items():
        found = protected.state.find(name)
        assert found is not None
        found.guard = Guard(**json.loads(text))
