"""`${…}` in dvc.yaml: stages of foreach and matrix, wdir, vars, artifacts; DVC itself is the oracle."""

from __future__ import annotations

from typing import Any

import pytest
from dvc.parsing import DataResolver
from dvc.repo import Repo
from dvc_project import Project
from ruamel.yaml import YAML

from model_gitops.adapters import project_files
from model_gitops.core.dvc import artifacts, files, stages, templates
from model_gitops.errors import InputError

PARAMS = """\
train: {epochs: 3, lr: 1e-3, on: true, none: null}
regions: [us, eu]
models:
  cnn: {depth: 2, sizes: [4, 5]}
  mlp: {depth: 7, sizes: [6]}
out: {dir: built, name: "a b"}
"""
STAGES = """\
vars:
- extra.py
- more/conf.toml:paths
- train: {more: text}
stages:
  each:
    foreach: ${regions}
    do:
      wdir: proj/${item}
      cmd: cp in.txt out.txt && echo ${train.epochs} ${SIZE} ${Net.depth} \\${HOME} ${train.more}
      deps: [in.txt, "../../${paths.common}"]
      outs: [out.txt]
      desc: ${train.on} ${train.none} ${train.lr}
  model:
    foreach: ${models}
    do:
      cmd: echo ${key} ${item.depth} ${item.sizes[0]} ${item[sizes][0]} ${item.sizes.0} > ${out.dir}-${key}.txt
      outs: ["${out.dir}-${key}.txt": {cache: false}]
  listed:
    foreach: [{name: x, at: 1}, {name: y, at: 2}]
    do:
      vars: [{own: "of ${item}"}, params2.json]
      cmd: echo ${item.name} ${own2} > l-${item.at}.txt
      outs: ["l-${item.at}.txt"]
  cross:
    matrix: {a: [1, true, 2.5], b: [{n: q, k: [5]}, "${out.name}"]}
    wdir: ${out.dir}
    cmd: echo ${item.a} ${key} ${regions[-1]} > x-${key}.txt
    params: [train.lr, "../${out.dir}.yaml": null]
    outs: ["x-${key}.txt"]
  plain: {cmd: "echo ${out.dir}${out.name}", outs: ["${out.dir}.txt"], frozen: true}
artifacts:
  of-params: {path: "${out.dir}.txt", type: model}
  of-item: {path: "${regions[1]}/${train.epochs}/\\\\${x}.bin"}
"""
FILES: dict[str, str | bytes] = {
    "params.yaml": PARAMS,
    "dvc.yaml": STAGES.replace('{own: "of ${item}"}', "{own: text}").replace(
        "${own2}", "${own} ${own2}"
    ),
    "extra.py": "SIZE = 5\nOTHER = len('x')\nclass Net:\n    depth = 2\n",
    "more/conf.toml": "top = 1\n[paths]\ncommon = 'common.txt'\n",
    "params2.json": '{"own2": 3}',
    "built.yaml": "x: 1\n",
}


def ours(project: Project) -> dict[str, tuple[Any, str]]:
    found = files.Project(project_files.at(project.git, None))
    defined = stages._Definitions(found, "dvc.yaml")
    return {name: (_plain(one.definition), one.folder) for name, one in defined.all()}


