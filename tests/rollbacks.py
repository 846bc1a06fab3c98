"""An incident: dev and production run a second version, over a first one that was good."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from promotion_world import PROMOTION, Flow, _bare, _flow, read_outputs, served, start
from world import DEPLOY, HASHES, MODEL, TOKEN, Told, api

from model_gitops.adapters.git import Git
from model_gitops_local.forge import Forge

FIRST, SECOND, THIRD = (f"sha256:{digit * 64}" for digit in "123")
BRANCHES = {"dev": "main", "staging": "staging", "production": "production"}


class Incident(Flow):
    """A flow with short words for what people do in an incident."""

    @property
    def deploy_git(self) -> Git:
        return Git(_bare(self.top, DEPLOY))

    @property
    def model_git(self) -> Git:
        return Git(_bare(self.top, MODEL))

    def rollback(self, environment: str, code: int = 0, **inputs: str) -> dict[str, str]:
        """Run the action; return its outputs, with what it printed as `log`."""
        file = self.top / "outputs"
        file.unlink(missing_ok=True)
        env, self.env = self.env, {**self.env, "GITHUB_OUTPUT": str(file)}
        told = self.run("rollback", **{"environment": environment, "token": TOKEN, **inputs})
        self.env = env
        assert told.code == code, told.log
        found = read_outputs(file.read_text("utf-8")) if file.exists() else {}
        return {**found, "log": told.log}

    def bring(self, environment: str, number: int, **more: str) -> Told:
        """Merge a new version, and deploy it: `number` is that of its digest, and of the version."""
        branch, model = BRANCHES[environment], ("better", "worse")[(number + 1) % 2]
        files = {**self.files(model, 50 + number), "notes.md": f"{environment} {number}\n"}
        commit = self.change(branch, files, branch)
        self.run(
            "gto-register-stage", model="diabetes", stage=environment, version=f"v0.0.{number}"
        )
        return self.again(environment, number, commit, **more)

    def again(self, environment: str, number: int, commit: str, **more: str) -> Told:
        """Run the deploy job of a commit."""
        model = ("better", "worse")[(number + 1) % 2]
        return self.deploy(
            environment, commit, f"sha256:{str(number) * 64}",
            version=f"v0.0.{number}", model_hash=HASHES[model], **more,
        )  # fmt: skip

    def overlay(self, environment: str, file: str = "kustomization.yaml") -> str:
        return self.deploy_git.file_at("main", f"overlays/{environment}/{file}") or ""

    def digest(self, environment: str) -> str:
        return (re.findall(r"digest: (\S+)", self.overlay(environment)) or [""])[0]

    def stage(self, environment: str) -> str:
        """The version that the newest tag of the stage names, as the server has it."""
        names = self.model_git.run(
            "for-each-ref", "--format=%(refname:strip=2) %(*objectname)", "refs/tags"
        )
        pairs = dict(line.split(" ") for line in names.splitlines())
        counted = [one for one in pairs if one.startswith(f"diabetes#{environment}#")]
        newest = max(counted, key=lambda one: int(one.rpartition("#")[2]))
        at = [one for one in pairs if "@" in one and pairs[one] == pairs[newest]]
        return at[0].partition("@")[2] if at else pairs[newest]

    def source(self, environment: str) -> str:
        """The commit whose version runs."""
        return self.deploy_git.run("log", "-1", "--format=%(trailers:key=Source-Commit,valueonly)",
                                   "main", "--", f"overlays/{environment}/kustomization.yaml").strip()  # fmt: skip

    def source_of(self, environment: str, digest: str) -> str:
        """The commit that a digest was deployed from."""
        log = ["log", "-1", "--format=%(trailers:key=Source-Commit,valueonly)", f"--grep={digest}"]
        path = f"overlays/{environment}/kustomization.yaml"
        return self.deploy_git.run(*log, "main", "--", path).strip()

    def clone_of_deploy(self) -> Git:
        """The deploy repository, for a person."""
        git = Git(self.top / "deploy")
        git.run("fetch", "--quiet", "origin")
        git.run("checkout", "--quiet", "--detach", "origin/main")
        return git

    def release(self, environment: str) -> None:
        """Remove the hold, as a person does who may write the deploy repository."""
        git = self.clone_of_deploy()
        (git.directory / f"overlays/{environment}/hold.yaml").unlink()
        self.commit(git, {}, "main", "Release")

    def last_message(self) -> str:
        return self.deploy_git.run("log", "-1", "--format=%B", "main")

    def merge_waiting(self, method: str = "merge") -> None:
        for pull in self.waiting():
            api(DEPLOY, self).get_pull(pull.number).merge(merge_method=method)


def play(top: Path, forge: Forge) -> None:
    one = start(top, forge, Incident)
    assert isinstance(one, Incident)
    rules = json.loads(json.dumps(PROMOTION))
    rules["environments"][-1]["deploy"] = "pull-request"
    one.set_rules(**rules)
    for environment in ("dev", "production"):
        for number in (1, 2):
            one.bring(environment, number)
        assert one.digest(environment) == SECOND


@contextmanager
def resumed(kept: tuple[Path, str], tmp_path: Path) -> Iterator[Incident]:
    top, before = kept
    for place in (_bare(top, MODEL), _bare(top, DEPLOY), top / "work", top / "deploy"):
        shutil.copytree(place, tmp_path / place.name, symlinks=True)
    with served(tmp_path) as forge:
        for clone in ("work", "deploy"):
            config = tmp_path / clone / ".git" / "config"
            config.write_text(config.read_text("utf-8").replace(before, forge.url), "utf-8")
        made: Any = _flow(tmp_path, forge, Incident)
        yield made


@pytest.fixture(scope="session")
def kept_incident(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], tuple[Path, str]]:
    """Play it once, when somebody asks for it."""
    made: list[tuple[Path, str]] = []

    def get() -> tuple[Path, str]:
        if not made:
            top = tmp_path_factory.mktemp("incident")
            with served(top) as forge:
                play(top, forge)
                made.append((top, forge.url))
        return made[0]

    return get


@pytest.fixture
def incident(tmp_path: Path, kept_incident: Callable[[], tuple[Path, str]]) -> Iterator[Incident]:
    """A copy for one test."""
    with resumed(kept_incident(), tmp_path) as made:
        yield made
