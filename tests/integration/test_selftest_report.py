"""The self-test's issue: the script of selftest.yml against the stand-in for GitHub."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from model_gitops.adapters.git import Git
from model_gitops_local.forge import Forge
from model_gitops_local.forge.openapi import strict_forge

SCRIPT = Path(__file__).parents[2] / ".github/scripts/report_selftest.py"
NAME, TOKEN, BOT = "acme/model-gitops", "job-secret", "github-actions[bot]"
TITLE = "The scheduled self-test fails"
GOOD, BAD = ("success", "success"), ("success", "failure")


@dataclass
class SelfTest:
    """A repository on the forge whose self-test reports."""

    forge: Forge

    def report(
        self, run: int, results: tuple[str, ...] = BAD, **environment: str
    ) -> tuple[int, str]:
        """Run the script at the end of a run; return its status and its words."""
        needs = {f"job-{i}": {"result": one, "outputs": {}} for i, one in enumerate(results)}
        done = subprocess.run(
            [sys.executable, "-I", SCRIPT],
            env={
                "PATH": os.environ["PATH"],
                "GITHUB_API_URL": self.forge.api_url,
                "GITHUB_SERVER_URL": self.forge.url,
                "GITHUB_REPOSITORY": NAME,
                "GITHUB_RUN_ID": str(run),
                "GITHUB_TOKEN": TOKEN,
                "NEEDS": json.dumps(needs),
                **environment,
            },
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert TOKEN not in done.stdout + done.stderr
        return done.returncode, done.stdout

    @property
    def issues(self) -> list[tuple[int, str, str]]:
        """Number, author and state of each issue."""
        found = self.forge.state.repositories[NAME].issues
        return [(one.number, one.author, one.state) for one in found]

    def comments(self, number: int) -> list[str]:
        """The first sentences of an issue's comments."""
        found = self.forge.state.repositories[NAME].comments
        return [one.body.partition(":")[0] for one in found if one.number == number]

    def writes(self) -> list[tuple[str, int]]:
        """Method and status of the requests that were to change something."""
        return [
            (one["method"], one["status"])
            for one in self.forge.requests()
            if one["method"] != "GET"
        ]


@pytest.fixture
def selftest(tmp_path: Path) -> Iterator[SelfTest]:
    Git(tmp_path).run("init", "--quiet", "--bare", "--initial-branch=main", "repo.git")
    with strict_forge(tmp_path / "forge") as forge:
        forge.add_repository(NAME, tmp_path / "repo.git", private=False)
        # What the job's `permissions` say, and no more.
        forge.add_token(TOKEN, BOT, {"contents": "read", "issues": "write"}, repositories=[NAME])
        yield SelfTest(forge)


FAILED, PASSED = "The self-test of `main` failed", "The self-test of `main` passes again"


def test_one_issue_from_the_first_failure_to_the_next_success(selftest: SelfTest) -> None:
    assert selftest.report(1, GOOD) == (0, "passed: nothing to do\n")
    assert selftest.issues == []
    assert selftest.writes() == []

    assert selftest.report(2) == (0, "failed: opened #1\n")
    issue = selftest.forge.state.repositories[NAME].issues[0]
    assert (issue.title, issue.labels, issue.state) == (TITLE, ["selftest"], "open")
    assert f"[run 2]({selftest.forge.url}/{NAME}/actions/runs/2)" in (issue.body or "")
    assert "| job-1 | failure |" in (issue.body or "")
    # The run that opened it, run again.
    assert selftest.report(2) == (0, "failed: nothing to do\n")

    assert selftest.report(3) == (0, "failed: commented on #1\n")
    assert selftest.report(3) == (0, "failed: nothing to do\n")
    assert selftest.issues == [(1, BOT, "open")]
    assert selftest.comments(1) == [FAILED]

    assert selftest.report(4, GOOD) == (0, "passed: commented on #1, closed #1\n")
    assert selftest.report(4, GOOD) == (0, "passed: nothing to do\n")
    assert selftest.issues == [(1, BOT, "closed")]
    assert selftest.comments(1) == [FAILED, PASSED]

    # The next failure is another matter.
    assert selftest.report(5) == (0, "failed: opened #2\n")
    assert selftest.issues == [(1, BOT, "closed"), (2, BOT, "open")]


def test_a_timeout_and_a_job_that_never_ran_are_no_success(selftest: SelfTest) -> None:
    assert selftest.report(1, ("success", "cancelled"))[1] == "failed: opened #1\n"
    assert selftest.report(2, ("skipped", "success"))[1] == "failed: commented on #1\n"


def test_an_older_run_that_is_run_again_closes_nothing(selftest: SelfTest) -> None:
    selftest.report(7)
    selftest.report(8)
    assert selftest.report(7, GOOD) == (0, "passed: nothing to do\n")
    assert selftest.issues == [(1, BOT, "open")]
    # The newest failure itself, run again, closes it.
    assert selftest.report(8, GOOD) == (0, "passed: commented on #1, closed #1\n")


