"""cml-report: what is counted as better, as worse, and as neither, with real Git and real DVC."""

from __future__ import annotations

import json

import pytest
from report_flow import DVC_YAML, PROMOTION, Flow, project

METRICS = "eval/metrics.json"


def report(flow: Flow, before: str, after: str, **extra: str) -> str:
    """The report of a pull request that changes the file of metrics from `before` to `after`."""
    flow.commit("main", project(0.05) | {METRICS: before})
    flow.commit("better", project(0.05) | {METRICS: after} | extra)
    flow.on_pull_request()
    flow.run(plots="false")
    return flow.comments()[-1]


def test_a_model_that_ran_away_is_worse_and_shown(flow: Flow) -> None:
    body = report(
        flow,
        '{"accuracy": 0.9, "loss": 0.1, "val_loss": 0.2, "per_class": [0.9, 0.8], "was": NaN, "nan": NaN}',
        '{"accuracy": NaN, "loss": Infinity, "val_loss": 0.1, "per_class": [0.9, NaN], "was": 0.9, "nan": NaN}',
    )
    assert body.startswith("## Model report: diabetes → dev — ▲ 1 better ▼ 3 worse\n\n")
    assert (
        "**▲ 1 better ▼ 3 worse** of 7 metrics, 1 changed, not judged, compared with main." in body
    )
    for row in (
        "| accuracy | 0.9 | nan | no number ▼ |",
        "| loss | 0.1 | inf | no number ▼ |",
        "| val\\_loss | 0.2 | 0.1 | -0.1 ▲ |",
        "| per\\_class.0 | 0.9 | 0.9 | = |",
        "| per\\_class.1 | 0.8 | nan | no number ▼ |",
        "| was | nan | 0.9 | changed |",
        "| nan | nan | nan | = |",
    ):
        assert row in body


def test_rows_types_and_flags_that_change_are_counted(flow: Flow) -> None:
    body = report(
        flow,
        '{"size": 3, "ok": true, "kind": 3, "old": 1, "score": null}',
        '{"size": 3, "ok": false, "kind": "3", "fresh": 1, "score": null}',
    )
    assert body.startswith("## Model report: diabetes → dev — 2 changed, not judged, 1 gone\n\n")
    assert "**2 changed, not judged** of 6 metrics, 1 new, 1 gone, compared with main." in body
    for row in (
        "| ok | True | False | changed |",
        "| kind | 3 | 3 | changed |",
        "| fresh | – | 1 | new |",
        "| old | 1 | – | gone |",
        "| score | null | null |  |",
    ):
        assert row in body


def test_a_file_that_can_not_be_read_on_one_side_is_not_compared(flow: Flow) -> None:
    more = {"dvc.yaml": DVC_YAML.replace("params:", "  - eval/more.json\nparams:")}
    flow.commit("main", project(0.05) | more | {"eval/more.json": '{"mae": 3}'})
    flow.commit("better", project(0.05) | more | {"eval/more.json": '{"mae": 3,,}'})
    flow.on_pull_request()
    flow.run(plots="false")
    (body,) = flow.comments()
    assert "**1 can't be compared** of 4 metrics, compared with main." in body
    assert "| eval/more.json:mae | 3 | ? | can't be compared |" in body
    assert "eval/more.json can't be read in candidate" in body
    # Missing on one side is another thing.
    (flow.git.directory / "eval" / "more.json").unlink()
    flow.commit("better", {})
    flow.run(plots="false")
    (body,) = flow.comments()
    assert "eval/more.json is missing in candidate" in body
    assert "none of them changed" not in body


def test_a_date_among_the_params_does_not_lose_the_report(flow: Flow) -> None:
    # In params.yaml itself DVC takes none: it fails with everything.
    more = {"dvc.yaml": DVC_YAML.replace("params.yaml", "data.yaml")}
    flow.commit("main", project(0.05) | more | {"data.yaml": "since: 2026-01-02\nrate: 0.1\n"})
    flow.commit("better", project(0.1) | more | {"data.yaml": "since: 2026-01-03\nrate: 0.1\n"})
    flow.on_pull_request()
    flow.run(plots="false")
    (body,) = flow.comments()
    assert "since | 2026-01-02 | 2026-01-03 |" in body
    assert "**▲ 1 better ▼ 1 worse** of 3 metrics" in body


