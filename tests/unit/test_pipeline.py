"""What made a model, read off dvc.lock and held against the files of the commit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import pytest

from model_gitops.core.dvc import artifacts, hashes, pipeline
from model_gitops.core.dvc.artifacts import Artifact
from model_gitops.core.dvc.pipeline import Ingredient


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
LIB = hashes.manifest_hash({"a.py": md5(b"a\n"), "b/c.py": md5(b"c\n")})
RAW, TRAIN, MODEL = "1" * 32, "2" * 32, "3" * 32


def out(path: str, value: str, **more: object) -> dict[str, object]:
    return {"path": path, "hash": "md5", "md5": value, "size": 1, **more}


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
                out("src/lib", LIB, nfiles=2),
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


DEFINED = """\
artifacts: {m: {path: m.bin}}
stages:
  prepare: {cmd: x, deps: [raw.csv, src/prepare.py], outs: [data]}
  train: {cmd: x, deps: [data, src/lib, src/train.py], params: [seed, train.epochs, train.rates.1], outs: [m.bin]}
  evaluate: {cmd: x, deps: [m.bin], metrics: [{metrics.json: {cache: false}}]}
  other: {cmd: x, deps: [src/train.py]}
"""


def read(
    stages: dict[str, dict[str, object]],
    git: Mapping[str, bytes] = GIT,
    raw: str = RAW,
    dvc: str = DEFINED,
    **more: str,
) -> pipeline.Recipe:
    files = {
        "dvc.yaml": dvc,
        **more,
        "dvc.lock": json.dumps({"schema": "2.0", "stages": stages}).replace("NaN", ".nan"),
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
    assert recipe.checked == 20
    assert recipe.unchecked == ()


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
    in_lfs = read(lock(), {**GIT, "src/train.py": pointer})
    assert in_lfs.problems == ()
    assert "src/train.py" in in_lfs.unchecked[0]


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


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("train: {cmd: x", "train: {cmd: python evil.py", "the command 'x', and dvc.yaml says"),
        ("data, src/lib", "data, src/evil.py, src/lib", "src/evil.py"),
        ("outs: [m.bin]", "outs: [m.bin, n.bin]", "n.bin"),
        ("deps: [m.bin]", "deps: [m.bin, labels.csv]", "labels.csv"),
    ],
)
def test_a_stage_that_was_edited_after_its_run_is_named(old: str, new: str, said: str) -> None:
    assert old in DEFINED
    (problem,) = read(lock(), dvc=DEFINED.replace(old, new)).problems
    assert said in problem


def test_what_dvc_yaml_fills_in_is_not_compared_as_text() -> None:
    ran = lock()
    ran["train"]["cmd"] = "python train.py 0.5 ${HOME}"
    filled = DEFINED.replace(
        "train: {cmd: x, deps: [data",
        "train: {cmd: 'python train.py ${a} \\${HOME}', deps: ['${d}'",
    )
    assert filled != DEFINED
    assert read(ran, dvc=filled).problems == ()
    for other in ("python evil.py 0.5 ${HOME}", "python train.py 0.5", ""):
        ran["train"]["cmd"] = other
        (problem,) = read(ran, dvc=filled).problems
        assert "train.py ${a}" in problem
    ran["train"]["cmd"] = "python train.py 1 ${HOME}"
    (problem,) = read(
        ran, dvc=filled.replace("src/train.py],", "src/train.py, other.py],")
    ).problems
    assert "other.py" in problem


def test_a_stage_that_never_ran_is_named() -> None:
    never = lock()
    del never["prepare"]
    (problem,) = read(never).problems
    assert problem == "dvc.yaml: stage prepare makes data, and dvc.lock has no run of it"
    judged = lock()
    del judged["evaluate"]
    recipe = read(judged)
    assert recipe.problems == ()
    assert "stage evaluate of dvc.yaml, which reads the model and never ran" in recipe.unchecked


def test_params_that_a_stage_names_are_those_it_ran_with() -> None:
    without = lock()
    del without["train"]["params"]
    (problem,) = read(without).problems
    assert "params of params.yaml" in problem
    whole = DEFINED.replace(
        "params: [seed, train.epochs, train.rates.1]", "params: [{params.yaml: }]"
    )
    assert whole != DEFINED
    assert read(lock(), dvc=whole).problems == ()


def test_each_stage_that_writes_into_a_folder_is_followed() -> None:
    both = lock()
    both["more"] = {
        "cmd": "x",
        "deps": [out("src/lib/a.py", "f" * 32)],
        "outs": [out("data/b", "8" * 32)],
    }
    both["prepare"]["outs"] = [out("data/a", "7" * 32)]
    dvc = DEFINED.replace("outs: [data]", "outs: [data/a]")
    dvc += "  more: {cmd: x, deps: [src/lib/a.py], outs: [data/b]}\n"
    recipe = read(both, dvc=dvc)
    assert len(recipe.problems) == 1
    assert "stage more has src/lib/a.py" in recipe.problems[0]
    assert any("data, of which stage prepare made data/a" in one for one in recipe.unchecked)


def test_a_path_of_a_folder_that_dvc_fills_in_is_no_other() -> None:
    """A matrix with `wdir: sub/${item.d}`: its model.pkl is not the one at the top."""
    stages = {
        "fe@a": {"cmd": "x", "deps": [out("in.txt", "1" * 32)], "outs": [out("m.bin", "9" * 32)]},
        "train": {"cmd": "x", "outs": [out("m.bin", MODEL)]},
    }
    dvc = (
        "artifacts: {m: {path: m.bin}}\nstages:\n"
        "  fe: {matrix: {d: [a]}, wdir: 'sub/${item.d}', cmd: x, deps: [in.txt], outs: [m.bin]}\n"
        "  train: {cmd: x, outs: [m.bin]}\n"
    )
    assert (
        artifacts.find(
            "m", {"dvc.yaml": dvc, "dvc.lock": json.dumps({"schema": "2.0", "stages": stages})}
        ).hash
        == MODEL
    )
    assert read(stages, {"in.txt": b"other"}, dvc=dvc).problems == ()


def test_a_stage_that_dvc_yaml_has_no_more_made_nothing() -> None:
    """DVC leaves a renamed stage in dvc.lock."""
    stages = {"old": {**lock()["train"], "outs": [out("m.bin", "9" * 32)]}, **lock()}
    assert read(stages).problems == ()
    assert read(stages).stages == ("prepare", "train")


def test_what_has_nothing_to_be_compared_with_is_said() -> None:
    gone = {path: data for path, data in GIT.items() if path != "src/train.py"}
    recipe = read(lock(), gone)
    assert recipe.problems == ()
    (said,) = recipe.unchecked
    assert said.startswith("src/train.py, of which no file of this commit has a hash")


def test_constants_of_a_python_file_are_params() -> None:
    python = lock()
    python["train"]["params"] = {"conf.py": {"a": 1, "Net.size": [2, 3], "Net.rate": None}}
    dvc = DEFINED.replace(
        "[seed, train.epochs, train.rates.1]", "[conf.py: [a, Net.size, Net.rate]]"
    )
    conf = b"import os\na = 1\nclass Net:\n    size = [2, 3]\n    rate = os.getpid()\n"
    assert read(python, {**GIT, "conf.py": conf}, dvc=dvc).problems == ()
    (problem,) = read(
        python, {**GIT, "conf.py": conf.replace(b"a = 1", b"a = 2")}, dvc=dvc
    ).problems
    assert (
        problem
        == "dvc.lock: stage train ran with a = 1 of conf.py, and the commit's conf.py says 2"
    )


def test_params_of_a_file_that_is_gone_are_named() -> None:
    gone = {path: data for path, data in GIT.items() if path != "params.yaml"}
    (problem,) = read(lock(), gone).problems
    assert "train.epochs, train.rates.1, seed of params.yaml" in problem


def test_params_that_are_no_number_or_no_text_are_compared() -> None:
    odd = lock()
    odd["train"]["params"] = {"params.yaml": {"nan": float("nan"), "5": 1}}
    git = {**GIT, "params.yaml": b"nan: .nan\n'5': 1\n"}
    dvc = DEFINED.replace("[seed, train.epochs, train.rates.1]", "[nan, '5']")
    assert read(odd, git, dvc=dvc).problems == ()


def test_metrics_are_followed_through_stages_in_between() -> None:
    far = lock()
    far["predict"] = {"cmd": "x", "deps": [out("m.bin", MODEL)], "outs": [out("p.csv", "4" * 32)]}
    far["evaluate"]["deps"] = [out("p.csv", "4" * 32)]
    dvc = DEFINED.replace("evaluate: {cmd: x, deps: [m.bin]", "evaluate: {cmd: x, deps: [p.csv]")
    dvc += "  predict: {cmd: x, deps: [m.bin], outs: [p.csv]}\n"
    assert read(far, dvc=dvc).problems == ()
    (problem,) = read(far, {**GIT, "metrics.json": b'{"r2": 0.99}\n'}, dvc=dvc).problems
    assert "metrics.json" in problem


def test_a_folder_may_have_held_what_git_ignores() -> None:
    """`__pycache__` was there when DVC hashed it: then Git alone can't tell."""
    deps = lock()
    deps["train"]["deps"] = [out("data", f"{TRAIN}.dir"), out("src/lib", f"{'5' * 32}.dir", nfiles=3),
                             out("src/train.py", md5(b"train\n"))]  # fmt: skip
    recipe = read(deps)
    assert recipe.problems == ()
    fewer = lock()
    entries = fewer["train"]["deps"]
    assert isinstance(entries, list)
    entries[1]["nfiles"], entries[1]["md5"] = 1, f"{'5' * 32}.dir"
    assert len(read(fewer).problems) == 1
    assert read(fewer, {**GIT, ".dvcignore": b"*.tmp\n"}).problems == ()
    assert recipe.unchecked[0].startswith("src/lib, which had other files when it was read")


def test_a_folder_may_hold_what_dvc_tracks() -> None:
    """`dvc add src/lib/weights.bin` inside of a folder of code."""
    pointer = "outs:\n- {path: weights.bin, md5: %s, hash: md5}\n" % ("7" * 32)
    files = {"a.py": md5(b"a\n"), "b/c.py": md5(b"c\n"), "weights.bin": "7" * 32}
    files["weights.bin.dvc"] = md5(pointer.encode())
    deps = lock()
    both = hashes.manifest_hash(files)
    deps["train"]["deps"] = [out("data", f"{TRAIN}.dir"), out("src/lib", both, nfiles=4),
                             out("src/train.py", md5(b"train\n"))]  # fmt: skip
    git = {**GIT, "src/lib/weights.bin.dvc": pointer.encode()}
    recipe = read(deps, git, **{"src/lib/weights.bin.dvc": pointer})
    assert (recipe.problems, recipe.unchecked) == ((), ())
