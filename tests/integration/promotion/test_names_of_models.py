"""A model that promotion.yaml names and dvc.yaml does not have: refused, with the names that there are."""

from __future__ import annotations

import json
from typing import Any

import pytest
from promotion_world import PROMOTION, Flow
from world import HASHES, READER, Told

TRAINED = "stages:\n  train: {cmd: x, outs: [m.bin]}\nartifacts:\n"


def rules(**changes: Any) -> dict[str, str]:
    return {"promotion.yaml": json.dumps(PROMOTION | changes)}


def change(flow: Flow, files: dict[str, str], action: str = "check-promotion") -> Told:
    flow.change("experiment/a", files)
    flow.pull_request("experiment/a", "main")
    return flow.run(action, token=READER)


@pytest.fixture
def trained(flow: Flow) -> Flow:
    """The better model on main."""
    flow.change("main", flow.files("better", 60))
    return flow


@pytest.mark.parametrize("action", ["check-promotion", "gate-metrics"])
@pytest.mark.parametrize("name", ["diabetis", "Diabetes", "sub:diabetes", "m", "data"])
def test_a_wrong_name_in_the_rules_is_refused(trained: Flow, action: str, name: str) -> None:
    flow = trained
    data = {"data.dvc": "outs: [{path: data, hash: md5, md5: %s.dir}]\n" % ("d" * 32)}
    flow.change("main", rules(model=name) | data)
    for told in (change(flow, {"x": "1"}, action), change(flow, flow.files("worse", 5), action)):
        assert told.code == 2, told.log
        assert (
            f"input `model (in promotion.yaml)` is '{name}': dvc.yaml has no such artifact. The"
            " artifacts that there are: 'diabetes'\nFix: model: diabetes\n"
        ) in told.log
    flow.push("main")
    assert flow.run(action, token=READER).code == 2
    # Typed as it says, it works: the fault is corrected by a change of its own.
    assert change(flow, rules() | {"y": "1"}, action).code == 0


def test_a_name_that_was_never_trained_is_wrong_too(flow: Flow) -> None:
    flow.change("main", {"dvc.yaml": f"{TRAINED}  wine: {{path: m.bin}}\n"})
    told = change(flow, {"x": "1"})
    assert told.code == 2
    assert "The artifacts that there are: 'wine'\nFix: model: wine\n" in told.log


def test_before_the_first_training_there_is_no_model_and_no_fault(flow: Flow) -> None:
    artifact = {"dvc.yaml": f"{TRAINED}  diabetes: {{path: m.bin, type: model}}\n"}
    data = {"data.csv.dvc": f"outs: [{{path: data.csv, hash: md5, md5: {'a' * 32}}}]\n"}
    for files in ({}, artifact, artifact | data):
        flow.change("experiment/a", files)
        flow.pull_request("experiment/a", "main")
        assert flow.outputs("check-promotion")["has-model"] == "false"
    # The template: dvc.yaml names the model, and nobody has trained it yet.
    flow.change("main", artifact | data)
    flow.push("main")
    assert flow.outputs("check-promotion")["has-model"] == "false"


def test_data_without_any_model_is_told_how_to_name_one(flow: Flow) -> None:
    told = change(
        flow, {"data.csv.dvc": f"outs: [{{path: data.csv, hash: md5, md5: {'a' * 32}}}]\n"}
    )
    assert told.code == 2
    assert (
        "The artifacts that there are: none\n"
        "Fix: add to dvc.yaml: `artifacts: {diabetes: {path: PATH, type: model}}`"
    ) in told.log


def test_a_push_that_loses_the_model_is_refused(trained: Flow) -> None:
    flow = trained
    lock = json.loads(flow.files("better", 60)["dvc.lock"])
    del lock["stages"]["train"]
    flow.change("main", {"dvc.lock": json.dumps(lock)})
    flow.push("main")
    told = flow.run("check-promotion", token=READER)
    assert told.code == 2
    assert "dvc.yaml names the path 'm.bin', but no dvc.lock and no .dvc file tracks it" in told.log


def test_another_model_is_promoted_by_the_rules_of_the_merge_after(trained: Flow) -> None:
    flow = trained
    renamed = flow.files("better", 60)
    both = renamed["dvc.yaml"] + "  wine: {path: m.bin, type: model}\n"
    only = renamed["dvc.yaml"].replace("  diabetes:", "  wine:")
    told = change(flow, {"dvc.yaml": only} | rules(model="wine"))
    assert told.code == 3, told.log
    assert "promote the model diabetes, and this change's dvc.yaml has no such artifact" in told.log
    assert "keep 'diabetes' under `artifacts:` beside the new name" in told.log
    # So it goes, as the fix says.
    assert change(flow, {"dvc.yaml": both} | rules(model="wine")).code == 0
    flow.change("main", {"dvc.yaml": both} | rules(model="wine"))
    flow.pull_request("experiment/a", "main")
    assert change(flow, {"dvc.yaml": only}).code == 0
    found = flow.outputs("check-promotion")
    assert (found["model"], found["model-hash"]) == ("wine", HASHES["better"])


def test_the_models_name_of_the_first_pull_request_counts(flow: Flow) -> None:
    wine = flow.files("better", 60)
    wine["dvc.yaml"] = wine["dvc.yaml"].replace("  diabetes:", "  wine:")
    told = change(flow, wine | rules(model="wine"))
    assert told.code == 0, told.log
    assert flow.outputs("check-promotion")["model"] == "wine"
    assert "has no model diabetes: this change names its model, wine" in told.log
