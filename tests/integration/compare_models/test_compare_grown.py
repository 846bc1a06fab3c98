"""Test data that a change adds rows to, and rules that measure only where the evaluation changed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from compare_project import METRIC, RULES, SCRIPTS, Project, data

from model_gitops.adapters import process
from model_gitops.options import variable

WHEN_CHANGED: dict[str, Any] = {
    "gate": [{"metric": METRIC, "better": "lower", "measured": "when-changed"}],
    "compare": {"predictions": "eval/predictions.csv", "test-data": ["data/test.csv"]},
}
# After the drift y is 3x: so many rows of it that they outweigh the 80 old ones.
DRIFTED = "".join(f"{x}.5,{3 * (x + 0.5):g},new\n" for x in range(1, 161))


@pytest.fixture
def growing(project: Project) -> Project:
    """main lets the test set grow; dev runs its model, of slope 1.5."""
    project.rules |= WHEN_CHANGED
    project.deploy(project.change("main", slope=1.9, rules={}))
    return project


def gate(project: Project, measured: str) -> subprocess.CompletedProcess[str]:
    inputs = {"measured": measured} if measured else {}
    env = {variable(name): value for name, value in inputs.items()} | project.env
    event = project.top / "event.json"
    event.write_text(
        '{"pull_request": {"base": {"ref": "main"}, "head": {"ref": "retrain"}, "number": 1}}'
    )
    env |= {
        "GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": str(event),
        "GITHUB_STEP_SUMMARY": os.devnull, "GITHUB_OUTPUT": os.devnull,
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, "-I", SCRIPTS, "gate-metrics"], cwd=project.top / "work",
        env=process.environment(env), capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_on_drifted_data_the_retrained_model_wins_and_by_the_files_it_would_lose(
    growing: Project,
) -> None:
    before = growing.plain(growing.tip())
    now = growing.plain(growing.change("retrain", slope=2.9, test=data(0) + DRIFTED))
    assert now > before * 3  # a harder test set: the two numbers say nothing
    told = growing.run()
    assert told.difference.candidate == now
    assert told.difference.champion is not None
    assert told.difference.champion > now * 2
    said = (
        "data/test.csv is the candidate's: all 80 rows of the base's, and 160 that the change adds"
    )
    assert said in told.outputs["table"]
    assert gate(growing, told.outputs["measured"]).returncode == 0
    # Not measured, it is no judgement.
    refused = gate(growing, "")
    assert refused.returncode == 3
    assert "compare-models measured no such metric" in refused.stderr


def test_a_worse_training_on_new_data_is_refused(growing: Project) -> None:
    growing.change("retrain", slope=0.5, test=data(0) + DRIFTED)
    refused = gate(growing, growing.run().outputs["measured"])
    assert refused.returncode == 3
    assert "is worse than" in refused.stderr


def test_where_the_evaluation_is_the_same_nothing_is_run(growing: Project) -> None:
    growing.change("experiment", slope=1.95)
    told = growing.run(setup="false")
    assert (told.code, told.outputs["measured"]) == (0, "")
    assert "evaluated slope" not in told.log
    assert gate(growing, "").returncode == 0
    growing.change("experiment", slope=1.0)
    assert gate(growing, "").returncode == 3


def test_a_changed_evaluation_is_measured_by_the_bases(growing: Project) -> None:
    text = (growing.top / "work/evaluate.py").read_text().replace("abs(", "0 * abs(")
    growing.change("experiment", slope=0.5, files={"evaluate.py": text})
    told = growing.run()
    assert told.difference.candidate is not None
    assert told.difference.candidate > 1
    assert gate(growing, told.outputs["measured"]).returncode == 3


def test_rows_that_are_taken_away_leave_the_bases_data(growing: Project) -> None:
    test = data(0).replace("1,2,young\n", "", 1) + DRIFTED
    growing.change("retrain", slope=1.5, test=test)
    told = growing.run()
    said = "data/test.csv is the base's, as the candidate's lacks 1 of its 80 rows"
    assert said in told.outputs["table"]
    assert told.difference.champion == growing.plain(growing.tip())


def test_without_the_rule_the_bases_data_measure(project: Project, tmp_path: Path) -> None:
    champion = project.plain(project.tip())
    rules = {"compare": {**RULES["compare"], "test-data": ["data/test.csv"]}}
    project.change("retrain", slope=2.9, test=data(0) + DRIFTED, rules=rules)
    told = project.run()
    assert told.difference.champion == champion
    assert "data/test.csv" not in told.outputs["table"]
