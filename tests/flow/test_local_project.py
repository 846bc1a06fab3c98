"""`local`: a project of one's own goes from an experiment to dev on this machine, before the first push."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from test_own_commands import own_shape
from world import push_image

from model_gitops.__main__ import main
from model_gitops.adapters.git import Git
from model_gitops_local.commands import local
from model_gitops_local.daemon import try_locked
from model_gitops_local.engine import Engine
from model_gitops_local.project import Project

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/how-to/local.md").read_text("utf-8")
# What the page says to type, in its order.
TYPED = [line.split()[3:] for line in PAGE.splitlines() if "run.sh local " in line]
IMAGE = "registry.example/acme/diabetes"
Local = Callable[..., tuple[int, str]]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Git:
    """What `init` makes, with the identity of a person."""
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "ada@example.org")
    monkeypatch.chdir(tmp_path)
    assert main(["init", "--name", "diabetes", "--owner", "acme", "--to", "diabetes"]) == 0
    return Git(tmp_path / "diabetes")


@pytest.fixture
def asked(project: Git, capfd: pytest.CaptureFixture[str]) -> Local:
    def run(*words: str) -> tuple[int, str]:
        capfd.readouterr()
        words = ("local", *words, "--repository", str(project.directory))
        code = main(words, local=lambda: local)
        told = capfd.readouterr()
        return code, told.out + told.err

    return run


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ["run", "promot.yml", "--branch", "main"],
            "one of these: audit.yml, components.yml, deploy.yml",
        ),
        (["run", "deploy.yml", "--branch", "nix"], "has no branch of this name"),
        (["run", "promote.yml", "--head", "nix", "--base", "main"], "input `head` is 'nix'"),
        (["run", "promote.yml", "--branch", "main"], "does not run on `push`, but on pull_request"),
        (["run", "promote.yml", "--head", "main"], "--branch BRANCH, or --head BRANCH --base"),
        (["start", "--deploy", "nix"], "there is no clone of acme/diabetes-deploy in nix"),
        (["start", "--deploy", "."], "input `deploy` is '.': it is in no Git repository"),
    ],
)
def test_what_is_not_there_is_told_before_anything_starts(
    project: Git, asked: Local, words: list[str], says: str
) -> None:
    code, told = asked(*words)
    assert (code, says in told) == (2, True), told
    assert not (project.directory / ".git/model-gitops-local").exists()
    assert asked("stop") == (0, "nothing runs here\n")


@pytest.mark.parametrize(
    ("remote", "name"),
    [
        ("", "acme/vin-natur-t-"),
        ("https://git.example/team/wine.git", "team/wine"),
        ("git@git.example:team/wine", "team/wine"),
        ("../other place/wine", "acme/vin-natur-t-"),
    ],
)
def test_a_folder_may_have_any_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, remote: str, name: str
) -> None:
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "ada@example.org")
    folder = tmp_path / "vin naturé (été)"
    assert main(["init", "--name", "wine", "--owner", "acme", "--to", str(folder)]) == 0
    if remote:
        Git(folder).run("remote", "add", "origin", remote)
    # Where init put the deploy repository it is found.
    project = Project.of(folder, None)
    assert project.deploy.directory == tmp_path / "vin naturé (été)-deploy"
    assert project.name == name


@pytest.mark.parametrize("typed", TYPED, ids=" ".join)
def test_what_the_page_says_can_be_typed(typed: list[str]) -> None:
    context = local.make_context("local", list(typed))
    command = local.commands[typed[0]]
    assert command.make_context(typed[0], typed[1:], parent=context).params


def test_a_folder_without_a_flow_is_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for make, says in (([], "it is in no Git repository"), (["init", "-q"], "no promotion.yaml")):
        if make:
            subprocess.run(["git", *make], cwd=tmp_path, check=True)
        assert main(["local", "start", "--repository", str(tmp_path)], local=lambda: local) == 2
        assert says in capfd.readouterr().err


def test_a_project_goes_to_dev_on_this_machine(
    project: Git, asked: Local, docker_environment: Engine, registry: str
) -> None:
    top = project.directory
    state = top / ".git/model-gitops-local"
    before = project.run("for-each-ref") + project.run("config", "--list")
    digest = push_image(registry, "acme/diabetes", "main", {})
    own_shape(top, IMAGE, "main", digest)
    project.run("add", "--all")
    project.run("commit", "--quiet", "--message", "Our own shape")
    overlay = top.with_name("diabetes-deploy") / "overlays/dev/kustomization.yaml"
    overlay.write_text(f"images:\n- name: diabetes\n  newName: {IMAGE}\n  newTag: none-yet\n")
    deploy = Git(overlay.parents[2])
    deploy.run("commit", "--quiet", "--all", "--message", "Our own image")
    project.run("branch", "--force", "staging", "main")
    project.run("branch", "experiment/x")
    kept = project.run("for-each-ref"), deploy.run("for-each-ref")
    try:
        start, experiment, promote, deploy_it, *_ = TYPED
        code, told = asked(*start)
        assert code == 0, told
        again, told_again = asked("start")
        assert (again, told_again) == (0, told)
        (address,) = {one.split("/")[2] for one in told.split() if one.endswith("/v2/_catalog")}
        assert push_image(address, "acme/diabetes", "main", {}) == digest

        code, told = asked(*experiment)
        assert code == 0, told
        code, told = asked(*promote)
        assert code == 0, told
        assert f"report: {state / 'reports/01.html'}\n" in told
        # The run that merges the pull request.
        code, told = asked(*deploy_it)
        assert code == 0, told
        assert "pull request 1, experiment/x → main: approved and merged" in told

        # Again: there is nothing to merge, and a workflow may be named by its path.
        run, name, *pull = deploy_it
        code, told = asked(run, f".github/workflows/{name}", *pull)
        assert (code, "nothing to merge" in told) == (0, True), told
        code, told = asked(*promote)
        assert (code, "nothing to promote" in told) == (3, True), told

        made = Git(state / "git/deploy.git").file_at("main", "overlays/dev/kustomization.yaml")
        assert made is not None
        assert f"newName: {address}/acme/diabetes" in made
        assert digest in made
        # The person's own repositories are as they were.
        assert (project.run("for-each-ref"), deploy.run("for-each-ref")) == kept
        assert project.run("status", "--porcelain") == ""
        assert before.splitlines()[-1] in project.run("config", "--list")

        # Main changed here and there.
        (top / "notes.md").write_text("x\n")
        project.run("add", "--all")
        project.run("commit", "--quiet", "--message", "Notes")
        code, told = asked(*promote)
        assert (code, "main of this clone has commits" in told) == (3, True), told

        with try_locked(state / "lock"):
            code, told = asked(*promote)
            assert (code, "another `local` command uses" in told) == (3, True), told
            assert "in use by a `local` command" in asked("status")[1]
            assert asked("stop")[0] == 3
        assert json.loads((state / "project.json").read_text())["deploy"] == str(deploy.directory)
    finally:
        assert asked("stop") == (0, "stopped, and removed\n")
    assert asked("stop") == (0, "nothing runs here\n")
    assert "nothing runs here" in asked("status")[1]