def ask(forge: Forge, secret: str, path: str, body: dict[str, Any]) -> None:
    data, token = json.dumps(body).encode(), forge.tokens[secret]
    answer = forge.call_api("POST", f"/repos/{NAME}{path}", {}, data, token)
    assert answer.status == 201, answer.body


def test_what_others_say_is_left_alone(selftest: SelfTest) -> None:
    forge = selftest.forge
    forge.add_token("ada-secret", "ada")
    # A person's issues have our title and label, another workflow's have our author.
    for _ in range(2):
        ask(forge, "ada-secret", "/issues", {"title": TITLE, "labels": ["selftest"]})
        ask(forge, TOKEN, "/issues", {"title": f"{TITLE} elsewhere"})
    assert selftest.report(1) == (0, "failed: opened #5\n")
    # Ours is on the second page of issues, and what it says on the second page of comments.
    for number in range(100):
        ask(forge, TOKEN, "/issues", {"title": f"Issue {number}"})
        ask(forge, "ada-secret", "/issues/5/comments", {"body": str(number)})
    # A mark in a person's comment does not silence a failure, and does not keep the issue open.
    for mark in ("failed 2", "failed 99", "passed 3"):
        text = {"body": f"<!-- selftest {mark} -->"}
        ask(forge, "ada-secret", "/issues/5/comments", text)
    assert selftest.report(2) == (0, "failed: commented on #5\n")
    assert selftest.report(2) == (0, "failed: nothing to do\n")
    assert selftest.report(3, GOOD) == (0, "passed: commented on #5, closed #5\n")
    assert [one for one in selftest.issues if one[2] == "closed"] == [(5, BOT, "closed")]
    said = [one.number for one in forge.state.repositories[NAME].comments if one.author == BOT]
    assert said == [5, 5]


def test_faults_of_the_server_are_retried_and_nothing_is_said_twice(selftest: SelfTest) -> None:
    forge = selftest.forge
    forge.fail_next("GET", "/issues$", 502)
    # Opened, but the answer is lost: the next try sees it.
    forge.drop_next("POST", "/issues$", when="after")
    status, said = selftest.report(1)
    assert (status, said.splitlines()[-1]) == (0, "failed: nothing to do")
    assert said.count("trying again") == 2
    assert selftest.issues == [(1, BOT, "open")]
    # Commented, and the closing fails: the comment is not written again.
    forge.fail_next("PATCH", "/issues/1$", 503)
    status, said = selftest.report(2, GOOD)
    assert (status, said.splitlines()[-1]) == (0, "passed: commented on #1, closed #1")
    assert selftest.issues == [(1, BOT, "closed")]
    assert selftest.comments(1) == [PASSED]
    forge.fail_next("POST", "/issues$", 429, headers={"Retry-After": "1"})
    assert selftest.report(3)[1].endswith("failed: opened #2\n")


def test_a_refusal_is_told_at_once(selftest: SelfTest) -> None:
    selftest.forge.fail_next("POST", "/issues$", 410, body={"message": "Issues are disabled"})
    status, said = selftest.report(1)
    assert status == 4
    assert "410" in said
    assert "are issues turned on" in said
    assert "trying again" not in said


def test_the_token_goes_to_one_server_only(selftest: SelfTest) -> None:
    asked: list[tuple[str, bool]] = []

    class Other(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, "Authorization" in self.headers))
            self.send_error(404)

    server = http.server.HTTPServer(("127.0.0.1", 0), Other)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    selftest.forge.fail_next("GET", "/issues$", 307, headers={"Location": f"{address}/issues"})
    assert selftest.report(1)[0] == 4
    # A proxy is another server, too.
    assert selftest.report(2, http_proxy=address)[1] == "failed: opened #1\n"
    for url in ("http://example.com/api", "https://ada@example.com", "ftp://127.0.0.1", "", "x"):
        status, said = selftest.report(3, GITHUB_API_URL=url)
        assert status == 2
        assert f"GITHUB_API_URL is {url!r}: an address that starts with https://" in said
    server.shutdown()
    assert asked == []


def test_what_the_workflow_lacks_is_named(selftest: SelfTest) -> None:
    for name, value in (
        ("NEEDS", "{}"),
        ("NEEDS", "no json"),
        ("NEEDS", '{"lint": {"result": "fine"}}'),
        ("NEEDS", "[1]"),
        ("GITHUB_REPOSITORY", "../x"),
        ("GITHUB_RUN_ID", ""),
    ):
        status, said = selftest.report(1, **{name: value})
        assert status == 2
        assert name in said
    assert selftest.writes() == []
