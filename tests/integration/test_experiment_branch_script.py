"""What experiment.yml takes of a branch that moved on: its own commits of dvc.lock, and nobody else's."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from model_gitops.adapters.git import Git
from model_gitops_local import several_models

BOT, ADA = "github-actions[bot]", "ada"
OURS = (BOT, "Reproduce the pipeline")


def script() -> str:
    text = (several_models.ROOT / "templates/model/.github/workflows/experiment.yml").read_text(
        "utf-8"
    )
    steps = YAML(typ="safe").load(text)["jobs"]["experiment"]["steps"]
    (found,) = (one for one in steps if one.get("name", "").startswith("Take what an earlier run"))
    return str(found["run"])


@pytest.mark.parametrize(
    ("since", "taken"),
    [
        ([], True),
        ([OURS], True),
        ([OURS, OURS], True),  # of two models, each its own
        ([(ADA, "Reproduce the pipeline")], False),
        ([(BOT, "Reproduce the pipeline, and more")], False),
        ([("github-actions-bot-", "Reproduce the pipeline")], False),
        ([OURS, (ADA, "Mend it")], False),
        ([(ADA, "Mend it"), OURS], False),
    ],
)
@pytest.mark.parametrize("rewritten", [False, True])
def test_only_its_own_commits_are_taken(
    tmp_path: Path, since: list[tuple[str, str]], taken: bool, rewritten: bool
) -> None:
    git = Git(tmp_path / "work")
    git.directory.mkdir()
    git.run("init", "--quiet", "--initial-branch=main")

    def commit(name: str, message: str) -> str:
        who = {f"GIT_{role}_NAME": name for role in ("AUTHOR", "COMMITTER")}
        who |= {f"GIT_{role}_EMAIL": "x@example.org" for role in ("AUTHOR", "COMMITTER")}
        git.run("commit", "--quiet", "--allow-empty", "-m", message, env=who)
        return git.run("rev-parse", "HEAD").strip()

    commit(ADA, "Start")
    pushed = commit(ADA, "Try it")
    if rewritten:
        git.run("reset", "--quiet", "--hard", "HEAD~1")
    tip = pushed if not rewritten else git.run("rev-parse", "HEAD").strip()
    for who, message in since:
        tip = commit(who, message)
    git.run("clone", "--quiet", "--bare", ".", str(tmp_path / "remote"))
    git.run("remote", "add", "origin", str(tmp_path / "remote"))
    git.run("checkout", "--quiet", "--detach", pushed)
    env = {"PATH": os.environ["PATH"], "BRANCH": "main", "GITHUB_SHA": pushed}
    done = subprocess.run(
        ["bash", "-e", "-c", script()],
        cwd=git.directory, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    expected = taken and not rewritten
    assert (done.returncode == 0) is expected, done.stdout + done.stderr
    assert git.run("rev-parse", "HEAD").strip() == (tip if expected else pushed)
    assert ("has moved on" in done.stdout) is not expected
