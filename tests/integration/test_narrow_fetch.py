"""After a lost race only what came meanwhile is fetched, and all that is needed is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_gitops.adapters import process
from model_gitops.adapters.deploy_repository import DeployRepository, opened
from model_gitops.adapters.git import Git
from model_gitops.adapters.git_credentials import ANONYMOUS

APPLICATION = "clusters/eu/diabetes"
OVERLAY = f"{APPLICATION}/overlays/dev"
IMAGES = "resources: [../../base]\nimages:\n  - name: app\n    newTag: {}\n"


@pytest.fixture
def writer(tmp_path: Path) -> Git:
    """A clone of a deploy repository of some applications, each with a base and two overlays."""
    remote = tmp_path / "deploy.git"
    process.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", remote])
    process.run(["git", "config", "uploadpack.allowFilter", "true"], cwd=remote)
    process.run(["git", "clone", "--quiet", remote.as_uri(), tmp_path / "clone"])
    git = Git(tmp_path / "clone")
    git.run("config", "user.name", "Ada")
    git.run("config", "user.email", "ada@example.com")
    git.run("checkout", "--quiet", "-b", "main")
    for one in ("diabetes", "fraud", "other"):
        folder = f"clusters/eu/{one}"
        write(git, f"{folder}/base/kustomization.yaml", f"resources: [{one}.yaml]\n")
        write(git, f"{folder}/base/more/deep/{one}.yaml", f"name: {one}\n")
        for two in ("dev", "production"):
            write(git, f"{folder}/overlays/{two}/kustomization.yaml", IMAGES.format(one + two))
    push(git)
    return git


def write(git: Git, path: str, text: str) -> None:
    (git.directory / path).parent.mkdir(parents=True, exist_ok=True)
    (git.directory / path).write_text(text, encoding="utf-8")


def push(git: Git, *options: str) -> None:
    git.run("add", "--all")
    git.run("commit", "--quiet", "--allow-empty", "-m", "x")
    git.run("push", "--quiet", *options, "origin", "HEAD:refs/heads/main")


def change(git: Git, kind: str) -> None:
    folder = git.directory / APPLICATION
    match kind:
        case "our file":
            write(git, f"{OVERLAY}/kustomization.yaml", IMAGES.format("new"))
        case "elsewhere":
            write(git, "clusters/us/x/kustomization.yaml", IMAGES.format("x"))
        case "nothing":
            pass
        case "moved here":
            git.run("rm", "-r", "--quiet", APPLICATION)
            git.run("mv", "clusters/eu/fraud", str(folder))
        case "a part moved here":
            git.run("mv", "clusters/eu/fraud/base/more", f"{APPLICATION}/base/fraud")
        case "taken back":
            push(git)
            git.run("reset", "--quiet", "--hard", "HEAD~1")
            write(git, f"{OVERLAY}/kustomization.yaml", IMAGES.format("older"))
    push(git, "--force")


@pytest.mark.parametrize("kinds", [
    ["our file"], ["elsewhere"], ["nothing"], ["moved here"], ["a part moved here"], ["taken back"],
    ["our file", "moved here", "elsewhere", "nothing"],
])  # fmt: skip
def test_what_came_meanwhile_is_read_and_written_on(
    writer: Git, tmp_path: Path, kinds: list[str]
) -> None:
    remote = (tmp_path / "deploy.git").as_uri()
    with opened(remote, ANONYMOUS) as deploy:
        deploy.fetch_to_push("main", OVERLAY, "")
        for kind in kinds:
            change(writer, kind)
            tip = deploy.fetch_to_push("main", OVERLAY, "")
            assert tip == writer.commit_of("HEAD")
            assert (
                read(deploy, tip) == (writer.directory / OVERLAY / "kustomization.yaml").read_text()
            )
            # Nothing of the application is left to git, which has no credentials when it reads a tree.
            assert deploy._git.has_trees_below(f"{tip}:{APPLICATION}")
            files = deploy.listed(tip, [f"{APPLICATION}/base/kustomization.yaml"])
            assert len(files) == 1
        made = deploy.commit(tip, deploy.read_kustomization(tip, OVERLAY), message="made")
        deploy.push(made, "main")
    writer.run("fetch", "--quiet", "origin")
    assert writer.run("diff", "HEAD", "origin/main") == ""
    assert made == writer.commit_of("origin/main")


def read(deploy: DeployRepository, tip: str) -> str:
    return deploy.read_kustomization(tip, OVERLAY).text
