"""What is expected of each workflow, and what is wrong with its runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from model_gitops.core import document
from model_gitops.core.health import runs
from model_gitops.core.health.runs import Expected, Run, Watched

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
BRANCHES = ("main", "staging", "production")
NIGHTLY = Expected(".github/workflows/audit.yml", "audit", ("23 4 * * *",), ("schedule",))
DEPLOY = Expected(".github/workflows/deploy.yml", "deploy", (), ("push",), BRANCHES)


def run(
    hours: float, conclusion: str = "success", *, event: str = "schedule", branch: str = "main",
    status: str = "completed", number: int = 1,
) -> Run:  # fmt: skip
    ended = conclusion if status == "completed" else ""
    url = f"https://forge.example/runs/{number}"
    return Run(number, url, event, branch, status, ended, NOW - timedelta(hours=hours))


def said(expected: Expected, *found: Run, **more: Any) -> list[str]:
    watched = Watched(expected, more.pop("state", "active"), runs=found, **more)
    return [one.problem for one in runs.judge(watched, BRANCHES, NOW)]


def test_what_the_server_does_not_know_is_not_judged() -> None:
    assert said(NIGHTLY, state="") == []


def test_what_runs_and_is_green_is_well() -> None:
    assert said(NIGHTLY, run(8), run(32)) == []
    assert said(DEPLOY, run(500, event="push", branch="staging")) == []
    # Never started, and nothing says that it should have been.
    assert said(DEPLOY) == []


def test_a_schedule_that_did_not_run_for_two_periods_is_found() -> None:
    # Due at 04:23 today and yesterday: a run since then is missing.
    (problem,) = said(NIGHTLY, run(60))
    assert problem == (
        "did not run by its schedule since 2026-11-29 04:23 UTC, two periods ago"
        " (last on 2026-11-28 00:00 UTC)"
    )
    # One period alone is what a busy server skips.
    assert said(NIGHTLY, run(31)) == []
    # A run by hand is no sign that the schedule works.
    assert "did not run by its schedule" in said(NIGHTLY, run(2, event="workflow_dispatch"))[0]
    assert "never as far as is known" in said(NIGHTLY)[0]


def test_a_new_schedule_is_given_its_two_periods() -> None:
    assert said(NIGHTLY, since=NOW - timedelta(hours=20)) == []
    assert said(NIGHTLY, since=NOW - timedelta(days=3)) != []


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("disabled_inactivity", "for 60 days nothing happened"),
        ("disabled_manually", "somebody disabled it"),
        ("disabled_fork", "new fork"),
    ],
)
def test_a_disabled_workflow_is_found(state: str, words: str) -> None:
    watched = Watched(NIGHTLY, state, runs=(run(24 * 70),))
    (problem,) = runs.judge(watched, BRANCHES, NOW)
    assert words in problem.problem
    assert problem.fix == "gh workflow enable audit.yml"


def test_the_last_run_of_each_branch_counts() -> None:
    found = said(
        DEPLOY,
        run(1, event="push", branch="main"),
        run(2, "failure", event="push", branch="main"),
        run(3, "failure", event="push", branch="staging"),
        run(30, "timed_out", event="push", branch="staging"),
        run(50, event="push", branch="staging"),
        run(3, "failure", event="push", branch="experiment/x"),
    )
    assert found == [
        "its last run on staging ended as failure, as those before it since 2026-11-29"
    ]


@pytest.mark.parametrize("conclusion", ["cancelled", "skipped", "action_required", "neutral"])
def test_what_has_no_verdict_is_passed_over(conclusion: str) -> None:
    later = run(1, conclusion, event="push")
    assert said(DEPLOY, later, run(2, event="push")) == []
    assert len(said(DEPLOY, later, run(2, "failure", event="push"))) == 1


def test_a_refused_pull_request_is_no_ill_pipeline() -> None:
    for event in ("pull_request", "pull_request_target", "merge_group"):
        assert said(DEPLOY, run(1, "failure", event=event)) == []


def test_a_run_that_no_runner_takes_is_found() -> None:
    waiting = run(30, status="queued", event="push")
    assert said(DEPLOY, waiting) == ["a run waits for a runner since 1 d 6 h"]
    assert said(DEPLOY, run(1, status="queued", event="push")) == []
    # This one waits for a person.
    assert said(DEPLOY, run(30, status="waiting", event="push")) == []
    assert said(DEPLOY, run(30, status="in_progress", event="push")) == []


def test_what_a_file_says_of_when_it_runs() -> None:
    text = """
name: nightly
on:
  schedule: [{cron: "1 2 * * *"}, {cron: nonsense}]
  push: {branches: [main, "release/**"]}
  workflow_dispatch:
jobs: {one: {runs-on: x, steps: []}}
"""
    found = runs.expected("a/n.yml", document.load_yaml(text, source="n.yml"), BRANCHES)
    assert found == Expected(
        "a/n.yml",
        "nightly",
        ("1 2 * * *", "nonsense"),
        ("schedule", "push", "workflow_dispatch"),
        ("main",),
    )
    assert found.last_due(NOW) == datetime(2026, 11, 29, 2, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "data", [None, [], "x", {}, {"on": {"schedule": 1}}, {"jobs": {"a": {}}, "on": 3}]
)
def test_any_data_is_a_workflow_or_none(data: Any) -> None:
    found = runs.expected("x.yml", data, BRANCHES)
    assert found is None or not found.runs_alone


def test_what_is_only_called_has_no_runs_of_its_own() -> None:
    data = {"on": {"workflow_call": {}}, "jobs": {"a": {"runs-on": "x"}}}
    one = runs.expected("x.yml", data, BRANCHES)
    assert one is not None
    assert not one.runs_alone