def test_the_rules_of_the_base_say_what_is_better(flow: Flow) -> None:
    rules = PROMOTION + "metrics: {eval/metrics.json:size: lower, speed: higher, mae: neither}\n"
    flow.commit(
        "main", {"promotion.yaml": rules, METRICS: '{"size": 3, "speed": 1, "mae": 2, "f1": 1}'}
    )
    turned = rules.replace("size: lower", "size: higher").replace("speed: higher", "speed: lower")
    better = {"promotion.yaml": turned, METRICS: '{"size": 4, "speed": 2, "mae": 1, "f1": 2}'}
    flow.commit("better", better)
    flow.on_pull_request()
    flow.run(plots="false")
    (body,) = flow.comments()
    assert "**▲ 2 better ▼ 1 worse** of 4 metrics, 1 changed, not judged" in body
    for row in (
        "| size | 3 | 4 | +1 ▼ |",
        "| speed | 1 | 2 | +1 ▲ |",
        "| mae | 2 | 1 | -1 |",
        "| f1 | 1 | 2 | +1 ▲ |",
    ):
        assert row in body


def test_a_base_that_was_taken_back_is_refused_in_each_spelling(
    flow: Flow, capfd: pytest.CaptureFixture[str]
) -> None:
    flow.commit("main", project(0.05))
    for name in ("diabetes@v0.0.1", "diabetes#dev#1", "diabetes@v0.0.1!"):
        flow.git.run("tag", "--annotate", "--message", "x", name)
        flow.git.run("push", "--quiet", "origin", f"refs/tags/{name}")
    flow.commit("better", project(0.1))
    flow.on_pull_request()
    for base in ("v0.0.1", "diabetes@v0.0.1", "diabetes#dev#1", "refs/tags/diabetes@v0.0.1"):
        flow.run(plots="false", base=base, expect=3)
        told = capfd.readouterr()
        assert "of 'diabetes' was taken back, by the tag `diabetes@v0.0.1!`" in told.out + told.err
    assert flow.comments() == []


def test_the_report_of_a_project_in_a_folder_is_of_that_project(flow: Flow) -> None:
    def inside(folder: str, quality: float) -> dict[str, str]:
        files = {name: text for name, text in project(quality).items() if ".dvc/" not in name}
        files["promotion.yaml"] = PROMOTION.replace("better: lower", "better: higher")
        return {f"{folder}/{name}": text for name, text in files.items()}

    both = {**inside("proj", 0.05), **inside("beside", 0.05)}
    flow.commit("main", project(0.05) | both)
    changed = {**project(0.2), **both, **inside("proj", 0.1)}
    changed["beside/eval/metrics.json"] = json.dumps({"r2": 0})
    flow.commit("better", changed)
    flow.on_pull_request()
    flow.run(config="proj/promotion.yaml")
    (body,) = flow.comments()
    assert body.startswith("## Model report: proj:diabetes → dev — ▲ 2 better\n\n")
    assert "**▲ 2 better** of 3 metrics, compared with main." in body
    assert "| r2 | 0.45 | 0.5 | +0.05 ▲ |" in body
    assert "| train.epochs | 50 | 100 |" in body
    assert body.count("![") == 2
    assert "beside" not in body
    flow.run(config="nowhere/promotion.yaml", expect=2)


def test_a_base_where_no_run_made_metrics_yet_is_no_fault(flow: Flow) -> None:
    flow.git.run("switch", "--quiet", "main")
    (flow.git.directory / METRICS).unlink()
    flow.commit("main", {})
    flow.commit("better", project(0.05))
    flow.on_pull_request()
    flow.run(plots="false")
    (body,) = flow.comments()
    assert "3 metrics; main has none to compare with." in body
    assert "| r2 | – | 0.45 |" in body
    assert "is missing in" not in body
    # What dvc.lock says was made there, and is nowhere, can't be compared.
    out = {"path": METRICS, "hash": "md5", "md5": "0" * 32, "size": 1}
    lock = {"schema": "2.0", "stages": {"evaluate": {"cmd": "true", "outs": [out]}}}
    stages = f"stages:\n  evaluate:\n    cmd: 'true'\n    outs: [{METRICS}]\n"
    flow.commit("main", {"dvc.yaml": f"{stages}{DVC_YAML}", "dvc.lock": json.dumps(lock)})
    flow.git.run("switch", "--quiet", "better")
    flow.run(plots="false")
    (body,) = flow.comments()
    assert "eval/metrics.json is missing in main" in body
