"""Keep one open issue while the scheduled self-test fails; close it when the self-test passes.

Called by the last job of selftest.yml, with NEEDS (the context `needs` as JSON) and GITHUB_TOKEN in
the environment. It needs Python's standard library only.

What was said before is told by marks in the bot's own texts, so that a job that runs again, or a
request that is sent again, says nothing twice. The issue is found by its author and title: a label
may be taken off, or was never set where the token may make none.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

TITLE, LABEL = "The scheduled self-test fails", "selftest"
AUTHOR = "github-actions[bot]"  # whose texts the job's token writes
TIMEOUT = 30  # seconds
WAITS = (2, 8, 30)  # seconds between tries
LONGEST_WAIT = 60  # seconds, where the server asks for more
PAGE, PAGES = 100, 50
RESULTS = ("success", "failure", "cancelled", "skipped")
_MARK = re.compile(r"<!-- selftest (failed|passed) ([0-9]+) -->")


class InputError(Exception):
    """What the workflow gave can't be used; says what, and what is expected."""


class BusyError(Exception):
    """The server or the network fails for now; `wait` is what the server asks for, in seconds."""

    def __init__(self, message: str, wait: float = 0) -> None:
        super().__init__(message)
        self.wait = wait


# Decisions.


@dataclass(frozen=True)
class Run:
    """A finished self-test: its number, its address and each job's result."""

    number: int
    url: str
    results: Mapping[str, str]

    @property
    def passed(self) -> bool:
        """Whether every job did; one that timed out is `cancelled`, and did not."""
        return all(result == "success" for result in self.results.values())


@dataclass(frozen=True)
class Thread:
    """An open issue of ours, and the runs that its texts speak of."""

    number: int
    failed: frozenset[int]
    passed: frozenset[int]


@dataclass(frozen=True)
class Open:
    """Open the issue."""

    body: str


@dataclass(frozen=True)
class Comment:
    """Comment on an issue."""

    number: int
    body: str


@dataclass(frozen=True)
class Close:
    """Close an issue."""

    number: int


def read_results(text: str) -> dict[str, str]:
    """Return each job's result from the context `needs` as JSON. Raises InputError."""
    try:
        results = {name: job["result"] for name, job in json.loads(text).items()}
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise InputError(f"NEEDS is not the context `needs` as JSON: {text[:80]!r}") from error
    if not results or any(result not in RESULTS for result in results.values()):
        raise InputError(f"NEEDS has no jobs with results, one of {', '.join(RESULTS)}: {results}")
    return results


def thread(issue: Mapping[str, Any], comments: Sequence[Mapping[str, Any]]) -> Thread:
    """Return an issue with what the marks in its and its comments' texts by us say."""
    found = [
        mark
        for text in (issue, *comments)
        if text["user"]["login"] == AUTHOR
        for mark in _MARK.findall(text["body"] or "")
    ]
    failed, passed = (
        frozenset(int(number) for kind, number in found if kind == wanted)
        for wanted in ("failed", "passed")
    )
    return Thread(issue["number"], failed, passed)


def ours(issue: Mapping[str, Any]) -> bool:
    """Whether an issue is the self-test's, and no person's or pull request's."""
    return (
        issue["title"] == TITLE and issue["user"]["login"] == AUTHOR and "pull_request" not in issue
    )


def decide(run: Run, threads: Sequence[Thread]) -> list[Open | Comment | Close]:
    """Return what is to be done about the open issues of ours, in order."""
    if run.passed:
        steps: list[Open | Comment | Close] = []
        for one in threads:
            # An older run that is run again proves nothing about a newer failure.
            if max(one.failed, default=0) > run.number:
                continue
            if run.number not in one.passed:
                steps.append(Comment(one.number, passed_text(run)))
            steps.append(Close(one.number))
        return steps
    if not threads:
        return [Open(failed_text(run))]
    oldest = min(threads, key=lambda one: one.number)
    return [] if run.number in oldest.failed else [Comment(oldest.number, failed_text(run))]


def failed_text(run: Run) -> str:
    """Return what is said of a run that failed."""
    rows = "".join(f"| {name} | {result} |\n" for name, result in run.results.items())
    return (
        f"The self-test of `main` failed: [run {run.number}]({run.url}).\n\n"
        f"| job | result |\n|---|---|\n{rows}\n"
        "The next run that passes closes this issue.\n\n"
        f"<!-- selftest failed {run.number} -->\n"
    )


def passed_text(run: Run) -> str:
    """Return what is said of a run that passed."""
    return (
        f"The self-test of `main` passes again: [run {run.number}]({run.url}).\n\n"
        f"<!-- selftest passed {run.number} -->\n"
    )


