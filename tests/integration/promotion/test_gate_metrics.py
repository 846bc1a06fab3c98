"""The gate judges commits, and compares with what the target's overlay runs."""

from __future__ import annotations

import json

from promotion_world import DIGEST, PROMOTION, Flow
from world import HASHES, READER, Told, rewrite

from model_gitops.adapters import process
from model_gitops.core.flow import measured
from model_gitops.core.flow.measured import Difference, Measured


def judge(flow: Flow, files: dict[str, str], **inputs: str) -> Told:
    """The gate's job of a pull request with `files` into main."""
    flow.change("experiment/a", files)
    flow.pull_request("experiment/a", "main")
    return flow.run("gate-metrics", **{"token": READER, **inputs})


def test_a_worse_model_is_refused_and_a_better_one_passes(deployed: Flow) -> None:
    told = judge(deployed, deployed.files("worse", 5))
    assert told.code == 3, told.log
    assert "metrics.json:r2: 0.111 is worse than 0.455 by 0.344, 0.01 is tolerated" in told.log
    assert judge(deployed, deployed.files("better", 60)).code == 0


def test_without_an_event_it_is_judged_as_a_change_into_the_first_environment(
    deployed: Flow,
) -> None:
    judge(deployed, deployed.files("worse", 5))
    for name in ("GITHUB_EVENT_NAME", "GITHUB_EVENT_PATH", "GITHUB_REF", "GITHUB_SHA"):
        deployed.env.pop(name, None)
    told = deployed.run("gate-metrics", token=READER)
    assert told.code == 3, told.log
    assert "there is no event: this is judged as a change into main" in told.log
    deployed.set_rules(deploy={"repository": "acme/nowhere"})
    deployed.work.run("checkout", "--quiet", "--detach", deployed.sha("main"))
    told = deployed.run("gate-metrics", token=READER)
    assert told.code == 4, told.log
    assert "acme/nowhere.git (" in told.log
    assert "adopt --deploy FOLDER writes its files)" in told.log


def test_metrics_of_another_model_are_refused(deployed: Flow) -> None:
    files = deployed.files("better", 60)
    lock = json.loads(files["dvc.lock"])
    lock["stages"]["train"]["outs"][0]["md5"] = HASHES["worse"]
    told = judge(deployed, files | {"dvc.lock": json.dumps(lock)})
    assert told.code == 3
    assert f"judged m.bin with hash {HASHES['better']}" in told.log


def test_where_nothing_runs_only_the_bounds_count(flow: Flow) -> None:
    told = judge(flow, flow.files("worse", 5))
    assert told.code == 0, told.log
    found = flow.outputs("gate-metrics")
    assert "nothing to compare with yet" in found["table"]
    assert found["passed"] == "true"
    bounded = [{"metric": "metrics.json:r2", "better": "higher", "minimum": 0.3}]
    flow.set_rules(gate=bounded)
    told = judge(flow, flow.files("worse", 5))
    assert told.code == 3
    assert "0.111 is below the minimum 0.3" in told.log


def test_a_new_metric_is_refused_unless_the_rules_allow_it(deployed: Flow) -> None:
    gate = [*PROMOTION["gate"], {"metric": "more.json:mae", "better": "lower"}]
    more = {"more.json": '{"mae": 3.5, "rmse": 4}'}
    deployed.set_rules(gate=gate)
    told = judge(deployed, deployed.files("better", 60) | more)
    assert told.code == 3
    assert "more.json:mae: what runs now has no such number" in told.log
    assert "new-metrics: allow" in told.log
    assert "no stage of dvc.yaml writes more.json" in told.log
    deployed.set_rules(gate=gate, **{"new-metrics": "allow"})
    assert judge(deployed, deployed.files("better", 60) | more).code == 0
    told = judge(deployed, deployed.files("better", 60) | {"more.json": '{"rmse": 4}'})
    assert told.code == 3
    assert "the candidate has no such number: more.json has rmse" in told.log
    for value, said in (("NaN", "nan"), ("-Infinity", "-inf"), ('"3.5"', "'3.5'"), ("null", "–")):
        odd = {"more.json": f'{{"mae": {value}, "rmse": 4}}'}
        told = judge(deployed, deployed.files("better", 60) | odd)
        assert told.code == 3
        assert f"the candidate has no such number: more.json has mae = {said}, rmse" in told.log