def dvcs(project: Project) -> dict[str, tuple[Any, str]]:
    data = YAML(typ="safe").load(project.top / "dvc.yaml")
    with Repo(str(project.top)) as repo:
        resolved = DataResolver(repo, str(project.top), data).resolve()["stages"]
    return {name: (dict(one), one.get("wdir", "")) for name, one in resolved.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {_plain(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return templates.plain(value) if isinstance(value, str) else value


def test_stages_are_what_dvc_makes_of_them(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write(FILES)
    monkeypatch.chdir(project.top)
    expected = dvcs(project)
    assert ours(project) == expected
    assert sorted(expected) == [
        "cross@1-a b", "cross@1-b0", "cross@2.5-a b", "cross@2.5-b0", "cross@true-a b", "cross@true-b0",
        "each@eu", "each@us", "listed@0", "listed@1", "model@cnn", "model@mlp", "plain",
    ]  # fmt: skip


def test_artifacts_are_where_dvc_says(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write(FILES)
    monkeypatch.chdir(project.top)
    with Repo(str(project.top)) as repo:
        expected = {name: one.path for name, one in repo.artifacts.read()["dvc.yaml"].items()}
    found = files.Project(project_files.at(project.git, None))
    assert {one.name: one.path for one in artifacts._declared(found)} == expected
    assert expected["of-item"] == "eu/3/${x}.bin"


@pytest.mark.parametrize(
    "text",
    ["${", "${}", "${a..b}", "${a.}", "${a[0]", "${a[]}", "${a.9}", "${b}", "${a}", "x ${a}"],
)
def test_what_can_not_be_told_stays_as_it_stands(text: str) -> None:
    assert templates.Values({"a": [1]}).fill(text) == text


PIPELINE = """\
stages:
  prepare:
    foreach: ${regions}
    do:
      wdir: proj/${item}
      cmd: cp in.txt data.txt
      deps: [in.txt]
      outs: [data.txt]
  train:
    matrix: {region: "${regions}", kind: [cnn]}
    wdir: proj/${item.region}
    cmd: cat data.txt ../../params.yaml > ${item.kind}.bin
    deps: [data.txt]
    params: [../../params.yaml: [train.epochs]]
    outs: ["${item.kind}.bin"]
artifacts:
  us: {path: "proj/${regions[0]}/cnn.bin"}
  eu: {path: "proj/${regions[1]}/cnn.bin"}
"""


@pytest.fixture
def trained(project: Project) -> Project:
    project.write({
        "params.yaml": PARAMS, "dvc.yaml": PIPELINE,
        "proj/us/in.txt": "us\n", "proj/eu/in.txt": "eu\n",
    })  # fmt: skip
    project.dvc("repro")
    project.dvc("push")
    project.commit()
    return project


@pytest.mark.parametrize(("model", "place"), [("us", "proj/us"), ("eu", "proj/eu")])
def test_a_stage_with_a_wdir_that_is_filled_in_is_followed_to_its_data(
    trained: Project, model: str, place: str
) -> None:
    recipe = trained.recipe(model)
    assert (recipe.problems, recipe.unchecked) == ((), ())
    assert recipe.stages == (f"prepare@{model}", f"train@{model}-cnn")
    assert [one.path for one in recipe.ingredients] == [f"{place}/data.txt", f"{place}/in.txt"]
    assert recipe.params == {"params.yaml": {"train.epochs": 3}}
    trained.write({f"{place}/in.txt": "other\n"})
    trained.commit()
    (problem,) = trained.recipe(model).problems
    assert problem.startswith(f"dvc.lock: stage prepare@{model} has {place}/in.txt with hash ")


def test_an_edited_command_of_one_item_is_named(trained: Project) -> None:
    edited = PIPELINE.replace("params.yaml > ${item.kind}.bin", "params.yaml  > ${item.kind}.bin")
    trained.write({"dvc.yaml": edited})
    trained.commit()
    (problem,) = trained.recipe("us").problems
    assert problem == (
        "dvc.lock: stage train@us-cnn ran with the command 'cat data.txt ../../params.yaml > cnn.bin',"
        " and dvc.yaml says 'cat data.txt ../../params.yaml  > cnn.bin'"
    )


def test_an_item_that_never_ran_or_is_gone_is_seen(trained: Project) -> None:
    trained.write({"params.yaml": PARAMS.replace("[us, eu]", "[us, asia]")})
    trained.commit()
    with pytest.raises(
        InputError, match=r"'proj/asia/cnn\.bin', but no dvc\.lock and no \.dvc file"
    ):
        trained.recipe("eu")
    with pytest.raises(
        InputError, match=r"it is no artifact of dvc\.yaml, and no path that DVC tracks"
    ):
        artifacts.find("proj/eu/cnn.bin", project_files.at(trained.git, "HEAD"))
    assert trained.recipe("us").problems == ()


def test_the_model_of_an_artifact_with_an_expression_is_pulled(trained: Project) -> None:
    clone = trained.clone()
    ran = clone.run("dvc-pull-model", model="eu")
    assert (ran.code, ran.outputs["path"]) == (0, "proj/eu/cnn.bin")
    assert (clone.top / "proj/eu/cnn.bin").read_text() == "eu\n" + PARAMS
    untold = PIPELINE.replace("${regions[0]}", "${nowhere.x}")
    clone.write({"dvc.yaml": untold})
    ran = clone.run("dvc-pull-model", model="us")
    assert ran.code == 2
    assert "the path of the artifact 'us' is 'proj/${nowhere.x}/cnn.bin', and neither" in ran.said
