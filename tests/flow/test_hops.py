"""Hops that are refused, and a branch whose name is an attack."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from model_gitops_local.flow import MODEL, Flow

# Not `";`: DVC's own reader of .git/config stumbles over that in a branch section.
HOSTILE = 'experiment/a"b$(touch${IFS}pwned)`id`'


def change(folder: Path) -> None:
    file = folder / "params.yaml"
    file.write_text(file.read_text("utf-8").replace("epochs: 10", "epochs: 12"), "utf-8")


def refs(flow: Flow) -> str:
    return flow.bare(MODEL).run("for-each-ref", "refs/heads", "refs/tags")


def test_a_hostile_branch_is_an_experiment_like_any_other(new_flow: Callable[[], Flow]) -> None:
    flow = new_flow()
    flow.commit(HOSTILE, change, "Try a name")
    run = flow.pushed(HOSTILE, "experiment.yml")
    assert run.status == 0, (run.failed_step, run.errors, run.log[-3000:])
    assert run.outputs["Register the model version"]["version"] == "v0.0.1"
    assert flow.bare(MODEL).file_at(f"refs/heads/{HOSTILE}", "dvc.lock") is not None
    # Nor does the pull request that skips staging get anywhere.
    before = refs(flow)
    number = flow.open_pull_request(HOSTILE, "staging", "Skip $(touch pwned)")
    run = flow.proposed(number)
    assert run.status != 0
    assert run.failed_step == "Is this hop allowed?"
    assert any("takes changes only from branch 'main'" in text for text in run.errors)
    assert refs(flow) == before
    assert flow.comments(number) == []

    places = [flow.root, Path("~/.cache/act").expanduser(), Path.cwd()]
    found = subprocess.run(
        ["find", *places, "-name", "pwned*"], check=True, capture_output=True, text=True
    )
    assert found.stdout == ""


def test_a_merge_of_a_repository_without_a_model_deploys_nothing(
    new_flow: Callable[[], Flow],
) -> None:
    flow = new_flow()
    before = refs(flow)
    run = flow.pushed("main", "deploy.yml")
    assert run.status == 0, run.errors
    assert "Bump the image in the deploy repository" not in {step for _, step, _ in run.steps}
    assert refs(flow) == before


def test_the_stage_may_move_on_the_pull_request(new_flow: Callable[[], Flow]) -> None:
    flow = new_flow()

    def move_early(folder: Path) -> None:
        file = folder / "promotion.yaml"
        file.write_text(file.read_text("utf-8") + 'stage-on: "pull_request"\n', "utf-8")

    # The rules of main count, and main has them already.
    flow.commit("main", move_early, "Move stages early")
    flow.commit("experiment/early", change, "Move the stage early")
    assert flow.pushed("experiment/early", "experiment.yml").status == 0
    number = flow.open_pull_request("experiment/early", "main", "Move the stage early")
    run = flow.proposed(number)
    assert run.status == 0, (run.failed_step, run.errors, run.log[-3000:])
    assert run.outputs["Assign the stage"]["stage-tag"] == "diabetes#dev#1"
    assert "refs/tags/diabetes#dev#1" in refs(flow)
    # Nothing runs yet: the template's minimum judges the first model.
    (report,) = flow.comments(number)
    assert report.startswith("## Promotion to dev: may merge\n")
    assert "| ✅ | eval/metrics.json:r2 | – |" in report


def test_a_report_says_what_nobody_could_ask_and_which_rules_change(
    new_flow: Callable[[], Flow],
) -> None:
    flow = new_flow()
    del flow.tokens["DEPLOY_READ_TOKEN"]  # the secret is not set, and the repository is private

    def break_the_project(folder: Path) -> None:  # what comes after is skipped: this is quick
        (folder / "Makefile").write_text("env:\n\tfalse\n", "utf-8")
        file = folder / "promotion.yaml"
        file.write_text(file.read_text("utf-8").replace("0.01", "9"), "utf-8")

    flow.commit("experiment/broken", break_the_project, "Break it")
    number = flow.open_pull_request("experiment/broken", "main", "Break it")
    run = flow.proposed(number, action="edited")
    failed = {step for _, step, result in run.steps if result == "failure"}
    assert {"Set up the project", "Gate the metrics"} <= failed
    assert any("the deploy repository asks who we are" in text for text in run.errors)
    (report,) = flow.comments(number)
    assert "The gate of dev could not judge this model" in report
    assert "The project's own checks and tests failed" in report
    assert "What dev runs can not be said" in report
    assert "DEPLOY_READ_TOKEN" in report
    order = [
        "This change rewrites promotion.yaml",
        "count after the merge",
        "`0.01`",
        "could not judge this model",  # the title says it too
    ]
    assert [report.index(one) for one in order] == sorted(report.index(one) for one in order)
