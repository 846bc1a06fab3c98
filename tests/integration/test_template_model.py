"""The model template, used as its team does: copied, put under Git, and run by its Makefile."""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from template_project import TEMPLATE, Project

from model_gitops.__main__ import main

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("template")
    return Project(folder / "model", folder / "remote")


def test_check_test_and_smoke_pass_and_touch_nothing(project: Project) -> None:
    project.make("check", "test", "smoke")
    assert project.changed() == []


def test_the_pipeline_makes_what_git_and_dvc_keep(project: Project) -> None:
    metrics = project.train()
    assert metrics["r2"] == pytest.approx(0.415, abs=0.005)
    assert set(metrics) == {"r2", "rmse", "mae"}
    assert project.changed() == [
        "?? dvc.lock",
        "?? eval/metrics.json",
        "?? eval/plots/learning_curve.csv",
        "?? eval/plots/predictions.csv",
    ]
    first, lock = project.model_hash(), (project.folder / "dvc.lock").read_text()
    assert f"md5: {first}" in lock

    project.commit("Train")
    project.make("reproduce", "push")
    assert project.changed() == []
    remote = project.folder.parent / "remote"
    assert (remote / "files/md5" / first[:2] / first[2:]).is_file()

    # A second training from nothing gives the same bytes.
    project.run("dvc", "repro", "--force")
    assert project.model_hash() == first
    assert project.changed() == []


def test_params_alone_make_it_better_or_worse(project: Project) -> None:
    worse = project.train(epochs=5)
    better = project.train(epochs=60)
    shipped = project.train(epochs=10)
    assert worse["r2"] < 0.3 < shipped["r2"] < better["r2"] - 0.02
    assert better["r2"] > 0.45


def test_plots_and_artifact_are_as_dvc_reads_them(project: Project) -> None:
    project.train()
    script = (
        "import json, dvc.repo; r = dvc.repo.Repo();"
        "print(json.dumps([[n, a.path, a.type] for d in r.artifacts.read().values()"
        " for n, a in d.items()]))"
    )
    found = json.loads(project.run("python", "-c", script))
    assert found == [["diabetes", "models/diabetes.onnx", "model"]]
    data = json.loads(project.run("dvc", "plots", "show", "--json"))
    assert sorted(data["data"]) == ["Learning curve", "Predicted against actual"]
    assert not data.get("errors")


