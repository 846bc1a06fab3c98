"""Workflow runs: which are expected, and what is wrong with the last ones."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from model_gitops.core import duration, workflow
from model_gitops.core.health import cron

# The server starts a scheduled run late when it has much to do.
_LATE_HOURS = 1
# So long a run may wait for a runner; one that waits for a person is no fault.
_LONGEST_QUEUED_SECONDS = 7200
_PERIODS = 2
_BAD = ("failure", "timed_out", "startup_failure")
_NO_VERDICT = ("cancelled", "skipped", "neutral", "stale", "action_required", "")
# What a pull request runs is that pull request's business: a refused candidate is no ill pipeline.
_OF_A_CHANGE = ("pull_request", "pull_request_target", "pull_request_review", "merge_group")
_WHY_DISABLED = {
    "disabled_inactivity": "the server disabled it: for 60 days nothing happened in the repository",
    "disabled_manually": "somebody disabled it",
    "disabled_fork": "it is disabled, as in every new fork",
}


@dataclass(frozen=True)
class Expected:
    """What a workflow's file says of when it runs. `path` is from the top of the repository.

    `schedules` are the cron texts, `events` all its triggers, and `branches` those of the given ones
    for which a push starts it.
    """

    path: str
    name: str
    schedules: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    branches: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        """The name of the file, by which servers name a workflow, too."""
        return posixpath.basename(self.path)

    @property
    def runs_alone(self) -> bool:
        """Whether it has runs of its own, and is not only called by others."""
        return bool(set(self.events) - {"workflow_call"})

    def last_due(self, now: datetime) -> datetime | None:
        """Return the moment since which a scheduled run must have been created: two periods ago.

        None where there is no schedule that anybody understands.
        """
        found = []
        for text in self.schedules:
            schedule = cron.parse(text)
            moments = schedule.due(now - timedelta(hours=_LATE_HOURS)) if schedule else iter(())
            due = [one for _, one in zip(range(_PERIODS), moments, strict=False)]
            found += due[-1:] if len(due) == _PERIODS else []
        return max(found) if found else None


@dataclass(frozen=True)
class Run:
    """One run, as the server tells it; times have a zone. `waited` and `took` are in seconds, or None.

    `status` is `completed`, or what it is before that; `conclusion` is empty until then.
    """

    number: int
    url: str
    event: str
    branch: str
    status: str
    conclusion: str
    created: datetime
    waited: float | None = None
    took: float | None = None

    @property
    def is_bad(self) -> bool:
        """Whether it ended, and not well."""
        return self.conclusion in _BAD

    @property
    def has_verdict(self) -> bool:
        """Whether it says something of the pipeline: one that was cancelled does not."""
        return self.status == "completed" and self.conclusion not in _NO_VERDICT


@dataclass(frozen=True)
class Watched:
    """A workflow: what is expected of it, what the server says of it, and its runs, newest first.

    `state` is the server's, empty where it does not know the file. `since` is since when it knows it.
    """

    expected: Expected
    state: str = ""
    since: datetime | None = None
    runs: tuple[Run, ...] = ()

    @property
    def waits(self) -> list[float]:
        """How long its runs waited to be started, in seconds."""
        return [one.waited for one in self.runs if one.waited is not None]

    @property
    def lengths(self) -> list[float]:
        """How long its runs took, in seconds."""
        return [one.took for one in self.runs if one.took is not None]


@dataclass(frozen=True)
class Problem:
    """What is wrong with a workflow, and what to do. `url` is the run that shows it, if one does."""

    workflow: str
    problem: str
    fix: str = ""
    url: str = ""


def expected(path: str, data: Any, branches: Sequence[str]) -> Expected | None:
    """Return what a parsed workflow says of when it runs; None for one that is none.

    `branches` are those whose runs count: the environments' and the default branch.
    """
    if not isinstance(data, Mapping) or not workflow.jobs(data):
        return None
    found = workflow.triggers(data)
    on = data.get("on", data.get(True))
    schedule = on.get("schedule") if isinstance(on, Mapping) else None
    entries = schedule if isinstance(schedule, list) else []
    name = data.get("name")
    return Expected(
        path,
        name if isinstance(name, str) and name.strip() else posixpath.basename(path),
        tuple(str(one["cron"]) for one in entries if isinstance(one, Mapping) and "cron" in one),
        tuple(found),
        tuple(one for one in branches if "push" in found and workflow.runs_for(found["push"], one)),
    )


def judge(watched: Watched, branches: Collection[str], now: datetime) -> tuple[Problem, ...]:
    """Return what is wrong with a workflow, most urgent first.

    What the server does not know is not judged. Judged are runs on `branches`, by other events than a pull request's: of each branch the last one
    that ended with a verdict. A workflow with a schedule must have run by it in its last two periods.
    """
    one, found = watched.expected, list[Problem]()
    if not watched.state:
        return ()  # the server does not know the file: it is on another branch, or new

    def add(problem: str, fix: str, url: str = "") -> None:
        found.append(Problem(one.file, problem, fix, url))

    if watched.state in _WHY_DISABLED:
        add(f"does not run: {_WHY_DISABLED[watched.state]}", f"gh workflow enable {one.file}")
    elif due := _missing(watched, now):
        ran = next((run for run in watched.runs if run.event == "schedule"), None)
        last = f"last on {ran.created:%Y-%m-%d %H:%M} UTC" if ran else "never as far as is known"
        add(
            f"did not run by its schedule since {due:%Y-%m-%d %H:%M} UTC, two periods ago ({last})",
            f"gh workflow run {one.file}; look at the server's status page and its Actions settings",
            ran.url if ran else "",
        )
    judged = [run for run in watched.runs if _counts(run, branches)]
    for branch in dict.fromkeys(run.branch for run in judged):
        last_run = next((r for r in judged if r.branch == branch and r.has_verdict), None)
        if last_run and last_run.is_bad:
            since = _red_since(judged, branch)
            add(
                f"its last run on {branch} ended as {last_run.conclusion}"
                + (f", as those before it since {since:%Y-%m-%d}" if since else ""),
                f"gh run view {last_run.number} --log-failed",
                last_run.url,
            )
    for run in watched.runs:
        waits = (now - run.created).total_seconds()
        if run.status in ("queued", "requested", "pending") and waits > _LONGEST_QUEUED_SECONDS:
            add(
                f"a run waits for a runner since {duration.words(waits)}",
                "look whether a runner with the labels of `runs-on` is online",
                run.url,
            )
            break
    return tuple(found)


def _missing(watched: Watched, now: datetime) -> datetime | None:
    """Return since when a scheduled run is missing; None where none is."""
    due = watched.expected.last_due(now)
    if due is None or (watched.since is not None and watched.since > due):
        return None
    ran = any(run.event == "schedule" and run.created >= due for run in watched.runs)
    return None if ran else due


def _counts(run: Run, branches: Collection[str]) -> bool:
    # A schedule is always of the default branch.
    return run.event == "schedule" or (run.event not in _OF_A_CHANGE and run.branch in branches)


def _red_since(judged: Sequence[Run], branch: str) -> datetime | None:
    """Return when the first of several bad runs in a row was; None for a single one."""
    bad: list[Run] = []
    for run in judged:
        if run.branch == branch and run.has_verdict:
            if not run.is_bad:
                break
            bad.append(run)
    return bad[-1].created if len(bad) > 1 else None


def middle(values: Sequence[float]) -> float | None:
    """Return the median, or None of nothing."""
    return median(values) if values else None
