"""A DVC project in a subfolder: what its promotion.yaml names starts there, whatever is beside it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from promotion_world import DIGEST, PROMOTION, Flow
from world import HASHES, MODEL, READER, Told, fingerprint, md5

FOLDER = "proj"
CONFIG = f"{FOLDER}/promotion.yaml"
GATE = PROMOTION["gate"]


def inside(files: dict[str, str], folder: str = FOLDER) -> dict[str, str]:
    return {f"{folder}/{name}": text for name, text in files.items()}


def rules(**changes: Any) -> dict[str, str]:
    return {"promotion.yaml": json.dumps(PROMOTION | changes)}


def trailers(model: str = "proj:diabetes") -> str:
    return (
        f"Model: {model}@v0.0.1\nModel-Hash: {HASHES['better']}\nSource-Repository: {MODEL}\n"
        f"Image-Fingerprint: {fingerprint('better')}"
    )


def judge(flow: Flow, files: dict[str, str], **inputs: str) -> Told:
    flow.change("experiment/a", files)
    flow.pull_request("experiment/a", "main")
    return flow.run("gate-metrics", **{"token": READER, "config": CONFIG, **inputs})


@pytest.fixture
def monorepo(flow: Flow) -> Flow:
    """The better model in proj, deployed to dev; files of the same names at the top, and below."""
    commit = flow.change(
        "main",
        {
            **flow.files("better", 60), **rules(),
            **inside(flow.files("better", 60)), **inside(rules()),
            **inside(flow.files("worse", 5), "proj/deeper"), **inside(rules(), "proj/deeper"),
            **inside(flow.files("better", 60), "beside"), **inside(rules(), "beside"),
        },
    )  # fmt: skip
    flow.deploy("dev", commit, DIGEST, trailers=trailers() + f"\nSource-Commit: {commit}")
    return flow


def test_the_gate_reads_the_file_beside_its_promotion_yaml(monorepo: Flow) -> None:
    flow = monorepo
    worse = inside(flow.files("worse", 5))
    told = judge(flow, worse)
    assert told.code == 3, told.log
    assert "metrics.json:r2: 0.111 is worse than 0.455" in told.log
    # What is worse in another project says nothing of this one.
    for folder in ("proj/deeper", "beside"):
        assert judge(flow, inside(flow.files("worse", 5), folder)).code == 0
    assert judge(flow, flow.files("worse", 5)).code == 0
    # From the folder itself it is the same file.
    flow.change("experiment/a", worse)
    flow.pull_request("experiment/a", "main")
    told = flow.run("gate-metrics", flow.work.directory / FOLDER, token=READER)
    assert (told.code, "0.111 is worse" in told.log) == (3, True)


def test_each_project_has_the_model_of_its_folder(monorepo: Flow) -> None:
    flow = monorepo
    flow.change("experiment/a", {"proj/deeper/notes.txt": "x"})
    flow.pull_request("experiment/a", "main")
    names, hashes = {}, {}
    for folder in ("", "proj", "proj/deeper", "beside"):
        config = f"{folder}/promotion.yaml".lstrip("/")
        found = flow.outputs("check-promotion", config=config)
        names[folder], hashes[folder] = found["model"], found["model-hash"]
        assert found["overlay-entry"] == "diabetes"
    assert names == {
        "": "diabetes",
        "proj": "proj:diabetes",
        "proj/deeper": "proj/deeper:diabetes",
        "beside": "beside:diabetes",
    }
    assert hashes["proj/deeper"] == HASHES["worse"]
    assert {hashes[one] for one in ("", "proj", "beside")} == {HASHES["better"]}


@pytest.mark.parametrize("name", ["diabetes", "proj:diabetes", "proj/dvc.yaml:diabetes"])
def test_the_name_may_be_gtos_whole_one(monorepo: Flow, name: str) -> None:
    flow = monorepo
    flow.change("main", inside(rules(model=name)))
    flow.push("main")
    assert flow.outputs("check-promotion", config=CONFIG)["model"] == "proj:diabetes"


def test_a_model_of_the_top_is_not_taken_for_that_of_the_folder(monorepo: Flow) -> None:
    flow = monorepo
    (flow.work.directory / "proj" / "dvc.yaml").unlink()
    flow.change("main", {"proj/dvc.yaml": "artifacts: {wine: {path: m.bin}}\n"})
    flow.push("main")
    told = flow.run("check-promotion", config=CONFIG, token=READER)
    assert told.code == 2
    assert "dvc.yaml has no such artifact in proj, the folder of promotion.yaml" in told.log
    assert "'beside:diabetes', 'dvc.yaml:diabetes', 'proj/deeper:diabetes', 'wine'" in told.log
    # Who means that of the top says so.
    flow.change("main", inside(rules(model="dvc.yaml:diabetes")))
    flow.push("main")
    assert flow.outputs("check-promotion", config=CONFIG)["model"] == "diabetes"


def test_a_path_may_leave_the_folder_and_not_the_repository(monorepo: Flow) -> None:
    flow = monorepo
    shared = [{"metric": "../shared/all.json:r2", "better": "higher"}]
    before = flow.change("main", inside(rules(gate=shared)) | {"shared/all.json": '{"r2": 0.3}'})
    told = judge(flow, {"shared/all.json": '{"r2": 0.2}'}, baseline=before)
    assert told.code == 3
    assert "../shared/all.json:r2: 0.2 is worse than 0.3" in told.log
    for path in ("../../metrics.json", "/metrics.json"):
        flow.change("main", inside(rules(gate=[{"metric": f"{path}:r2", "better": "higher"}])))
        told = judge(flow, {"notes.txt": "x"})
        assert told.code == 2
        assert f"input `metric (in promotion.yaml)` is '{path}'" in told.log
        assert "leads out of the repository" in told.log


OLD = [{"metric": "proj/metrics.json:r2", "better": "higher", "tolerance": 0.01}]


def test_paths_from_the_top_are_refused_with_the_right_ones(flow: Flow) -> None:
    files = inside(flow.files("better", 60))
    commit = flow.change(
        "main", files | inside(rules(gate=OLD, compare={"predictions": "proj/p.csv"}))
    )
    flow.deploy("dev", commit, DIGEST, trailers=trailers() + f"\nSource-Commit: {commit}")
    told = judge(flow, inside(flow.files("worse", 5)))
    assert told.code == 2, told.log
    assert "paths in it start in its own folder, proj, and there is no proj/proj" in told.log
    assert "write `metrics.json` for `proj/metrics.json`, `p.csv` for `proj/p.csv`" in told.log
    for action in ("check-promotion", "compare-models", "status", "trace-model"):
        more = {"subject": "dev"} if action == "trace-model" else {}
        told = flow.run(action, config=CONFIG, token=READER, **more)
        assert (action, told.code) == (action, 2)
        assert "write `metrics.json` for `proj/metrics.json`" in told.log
    # The change that follows this is judged by the same rule, of the same file.
    right = inside(rules(compare={"predictions": "p.csv"}))
    assert judge(flow, right).code == 0
    told = judge(flow, right | inside(flow.files("worse", 5)))
    assert told.code == 3
    assert "metrics.json:r2: 0.111 is worse than 0.455" in told.log


def test_a_project_inside_of_one_of_the_same_name_is_meant_where_it_is_there(flow: Flow) -> None:
    files = inside(flow.files("better", 60)) | {"proj/proj/metrics.json": '{"r2": 0.9}'}
    before = flow.change("main", files | inside(rules(gate=OLD)))
    told = judge(flow, {"notes.txt": "x"}, baseline=before)
    assert told.code == 0, told.log
    told = judge(flow, {"proj/proj/metrics.json": '{"r2": 0.8}'}, baseline=before)
    assert told.code == 3
    assert "proj/metrics.json:r2: 0.8 is worse than 0.9" in told.log


def test_a_change_can_not_say_what_the_rules_of_the_base_mean(flow: Flow) -> None:
    # Nothing runs yet, so the rule's own bound alone judges.
    bound = [OLD[0] | {"minimum": 0.3}]
    flow.change("main", inside(flow.files("better", 60)) | inside(rules(gate=bound)))
    nice = {"proj/proj/metrics.json": '{"r2": 0.9}'}
    told = judge(flow, inside(flow.files("worse", 5)) | nice)
    assert told.code == 3, told.log
    assert "metrics.json:r2: 0.111 is below the minimum 0.3" in told.log


@pytest.mark.parametrize("config", ["proj\\promotion.yaml", ".\\proj\\promotion.yaml"])
def test_another_spelling_of_the_file_is_told_the_right_one(monorepo: Flow, config: str) -> None:
    flow = monorepo
    flow.push("main")
    for action in ("check-promotion", "gate-metrics", "status", "cml-report"):
        told = flow.run(action, config=config, token=READER)
        assert (told.code, told.log[told.log.index("Fix:") :]) == (2, f"Fix: config: {CONFIG}\n")
    for same in (f"./{CONFIG}", "proj/../proj/./promotion.yaml", "proj", "./proj/"):
        assert flow.outputs("check-promotion", config=same)["model"] == "proj:diabetes"


def test_where_there_is_none_at_the_top_the_models_are_named(flow: Flow) -> None:
    flow.change("main", {**inside(rules()), **inside(rules(), "other")})
    flow.work.run("rm", "--quiet", "promotion.yaml")
    hop = {"token": READER, "base_ref": "main", "head_ref": "x"}
    for config in ("promotion.yaml", "projs"):
        told = flow.run("check-promotion", config=config, **hop)
        assert (told.code, told.log.splitlines()[-1]) == (2, "Fix: config: one of other, proj")
    below = flow.work.directory / "other"
    told = flow.run("check-promotion", cwd=below, config="nope", **hop)
    assert told.log.endswith("Fix: config: one of ., ../proj\n")


@pytest.mark.parametrize("path", ["Metrics.json", "eval\\metrics.json"])
def test_a_file_that_is_not_there_is_named_from_the_top(monorepo: Flow, path: str) -> None:
    flow = monorepo
    flow.change("main", inside(rules(gate=[{"metric": f"{path}:r2", "better": "higher"}])))
    told = judge(flow, {"notes.txt": "x"}, baseline="main")
    assert told.code == 3
    assert f"no such number: there is no file proj/{path}, or it holds none" in told.log


def test_status_and_lineage_find_the_projects_version_and_metrics(monorepo: Flow) -> None:
    flow = monorepo
    commit = flow.sha("main")
    flow.work.run("checkout", "--quiet", "--detach", commit)
    told = flow.run("gto-register-stage", model="proj:diabetes", stage="dev")
    assert told.code == 0, told.log
    tags = flow.work.run("tag", "--list").split()
    assert tags == ["proj=diabetes#dev#1", "proj=diabetes@v0.0.1"]
    told, found = flow.status(config=CONFIG, environment="dev")
    assert told.code == 0, told.log
    (dev,) = found["environments"]
    assert (dev["version"], dev["metrics"]) == ("v0.0.1", {"metrics.json:r2": 0.455})
    for name in ("proj:diabetes@v0.0.1", "diabetes@v0.0.1", "v0.0.1", "diabetes#dev"):
        # It is known, and then this world's registry does not answer.
        assert (name, flow.trace(name, config=CONFIG)[0].code) == (name, 4)
    # The top's project has the same words for another model, which has no version.
    for name in ("diabetes@v0.0.1", "v0.0.1"):
        assert (name, flow.trace(name)[0].code) == (name, 2)


def test_a_version_of_the_project_is_pulled_by_its_plain_name(flow: Flow) -> None:
    store = flow.top / "store"
    top, sub = md5("the top's"), md5("the folder's")
    for hash_, text in ((top, "the top's"), (sub, "the folder's")):
        file = store / "files" / "md5" / hash_[:2] / hash_[2:]
        file.parent.mkdir(parents=True)
        file.write_text(text, encoding="utf-8")

    def project(hash_: str) -> dict[str, str]:
        return {
            "dvc.yaml": "artifacts: {m: {path: m.bin}}\n",
            "m.bin.dvc": f"outs: [{{path: m.bin, hash: md5, md5: {hash_}}}]\n",
        }

    config = f"[core]\n    remote = store\n['remote \"store\"']\n    url = {store}\n"
    flow.change("main", {".dvc/config": config, **project(top), **inside(project(sub))})
    for name in ("m", "proj:m"):
        assert flow.run("gto-register-stage", model=name, stage="dev").code == 0
    for model, revision in (("m", ""), ("m@v0.0.1", ""), ("m", "m#dev"), ("proj:m", "proj:m#dev")):
        found = flow.outputs(
            "dvc-pull-model", model=model, revision=revision, **{"working-directory": FOLDER}
        )
        assert (found["path"], found["hash"]) == ("proj/m.bin", sub)
    assert flow.outputs("dvc-pull-model", model="m#dev")["hash"] == top


def test_where_no_model_is_named_it_is_the_one_of_config(monorepo: Flow) -> None:
    flow = monorepo
    remote = f"[core]\n    remote = here\n['remote \"here\"']\n    url = {flow.top}/remote\n"
    flow.change("main", {".dvc/config": remote})
    flow.push("main")
    for config, tag in (("", "diabetes@v0.0.1"), ("proj", "proj=diabetes@v0.0.1")):
        assert flow.outputs("gto-register-stage", config=config)["version-tag"] == tag
        told = flow.run("dvc-pull-model", config=config)  # nobody has pushed it
        assert f"'{config}/m.bin'".replace("'/", "'") in told.log, told.log
    for action in ("gto-register-stage", "dvc-pull-model"):
        told = flow.run(action, config="nope")
        assert (told.code, "it is empty, and there is no nope" in told.log) == (2, True), told.log
