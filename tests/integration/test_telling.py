"""Who is told of what: each job of the templates that tells people, as it stands, after jobs of all endings."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from plain_repository import commit, made_repository

from model_gitops_local import act, toolchain

SHOWN = ("event", "title", "message", "model", "url")
Ends = tuple[str, dict[str, str]]
BAD: Ends = ("failure", {})
LEFT_OUT: Ends = ("skipped", {})
NO: Ends = ("failure", {"refusal": "it is held"})
ALONE = {"config": "promotion.yaml", "environment": "dev", "operation": "hold"}
IN_FOLDER = {"config": "models/churn", "environment": "dev", "reason": "slow", "operation": "hold"}


def ok(**outputs: str) -> Ends:
    return "success", {key.replace("_", "-"): value for key, value in outputs.items()}


def bad(**outputs: str) -> Ends:
    return "failure", ok(**outputs)[1]


class Case(NamedTuple):
    """The jobs that a job of `file` needs, how each one ended, and what is told then: event, title, and more."""

    file: str
    needs: dict[str, Ends]
    told: str
    inputs: dict[str, str] = ALONE
    job: str = "tell"


CHECKED = ok(environment="dev", model="m", reviewers="grace, acme/owners", has_model="true")
CASES = (
    Case("deploy", {"check": CHECKED, "deploy": ok(operation="pushed")}, "promotion|||m|"),
    Case("deploy", {"check": CHECKED, "deploy": ok(operation="none")}, ""),
    Case("deploy", {"check": CHECKED, "deploy": ok(operation="superseded")}, ""),
    Case("deploy", {"check": CHECKED, "deploy": ok(operation="opened", pull_request="https://p")}, "approval|||m|https://p"),
    Case("deploy", {"check": CHECKED, "deploy": BAD}, "failure|||m|"),
    Case("deploy", {"check": CHECKED, "deploy": bad(operation="pushed")}, "failure|Deployed to dev, and a step after it failed||m|"),
    Case("deploy", {"check": CHECKED, "deploy": LEFT_OUT}, ""),
    Case("deploy", {"check": NO, "deploy": LEFT_OUT}, "refusal||it is held||"),
    Case("deploy", {"check": BAD, "deploy": LEFT_OUT}, "failure||||"),
    Case("deploy", {"check": CHECKED}, "approval||Reviewers: grace, acme/owners. The run's summary says what is decided.|m|", job="reviewers"),
    Case("deploy", {"check": ok(environment="dev", has_model="true")}, "", job="reviewers"),
    Case("deploy", {"check": NO}, "", job="reviewers"),
    Case("rollback", {"rollback": ok(operation="pushed")}, "rollback||slow|models/churn|", IN_FOLDER),
    Case("rollback", {"rollback": ok(operation="none")}, ""),
    Case("rollback", {"rollback": ok(operation="opened", pull_request="https://p")}, "approval|A rollback waits for approval in dev|||https://p"),
    Case("rollback", {"rollback": BAD}, "failure|Not rolled back: dev|||"),
    Case("rollback", {"rollback": LEFT_OUT}, ""),
    Case("hold", {"hold": ok(operation="held", reason="slow")}, "hold||slow|models/churn|", IN_FOLDER),
    Case("hold", {"hold": ok(operation="proposed", pull_request="https://p")}, "approval|The hold of dev waits for approval|||https://p"),
    Case("hold", {"hold": ok(operation="none")}, ""),
    Case("hold", {"hold": BAD}, ""),
    Case("verify", {"wait": ok(model="m"), "record": bad(verdict="failure", reason="p95")}, "verification||p95|m|"),
    Case("verify", {"wait": ok(model="m"), "record": bad(verdict="error", reason="no answer")}, "verification|Nobody can say how dev runs|no answer|m|"),
    Case("verify", {"wait": BAD, "record": LEFT_OUT}, "verification|Nobody can say how dev runs|The run has the reason.||"),
    Case("verify", {"wait": ok(model="m"), "record": ok(verdict="success")}, ""),
    Case("verify", {"wait": ok(), "record": LEFT_OUT}, ""),
    Case("monitor", {"drift": ok(drift="true", summary="2 of 3")}, "drift||2 of 3||"),
    Case("monitor", {"drift": ok(drift="false")}, ""),
    Case("monitor", {"drift": LEFT_OUT}, ""),
    Case("retrain", {"retrain": ok(), "open": ok(operation="opened", issue="https://i")}, "retraining||slow|models/churn|https://i", IN_FOLDER),
    Case("retrain", {"retrain": BAD, "open": ok(issue="https://i")}, "failure|The retraining failed|||https://i"),
    Case("retrain", {"retrain": LEFT_OUT, "open": ok(operation="closed")}, ""),
    Case("audit", {"audit": ok(differs="false")}, ""),
    Case("audit", {"audit": bad(differs="true")}, "audit||||"),
    Case("audit", {"audit": bad(differs="false")}, "audit|The audit could not be made|The run has the reason.||"),
    Case("health", {"health": ok(operation="opened", issue="https://i")}, "health||||https://i"),
    Case("health", {"health": ok(operation="updated", issue="https://i")}, ""),
)  # fmt: skip


def jobs_of(number: int, case: Case) -> dict[str, Any]:
    """Return the job that tells, after jobs that end as the case says; names are the case's own."""
    file = act.ROOT / f"templates/model/.github/workflows/{case.file}.yml"
    content = yaml.safe_load(file.read_text("utf-8"))["jobs"][case.job]
    assert set(case.needs) == set(
        [content["needs"]] if isinstance(content["needs"], str) else content["needs"]
    )
    (step,) = content["steps"]
    step = {
        "name": f"told {number}",
        "env": {name.upper(): step["with"].get(name, "") for name in SHOWN},
        "run": "\n".join(f'echo "{name}=${name.upper()}" >> "$GITHUB_OUTPUT"' for name in SHOWN),
    }
    text = json.dumps({"if": content["if"], "runs-on": "ubuntu-latest", "steps": [step]})
    text = re.sub(r"needs\.(\w+)\.", rf"needs.\1_{number}.", text)
    text = re.sub(r"inputs\.(\w+)", lambda one: f"'{case.inputs.get(one[1], '')}'", text)
    found: dict[str, Any] = {
        f"{case.job}_{number}": {
            **json.loads(text),
            "needs": [f"{name}_{number}" for name in case.needs],
        }
    }
    for name, (result, outputs) in case.needs.items():
        lines = [f'echo "{key}={value}" >> "$GITHUB_OUTPUT"' for key, value in outputs.items()]
        found[f"{name}_{number}"] = {
            "runs-on": "ubuntu-latest",
            "if": result != "skipped",
            "outputs": {key: f"${{{{ steps.it.outputs.{key} }}}}" for key in outputs},
            "steps": [{"id": "it", "run": "\n".join([*lines, f"test {result} = success"])}],
        }
    return found


@pytest.mark.parametrize("switched", ["true", ""])
def test_each_ending_is_told_as_what_it_is(tmp_path: Path, switched: str) -> None:
    jobs = {
        name: job
        for number, case in enumerate(CASES)
        for name, job in jobs_of(number, case).items()
    }
    git = made_repository(tmp_path / "work")
    file = git.directory / ".github/workflows/tell.yml"
    file.parent.mkdir(parents=True)
    file.write_text(yaml.safe_dump({"on": {"push": None}, "jobs": jobs}), "utf-8")
    commit(git)
    run = act.run_workflow(
        toolchain.ensure("act"), file.name, "push", {},
        checkout=git.directory, env={}, process_env={}, secrets={}, variables={"NOTIFY": switched},
        actions=act.ROOT, log=tmp_path / "log",
    )  # fmt: skip
    told = [
        "|".join(run.outputs[f"told {number}"].get(name, "") for name in SHOWN)
        if f"told {number}" in run.outputs
        else ""
        for number in range(len(CASES))
    ]
    wanted = [case.told if switched else "" for case in CASES]
    wrong = [(CASES[place], said) for place, said in enumerate(told) if wanted[place] != said]
    assert not wrong, (wrong, run.log[-2000:])
