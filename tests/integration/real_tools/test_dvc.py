"""What DVC does, as docs/reference/real-tools.md says it, and that our actions stand on it rightly."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import shutil
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from plain_repository import commit, made_repository, run, tag
from public_projects import dvc

from model_gitops.adapters import dvc_report, project_files
from model_gitops.adapters.dvc_report import WORKSPACE
from model_gitops.adapters.git import Git
from model_gitops.core import document
from model_gitops.core.dvc import artifacts, hashes, pipeline, stages
from model_gitops.core.dvc import files as dvc_files
from model_gitops.errors import InputError

DVC_YAML = """\
artifacts:
  m: {path: m.bin, type: model}
stages:
  train:
    cmd: python3 train.py
    deps: [train.py, data.txt]
    params: [yes_, float_, octal_, time_]
    outs: [m.bin, folder]
  extra:
    cmd: echo x > here.bin; chmod +x here.bin; echo y > plain.txt
    outs:
    - here.bin: {push: false}
    - plain.txt: {cache: false}
  t:
    matrix:
      kind: [cnn, xgb v2, 1/2]
      settings: [{a: {b: 1}}, {a: {b: 2}}]
    cmd: echo '${item.kind}' ${item.settings.a.b}
  u:
    foreach: [x, y]
    do:
      cmd: echo ${item}
params: [days.yaml]
metrics: [bad.json, list.json, nan.json, single.json, folder/kept.json]
"""
TRAIN = """\
import pathlib, shutil
pathlib.Path("folder/sub").mkdir(parents=True, exist_ok=True)
shutil.copy("data.txt", "m.bin")
shutil.copy("data.txt", "folder/sub/b")
pathlib.Path("folder/kept.json").write_text('{"r2": 0.5}')
"""
FILES = {
    "dvc.yaml": DVC_YAML,
    "train.py": TRAIN,
    "params.yaml": "yes_: yes\nfloat_: 1e3\noctal_: 0123\ntime_: 12:30\n",
    "days.yaml": "day: 2026-01-02\n",
    "nan.json": '{"a": NaN, "b": Infinity, "c": 1}',
    "list.json": '{"values": [1, 2.5], "one": 1}',
    "single.json": "3.5",
    "bad.json": "{",
    "data.txt": "one\r\n",
}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that ran, with metrics of every odd kind; pushed, and committed."""
    base = tmp_path_factory.mktemp("dvc")
    top = made_repository(base / "work").directory
    dvc(top, "init")
    dvc(top, "remote", "add", "--default", "store", str(base / "store"))
    for name, text in FILES.items():
        (top / name).write_bytes(text.encode())
    dvc(top, "repro")
    dvc(top, "push")
    commit(Git(top))
    return base


@pytest.fixture
def project(original: Path, tmp_path: Path) -> Git:
    """A copy of the project, with a remote of its own, without DVC's cache."""
    shutil.copytree(original / "work", tmp_path / "work", ignore=shutil.ignore_patterns("cache"))
    shutil.copytree(original / "store", tmp_path / "store")
    git = Git(tmp_path / "work")
    dvc(git.directory, "remote", "modify", "store", "url", str(tmp_path / "store"))
    return git


@contextlib.contextmanager
def opened(git: Git) -> Iterator[Any]:
    from dvc.repo import Repo

    with Repo(str(git.directory)) as repo:
        yield repo


@contextlib.contextmanager
def in_project(
    git: Git, content: Callable[[str, Path], str | None] = lambda _, __: None
) -> Iterator[dvc_report.Project]:
    with (
        contextlib.chdir(git.directory),
        dvc_report.open_project(git.directory, content) as ours,
    ):
        yield ours


def lock(git: Git) -> Any:
    return document.load_yaml((git.directory / "dvc.lock").read_text("utf-8"), source="dvc.lock")


