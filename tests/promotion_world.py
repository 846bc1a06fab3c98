"""A model repository and its deploy repository on a forge, and the jobs that run on them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from world import DEPLOY, ENVIRONMENTS, MODEL, READER, TOKEN, World

from model_gitops.adapters import process
from model_gitops_local.forge import Forge
from model_gitops_local.forge.openapi import strict_forge

DIGEST = "sha256:" + "1" * 64
PROMOTION: dict[str, Any] = {
    "model": "diabetes",
    "image": "registry.example/acme/diabetes",
    "deploy": {"repository": DEPLOY},
    "environments": [{"name": name, "branch": branch} for name, branch in ENVIRONMENTS.items()],
    "gate": [{"metric": "metrics.json:r2", "better": "higher", "tolerance": 0.01}],
}


class Flow(World):
    """A world with short words for a pull request and a push, as the runner tells them."""

    @property
    def image(self) -> str:
        return str(PROMOTION["image"])

    def event(self, name: str, **event: Any) -> None:
        file = self.top / "event.json"
        file.write_text(json.dumps(event), encoding="utf-8")
        self.env |= {"GITHUB_EVENT_NAME": name, "GITHUB_EVENT_PATH": str(file)}

    def pull_request(self, head: str, base: str) -> None:
        """The job of a pull request, its head checked out."""
        self.work.run("checkout", "--quiet", "--detach", self.sha(head))
        own = {"full_name": MODEL}
        self.event(
            "pull_request",
            pull_request={
                "number": 1,
                "head": {"ref": head, "sha": self.sha(head), "repo": own},
                "base": {"ref": base, "sha": self.sha(base), "repo": own},
            },
        )
        self.env |= {"GITHUB_SHA": self.sha(head), "GITHUB_REF": "refs/pull/1/merge"}

    def pull_request_checked_out(self, head: str) -> None:
        """Check out the head again, the event being as it was."""
        self.work.run("checkout", "--quiet", "--detach", self.sha(head))

    def push(self, branch: str) -> None:
        """The job of a push, the pushed commit checked out."""
        self.work.run("checkout", "--quiet", "--detach", self.sha(branch))
        before = self.work.commit_of(f"{self.sha(branch)}~1") or "0" * 40
        self.event("push", before=before)
        self.env |= {"GITHUB_SHA": self.sha(branch), "GITHUB_REF": f"refs/heads/{branch}"}

    def sha(self, branch: str) -> str:
        self.work.run("fetch", "--quiet", "origin")
        return self.work.run("rev-parse", f"origin/{branch}").strip()

    def change(self, branch: str, files: dict[str, str], start: str = "main") -> str:
        """Commit `files` on a branch that starts where `start` is."""
        self.work.run("checkout", "--quiet", "--detach", self.sha(start))
        return self.commit(self.work, files, branch)

    def set_rules(self, **changes: Any) -> None:
        """Write promotion.yaml on all branches of environments, as merged pull requests would."""
        for branch in reversed(ENVIRONMENTS.values()):
            self.change(branch, {"promotion.yaml": json.dumps(PROMOTION | changes)}, branch)

    def outputs(self, action: str, **inputs: str) -> dict[str, str]:
        """Run an action that ends well, and return its outputs."""
        file = self.top / "outputs"
        file.unlink(missing_ok=True)
        self.env["GITHUB_OUTPUT"] = str(file)
        told = self.run(action, **{"token": READER, **inputs})
        del self.env["GITHUB_OUTPUT"]
        assert told.code == 0, told.log
        return read_outputs(file.read_text("utf-8"))


def read_outputs(text: str) -> dict[str, str]:
    found, lines = {}, iter(text.splitlines())
    for line in lines:
        name, _, end = line.partition("<<")
        value = []
        while (part := next(lines)) != end:
            value.append(part)
        found[name] = "\n".join(value)
    return found


@contextmanager
def served(tmp_path: Path) -> Iterator[Forge]:
    """Serve both repositories, empty where they are new, to those who work on them."""
    with strict_forge(tmp_path / "forge") as forge:
        for name in (MODEL, DEPLOY):
            bare = _bare(tmp_path, name)
            if not bare.exists():
                process.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", bare])
            forge.add_repository(name, bare)
        forge.add_token(TOKEN, "ada")
        forge.add_token("second-token", "grace")
        forge.add_token(READER, "reader", {"contents": "read", "pull_requests": "read"})
        yield forge


def _bare(folder: Path, name: str) -> Path:
    return folder / f"{name.replace('/', '-')}.git"


@pytest.fixture(scope="session")
def copy_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Path], str]:
    """Copy a flow's repositories to a folder, and return the address that its clones know.

    A flow is made once: "started" has no deployment, in "deployed" dev runs the better model.
    """
    made: dict[str, tuple[Path, str]] = {}

    def make(kind: str) -> tuple[Path, str]:
        top = tmp_path_factory.mktemp(kind)
        with served(top) as forge:
            flow = start(top, forge)
            if kind == "deployed":
                flow.deploy("dev", flow.change("main", flow.files("better", 60)), DIGEST)
            return top, forge.url

    def copy(kind: str, folder: Path) -> str:
        if kind not in made:
            made[kind] = make(kind)
        top, address = made[kind]
        for place in (_bare(top, MODEL), _bare(top, DEPLOY), top / "work", top / "deploy"):
            shutil.copytree(place, folder / place.name, symlinks=True)
        return address

    return copy


@contextmanager
def _resumed(copy_of: Callable[[str, Path], str], kind: str, tmp_path: Path) -> Iterator[Flow]:
    before = copy_of(kind, tmp_path)
    with served(tmp_path) as forge:
        for clone in ("work", "deploy"):
            config = tmp_path / clone / ".git" / "config"
            config.write_text(config.read_text("utf-8").replace(before, forge.url), "utf-8")
        yield _flow(tmp_path, forge)


@pytest.fixture
def flow(tmp_path: Path, copy_of: Callable[[str, Path], str]) -> Iterator[Flow]:
    """Nothing is deployed yet."""
    with _resumed(copy_of, "started", tmp_path) as made:
        yield made


@pytest.fixture
def deployed(tmp_path: Path, copy_of: Callable[[str, Path], str]) -> Iterator[Flow]:
    """The better model on main, and running in dev."""
    with _resumed(copy_of, "deployed", tmp_path) as made:
        yield made


def _flow(
    tmp_path: Path, forge: Forge, kind: type[Flow] = Flow, registry: str = "registry.example"
) -> Flow:
    env = {
        "GITHUB_SERVER_URL": forge.url,
        "GITHUB_API_URL": forge.api_url,
        "GITHUB_REPOSITORY": MODEL,
    }
    return kind(tmp_path, registry, forge, env)


def start(
    tmp_path: Path, forge: Forge, kind: type[Flow] = Flow, registry: str = "registry.example"
) -> Flow:
    """Return a flow on the forge: the model repository's branches, and overlays that set nothing."""
    flow = _flow(tmp_path, forge, kind, registry)
    overlays = {
        f"overlays/{name}/kustomization.yaml": "images:\n- name: diabetes\n"
        f"  newName: {flow.image}\n  newTag: not-deployed-yet\n"
        for name in ENVIRONMENTS
    }
    flow.commit(flow.clone(DEPLOY, "deploy"), overlays, "main")
    work = flow.clone(MODEL, "work")
    first = flow.commit(work, {"promotion.yaml": json.dumps(PROMOTION)}, "main")
    for branch in ("staging", "production"):
        work.run("push", "--quiet", "origin", f"{first}:refs/heads/{branch}")
    return flow
