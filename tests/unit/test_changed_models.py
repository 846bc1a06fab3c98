"""Which models a change touches: by folder, by what their stages read, and by what they watch."""

from __future__ import annotations

from typing import Any

import pytest

from model_gitops.core.dvc import reads
from model_gitops.core.flow import promotion, touched

CHURN = """
vars: [../config/common.yaml, local.yaml:size]
stages:
  train:
    wdir: src
    cmd: python train.py
    deps: [train.py, ../../shared/features.csv, "../../${lib}"]
    params: [epochs, ../../config/train.yaml: [seed]]
    outs: [../m.bin]
  each:
    foreach: [eu, us]
    do: {cmd: x, deps: ["../regions/${item}"], vars: [../config/each.yaml]}
artifacts: {churn: {path: m.bin, type: model}}
"""
SHARED = "stages:\n  make: {cmd: x, deps: [../raw/all.csv, make.py], outs: [features.csv]}\n"
FILES = {
    "churn/dvc.yaml": CHURN,
    "config/common.yaml": "lib: libs/one\n",
    "churn/local.yaml": "size: 1\n",
    "shared/dvc.yaml": SHARED,
    "raw/all.csv.dvc": "outs: [{path: all.csv, md5: %s}]\n" % ("a" * 32),
    "fraud/dvc.yaml": "artifacts: {fraud: {path: m.bin}}\n",
    "fraud/m.bin.dvc": "outs: [{path: m.bin, md5: %s}]\n" % ("b" * 32),
}
FOLDERS = ["churn", "fraud", "churn/deep"]


def rules(folder: str, **more: Any) -> promotion.Promotion:
    data = {
        "model": folder or "top",
        "image": "r/x",
        "environments": [{"name": "dev", "branch": "main"}],
        **more,
    }
    return promotion.parse(data, folder=folder)


def why(path: str, folder: str = "churn", **more: Any) -> str:
    scope = touched.scope(rules(folder, **more), reads.Reads(FILES), FOLDERS)
    return touched.first([path], folder, FOLDERS, scope)


@pytest.mark.parametrize(
    "path",
    [
        *("churn/README.md", "churn/src/train.py", "churn/dvc.lock", "churn/promotion.yaml"),
        *("shared/features.csv", "shared/dvc.yaml", "shared/dvc.lock", "shared/make.py"),
        *("raw/all.csv.dvc", "raw/all.csv", "libs/one/a/b.py", "libs/one", "libs"),
        *("config/train.yaml", "config/common.yaml", "config/each.yaml"),
        *("regions/eu", "regions/us/data.csv"),
        *(".dvc/config", ".dvcignore", ".github/workflows/promote.yml"),
    ],
)
def test_what_touches_a_model(path: str) -> None:
    assert why(path) == path


@pytest.mark.parametrize(
    "path",
    [
        *("README.md", "churned/a", "fraud/src/train.py", "churn/deep/train.py", "libs/oneself"),
        *("config/other.yaml", "shared/other.py", "regions/asia", "src/train.py", "deps"),
        *(".dvc/plugins", ".github/CODEOWNERS", "params.yaml", "m.bin"),
    ],
)
def test_what_touches_no_model(path: str) -> None:
    assert why(path) == ""


def test_what_a_model_watches_takes_the_place_of_the_default() -> None:
    for path, touches in (
        ("libs/two/x.py", True), ("churn.md", False), (".github/workflows/x.yml", False),
        ("churn/any", True),
    ):  # fmt: skip
        assert bool(why(path, watch=["../libs/two"])) is touches
    assert why(".dvc/config", watch=[]) == ""
    assert why("eval/all.json", gate=[{"metric": "../eval/all.json:r2", "better": "higher"}])


def test_what_the_image_is_made_of_counts() -> None:
    image = {"name": "r/x", "context": "../site", "dockerfile": "../docker/serve.Dockerfile",
             "build-contexts": {"libs": "../libs/two", "base": "docker-image://r/base:1"}}  # fmt: skip
    for path in ("site/nginx.conf", "docker/serve.Dockerfile", "libs/two/a.py"):
        assert why(path, image=image) == path
    for path in ("docker/other", "r/base"):
        assert why(path, image=image) == ""
    elsewhere = {"name": "r/x", "build": False, "digest": f"sha256:{'a' * 64}"}
    assert why("any/where", image=elsewhere) == ""
    assert why("any/where", image={"name": "r/x", "context": ".."}) == "any/where"


def test_a_model_at_the_top_owns_what_no_inner_one_does() -> None:
    folders = ["", "churn"]
    scope = touched.scope(rules(""), reads.Reads(FILES), folders)
    assert touched.first(["churn/a", "README.md"], "", folders, scope) == "README.md"
    assert touched.first(["churn/a"], "", folders, scope) == ""


def test_a_model_of_another_dvc_yaml_has_that_ones_files() -> None:
    scope = touched.scope(rules("site", model="fraud:fraud"), reads.Reads(FILES), ["site"])
    assert {"fraud/dvc.yaml", "fraud/dvc.lock", "fraud/m.bin.dvc"} <= scope


def test_the_last_run_says_what_dvc_yaml_can_not() -> None:
    files = {
        "a/dvc.yaml": "stages:\n  t: {cmd: x, deps: ['../${no.where}/f']}\n",
        "a/dvc.lock": "schema: '2.0'\nstages:\n  t:\n    cmd: x\n    deps: [{path: ../lib/f, md5: x}]\n"
        "    params: {../p.yaml: {k: 1}}\n",
    }
    assert {"lib/f", "p.yaml"} <= reads.Reads(files).of("a:m", ["a/dvc.yaml"])
    del files["a/dvc.lock"]
    assert reads.Reads(files).of("a:m", ["a/dvc.yaml"]) == {"a/dvc.yaml", "a/dvc.lock"}


def test_two_projects_that_read_each_other_end() -> None:
    files = {
        "a/dvc.yaml": "stages:\n  t: {cmd: x, deps: [../b/o], outs: [o]}\n",
        "b/dvc.yaml": "stages:\n  t: {cmd: x, deps: [../a/o, in], outs: [o]}\n",
    }
    assert {"a/dvc.yaml", "b/dvc.yaml", "b/in"} <= reads.Reads(files).of("a:m", ["a/dvc.yaml"])


def test_each_file_of_a_tree_is_parsed_once_for_all_models() -> None:
    parsed: list[str] = []

    class Counted(dict[str, str]):
        def __getitem__(self, path: str) -> str:
            parsed.append(path)
            return super().__getitem__(path)

    text = "stages: {t: {cmd: x, deps: [../shared.csv], outs: [m.bin]}}\nartifacts: {m: {path: m.bin}}\n"
    tree = reads.Reads(Counted({f"m{number}/dvc.yaml": text for number in range(20)}))
    for number in range(20):
        scope = touched.scope(rules(f"m{number}", model="m"), tree, [])
        assert "shared.csv" in scope
    assert len(parsed) == len(set(parsed)) == 20


def test_the_innermost_folder_owns_a_path() -> None:
    folders = frozenset({"", "churn", "churn/deep"})
    paths = ["README.md", "churn", "churn/a", "churn/deep/b", "churn/deeper/c", "churns/d"]
    assert [touched.owner(one, folders) for one in paths] == [
        "", "churn", "churn", "churn/deep", "churn", ""
    ]  # fmt: skip
    assert touched.first_of_each(paths[2:], folders) == {
        "churn": "churn/a", "churn/deep": "churn/deep/b", "": "churns/d"
    }  # fmt: skip
    assert touched.owner("README.md", folders - {""}) is None
