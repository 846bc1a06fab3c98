"""The script of report-fork.yml against the stand-in for GitHub, as its step runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from model_gitops.adapters.git import Git
from model_gitops.adapters.github import GitHub
from model_gitops_local.forge import Forge
from model_gitops_local.forge.gitea import strict_gitea
from model_gitops_local.forge.openapi import strict_forge

SCRIPT = Path(__file__).parents[2] / "templates/model/.github/scripts/fork_report.py"
NAME, TOKEN = "acme/diabetes", "job-secret"


@dataclass
class Fork:
    """Pull request 1, from a fork, and what its run left."""

    forge: Forge
    git: Git
    temporary: Path

    def left(self, number: str = "1\n", report: str = "#### fine\n", **more: str) -> int:
        """Let a run end with an artifact of these files; return the run's number."""
        file = self.temporary / f"artifact-{len(list(self.temporary.iterdir()))}.zip"
        with zipfile.ZipFile(file, "w") as archive:
            for name, text in {"pull-request": number, "report.md": report, **more}.items():
                archive.writestr(name, text)
        return self.forge.add_run(NAME, "fork", 1, "success", {"fork-report": file})

    def check(self, run: int) -> tuple[int, str, str]:
        """Run the script for the end of `run`; return its status, words and outputs."""
        event, outputs = self.temporary / "event.json", self.temporary / "outputs"
        event.write_text(json.dumps(self.forge.event("workflow_run", NAME, run)), "utf-8")
        outputs.write_text("")
        done = subprocess.run(
            [sys.executable, "-I", SCRIPT],
            env={
                "PATH": os.environ["PATH"],
                "GITHUB_API_URL": self.forge.api_url,
                "GITHUB_SERVER_URL": self.forge.url,
                "GITHUB_REPOSITORY": NAME,
                "GITHUB_EVENT_PATH": str(event),
                "GITHUB_OUTPUT": str(outputs),
                "GITHUB_TOKEN": TOKEN,
                "RUNNER_TEMP": str(self.temporary),
            },
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert TOKEN not in done.stdout + done.stderr
        return done.returncode, done.stdout, outputs.read_text("utf-8")

    def push(self, branch: str) -> None:
        self.git.run("commit", "--quiet", "--allow-empty", "--message", "change")
        self.git.run("push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")


@pytest.fixture
def fork(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fork]:
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Eve")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "eve@example.com")
    top = Git(tmp_path)
    top.run("init", "--quiet", "--bare", "--initial-branch=main", "model.git")
    top.run("clone", "--quiet", "model.git", "first")
    first = Git(tmp_path / "first")
    first.run("commit", "--quiet", "--allow-empty", "--message", "first")
    first.run("push", "--quiet", "origin", "HEAD:refs/heads/main", "HEAD:refs/heads/mine")
    top.run("clone", "--quiet", "--bare", "model.git", "fork.git")
    top.run("clone", "--quiet", "fork.git", "work")
    temporary = tmp_path / "runner"
    temporary.mkdir()
    with strict_forge(tmp_path / "forge") as forge:
        forge.add_repository(NAME, tmp_path / "model.git")
        forge.add_repository("eve/diabetes", tmp_path / "fork.git", fork_of=NAME)
        forge.add_token("ada-secret", "ada")
        # What the workflow's `permissions` say, and no more.
        granted = {"actions": "read", "contents": "read", "pull-requests": "write"}
        forge.add_token(TOKEN, "github-actions[bot]", granted, repositories=[NAME])
        made = Fork(forge, Git(tmp_path / "work"), temporary)
        made.push("patch")
        api = GitHub(NAME, "ada-secret", api_url=forge.api_url)
        api.open_pull_request(head="eve:patch", base="main", title="Patch", body="")
        yield made


def test_a_good_report_is_handed_on_through_faults(fork: Fork) -> None:
    run = fork.left()
    fork.forge.fail_next("GET", "/artifacts$", 502)
    fork.forge.drop_next("GET", "/pulls/1$")
    status, _, outputs = fork.check(run)
    assert status == 0
    body = fork.temporary / "fork-report.md"
    assert outputs == f"pull-request=1\nbody={body}\n"
    text = body.read_text("utf-8")
    assert f"{fork.forge.url}/{NAME}/actions/runs/{run})" in text
    assert "\n> #### fine\n" in text


def test_claims_are_held_to_what_github_says(fork: Fork) -> None:
    first = Git(fork.git.directory.parent / "first")
    first.run("commit", "--quiet", "--allow-empty", "--message", "mine")
    first.run("push", "--quiet", "origin", "HEAD:refs/heads/mine")
    api = GitHub(NAME, "ada-secret", api_url=fork.forge.api_url)
    mine = api.open_pull_request(head="mine", base="main", title="Mine", body="")
    for run, told in (
        (fork.left(number=f"{mine.number}\n"), "is not the one that this run was for"),
        (fork.left(number="99\n"), "there is no pull request 99"),
        (fork.left(number="1\nbody=/etc/passwd\n"), "holds no number"),
        (fork.left(**{"../../.bashrc": "x"}), "other files"),
        (fork.left(report="x" * 300_000), "more than"),
    ):
        status, said, outputs = fork.check(run)
        assert (status, outputs) == (3, "")
        assert told in said


def test_nothing_is_posted_where_nobody_waits(fork: Fork) -> None:
    run = fork.left()
    empty = fork.forge.add_run(NAME, "fork", 1, "failure", {})
    status, said, outputs = fork.check(empty)
    assert (status, outputs) == (0, "")
    assert "left no report" in said
    # The fork's branch has moved on: the newer run reports.
    fork.push("patch")
    status, said, outputs = fork.check(run)
    assert (status, outputs) == (0, "")
    assert "newer commits" in said


def test_the_files_that_decide_what_runs_are_named_before_the_forks_words(fork: Fork) -> None:
    (fork.git.directory / "promotion.yaml").write_text("gate: []\n", encoding="utf-8")
    (fork.git.directory / "notes.md").write_text("x\n", encoding="utf-8")
    fork.git.run("add", "--all")
    fork.push("patch")
    # The stand-in sees a push when it is asked.
    GitHub(NAME, "ada-secret", api_url=fork.forge.api_url).pull_request(1)
    status, said, outputs = fork.check(fork.left(report="all fine"))
    assert (status, "body=" in outputs) == (0, True), said
    text = Path(outputs.partition("body=")[2].strip()).read_text("utf-8")
    assert "touches files that decide what runs, and with which rules: `promotion.yaml`." in text
    assert text.index("promotion.yaml") < text.index("> all fine")


@pytest.mark.parametrize("base", ["", "/git"])
def test_on_gitea_the_pull_request_is_known_by_the_runs_ref(fork: Fork, base: str) -> None:
    top = fork.git.directory.parent
    first = Git(top / "first")
    first.run("commit", "--quiet", "--allow-empty", "--message", "mine")
    first.run("push", "--quiet", "origin", "HEAD:refs/heads/mine")
    with strict_gitea(top / f"gitea{len(base)}", base=base) as forge:
        forge.add_repository(NAME, top / "model.git")
        forge.add_repository("eve/diabetes", top / "fork.git", fork_of=NAME)
        forge.add_token("ada-secret", "ada")
        forge.add_token(TOKEN, "gitea-actions")
        api = GitHub(NAME, "ada-secret", api_url=forge.api_url)
        api.open_pull_request(head="eve:patch", base="main", title="Patch", body="")
        api.open_pull_request(head="mine", base="main", title="Mine", body="")
        there = Fork(forge, fork.git, fork.temporary)
        run = there.left()
        event = forge.event("workflow_run", NAME, run)["workflow_run"]
        assert (event["head_branch"], "head_repository" in event) == ("", False)
        status, said, outputs = there.check(run)
        assert (status, said) == (0, "")
        assert outputs.startswith("pull-request=1\n")
        text = (fork.temporary / "fork-report.md").read_text("utf-8")
        assert f"{forge.url}/{NAME}/actions/runs/{run})" in text
        # Another pull request than the run was for.
        assert there.check(there.left(number="2\n"))[0] == 3
        there.push("patch")
        status, said, outputs = there.check(run)
        assert (status, outputs) == (0, "")
        assert "newer commits" in said