def test_commit_takes_what_the_pipeline_wrote_and_nothing_else(tmp_path: Path) -> None:
    shutil.copy2(TEMPLATE / "Makefile", tmp_path)
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "MAKE"))
    }

    def run(*args: str) -> str:
        done = subprocess.run(
            args, check=True, cwd=tmp_path, env=environment, text=True, capture_output=True
        )
        return done.stdout

    run("git", "init", "--quiet", "--initial-branch=main")
    for name in ("dvc.lock", "eval/metrics.json", "notes.txt"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text("x\n", encoding="utf-8")
    run("make", "commit")
    shown = run("git", "show", "--name-only", "--format=%an: %s")
    assert shown.split("\n")[:1] == ["github-actions[bot]: Reproduce the pipeline"]
    assert shown.split()[-2:] == ["dvc.lock", "eval/metrics.json"]
    before = run("git", "rev-parse", "HEAD")
    run("make", "commit")
    assert run("git", "rev-parse", "HEAD") == before


def test_a_fresh_clone_trains_nothing_again_and_has_the_data_that_dvc_add_tracks(
    project: Project,
) -> None:
    """As a workflow's checkout: nothing in the cache, all on the remote."""
    project.make("reproduce", "push")
    work = project.clone("visits")
    work.make("reproduce")
    (work.folder / "data" / "visits.csv").write_text("visit\n1\n")
    work.run("dvc", "add", "data/visits.csv")
    work.run(
        "dvc", "stage", "add", "--name", "count", "--deps", "data/visits.csv", "--outs",
        "data/visits.txt", "wc -l <data/visits.csv >data/visits.txt",
    )  # fmt: skip
    work.make("reproduce", "push")
    work.commit("Count the visits")
    clone = work.clone("fresh")
    said = clone.make("reproduce")
    assert "Running stage" not in said, said
    assert "Data and pipelines are up to date." in said
    assert clone.changed() == []
    assert (clone.folder / "data" / "visits.csv").read_text() == "visit\n1\n"
    assert clone.model_hash() == project.model_hash()


def test_labelled_rows_become_training_data_that_dvc_keeps(project: Project) -> None:
    project.make("reproduce", "push")
    if project.changed():  # by whichever test was first
        project.commit("Reproduce")
    work = project.clone("labelled")
    said = work.make("label", "reproduce")
    assert "label: 0 rows" in said
    assert work.changed() == []
    windows = work.folder / "monitor/windows"
    windows.mkdir(parents=True, exist_ok=True)
    (windows.parent / ".gitignore").write_text("/windows\n")
    columns = "time,id,version,age,sex,bmi,bp,s1,s2,s3,s4,s5,s6,prediction,label"
    rows = [f"t,row-{one},v,50,1,26,94,189,115,50,4,4.6,91,150,{150 + one}" for one in range(40)]
    (windows / "2026-W48.csv").write_text("\n".join([columns, *rows]) + "\n")
    work.make("label", "reproduce", "push", "commit")
    assert work.run("git", "ls-files", "data") == "data/.gitignore\ndata/labelled.csv.dvc\n"
    changed = work.run("git", "show", "--name-status", "--format=").split("\n")
    assert {"D\tdata/labelled.csv", "A\tdata/labelled.csv.dvc", "M\tdvc.lock"} <= set(changed)
    counts = [
        len((work.folder / name).read_text().splitlines()) - 1
        for name in ("data/labelled.csv", "data/train.csv", "data/test.csv")
    ]
    assert counts[0] == 40
    assert counts[1] + counts[2] == 442 + 40
    assert counts[2] > 89
    # A job of the next time has nothing in its cache, and says the same.
    later = work.clone("later")
    assert "label: 0 rows are new or have a new label, 40 in" in later.make("label")
    assert "Running stage" not in later.make("reproduce")
    assert [line for line in later.changed() if "monitor" not in line] == []


def test_what_a_branch_planted_in_the_remotes_run_cache_is_not_taken(project: Project) -> None:
    """It can say of any inputs what they give: of those that another branch is about to run too."""
    project.make("reproduce", "push")
    remote = project.folder.parent / "remote"
    assert (project.folder / ".dvc" / "cache" / "runs").is_dir()
    assert [one.name for one in remote.iterdir()] == ["files"]

    def outlook(name: str) -> Project:
        clone = project.clone(name)
        params = clone.folder / "params.yaml"
        text, count = re.subn(r"(?m)^(  seed:) \S+", r"\1 77", params.read_text(), count=1)
        assert count == 1
        params.write_text(text)
        return clone

    eve = outlook("eve")
    eve.make("reproduce")
    honest = (eve.folder / "data" / "train.csv").read_bytes()
    planted = b"".join(honest.splitlines(keepends=True)[:99])
    shutil.rmtree(eve.folder / ".dvc" / "cache" / "runs")
    (eve.folder / "data" / "train.csv").unlink()
    (eve.folder / "data" / "train.csv").write_bytes(planted)
    eve.run("dvc", "commit", "--force", "prepare")
    eve.run("dvc", "push", "--run-cache")

    ada = outlook("ada")
    said = ada.make("reproduce")
    assert "Running stage 'prepare'" in said, said
    assert (ada.folder / "data" / "train.csv").read_bytes() == honest

    # The plant is one: who asks for the remote's run cache is given it.
    bob = outlook("bob")
    said = bob.make("reproduce", "PULL=--pull")
    assert "Stage 'prepare' is cached - skipping run" in said, said
    assert (bob.folder / "data" / "train.csv").read_bytes() == planted
    shutil.rmtree(remote / "runs")


def test_a_run_cache_that_outlives_the_job_is_not_taken(project: Project) -> None:
    """A cache folder on the runner, which all its jobs share; and the project has no remote."""
    shared = project.folder.parent / "shared"
    said = []
    for name in ("before", "after"):
        clone = project.clone(name)
        clone.run("dvc", "remote", "remove", "storage")
        clone.run("dvc", "config", "cache.dir", str(shared))
        (clone.folder / "dvc.lock").unlink(missing_ok=True)
        said.append(clone.make("reproduce"))
    assert list((shared / "runs").iterdir())
    assert ["Running stage 'prepare'" in one for one in said] == [True, True]


def test_the_pipeline_runs_without_any_remote(project: Project) -> None:
    clone = project.clone("no-remote")
    clone.run("dvc", "remote", "remove", "storage")
    said = clone.make("reproduce")
    assert "Running stage 'train'" in said
    assert clone.model_hash() == project.model_hash()


def test_the_remote_may_be_left_out(project: Project) -> None:
    """`make reproduce PULL=`, for a machine without a network."""
    clone = project.clone("offline")
    clone.run("dvc", "remote", "modify", "storage", "url", str(clone.folder.parent / "away"))
    assert "Running stage 'train'" in clone.make("reproduce", "PULL=")


def test_the_models_file_is_named_in_dvc_yaml_alone(project: Project) -> None:
    """The first step of the README: the model's name and file are changed, and it is trained."""
    clone = project.clone("renamed")
    file = clone.folder / "dvc.yaml"
    text = file.read_text().replace("models/diabetes.onnx", "models/glucose.onnx")
    file.write_text(text.replace("\n  diabetes:\n", "\n  glucose:\n"))
    clone.make("reproduce")
    assert (clone.folder / "models" / "glucose.onnx").is_file()
    assert not (clone.folder / "models" / "diabetes.onnx").exists()


def test_a_new_repository_of_another_name_works_as_it_is(project: Project, tmp_path: Path) -> None:
    """As `init` makes it, with a name that is a module of Python's: nothing is edited before this."""
    folder = tmp_path / "json"
    words = [
        "init",
        "--name",
        "json",
        "--owner",
        "newco",
        "--to",
        str(folder),
        "--branches",
        "trunk,live",
    ]
    assert main(words) == 0
    made = copy.copy(project)
    made.folder = folder
    # The same packages: only not installed a second time.
    assert (folder / "requirements/train.txt").read_bytes() == (
        project.folder / "requirements/train.txt"
    ).read_bytes()
    (folder / ".venv").symlink_to(project.folder / ".venv")
    (folder / ".git/info/exclude").write_text(".venv\n")
    (project.folder / ".venv/.ready").touch()
    made.make("env", "check", "test", "reproduce")
    assert made.changed() == [
        "?? dvc.lock",
        "?? eval/metrics.json",
        "?? eval/plots/learning_curve.csv",
        "?? eval/plots/predictions.csv",
    ]
    assert (folder / "models/json.onnx").is_file()
    assert (folder / "src/json_model/train.py").is_file()
