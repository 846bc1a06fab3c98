"""What made a model, read off dvc.lock and held against the files of the commit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import pytest

from model_gitops.core import artifacts, pipeline
from model_gitops.core.artifacts import Artifact
from model_gitops.core.pipeline import Ingredient


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


GIT: dict[str, bytes] = {
    "src/prepare.py": b"prepare\n",
    "src/train.py": b"train\n",
    "src/lib/a.py": b"a\n",
    "src/lib/b/c.py": b"c\n",
    "params.yaml": b"train: {epochs: 60, rates: [0.1, 0.2]}\nseed: 4\n",
    "metrics.json": b'{"r2": 0.5}\n',
}
LIB = artifacts.manifest_hash({"a.py": md5(b"a\n"), "b/c.py": md5(b"c\n")})
RAW, TRAIN, MODEL = "1" * 32, "2" * 32, "3" * 32


def out(path: str, value: str) -> dict[str, object]:
    return {"path": path, "hash": "md5", "md5": value, "size": 1}


def lock() -> dict[str, dict[str, object]]:
    return {
        "prepare": {
            "cmd": "x",
            "deps": [out("raw.csv", RAW), out("src/prepare.py", md5(b"prepare\n"))],
            "outs": [out("data", f"{TRAIN}.dir")],
        },
        "train": {
            "cmd": "x",
            "deps": [
                out("data", f"{TRAIN}.dir"),
                out("src/lib", LIB),
                out("src/train.py", md5(b"train\n")),
            ],
            "params": {"params.yaml": {"train.epochs": 60, "train.rates.1": 0.2, "seed": 4}},
            "outs": [out("m.bin", MODEL)],
        },
        "evaluate": {
            "cmd": "x",
            "deps": [out("m.bin", MODEL)],
            "outs": [out("metrics.json", md5(b'{"r2": 0.5}\n'))],
        },
        "other": {"cmd": "x", "deps": [out("src/train.py", "f" * 32)], "outs": []},
    }


def read(
    stages: dict[str, dict[str, object]], git: Mapping[str, bytes] = GIT, raw: str = RAW
) -> pipeline.Recipe:
    files = {
        "dvc.yaml": "artifacts: {m: {path: m.bin}}\n",
        "dvc.lock": json.dumps({"schema": "2.0", "stages": stages}),
        "raw.csv.dvc": f"outs:\n- {{path: raw.csv, md5: {raw}, hash: md5}}\n",
    }

    def content(path: str) -> dict[str, bytes]:
        if path in git:
            return {"": git[path]}
        inside = f"{path}/"
        return {name[len(inside) :]: data for name, data in git.items() if name.startswith(inside)}

    return pipeline.read(artifacts.find("m", files), files, content)


def test_what_made_the_model() -> None:
    recipe = read(lock())
    assert recipe.problems == ()
    assert recipe.stages == ("prepare", "train")
    assert recipe.of_kind("data") == (
        Ingredient("data", f"{TRAIN}.dir", "data"),
        Ingredient("raw.csv", RAW, "data"),
    )
    assert [one.path for one in recipe.of_kind("code")] == [
        "src/lib",
        "src/prepare.py",
        "src/train.py",
    ]
    assert recipe.params == {"params.yaml": {"train.epochs": 60, "train.rates.1": 0.2, "seed": 4}}
    assert recipe.results == ("metrics.json",)
    assert recipe.checked == 10


@pytest.mark.parametrize(
    ("stage", "kind", "at", "path"),
    [
        ("prepare", "deps", 0, "raw.csv"),
        ("prepare", "deps", 1, "src/prepare.py"),
        ("prepare", "outs", 0, "data"),
        ("train", "deps", 0, "data"),
        ("train", "deps", 1, "src/lib"),
        ("train", "deps", 2, "src/train.py"),
        ("evaluate", "deps", 0, "m.bin"),
        ("evaluate", "outs", 0, "metrics.json"),
    ],
)
def test_an_edited_hash_is_named_with_both_sides(stage: str, kind: str, at: int, path: str) -> None:
    edited = lock()
    entries = edited[stage][kind]
    assert isinstance(entries, list)
    before = entries[at]["md5"]
    entries[at]["md5"] = "e" * 32
    (problem,) = read(edited).problems
    assert path in problem
    assert "e" * 32 in problem
    assert before in problem
    assert f"stage {stage}" in problem


def test_an_edited_model_hash_contradicts_what_was_judged() -> None:
    edited = lock()
    edited["train"]["outs"] = [out("m.bin", "e" * 32)]
    (problem,) = read(edited).problems
    assert "stage evaluate judged m.bin" in problem


@pytest.mark.parametrize("path", ["src/prepare.py", "src/lib/b/c.py", "metrics.json"])
def test_an_edited_file_is_named(path: str) -> None:
    (problem,) = read(lock(), {**GIT, path: b"edited\n"}).problems
    assert path.removesuffix("/b/c.py") in problem


def test_edited_params_are_named() -> None:
    (problem,) = read(
        lock(), {**GIT, "params.yaml": GIT["params.yaml"].replace(b"60", b"5")}
    ).problems
    assert "train.epochs = 60" in problem
    assert "says 5" in problem
    gone = read(lock(), {**GIT, "params.yaml": b"a: ["}).problems
    assert len(gone) == 1
    assert "params.yaml is not valid YAML" in gone[0]


def test_an_edited_dvc_file_is_named() -> None:
    (problem,) = read(lock(), raw="e" * 32).problems
    assert "raw.csv.dvc" in problem


def test_line_endings_and_lfs_pointers_are_no_contradiction() -> None:
    checkout = lock()
    deps = checkout["prepare"]["deps"]
    assert isinstance(deps, list)
    deps[1]["md5"] = md5(b"prepare\r\n")
    assert read(checkout).problems == ()
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    assert read(lock(), {**GIT, "src/train.py": pointer}).problems == ()


def test_what_nobody_recorded_is_empty() -> None:
    files = {"m.bin.dvc": f"outs:\n- {{path: m.bin, md5: {MODEL}}}\n"}
    recipe = pipeline.read(Artifact("", "m.bin", MODEL), files, lambda path: {})
    assert recipe == pipeline.Recipe()


def test_sources_outside_the_checkout_have_their_servers_checksum() -> None:
    stages: dict[str, dict[str, object]] = {
        "train": {
            "cmd": "x",
            "deps": [{"path": "s3://bucket/raw.csv", "etag": "abc", "size": 1}],
            "outs": [out("m.bin", MODEL)],
        }
    }
    assert read(stages).ingredients == (Ingredient("s3://bucket/raw.csv", "abc", "data"),)
