from __future__ import annotations

import json
from pathlib import Path

import component
import measure_component
import yaml

from diabetes import evaluate, prepare, train

PROJECT = Path(__file__).parents[2]


def test_it_measures_what_the_stage_measures(tmp_path: Path):
    prepare.prepare(tmp_path, test_share=0.2, seed=42)
    test, model = tmp_path / "test.csv", tmp_path / "model"
    params = yaml.safe_load((PROJECT / "params.yaml").read_text())["train"]
    train.train(tmp_path / "train.csv", model, tmp_path / "curve", **params)
    metrics, predictions = tmp_path / "a" / "metrics", tmp_path / "b" / "predictions"
    measure_component.run(
        [
            *("--test", str(test), "--model", str(model)),
            *("--metrics", str(metrics), "--predictions", str(predictions)),
            *("--made-from", str(tmp_path / "made-from.json")),
        ]
    )
    evaluate.evaluate(test, model, tmp_path / "m", tmp_path / "p")
    assert metrics.read_text() == (tmp_path / "m").read_text()
    assert predictions.read_text() == (tmp_path / "p").read_text()
    record = json.loads((tmp_path / "made-from.json").read_text())
    assert record["inputs"]["model"] == component.md5(model)
    assert record["outputs"]["metrics"] == component.md5(metrics)
    assert record["params"] == {}
