"""Drift under act: a retraining proposes a model, and the gate measures it on the new data.

Six workflows with a training each: in the slow form, as `make test-reliability` asks for it. Each run of the tests has
the parts: the example of open-retraining under act, the issue and the pull request, test data that grew.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from model_gitops_local.flow import MODEL, Flow

pytestmark = pytest.mark.skipif(
    os.environ.get("MODEL_GITOPS_RELIABILITY") != "full",
    reason="takes minutes: make test-reliability",
)

COLUMNS = "time,id,version,age,sex,bmi,bp,s1,s2,s3,s4,s5,s6,prediction,label"


def windows(folder: Path) -> None:
    """Windows as the monitoring has them: since the drift people's progression is 150 higher."""
    chance = random.Random(1)
    rows = []
    for one in range(300):
        bmi = chance.gauss(26, 4)
        values = [50, 1, bmi, 94, 189, 115, 50, 4, 4.6, 91]
        label = 150 + 150 + 8 * (bmi - 26) + chance.gauss(0, 20)
        numbers = ",".join(f"{value:.3f}" for value in values)
        rows.append(f"2026-11-23T00:00:00Z,row-{one},v0.0.1,{numbers},150,{label:.2f}")
    file = folder / "collected" / "2026-W48.csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join([COLUMNS, *rows]) + "\n")
    # In place of the log: what `make collect` makes of one.
    promotion = folder / "promotion.yaml"
    own = 'commands: {collect: "mkdir -p monitor/windows && cp collected/*.csv monitor/windows/"}\n'
    promotion.write_text(promotion.read_text("utf-8") + own, "utf-8")


def test_drift_is_proposed_measured_on_the_new_data_and_told(new_flow: Callable[[], Flow]) -> None:
    flow = new_flow()
    flow.commit(
        "experiment/first", lambda folder: (folder / "notes.md").write_text("x\n") and None, "First"
    )
    assert flow.pushed("experiment/first", "experiment.yml").status == 0
    flow.merge(flow.open_pull_request("experiment/first", "main", "First"))
    deployed = flow.pushed("main", "deploy.yml")
    assert deployed.status == 0, (deployed.failed_step, deployed.errors, deployed.log[-3000:])
    flow.commit("main", windows, "Collect what was asked")

    run = flow.dispatched("retrain.yml", reason="progression drifted", config="promotion.yaml")
    assert run.status == 0, (run.failed_step, run.errors, run.log[-3000:])
    opened = run.outputs["Keep the issue and the pull request"]
    assert opened["operation"] == "opened"
    number = int(opened["pull-request"].rpartition("/")[2])
    issue = int(opened["issue"].rpartition("/")[2])
    (warned,) = flow.comments(issue) or [""]
    assert warned == ""

    checked = flow.proposed(number)
    assert checked.status == 0, (checked.failed_step, checked.errors, checked.log[-3000:])
    measured = checked.outputs["Measure both models, where the evaluation changed"]
    assert "data/test.csv is the candidate's: all 89 rows of the base's" in measured["table"]
    (said,) = flow.comments(issue)
    assert "✅ **The retrained model passes the gate.**" in said
    assert "measured on the same data" in said
    branch = opened["branch"]
    assert flow.bare(MODEL).file_at(f"refs/heads/{branch}", "data/labelled.csv.dvc") is not None

    # Nothing new: no second pull request, and the run is green.
    again = flow.dispatched("retrain.yml", reason="progression drifted", config="promotion.yaml")
    assert again.status == 0, (again.failed_step, again.errors, again.log[-3000:])
    assert again.outputs["Keep the issue and the pull request"] == {**opened, "operation": "none"}
