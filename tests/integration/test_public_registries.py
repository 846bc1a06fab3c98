"""Shapes of public repositories that keep models and data without a pipeline: what we say to them works."""

from __future__ import annotations

import functools
import http.server
import re
import shlex
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from gto import api
from plain_repository import commit, made_repository, run, tag
from public_projects import dvc

from model_gitops.adapters import process
from model_gitops.adapters.git import Git


@pytest.fixture
def git(tmp_path: Path) -> Git:
    """A DVC project with a remote beside it, and a bare repository as its origin."""
    git = made_repository(tmp_path / "work")
    process.run(["git", "init", "--quiet", "--bare", tmp_path / "origin.git"])
    git.run("remote", "add", "origin", str(tmp_path / "origin.git"))
    dvc(git.directory, "init")
    return git


@pytest.fixture
def store(tmp_path: Path) -> Iterator[str]:
    """The address of a server that has a model, as a bucket would."""
    folder = tmp_path / "bucket"
    folder.mkdir()
    (folder / "segm-2022.pt").write_text("segments", encoding="utf-8")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def write(git: Git, files: dict[str, str]) -> None:
    for name, text in files.items():
        place = git.directory / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")


def pulled(git: Git, where: Path, model: str, revision: str = "") -> Path:
    """Clone the repository afresh, pull a model there, and return the clone."""
    process.run(["git", "clone", "--quiet", git.directory, where])
    assert run("dvc-pull-model", where, {"model": model, "revision": revision}) == 0
    return where


