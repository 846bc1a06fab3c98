"""Which stages evaluate a model, and what they read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from model_gitops.core.dvc import evaluation
from model_gitops.core.dvc.artifacts import Artifact
from model_gitops.errors import InputError

MODEL = Artifact("m", "models/m.json", "1" * 32)


def entry(path: str, hash: str = "2" * 32) -> dict[str, str]:
    return {"path": path, "hash": "md5", "md5": hash}


def files(stages: dict[str, tuple[list[str], list[str]]], **more: str) -> dict[str, str]:
    """A project of stages: name → (deps, outs)."""
    definition: dict[str, Any] = {}
    lock: dict[str, Any] = {}
    for name, (deps, outs) in stages.items():
        definition[name] = {"cmd": name, "deps": deps, "outs": outs}
        lock[name] = {
            "cmd": name, "deps": [entry(one) for one in deps], "outs": [entry(one) for one in outs],
        }  # fmt: skip
    return {
        "dvc.yaml": json.dumps({"stages": definition}),
        "dvc.lock": json.dumps({"schema": "2.0", "stages": lock}),
        **more,
    }


TEMPLATE = {
    "prepare": (["prepare.py"], ["data/train.csv", "data/test.csv"]),
    "train": (["train.py", "data/train.csv"], ["models/m.json"]),
    "evaluate": (["evaluate.py", "data/test.csv", "models/m.json"], ["metrics.json", "p.csv"]),
}


def read(plan: evaluation.Plan) -> list[str]:
    return [one.path for one in plan.data]


def test_the_stage_that_writes_the_metrics_and_its_data() -> None:
    plan = evaluation.plan(MODEL, ["metrics.json", "p.csv"], files(TEMPLATE))
    assert plan.name == "evaluate"
    assert read(plan) == ["evaluate.py", "data/test.csv"]
    assert plan.data[1].hash == "2" * 32
    assert plan.writes("p.csv")
    assert not plan.writes("data/test.csv")
    assert plan.outs == ["metrics.json", "p.csv"]


def test_a_chain_of_stages_in_their_order() -> None:
    chain = {
        "score": (["p.csv", "bounds.json"], ["metrics.json"]),
        "train": ([], ["models/m.json"]),
        "predict": (["models/m.json", "test.csv"], ["p.csv"]),
        "bounds": (["limits.csv"], ["bounds.json"]),
    }
    plan = evaluation.plan(MODEL, ["metrics.json"], files(chain))
    assert plan.name == "predict, score"
    assert read(plan) == ["test.csv", "bounds.json"]


def test_a_folder_is_what_is_tracked_in_it() -> None:
    stages = {
        "prepare": ([], ["data/a.csv", "data/b.csv"]),
        "evaluate": (["data", "raw", "models"], ["metrics.json"]),
        "train": ([], ["models/m.json"]),
    }
    added = json.dumps({"outs": [{"md5": "3" * 32, "hash": "md5", "path": "x.csv"}]})
    plan = evaluation.plan(MODEL, ["metrics.json"], files(stages, **{"raw/x.csv.dvc": added}))
    assert read(plan) == ["data/a.csv", "data/b.csv", "raw/x.csv"]


def test_what_training_makes_beside_the_model_is_not_measured_with_another_one() -> None:
    stages = dict(TEMPLATE)
    stages["train"] = (["train.py"], ["models/m.json", "models/scaler.json"])
    stages["evaluate"] = (["models/m.json", "models/scaler.json"], ["metrics.json"])
    with pytest.raises(
        InputError, match=r"reads models/scaler.json, which stage 'train' makes beside"
    ):
        evaluation.plan(MODEL, ["metrics.json"], files(stages))
    stages["evaluate"] = (["models"], ["metrics.json"])
    with pytest.raises(InputError, match=r"models/scaler.json"):
        evaluation.plan(MODEL, ["metrics.json"], files(stages))


def test_a_file_in_a_model_that_is_a_folder() -> None:
    model = Artifact("m", "model", "1" * 32 + ".dir")
    stages = {"train": ([], ["model"]), "evaluate": (["model/weights.json"], ["metrics.json"])}
    assert read(evaluation.plan(model, ["metrics.json"], files(stages))) == []


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("other.json", "written by no stage of it"),
        ("data/test.csv", "written by stage 'prepare', which does not read it"),
        ("models/m.json", "written by stage 'train', which does not read it"),
    ],
)
def test_what_no_evaluation_writes(path: str, says: str) -> None:
    assert not evaluation.measurable(MODEL, path, files(TEMPLATE))
    with pytest.raises(InputError, match=says):
        evaluation.plan(MODEL, [path], files(TEMPLATE))
    assert evaluation.measurable(MODEL, "metrics.json", files(TEMPLATE))


def test_stages_that_go_round_in_circles_end() -> None:
    circle = {"a": (["y"], ["x"]), "b": (["x"], ["y"])}
    assert not evaluation.measurable(MODEL, "x", files(circle))
