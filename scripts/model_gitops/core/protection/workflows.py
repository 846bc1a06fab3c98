"""What a repository's own workflow files say of its protection: checks, secrets, pull requests."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from model_gitops.core import document, workflow
from model_gitops.errors import InputError

# A job with one of these judges a change; cml-report and gto-register-stage only tell, and what compare-models
# measures the gate judges.
_JUDGES = re.compile(r"/actions/(check-promotion|gate-metrics|build-push-image|run-command)(@|$)")
_TESTS = re.compile(r"(^|[-_ ])tests?($|[-_ ])")
_MAKE_TESTS = re.compile(r"\bmake\b[^\n]*\b(check|test|smoke)\b")
_OPENS_PULL_REQUESTS = re.compile(r"\bgh pr create\b|/create-pull-request@")
# A pull request has a check only where a run of it has started for the newest commit.
_TYPES = {"opened", "synchronize"}


@dataclass(frozen=True)
class Workflow:
    """One workflow file: its path and what is in it."""

    file: str
    data: Mapping[str, Any]


def load(files: Mapping[str, str]) -> tuple[Workflow, ...]:
    """Return the workflows of some files: path → text. A file that is none is run by nobody: left out."""
    found = []
    for file, text in sorted(files.items()):
        try:
            data = document.load_yaml(text, source=file)
        except InputError:
            continue
        if isinstance(data, dict):
            found.append(Workflow(file, data))
    return tuple(found)


@dataclass(frozen=True)
class Checks:
    """The names of the checks that judge a pull request, and what was left out of them and why."""

    names: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


def required_checks(
    workflows: Iterable[Workflow], branch: str, *, every_job: bool = False, gitea: bool = False
) -> Checks:
    """Return the checks that a pull request into `branch` must pass, by the workflow files.

    These are the jobs that judge (check-promotion, gate, build) and those that test; with `every_job`
    all of them. A job whose check may never come is named in the notes: it would block each merge.
    On GitHub a check has the job's name; on `gitea` the workflow's and the event stand around it.
    """
    names: set[str] = set()
    notes: list[str] = []
    for one in workflows:
        file, data = one.file, one.data
        trigger = workflow.triggers(data).get("pull_request")
        if trigger is None or not workflow.runs_for(trigger, branch):
            continue
        for key, job in workflow.jobs(data).items():
            if not (every_job or _judges(key, job) or _gathers(job, data)):
                continue
            name = str(job.get("name", key))
            if problem := _problem(trigger, job, name):
                notes.append(f"job {key} of {file} is no required check: {problem}")
            else:
                names.add(
                    f"{data.get('name', posixpath.basename(file))} / {name} (pull_request)"
                    if gitea
                    else name
                )
    return Checks(frozenset(names), tuple(notes))


def environment_secrets(workflows: Iterable[Workflow]) -> frozenset[str]:
    """Return the secrets that only jobs of a GitHub environment name: no other job may have them."""
    inside: set[str] = set()
    outside: set[str] = set()
    for one in workflows:
        # What stands above the jobs is for each of them.
        outside.update(
            workflow.secrets({key: value for key, value in one.data.items() if key != "jobs"})
        )
        for job in workflow.jobs(one.data).values():
            (inside if "environment" in job else outside).update(workflow.secrets(job))
    return frozenset(inside - outside)


def repository_secrets(workflows: Iterable[Workflow]) -> frozenset[str]:
    """Return the secrets that a job without a GitHub environment names."""
    return frozenset(
        name
        for one in workflows
        for job in workflow.jobs(one.data).values()
        if "environment" not in job
        for name in workflow.secrets(job)
    )


def opens_pull_requests(workflows: Iterable[Workflow]) -> bool:
    """Whether a step opens pull requests, for which the server asks for a permission of its own."""
    return any(
        _OPENS_PULL_REQUESTS.search(f"{_uncommented(step.get('run'))}\n{step.get('uses', '')}")
        for one in workflows
        for job in workflow.jobs(one.data).values()
        for step in _steps(job)
    )


def _uncommented(script: object) -> str:
    return re.sub(r"^\s*#.*$", "", str(script or ""), flags=re.MULTILINE)


def _steps(job: Mapping[str, Any]) -> list[dict[str, Any]]:
    steps = job.get("steps")
    return [one for one in (steps if isinstance(steps, list) else ()) if isinstance(one, dict)]


def _judges(key: str, job: Mapping[str, Any]) -> bool:
    for step in _steps(job):
        if _JUDGES.search(str(step.get("uses", ""))) or _MAKE_TESTS.search(
            str(step.get("run", ""))
        ):
            return True
    return bool(_TESTS.search(key.lower()))


def _gathers(job: Mapping[str, Any], data: Mapping[str, Any]) -> bool:
    """Whether a job tells, whatever happened, of jobs whose own checks have no name to require."""
    jobs = workflow.jobs(data)
    called = any(
        {"uses", "strategy"} & jobs.get(name, {}).keys()
        for name in workflow.texts(job.get("needs"))
    )
    return called and "always()" in str(job.get("if", ""))


def _problem(trigger: Mapping[str, Any], job: Mapping[str, Any], name: str) -> str:
    """Return why a check of this job can't be required; empty where it can."""
    if "paths" in trigger or "paths-ignore" in trigger:
        return (
            "its workflow runs for some paths only, and without a run a pull request waits for ever"
        )
    if "types" in trigger and not set(workflow.texts(trigger["types"])) >= _TYPES:
        return "its workflow does not run for each new commit of a pull request"
    if "uses" in job:
        return "the names of a called workflow's checks are not in this repository's file"
    strategy = job.get("strategy")
    if "${{" in name or (isinstance(strategy, dict) and "matrix" in strategy):
        return (
            "its checks' names depend on a matrix. Let a job that waits for all of them be required"
        )
    return ""
