from __future__ import annotations

import json
from pathlib import Path

import component
import train_component
import yaml

from diabetes import prepare, train

PROJECT = Path(__file__).parents[2]


def test_it_makes_what_the_stage_makes(tmp_path: Path):
    prepare.prepare(tmp_path, test_share=0.2, seed=42)
    data, model, known = tmp_path / "train.csv", tmp_path / "model", tmp_path / "curve"
    params = yaml.safe_load((PROJECT / "params.yaml").read_text())["train"]
    train.train(data, model, known, **params)
    made, curve = tmp_path / "new" / "model", tmp_path / "other" / "curve"
    train_component.run(
        [
            *("--params-file", str(PROJECT / "params.yaml")),
            *("--train", str(data), "--model", str(made), "--curve", str(curve)),
            *("--made-from", str(tmp_path / "record" / "made-from.json")),
        ]
    )
    assert made.read_bytes() == model.read_bytes()
    assert curve.read_text() == known.read_text()
    record = json.loads((tmp_path / "record" / "made-from.json").read_text())
    assert record["inputs"] == {"train": component.md5(data)}
    assert record["outputs"] == {"model": component.md5(model), "curve": component.md5(curve)}
    assert list(record["params"]) == ["train"]
