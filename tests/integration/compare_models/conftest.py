"""A project whose model runs in dev."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from compare_project import DVC_YAML, EVALUATE, IMAGE, RULES, Project, dvc

from model_gitops.adapters import process
from model_gitops.adapters.git import Git


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """main has a model of slope 1.5, which dev runs, and a test set without noise."""
    for name, folder in (("model.git", "work"), ("deploy.git", "deploy")):
        process.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", tmp_path / name])
        process.run(["git", "clone", "--quiet", tmp_path / name, tmp_path / folder])
        git = Git(tmp_path / folder)
        git.run("config", "user.name", "Ada")
        git.run("config", "user.email", "ada@example.org")
    (tmp_path / "temporary").mkdir()
    overlay = tmp_path / "deploy" / "overlays" / "dev" / "kustomization.yaml"
    overlay.parent.mkdir(parents=True)
    overlay.write_text(f"images:\n- name: {IMAGE}\n  newTag: not-deployed-yet\n")
    deploy = Git(tmp_path / "deploy")
    deploy.run("add", "--all")
    deploy.run("commit", "--quiet", "--message", "Start")
    deploy.run("push", "--quiet", "origin", "HEAD:refs/heads/main")
    dvc(tmp_path / "work", "init")
    dvc(tmp_path / "work", "remote", "add", "--default", "store", str(tmp_path / "store"))
    rules = RULES | {"deploy": {"repository": str(tmp_path / "deploy.git")}}
    made = Project(tmp_path, rules, {"DVC_SITE_CACHE_DIR": str(tmp_path / "site")})
    files = {
        "dvc.yaml": json.dumps(DVC_YAML), "params.yaml": "script: evaluate.py\n", "train.py": "",
        "evaluate.py": EVALUATE, "models/m.json": '{"slope": 1.5}',
    }  # fmt: skip
    first = made.change("main", noise=0, files=files, rules={})
    made.deploy(first)
    return made
