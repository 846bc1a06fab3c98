"""A checkout of another account: each action says what to type, and that works."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import started

from model_gitops.adapters import git, process
from model_gitops.options import variable
from model_gitops_local.forge.openapi import strict_forge

WHO = {
    f"GIT_{role}_{part}": "tester@example.org"
    for role in ("AUTHOR", "COMMITTER")
    for part in ("NAME", "EMAIL")
}


def run(
    cwd: Path, action: str, env: Mapping[str, str], **inputs: str
) -> subprocess.CompletedProcess[str]:
    given = {variable(name.replace("_", "-")): value for name, value in inputs.items()}
    return started.run(
        action, cwd=cwd, env={"PATH": os.environ["PATH"], **env, **given}, inherit=False
    )


INPUTS = {
    "check-promotion": {},
    "changed-models": {"base": "HEAD~1"},
    "changed-components": {"base": "HEAD~1"},
    "dvc-pull-model": {"model": "m", "working_directory": "."},
    "gate-metrics": {"baseline": "HEAD"},
    "open-retraining": {"operation": "start"},
    "gto-register-stage": {"model": "m", "push": "false"},
    # Refused before a server is asked, which would be tried again and again.
    "rollback": {"environment": "dev", "until": "x"},
    "hold-environment": {"environment": "dev", "reason": "x", "until": "x"},
    "cml-report": {"base": "HEAD~1"},
    "trace-model": {"subject": "dev"},
    "status": {},
    "pipeline-health": {},
    "verify-deployment": {"environment": "dev"},
    "run-training": {"environment": "dev"},
    "compare-models": {},
}


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    process.run(["git", "init", "--quiet", "-b", "main", folder])
    process.run([sys.executable, "-m", "dvc", "init", "--quiet"], cwd=folder)
    (folder / "dvc.yaml").write_text("artifacts:\n  m: {path: m.txt}\nmetrics: [metrics.json]\n")
    rules = {
        "model": "m", "image": "registry.example/m", "deploy": {"repository": "acme/deploy"},
        "environments": [{"name": "dev", "branch": "main"}],
        "gate": [{"metric": "metrics.json:r2", "better": "higher"}],
    }  # fmt: skip
    (folder / "promotion.yaml").write_text(json.dumps(rules))
    (folder / "m.txt").write_text("model\n")
    process.run([sys.executable, "-m", "dvc", "add", "--quiet", "m.txt"], cwd=folder)
    work = git.Git(folder)
    for r2 in (0.5, 0.6):
        (folder / "metrics.json").write_text(f'{{"r2": {r2}}}')
        work.run("add", "--all")
        work.run("commit", "--quiet", "-m", "x", env=WHO)
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A server without a repository, which says so: one that is not there is asked again and again."""
    with strict_forge(tmp_path_factory.mktemp("server")) as forge:
        yield {"GITHUB_API_URL": forge.api_url, "GITHUB_SERVER_URL": forge.url}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
class TestACheckoutOfAnotherAccount:
    """F9: a job with `container:`, whose user is not the one that checked out."""

    @pytest.fixture
    def project(self, made_once: Path, tmp_path: Path) -> Path:
        folder = tmp_path / "my work"
        shutil.copytree(made_once, folder, symlinks=True)
        for path in folder.rglob("*"):
            os.lchown(path, 12345, 12345)
        os.chown(folder, 12345, 12345)
        return folder

    @pytest.mark.parametrize("action", INPUTS)
    def test_each_action_says_a_fix_that_works_as_it_is_typed(
        self, project: Path, server: dict[str, str], tmp_path: Path, action: str
    ) -> None:
        env = {"HOME": str(tmp_path / "home"), "GITHUB_REF": "refs/heads/main", **server}
        (tmp_path / "home").mkdir()
        told = run(project, action, env, **INPUTS[action])
        assert told.returncode == 2, told.stderr
        assert "in a checkout of another account" in told.stderr
        top = shlex.quote(str(project))
        (fix,) = re.findall(r"(?m)^Fix: (.+)$", told.stderr)
        assert fix == f"git config --global --add safe.directory {top}"
        subprocess.run(["sh", "-c", fix], env={**os.environ, **env}, check=True, cwd="/")
        told = run(project, action, env, **INPUTS[action])
        assert "another account" not in told.stderr, told.stderr
        assert "a bug in model-gitops" not in told.stderr, told.stderr

    @pytest.mark.parametrize("action", ["cml-report", "dvc-pull-model", "gate-metrics"])
    def test_trust_by_variables_counts_for_dvcs_own_git_library_too(
        self, project: Path, tmp_path: Path, action: str
    ) -> None:
        env = {
            "HOME": str(tmp_path / "home"),
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
        }
        told = run(project, action, env, **INPUTS[action])
        assert told.returncode == 0, told.stderr

    def test_a_bump_warns_that_nobody_asks_the_checkout(
        self, project: Path, tmp_path: Path
    ) -> None:
        inputs = {"repository": "/nowhere", "path": "a", "images": "a=b:c"}
        told = run(project, "bump-kustomize-tag", {"HOME": str(tmp_path)}, **inputs)
        assert "what is checked out is not asked" in told.stderr
        assert f"safe.directory {shlex.quote(str(project))}" in told.stderr
