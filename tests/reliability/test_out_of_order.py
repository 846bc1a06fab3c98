"""Workflow runs that end in the wrong order: an older one never replaces a newer deployment."""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from model_gitops.__main__ import main
from model_gitops.adapters import process
from model_gitops.adapters.git import Git
from model_gitops.core.deploy import kustomization
from model_gitops.options import variable

FULL = os.environ.get("MODEL_GITOPS_RELIABILITY") == "full"
OVERLAY = "overlays/dev"
KUSTOMIZATION = "images:\n- name: app # ours\n  newTag: v0\n"

Numbers = Callable[[str], None]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("GITHUB_", "MODEL_GITOPS_", "GIT_")):
            monkeypatch.delenv(name)


class Team:
    """A model repository with some commits, and deploy repositories for it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, commits: int) -> None:
        self.folder, self.monkeypatch = folder, monkeypatch
        self.source = self._repository("model")
        self.shas = [self._commit(self.source, "model.py", f"{n}\n") for n in range(commits)]

    def _repository(self, name: str) -> Git:
        bare = self.folder / f"{name}.git"
        process.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", bare])
        process.run(["git", "clone", "--quiet", bare.as_uri(), self.folder / name])
        git = Git(self.folder / name)
        git.run("config", "user.name", "Ada")
        git.run("config", "user.email", "ada@example.com")
        return git

    def _commit(self, git: Git, path: str, text: str) -> str:
        file = git.directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        git.run("add", "--all")
        git.run("commit", "--quiet", "-m", "change")
        git.run("push", "--quiet", "origin", "HEAD:refs/heads/main")
        return git.run("rev-parse", "HEAD").strip()

    def deploy_repository(self, name: str) -> Path:
        self._commit(self._repository(name), f"{OVERLAY}/kustomization.yaml", KUSTOMIZATION)
        return self.folder / f"{name}.git"

    def deploy(self, bare: Path, number: int, *trailers: str) -> str:
        """Run the deployment of the model's commit `number`; return the operation."""
        output = self.folder / "output"
        output.unlink(missing_ok=True)
        sha = self.shas[number]
        lines = ["Source-Repository: acme/model", f"Source-Commit: {sha}", *trailers]
        inputs = {
            "repository": str(bare),
            "path": OVERLAY,
            "images": f"app=:{sha}@sha256:{number:064x}",
            "trailers": "\n".join(lines),
        }
        with self.monkeypatch.context() as patch:
            patch.chdir(self.source.directory)
            patch.setenv("GITHUB_OUTPUT", str(output))
            for name, value in inputs.items():
                patch.setenv(variable(name), value)
            assert main(["bump-kustomize-tag"]) == 0
        return output.read_text("utf-8").split("\n")[1]

    def running(self, bare: Path) -> int:
        """The number of the commit whose image the overlay has."""
        text = Git(bare).file_at("main", f"{OVERLAY}/kustomization.yaml")
        assert text is not None
        (image,) = kustomization.read(text, source="overlay")
        return self.shas.index(image.tag)


def orders(count: int) -> Sequence[tuple[int, ...]]:
    every = list(itertools.permutations(range(count)))
    return every if FULL else random.Random(4).sample(every, 4)


def test_in_every_order_the_newest_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, numbers: Numbers
) -> None:
    """Runs of four commits end in any order, and then each is run again."""
    team = Team(tmp_path, monkeypatch, 4)
    late = 0
    for at, order in enumerate(orders(4)):
        bare = team.deploy_repository(f"deploy{at}")
        newest = -1
        for number in order:
            expected = "pushed" if number > newest else "superseded"
            assert team.deploy(bare, number) == expected, order
            newest = max(newest, number)
            late += expected == "superseded"
            assert team.running(bare) == newest, order
        tip = Git(bare).run("rev-parse", "main")
        for number in order:
            assert team.deploy(bare, number) == ("none" if number == newest else "superseded")
            late += number != newest
        assert Git(bare).run("rev-parse", "main") == tip
    numbers(
        f"out of order: {late} late or repeated runs of older commits, 0 replaced a newer image"
    )


def test_a_rerun_is_no_rollback_and_a_rollback_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    team = Team(tmp_path, monkeypatch, 4)
    bare = team.deploy_repository("deploy")
    assert team.deploy(bare, 1) == "pushed"
    assert team.deploy(bare, 2) == "pushed"
    assert team.deploy(bare, 1) == "superseded"
    assert team.running(bare) == 2
    assert team.deploy(bare, 1, "Rollback: true") == "pushed"
    assert team.running(bare) == 1
    assert team.deploy(bare, 1, "Rollback: true") == "none"
    # What was taken back stays so when its workflow runs again, and what is older still is older.
    assert team.deploy(bare, 2) == "superseded"
    assert team.deploy(bare, 0) == "superseded"
    assert team.deploy(bare, 0, "Rollback: true") == "pushed"
    assert team.deploy(bare, 2) == "superseded"
    assert team.running(bare) == 0
    # Back to it on purpose, and then what comes after all.
    assert team.deploy(bare, 2, "Rollback: true") == "pushed"
    assert team.deploy(bare, 1) == "superseded"
    assert team.deploy(bare, 3) == "pushed"
    assert team.running(bare) == 3
