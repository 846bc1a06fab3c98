"""The nightly audit: green on what the flow left, red with the reason after tampering."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from model_gitops.adapters.git import Git
from model_gitops_local.act import Run
from model_gitops_local.demo import WORSE, Demo
from model_gitops_local.flow import MODEL, PERSON, SECRETS, Flow

ASK = "What does each environment run?"
STATUS = "Does each environment run what it should?"
TRACE = "Where does the last environment's model come from?"


@pytest.fixture
def bare(demo: Demo) -> Iterator[Git]:
    """The demo's model repository, whose tags are put back after the test."""
    found = demo.flow.bare(MODEL)
    before = found.run("for-each-ref", "--format=%(objectname) %(refname)", "refs/tags")
    yield found
    for line in before.splitlines():
        value, _, ref = line.partition(" ")
        found.run("update-ref", ref, value)


def results(run: Run) -> dict[str, str]:
    return {step: result for _, step, result in run.steps}


def test_the_audit_of_the_demo_is_green(demo: Demo) -> None:
    run = demo.flow.scheduled("audit.yml")
    assert run.status == 0, (run.failed_step, run.errors)
    assert results(run)[STATUS] == results(run)[TRACE] == "success"
    assert run.outputs[STATUS]["in-sync"] == "true"
    assert json.loads(run.outputs[STATUS]["deployed"]) == ["dev", "staging", "production"]
    assert run.outputs[TRACE]["verified"] == "true"


def test_a_moved_stage_tag_turns_the_audit_red_and_is_named(demo: Demo, bare: Git) -> None:
    (tag,) = bare.run("tag", "--list", "diabetes#production#*").split()
    bare.run("tag", "--force", "-a", "-m", "mine", tag, WORSE, env=PERSON)
    run = demo.flow.scheduled("audit.yml")
    assert run.status != 0
    # Both looked, whatever the first found.
    assert results(run)[STATUS] == results(run)[TRACE] == "failure"
    assert run.outputs[STATUS]["in-sync"] == "false"
    for reason in run.errors[:2]:
        assert (
            "stage → version: diabetes#production holds v0.0.2, and diabetes@v0.0.1 is deployed"
            in reason
        )
        assert "--version v0.0.1 --stage production" in reason  # what to run
    table = run.outputs[STATUS]["table"]
    assert [line[:15] for line in table.splitlines() if "| v0.0.1 |" in line] == [
        "| ✅ | dev | v0.",
        "| ✅ | staging |",
        "| ❌ | productio",
    ]


def test_before_the_first_deployment_there_is_nothing_to_complain_of(
    new_flow: Callable[[], Flow],
) -> None:
    flow = new_flow()
    # Nobody has set a secret yet: nothing is registered, so there is nothing to ask for with one.
    tokens = dict(flow.tokens)
    for secret in SECRETS:
        del flow.tokens[secret]
    for workflow in ("audit.yml", "stages.yml", "monitor.yml"):
        run = flow.scheduled(workflow)
        assert run.status == 0, (run.failed_step, run.errors)
        assert "success" not in (results(run).get(STATUS), results(run).get(ASK))
    flow.tokens.update(tokens)
    flow.bare(MODEL).run("tag", "-a", "-m", "x", "diabetes@v0.0.1", "main", env=PERSON)
    run = flow.scheduled("audit.yml")
    assert run.status == 0, (run.failed_step, run.errors)
    assert run.outputs[STATUS]["deployed"] == "[]"
    assert TRACE not in results(run) or results(run)[TRACE] == "skipped"
