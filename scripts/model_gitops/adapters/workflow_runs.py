"""A forge's workflows and their runs: GitHub's API, and what Gitea has of it."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from model_gitops.adapters.github_client import Client
from model_gitops.core.health.runs import Expected, Run, Watched

# Of a workflow so many runs are looked at, and so many of the newest that ended are timed: each of
# these is a request more, and a workflow's token has 1,000 an hour.
_MOST_RUNS, _TIMED = 100, 5
_MOST_PAGES_OF_ALL = 6
# Before it a server says that a time is not known.
_FIRST_YEAR = 2000
_LONGEST_TEXT = 200


@dataclass
class WorkflowRuns:
    """The workflows of one repository, `owner/name`. `requests` counts what was asked."""

    client: Client
    requests: int = 0

    @classmethod
    def of(cls, repository: str, token: str, *, api_url: str = "") -> WorkflowRuns:
        """Make no request yet. Raises InputError where `token` or `repository` is empty or odd."""
        return cls(Client(repository, token, api_url=api_url))

    def watched(self, expected: Iterable[Expected]) -> list[Watched]:
        """Return what the server says of each workflow, by its file. Raises ApiError."""
        with self.client.errors("list workflows and their runs", "actions: read"):
            known = {
                posixpath.basename(str(one["path"])): one
                for one in self._list("/actions/workflows", "workflows", most=2)
            }
            every = self._every_run() if self.client.dialect.is_gitea else None
            return [self._of(one, known.get(one.file), every) for one in expected]

    def _of(
        self, one: Expected, known: Mapping[str, Any] | None, every: list[Mapping[str, Any]] | None
    ) -> Watched:
        if known is None:
            return Watched(one)
        if every is None:
            path = f"/actions/workflows/{quote(str(known['id']), safe='')}/runs"
            listed = self._ask(path, {"per_page": _MOST_RUNS})["workflow_runs"]
            if one.schedules and not any(run.get("event") == "schedule" for run in listed):
                # Runs by other events may be so many that it is not among them.
                scheduled = self._ask(path, {"event": "schedule", "per_page": 1})
                listed = [*listed, *scheduled["workflow_runs"]]
        else:
            listed = [run for run in every if _file(run) == one.file][:_MOST_RUNS]
        runs = sorted((_run(run) for run in listed), key=lambda run: run.created, reverse=True)
        ended = [run for run in runs if run.has_verdict][:_TIMED]
        timed = {run.number: self._timed(run) for run in ended}
        return Watched(
            one,
            str(known.get("state") or ""),
            _moment(known.get("created_at")),
            tuple(timed.get(run.number, run) for run in runs),
        )

    def _timed(self, run: Run) -> Run:
        """Return a run with how long it waited for its first job to start, and how long its jobs took."""
        answer = self._ask(f"/actions/runs/{run.number}/jobs", {"per_page": 100})
        listed = answer.get("jobs") or answer.get("workflow_jobs") or []
        # What was skipped never ran.
        ran = [job for job in listed if job.get("conclusion") not in ("skipped", None, "")]
        starts = [moment for job in ran if (moment := _moment(job.get("started_at")))]
        ends = [moment for job in ran if (moment := _moment(job.get("completed_at")))]
        created = [moment for job in ran if (moment := _moment(job.get("created_at")))]
        if not starts or not ends:
            return run
        # Of a run that was started again the jobs are the new ones.
        asked = max(run.created, min(created, default=run.created))
        return replace(
            run,
            waited=max((min(starts) - asked).total_seconds(), 0.0),
            took=max((max(ends) - min(starts)).total_seconds(), 0.0),
        )

    def _every_run(self) -> list[Mapping[str, Any]]:
        return self._list("/actions/runs", "workflow_runs", most=_MOST_PAGES_OF_ALL)

    def _list(self, path: str, key: str, *, most: int) -> list[Mapping[str, Any]]:
        """Return what the pages of a list have under `key`, over at most `most` of them."""
        found: list[Mapping[str, Any]] = []
        size = self.client.dialect.largest_page
        for page in range(1, most + 1):
            answer = self._ask(path, {self.client.dialect.page_size: size, "page": page})
            listed = answer.get(key) or []
            found += listed
            if len(listed) < size:
                break
        return found

    def _ask(self, path: str, query: Mapping[str, str | int]) -> Mapping[str, Any]:
        self.requests += 1
        answer: Mapping[str, Any] = self.client.ask(path, query)
        return answer


def _file(run: Mapping[str, Any]) -> str:
    """Return the name of a run's file: of a path, with or without a ref behind it."""
    return posixpath.basename(str(run.get("path") or "").partition("@")[0])


def _run(run: Mapping[str, Any]) -> Run:
    created = _moment(run.get("created_at")) or _moment(run.get("run_started_at"))
    conclusion, status = str(run.get("conclusion") or ""), str(run.get("status") or "")
    return Run(
        int(run["id"]),
        str(run.get("html_url") or "")[:_LONGEST_TEXT],
        str(run.get("event") or "")[:_LONGEST_TEXT],
        str(run.get("head_branch") or "")[:_LONGEST_TEXT],
        "completed" if conclusion else status,
        conclusion,
        created or _moment(run.get("started_at")) or datetime(_FIRST_YEAR, 1, 1, tzinfo=UTC),
    )


def _moment(text: Any) -> datetime | None:
    """Return the time that a server writes; None for none, and for the zero that Gitea writes."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    return found if found.year > _FIRST_YEAR else None
