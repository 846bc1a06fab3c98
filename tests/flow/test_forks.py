"""A pull request from a fork: run without rights, its report posted by a run without its code."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from model_gitops.adapters.git import Git
from model_gitops_local.flow import DEPLOY, MODEL, PERSON, Flow
from model_gitops_local.forge.openapi import OpenApi

FORK = "eve/diabetes"
pytestmark = pytest.mark.slow


def fork(flow: Flow, change: Callable[[Path], None]) -> int:
    """Fork the model repository, change it there, and open a pull request; return its number."""
    bare = flow.root / "git" / "fork.git"
    Git(flow.root).run("clone", "--quiet", "--bare", str(flow.bare(MODEL).directory), str(bare))
    flow.forge.add_repository(FORK, bare, fork_of=MODEL)
    work = flow.root / "new" / "fork"
    Git(flow.root).run("clone", "--quiet", str(bare), str(work))
    git = Git(work)
    change(work)
    git.run("add", "--all")
    git.run("commit", "--quiet", "--message", "From outside", env=PERSON)
    git.run("push", "--quiet", "origin", "HEAD:refs/heads/patch")
    return flow.open_pull_request("eve:patch", "main", "A better model, @acme/everyone")


def change(folder: Path) -> None:
    file = folder / "params.yaml"
    file.write_text(file.read_text("utf-8").replace("epochs: 10", "epochs: 12"), "utf-8")


def pack(folder: Path, file: Path) -> Path:
    with zipfile.ZipFile(file, "w") as archive:
        for member in sorted(folder.iterdir()):
            archive.write(member, member.name)
    return file


def test_a_fork_is_tested_without_rights_and_its_report_is_posted(
    new_flow: Callable[[], Flow], tmp_path: Path
) -> None:
    flow = new_flow()
    # What runs is asked of it, without a token.
    deploy = flow.forge.state.find(DEPLOY)
    assert deploy is not None
    deploy.private = False
    flow.forge.validator = OpenApi()
    number = fork(flow, change)
    before = flow.bare(MODEL).run("for-each-ref", "refs/heads", "refs/tags")

    # What has rights does not start for it.
    skipped = flow.proposed_by_fork(number, "promote.yml", tmp_path / "none")
    assert (skipped.status, skipped.steps) == (0, [])

    run = flow.proposed_by_fork(number, "fork.yml", tmp_path / "artifacts")
    assert run.status == 0, (run.failed_step, run.errors, run.log[-3000:])
    results = {step: result for _, step, result in run.steps}
    # The fork's model is not in our remote, and its author can't put it there.
    assert results["Pull the branch's model"] == "failure"
    assert results["Else train it here"] == "success"
    image = run.outputs["Build and smoke-test the image"]
    assert (image["operation"], image["digest"]) == ("built", "")
    assert flow.comments(number) == []
    assert flow.bare(MODEL).run("for-each-ref", "refs/heads", "refs/tags") == before
    kept = tmp_path / "artifacts" / "fork-report"
    assert sorted(file.name for file in kept.iterdir()) == ["pull-request", "report.md"]
    assert all(token not in run.log for token in flow.tokens.values())

    # What the fork's author could have put there.
    with (kept / "report.md").open("a", encoding="utf-8") as report:
        report.write("\n@acme/everyone [log in](https://evil.example) <img src=x>\n/approve\n")
    archive = pack(kept, tmp_path / "report.zip")
    end = flow.forge.add_run(MODEL, "fork", number, "success", {"fork-report": archive})
    for _ in range(2):
        posted = flow.finished(end, "report-fork.yml")
        assert posted.status == 0, (posted.failed_step, posted.errors, posted.log[-3000:])
    (body,) = flow.comments(number)
    assert body.startswith("## Promotion from a fork\n")
    assert "✅ passed" in body
    assert f"actions/runs/{end})" in body
    assert "the model was trained here" in body
    assert "| ✅ | eval/metrics.json:r2 |" in body
    assert "@acme" not in body
    assert "](https://evil" not in body
    assert "<img" not in body
    assert "\n/approve" not in body
    assert "No metrics were found" not in body

    # A run that names somebody else's pull request is refused.
    other = flow.commit("experiment/mine", change, "Mine")
    mine = flow.open_pull_request("experiment/mine", "main", "Mine")
    assert other
    (kept / "pull-request").write_text(f"{mine}\n")
    archive = pack(kept, tmp_path / "wrong.zip")
    end = flow.forge.add_run(MODEL, "fork", number, "success", {"fork-report": archive})
    refused = flow.finished(end, "report-fork.yml")
    assert refused.failed_step == "Check the report"
    assert any("is not the one that this run was for" in text for text in refused.errors)
    assert flow.comments(mine) == []
    assert flow.forge.violations == []