def test_dvc_fetches_what_gto_took_back_and_we_do_not(
    project: Git, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tag(project, "m@v1.0.0", 1_700_000_000)
    tag(project, "m#prod#1", 1_700_000_001)
    tag(project, "m@v1.0.0!", 1_700_000_002)
    from dvc.repo.artifacts import Artifacts

    with contextlib.chdir(tmp_path):
        for number, wanted in enumerate(({"version": "v1.0.0"}, {"stage": "prod"})):
            count, where = Artifacts.get(
                str(project.directory), "m", out=str(tmp_path / f"got-{number}"), **wanted
            )
            assert count == 1
            assert Path(where).read_bytes() == b"one\r\n"
    spellings = ("m@v1.0.0", "m#prod", "m#prod#1", "m@v1.0.0!", "refs/tags/m@v1.0.0", "m#prod#1^{}")
    for revision in spellings:
        assert run("dvc-pull-model", project.directory, {"model": "m", "revision": revision}) == 3
        assert "of 'm' was taken back, by the tag `m@v1.0.0!`" in capfd.readouterr().err
    inputs = {"model": "m", "revision": project.run("rev-parse", "HEAD").strip()}
    assert run("dvc-pull-model", project.directory, inputs) == 0  # as the message says


def test_odd_metrics_are_read_and_lists_too(project: Git) -> None:
    """Without a pull: DVC reads a file that is in the remote only from there."""
    revision = project.run("rev-parse", "HEAD").strip()
    shutil.rmtree(project.directory / "folder")

    def of_git(_: str, file: Path) -> str | None:
        return project_files.read_file(project, file.name, revision)

    def read(content: Callable[[str, Path], str | None]) -> dict[tuple[str, str], Any]:
        with in_project(project, content) as ours:
            found = ours.metrics({revision: "main"})
        assert [one.partition(":")[0] for one in found.problems] == [
            "bad.json can't be read in main"
        ]
        assert math.isnan(found.of[revision].pop(("nan.json", "a")))
        return found.of[revision]

    dvcs = {
        ("nan.json", "b"): math.inf,
        ("nan.json", "c"): 1,
        ("list.json", "one"): 1,
        ("single.json", ""): 3.5,
        ("folder/kept.json", "r2"): 0.5,
    }
    assert read(lambda _, __: None) == dvcs
    lists = {("list.json", "values.0"): 1, ("list.json", "values.1"): 2.5}
    assert read(of_git) == dvcs | lists


def test_a_date_among_the_params_can_be_compared(project: Git) -> None:
    revision = project.run("rev-parse", "HEAD").strip()
    params = project.directory / "days.yaml"
    params.write_text(params.read_text("utf-8").replace("2026-01-02", "2026-01-03"), "utf-8")
    with opened(project) as repo, pytest.raises(TypeError, match="not JSON serializable"):
        json.dumps(repo.params.diff(a_rev=revision))
    with in_project(project) as ours:
        found = ours.params({WORKSPACE: "candidate", revision: "main"})
    assert found.of[WORKSPACE]["days.yaml", "day"] == date(2026, 1, 3)
    assert found.of[revision]["days.yaml", "day"] == date(2026, 1, 2)


def test_params_are_yaml_1_2_and_the_lock_agrees(project: Git) -> None:
    params = lock(project)["stages"]["train"]["params"]["params.yaml"]
    assert params == {
        "yes_": "yes", "float_": 1000.0, "octal_": 123, "time_": "12:30",
    }  # fmt: skip
    files = project_files.at(project, "HEAD")
    recipe = pipeline.read(
        artifacts.find("m", files), files, lambda path: project.contents_at("HEAD", path)
    )
    assert recipe.problems == ()
    assert [one.path for one in recipe.ingredients] == ["data.txt", "train.py"]


def test_stages_of_a_matrix_are_found_by_their_names(project: Git) -> None:
    found = {
        stage.name: stage.definition
        for stage in stages.locked(dvc_files.Project(project_files.at(project, None)))
    }
    assert sorted(found) == [
        "extra",
        "t@1/2-settings0", "t@1/2-settings1", "t@cnn-settings0", "t@cnn-settings1",
        "t@xgb v2-settings0", "t@xgb v2-settings1", "train", "u@x", "u@y",
    ]  # fmt: skip
    assert all(definition.get("cmd") for definition in found.values())


def test_one_lock_holds_both_kinds_of_hash(project: Git) -> None:
    """DVC 2's entries have no `hash: md5`: for them line endings do not count."""
    file = project.directory / "dvc.lock"
    text = file.read_text("utf-8")
    raw, unix = (hashlib.md5(data).hexdigest() for data in (b"one\r\n", b"one\n"))
    entry = f"    - path: data.txt\n      hash: md5\n      md5: {raw}\n"
    assert entry in text
    dvc(project.directory, "fetch")
    for md5, changed in ((unix, []), (raw, [{"changed deps": {"data.txt": "modified"}}])):
        file.write_text(text.replace(entry, f"    - path: data.txt\n      md5: {md5}\n"), "utf-8")
        with opened(project) as repo:
            status = {name.rpartition(":")[2]: value for name, value in repo.status().items()}
        assert status.get("train", []) == changed
    file.write_text(text.replace(entry, f"    - path: data.txt\n      md5: {unix}\n"), "utf-8")
    commit(project)
    files = project_files.at(project, "HEAD")
    recipe = pipeline.read(
        artifacts.find("m", files), files, lambda path: project.contents_at("HEAD", path)
    )
    assert recipe.problems == ()


def test_a_folders_hash_is_that_of_its_list(project: Git) -> None:
    (out,) = [one for one in lock(project)["stages"]["train"]["outs"] if one["path"] == "folder"]
    md5 = {
        name: hashlib.md5(data).hexdigest()
        for name, data in {
            "kept.json": b'{"r2": 0.5}',
            "sub/b": b"one\r\n",
        }.items()
    }
    assert (out["md5"], out["nfiles"]) == (hashes.manifest_hash(md5), 2)


def test_a_push_that_leaves_out_a_damaged_object_ends_well_and_the_pull_says_it(
    project: Git, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    md5 = hashlib.md5(b"one\r\n").hexdigest()
    place = Path("files/md5") / md5[:2] / md5[2:]
    dvc(project.directory, "fetch")
    shutil.rmtree(tmp_path / "store")
    cached = project.directory / ".dvc/cache" / place
    cached.chmod(0o644)
    cached.write_bytes(b"damaged")
    (project.directory / "m.bin").unlink()
    dvc(project.directory, "push")  # ends with status 0
    assert not cached.exists()
    assert not (tmp_path / "store" / place).exists()
    assert run("dvc-pull-model", project.directory, {"model": "m"}) == 4
    assert f"does not have 'm.bin': no object {md5}" in capfd.readouterr().err


def test_a_lock_with_a_conflict_is_refused_with_its_line(project: Git) -> None:
    file = project.directory / "dvc.lock"
    text = file.read_text("utf-8")
    marks = f"<<<<<<< HEAD\n{text}=======\n{text}>>>>>>> other\n"
    file.write_text(marks, "utf-8")
    from dvc.cli import main

    with contextlib.chdir(project.directory):
        assert main(["repro", "--quiet"]) == 255
    with pytest.raises(InputError, match=r"dvc\.lock is not valid YAML: line "):
        artifacts.find("m", project_files.at(project, None))


def test_what_is_not_pushed_or_cached_leaves_no_trace_in_the_lock(
    project: Git, tmp_path: Path
) -> None:
    outs = {one["path"]: one for one in lock(project)["stages"]["extra"]["outs"]}
    assert sorted(outs["here.bin"]) == ["hash", "isexec", "md5", "path", "size"]
    assert sorted(outs["plain.txt"]) == ["hash", "md5", "path", "size"]
    store = tmp_path / "store/files/md5"
    for one in outs.values():
        assert not (store / one["md5"][:2] / one["md5"][2:]).exists()
    files = project_files.at(project, "HEAD")
    here, plain = (artifacts.find(path, files) for path in ("here.bin", "plain.txt"))
    assert (here.pushed, here.cached, here.executable) == (False, True, True)
    assert (plain.pushed, plain.cached, plain.executable) == (True, False, False)


def test_a_folder_on_a_remote_with_versions_is_a_list_in_the_lock(project: Git) -> None:
    """Even where the push fails: this remote is a plain folder, which has no versions."""
    before = artifacts.find("folder", project_files.at(project, None))
    dvc(project.directory, "fetch")
    dvc(project.directory, "remote", "modify", "store", "version_aware", "true")
    from dvc.cli import main

    with contextlib.chdir(project.directory):
        assert main(["push", "--quiet"]) == 255
    (entry,) = [one for one in lock(project)["stages"]["train"]["outs"] if one["path"] == "folder"]
    assert sorted(entry) == ["files", "hash", "path"]
    assert [one["relpath"] for one in entry["files"]] == ["kept.json", "sub/b"]
    found = artifacts.find("folder", project_files.at(project, None))
    assert (found.hash, found.versioned) == (before.hash, True)
    assert not before.versioned


@pytest.mark.parametrize("root", [".", "teams/vision"])
def test_files_are_named_from_the_root_of_the_project(repository: Git, root: str) -> None:
    top, inner = repository.directory, repository.directory / "teams/vision"
    (inner / "eval").mkdir(parents=True)
    dvc(top / root, "init", *(["--subdir"] if root != "." else []))
    (inner / "dvc.yaml").write_text("metrics: [eval/metrics.json]\n", encoding="utf-8")
    (inner / "eval/metrics.json").write_text('{"f1": 0.5}', encoding="utf-8")
    revision = commit(repository)
    from dvc.repo import Repo

    name = (inner / "eval/metrics.json").relative_to(top / root).as_posix()
    for here in (top, inner, inner / "eval"):
        with contextlib.chdir(here), Repo(str(inner)) as repo:
            assert list(repo.metrics.show(revs=[revision])[revision]["data"]) == [name]
        with contextlib.chdir(here), dvc_report.open_project(inner) as ours:
            found = ours.metrics({revision: "main"})
        assert found.of[revision] == {("eval/metrics.json", "f1"): 0.5}