def test_models_that_git_keeps_or_that_are_elsewhere(
    git: Git, store: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """As the example of GTO: one model in Git, another in a bucket, and no remote."""
    top = git.directory
    artifacts = "artifacts:\n  churn: {type: model, path: models/churn.pkl}\n"
    segment = "  segment: {{type: model, path: {}}}\n"
    bucket = f"{store}/segm-2022.pt"
    write(git, {"dvc.yaml": artifacts + segment.format(bucket), "models/churn.pkl": "churn"})
    commit(git)
    tag(git, "churn@v3.0.0", 1_700_000_000)
    tag(git, "segment@v0.4.1", 1_700_000_001)
    git.run("push", "--quiet", "origin", "HEAD", "--tags")

    # A version that exists is assigned, wherever its model is.
    inputs = {"model": "segment", "version": "v0.4.1", "stage": "dev"}
    assert run("gto-register-stage", top, inputs) == 0
    assert [one["version"] for one in api.show(str(top), "segment#dev")] == ["v0.4.1"]

    commit(git)
    for action in ("gto-register-stage", "dvc-pull-model"):
        assert run(action, top, {"model": "churn"}) == 2
        told = capfd.readouterr().err
        assert "'models/churn.pkl', but no dvc.lock and no .dvc file tracks it here" in told
        assert "`dvc add`, after `git rm --cached` where Git keeps it" in told
    git.run("rm", "--quiet", "--cached", "models/churn.pkl")
    dvc(top, "remote", "add", "--default", "storage", str(tmp_path / "storage"))
    dvc(top, "add", "models/churn.pkl")
    commit(git)
    dvc(top, "push")
    assert run("gto-register-stage", top, {"model": "churn"}) == 0
    assert [one["version"] for one in api.show(str(top), "churn")] == ["v3.0.1", "v3.0.0"]
    clone = pulled(git, tmp_path / "one", "churn", "churn@v3.0.1")
    assert (clone / "models/churn.pkl").read_text("utf-8") == "churn"

    assert run("gto-register-stage", top, {"model": "segment"}) == 2
    told = capfd.readouterr().err
    assert f"dvc.yaml names the address '{bucket}'" in told
    typed = re.search(r"Fix: dvc (import-url .+?); give the artifact the `path: (.+?)`", told)
    assert typed is not None
    dvc(top, *shlex.split(typed[1]))
    write(git, {"dvc.yaml": artifacts + segment.format(typed[2])})
    commit(git)
    dvc(top, "push")
    assert run("gto-register-stage", top, {"model": "segment", "stage": "dev"}) == 0
    assert [one["version"] for one in api.show(str(top), "segment#dev")] == ["v0.4.2"]
    clone = pulled(git, tmp_path / "two", "segment", "segment#dev")
    assert (clone / typed[2]).read_text("utf-8") == "segments"


def test_a_registry_of_data_sets(
    git: Git, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """As the registry of DVC's own: .dvc files in folders, two remotes, tags with numbers, no pipeline."""
    top = git.directory
    dvc(top, "remote", "add", "--default", "storage", str(tmp_path / "storage"))
    dvc(top, "remote", "add", "docs/dvc", str(tmp_path / "docs"))
    files = {"get-started/data.xml": "ten\n", "use-cases/cats/1.png": "cat"}
    write(git, {**files, "tutorials/nlp/posts.zip": "zip"})
    dvc(top / "get-started", "add", "data.xml")
    dvc(top / "use-cases", "add", "cats")
    dvc(top / "tutorials/nlp", "add", "posts.zip")
    pointer = top / "get-started/data.xml.dvc"
    pointer.write_text(f"{pointer.read_text('utf-8')}  remote: docs/dvc\n", encoding="utf-8")
    zipped = top / "tutorials/nlp/posts.zip.dvc"
    text = zipped.read_text("utf-8").replace("path: posts.zip", "path: tutorials/nlp/posts.zip")
    zipped.write_text(f"wdir: ../..\n{text}", encoding="utf-8")
    entry = "artifacts:\n  get-started-data: {{path: {}, type: dataset}}\n"
    (top / "dvc.yaml").write_text(entry.format("get-started/data.xml.dvc"), encoding="utf-8")
    commit(git)
    dvc(top, "push")
    tag(git, "get-started-data@v1.0.0#1", 1_700_000_000)
    tag(git, "get-started-data#prod#3", 1_700_000_001)

    write(git, {"get-started/data.xml": "forty\n"})
    dvc(top / "get-started", "add", "data.xml")
    (top / "dvc.yaml").write_text(entry.format("get-started/data.xml"), encoding="utf-8")
    commit(git)
    dvc(top, "push")
    tag(git, "get-started-data@v1.0.1#4", 1_700_000_002)
    tag(git, "get-started-data#dev#5", 1_700_000_003)
    tag(git, "get-started-data#prod!#6", 1_700_000_004, "HEAD~1")
    git.run("push", "--quiet", "origin", "HEAD", "--tags")

    clone = pulled(git, tmp_path / "a", "get-started-data", "get-started-data#dev")
    assert (clone / "get-started/data.xml").read_text("utf-8") == "forty\n"
    for model in ("use-cases/cats", "tutorials/nlp/posts.zip"):
        assert run("dvc-pull-model", clone, {"model": model}) == 0
    assert (clone / "use-cases/cats/1.png").read_text("utf-8") == "cat"
    assert (clone / "tutorials/nlp/posts.zip").read_text("utf-8") == "zip"
    clone = pulled(git, tmp_path / "b", "get-started-data", "get-started-data@v1.0.0")
    assert (clone / "get-started/data.xml").read_text("utf-8") == "ten\n"

    inputs = {"model": "get-started-data", "revision": "get-started-data#prod"}
    assert run("dvc-pull-model", clone, inputs) == 3
    told = capfd.readouterr().err
    assert "was taken back, by the tag `get-started-data#prod!#6`" in told
    named = re.search(r"its commit: ([0-9a-f]{40})", told)
    assert named is not None
    assert run("dvc-pull-model", clone, inputs | {"revision": named[1]}) == 0
    assert (clone / "get-started/data.xml").read_text("utf-8") == "ten\n"

    inputs = {"model": "get-started-data", "stage": "prod"}
    assert run("gto-register-stage", top, inputs) == 0
    assert "get-started-data#prod#7" in git.run("tag").split()
    assert [one["version"] for one in api.show(str(top), "get-started-data#prod")] == ["v1.0.1"]
