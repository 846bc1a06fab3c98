from __future__ import annotations

import json
from pathlib import Path

import component
import preprocess_component
import pytest

from diabetes import prepare

PROJECT = Path(__file__).parents[2]


def run(folder: Path, *more: str) -> dict[str, str]:
    outputs = {name: folder / "new" / f"{name}.csv" for name in ("train", "test")}
    preprocess_component.run(
        [
            *more,
            *(word for name, file in outputs.items() for word in (f"--{name}", str(file))),
            "--made-from",
            str(folder / "made-from.json"),
        ]
    )
    return {name: file.read_text() for name, file in outputs.items()}


def test_it_makes_what_the_stage_makes(tmp_path: Path):
    prepare.prepare(tmp_path, test_share=0.2, seed=42)
    params = ["--params-file", str(PROJECT / "params.yaml")]
    made = run(tmp_path, *params, "--labelled", str(PROJECT / "data/labelled.csv"))
    assert made == {name: (tmp_path / f"{name}.csv").read_text() for name in ("train", "test")}
    assert run(tmp_path, "--params", '{"prepare": {"test_share": 0.2, "seed": 42}}') == made


def test_the_record_names_what_it_read_ran_and_made(tmp_path: Path):
    labelled = PROJECT / "data/labelled.csv"
    run(tmp_path, "--params", "prepare: {test_share: 0.3, seed: 1}", "--labelled", str(labelled))
    record = json.loads((tmp_path / "made-from.json").read_text())
    assert record["step"] == "preprocess"
    assert record["params"] == {"prepare": {"test_share": 0.3, "seed": 1}}
    assert record["inputs"] == {"labelled": component.md5(labelled)}
    assert record["outputs"]["train"] == component.md5(tmp_path / "new/train.csv")
    ran = {Path(prepare.__file__).relative_to(PROJECT).as_posix()}
    ran |= {"components/component.py", "components/preprocess/preprocess_component.py"}
    ran |= {"components/preprocess/requirements.txt"}
    assert ran <= set(record["code"])
    assert all(value == component.md5(PROJECT / path) for path, value in record["code"].items())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--params", "train: {}"], "have no 'prepare'"),
        (["--params", "a: [b"], "no YAML"),
        (
            ["--params", "prepare: {test_share: 0.2, seed: 1}", "--labelled", "none.csv"],
            "no such file",
        ),
    ],
)
def test_what_is_wrong_is_said(words: list[str], said: str, tmp_path: Path):
    with pytest.raises(SystemExit, match=said):
        run(tmp_path, *words)