def checked_address(url: str) -> str:
    """Return the API's address where a token may be sent to it: https, or http on loopback.

    Raises InputError.
    """
    parts = urlsplit(url)
    local = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost")
    if not parts.hostname or parts.username is not None or not (local or parts.scheme == "https"):
        raise InputError(
            f"GITHUB_API_URL is {url!r}: an address that starts with https:// is needed"
        )
    return url.rstrip("/")


# The world.


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow nothing: the next request must not have our token."""


class Api:
    """GitHub's REST API for one repository.

    Raises BusyError where another try may help, urllib's HTTPError where it will not.
    """

    def __init__(self, url: str, repository: str, token: str) -> None:
        self.url = f"{checked_address(url)}/repos/{repository}"
        self.headers = {
            "Authorization": f"Bearer {token}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
            "User-Agent": "model-gitops",
        }
        # A proxy would see what is not encrypted.
        plain = [urllib.request.ProxyHandler({})] if url.startswith("http:") else []
        self.opener = urllib.request.build_opener(_NoRedirect, *plain)

    def send(self, method: str, path: str, body: Any = None) -> Any:
        """Return the JSON that the server answers with."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 (checked_address lets only https pass)
            self.url + path, data, self.headers, method=method
        )
        try:
            with self.opener.open(request, timeout=TIMEOUT) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            wait = error.headers.get("Retry-After", "")
            limited = error.code == 429 or (error.code == 403 and wait)
            if error.code < 500 and not limited:
                raise
            raise BusyError(str(error), float(wait) if wait.isdecimal() else 0) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise BusyError(f"{method} failed: {error!r}") from error

    def pages(self, path: str, **query: str) -> list[Any]:
        """Return all items of a list."""
        items: list[Any] = []
        for page in range(1, PAGES + 1):
            more = self.send(
                "GET", f"{path}?{urlencode({**query, 'per_page': PAGE, 'page': page})}"
            )
            items += more
            if len(more) < PAGE:
                break
        return items

    def threads(self) -> list[Thread]:
        """Return our open issues."""
        found = filter(ours, self.pages("/issues", state="open", creator=AUTHOR))
        return [thread(one, self.pages(f"/issues/{one['number']}/comments")) for one in found]

    def do(self, step: Open | Comment | Close) -> str:
        """Do one step; return what was done."""
        if isinstance(step, Open):
            issue = {"title": TITLE, "body": step.body, "labels": [LABEL]}
            return f"opened #{self.send('POST', '/issues', issue)['number']}"
        if isinstance(step, Comment):
            self.send("POST", f"/issues/{step.number}/comments", {"body": step.body})
            return f"commented on #{step.number}"
        self.send("PATCH", f"/issues/{step.number}", {"state": "closed"})
        return f"closed #{step.number}"


def report(api: Api, run: Run) -> list[str]:
    """Read, decide and write, again from the reading where the server fails; return what was done."""
    done: list[str] = []
    for wait in (*WAITS, None):
        try:
            for step in decide(run, api.threads()):
                done.append(api.do(step))
        except BusyError as error:
            if wait is None:
                raise
            print(f"::notice::{one_line(error)}: trying again")
            time.sleep(min(LONGEST_WAIT, max(wait, error.wait)))
        else:
            break
    return done


def main() -> int:
    """Report the run that the environment tells of."""
    get = os.environ.get
    repository, number = get("GITHUB_REPOSITORY", ""), get("GITHUB_RUN_ID", "")
    server = get("GITHUB_SERVER_URL", "")
    try:
        if not re.fullmatch(r"[\w-]+/[\w.-]+", repository) or not number.isdecimal():
            raise InputError(
                "GITHUB_REPOSITORY or GITHUB_RUN_ID is missing: run this in a workflow"
            )
        url = f"{server}/{repository}/actions/runs/{number}"
        run = Run(int(number), url, read_results(get("NEEDS", "")))
        done = report(Api(get("GITHUB_API_URL", ""), repository, get("GITHUB_TOKEN", "")), run)
    except InputError as error:
        print(f"::error::{one_line(error)}")
        return 2
    except (urllib.error.HTTPError, BusyError) as error:
        hint = " (are issues turned on, and has the job `issues: write`?)"
        print(f"::error::The issue can't be kept: {one_line(error)}{hint}")
        return 4
    print(f"{'passed' if run.passed else 'failed'}: {', '.join(done) or 'nothing to do'}")
    return 0


def one_line(error: Exception) -> str:
    """Return an error's words, safe to print."""
    return "".join(one if one.isprintable() else " " for one in str(error))[:300]


if __name__ == "__main__":
    sys.exit(main())