def test_an_overlay_that_was_edited_by_hand_leaves_nothing_to_compare_with(deployed: Flow) -> None:
    rewrite(deployed, lambda text: text.replace(DIGEST, "sha256:" + "2" * 64), "dev")
    told = judge(deployed, deployed.files("better", 60))
    assert told.code == 3
    assert "no deploy commit says where" in told.log
    # A person may say what runs.
    assert judge(deployed, deployed.files("better", 60), baseline=deployed.sha("main")).code == 0


def test_a_deploy_repository_that_can_not_be_asked_is_no_pass(deployed: Flow) -> None:
    assert judge(deployed, deployed.files("better", 60), token="wrong").code in (2, 4)
    assert judge(deployed, deployed.files("better", 60), token="").code in (2, 4)


def test_without_a_deploy_repository_the_stage_tells_and_a_notice_says_so(flow: Flow) -> None:
    rules = {key: value for key, value in PROMOTION.items() if key != "deploy"}
    commit = flow.change("main", flow.files("better", 60) | {"promotion.yaml": json.dumps(rules)})
    flow.assign("dev", commit)
    flow.work.run("push", "--quiet", "--tags", "origin")
    told = judge(flow, flow.files("worse", 5))
    assert told.code == 3
    assert "whoever may push a tag can move that" in told.log


def test_metrics_that_dvc_keeps_are_pulled_of_both_commits(flow: Flow) -> None:
    store = flow.top / "store"
    for name, r2 in (("better", 0.455), ("worse", 0.111)):
        text = json.dumps({"r2": r2})
        md5 = json.loads(flow.files(name, 1)["dvc.lock"])["stages"]["evaluate"]["outs"][0]["md5"]
        file = store / "files" / "md5" / md5[:2] / md5[2:]
        file.parent.mkdir(parents=True)
        file.write_text(text, encoding="utf-8")
    project = {
        ".dvc/config": f"[core]\n    remote = store\n['remote \"store\"']\n    url = {store}\n",
        ".dvc/.gitignore": "/cache\n/tmp\n",
        ".gitignore": "/metrics.json\n",
    }

    def kept(name: str, epochs: int) -> dict[str, str]:
        files = flow.files(name, epochs) | project
        del files["metrics.json"]
        return files

    flow.deploy("dev", flow.change("main", kept("better", 60)), DIGEST)
    assert not process.run(["git", "-C", flow.work.directory, "ls-files", "metrics.json"]).stdout
    told = judge(flow, kept("worse", 5))
    assert told.code == 3, told.log
    assert "0.111 is worse than 0.455" in told.log
    assert judge(flow, kept("better", 60)).code == 0
    # Nothing of it is left in the checkout.
    assert not (flow.work.directory / "metrics.json").exists()


def test_a_measured_rule_wants_a_measurement_of_these_two_models(deployed: Flow) -> None:
    rule = {"metric": "metrics.json:r2", "better": "higher", "measured": True, "significant": True}
    deployed.set_rules(gate=[rule])
    # The plain numbers say "better"; what both did on the same data does not.
    better = deployed.files("better", 60)
    told = judge(deployed, better)
    assert told.code == 3
    assert "asks for a measured comparison" in told.log

    def result(candidate: str, interval: tuple[float, float]) -> str:
        found = Difference("metrics.json:r2", 0.4, 0.41, interval)
        return measured.dump(
            Measured(HASHES["better"], candidate, differences={found.metric: found})
        )

    told = judge(deployed, better, measured=result(HASHES["better"], (-0.02, 0.04)))
    assert told.code == 3
    assert "the 95 % interval of the difference, -0.02 to +0.04, does not exclude" in told.log
    assert judge(deployed, better, measured=result(HASHES["better"], (0.001, 0.02))).code == 0
    told = judge(deployed, better, measured=result("d" * 32, (0.001, 0.02)))
    assert told.code == 3
    assert "measured another candidate" in told.log
    assert judge(deployed, better, measured="{}").code == 2
