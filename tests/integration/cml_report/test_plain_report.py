"""What is read of a plain project without DVC, beside what DVC says of it."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from model_gitops.adapters import dvc_report, plain_report, process, project_files
from model_gitops.adapters.dvc_report import WORKSPACE, Values
from model_gitops.adapters.git import Git
from model_gitops.core.dvc.shown import NotPlain

CSV = "epoch,loss,acc\n0,1.5,0.1\n1,0.75,0.2\n2,0.5,0.4\n"
STAGED = """\
stages:
  train:
    cmd: python train.py
    deps: [data.csv, train.py]
    params:
      - train.epochs
      - train.rate
      - other.yaml:
          - a.b
          - missing.key
      - whole.json:
    outs: [model.pkl]
    metrics:
      - eval/metrics.json: {cache: false}
      - eval/more.yaml: {cache: false}
    plots:
      - eval/curve.csv: {cache: false, x: epoch, y: loss, template: simple, title: The curve}
      - eval/points.json: {cache: false, x: a, y: b, template: scatter}
"""
BASE = {
    ".dvc/config": "[core]\n    remote = store\n    analytics = false\n['remote \"store\"']\n    url = ../store\n",
    ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
    ".dvcignore": "# a comment\n",
    "params.yaml": "train: {epochs: 3, rate: 0.1}\nlist: [1, two, {three: 3}]\nempty:\n",
    "other.yaml": "a: {b: 1, c: 2}\nd: [1]\n",
    "whole.json": '{"x": {"y": [1, 2]}, "n": null}',
    "eval/metrics.json": '{"r2": 0.5, "deep": {"er": {"x": 1e-3}}, "list": [1, 2], "no": null, "t": "text", "b": true}',
    "eval/more.yaml": "f1: 0.9\nnan: .nan\n1: one\n",
    "eval/curve.csv": CSV,
    "eval/points.json": '[{"a": 1, "b": 2}, {"a": 3, "b": 4.5}]',
    "data.csv": "1\n",
    "train.py": "pass\n",
}
LOCK = """\
schema: '2.0'
stages:
  train:
    cmd: python train.py
    deps:
    - path: data.csv
      hash: md5
      md5: b026324c6904b2a9cb4b88d6d61c81d1
      size: 2
    params:
      params.yaml:
        train.epochs: 3
    outs:
    - path: eval/metrics.json
      hash: md5
      md5: c157a79031e1c40f85931829bc5fc552
      size: 4
"""
Q = "metrics: [eval/metrics.json]\n"
# Name → (files over BASE, files that the candidate changes, whether DVC is left out).
SHAPES: dict[str, tuple[Mapping[str, str | None], Mapping[str, str | None], bool]] = {
    "top level": (
        {"dvc.yaml": f"{Q}params: [other.yaml, params.yaml]\nplots: [eval/curve.csv]\n"},
        {"eval/metrics.json": '{"r2": 0.75}', "params.yaml": "new: 1\n", "eval/curve.csv": CSV + "3,0.1,0.9\n"},
        True,
    ),
    "stages": ({"dvc.yaml": STAGED}, {"eval/more.yaml": "f1: 1\n", "other.yaml": "a: {b: 2}\n"}, True),
    "a lock": ({"dvc.yaml": STAGED, "dvc.lock": LOCK}, {"whole.json": "{}"}, True),
    "plots of several columns": (
        {
            "dvc.yaml": f"{Q}plots:\n  - Curve: {{x: epoch, y: {{eval/curve.csv: [loss, acc]}}, title: T}}\n"
            "  - Other:\n      x: {eval/curve.csv: epoch}\n      y: {eval/curve.csv: acc}\n"
            "      x_label: steps\n      y_label: right\n  - eval/curve.csv:\n"
            "  - eval/points.json: {x: a, y: b, template: scatter}\n"
        },
        {"eval/curve.csv": CSV.replace("0.75", "0.7")},
        True,
    ),
    "one id in a list and in a stage": (
        {"dvc.yaml": STAGED + "plots:\n  - eval/curve.csv: {x: epoch, y: acc}\n"}, {"eval/curve.csv": CSV + "3,1,1\n"}, True,
    ),
    "confusion and bars": (
        {
            "dvc.yaml": "plots:\n  - c.csv: {template: confusion, x: actual, y: predicted}\n"
            "  - b.csv: {template: bar_horizontal, x: v, y: n}\n  - t.tsv: {x: epoch, y: loss}\n",
            "c.csv": "actual,predicted\na,a\na,b\nb,b\n",
            "b.csv": "n,v\nx,1\ny,2\n",
            "t.tsv": CSV.replace(",", "\t"),
        },
        {"c.csv": "actual,predicted\na,a\nb,a\nb,b\n"},
        True,
    ),
    "plots that are new": (
        {"dvc.yaml": Q}, {"dvc.yaml": f"{Q}plots: [eval/curve.csv]\n", "eval/metrics.json": '{"r2": 1}'}, True,
    ),
    "before the first run": (
        {"dvc.yaml": Q, "eval/metrics.json": None}, {"eval/metrics.json": '{"r2": 1}'}, True,
    ),
    "a stage elsewhere": (
        {
            "sub/dvc.yaml": "stages:\n  s:\n    cmd: x\n    wdir: ..\n    params: [train.epochs]\n"
            "    metrics: [eval/metrics.json]\n    plots: [{eval/curve.csv: {x: epoch}}]\n"
        },
        {"eval/metrics.json": '{"r2": 2}'},
        True,
    ),
    "a data file": (
        {
            "dvc.yaml": Q,
            "data.csv.dvc": "outs:\n- md5: b026324c6904b2a9cb4b88d6d61c81d1\n  size: 2\n  hash: md5\n  path: data.csv\n",
        },
        {"eval/metrics.json": '{"r2": 2}'},
        True,
    ),
    "no definitions": ({"README.md": "x\n"}, {"params.yaml": "a: 1\n"}, True),
    # What DVC is asked.
    "vars": ({"dvc.yaml": f"vars: [{{name: eval}}]\n{Q}"}, {}, False),
    "an expression": ({"dvc.yaml": "metrics: ['${file}']\n", "params.yaml": "file: eval/metrics.json\n"}, {}, False),
    "foreach": (
        {"dvc.yaml": "stages:\n  s:\n    foreach: [a, b]\n    do:\n      cmd: x ${item}\n"
         "      metrics: [{'eval/${item}.json': {cache: false}}]\n"}, {}, False,
    ),
    "matrix": ({"dvc.yaml": "stages:\n  s:\n    matrix: {a: [x]}\n    cmd: x\n    params: [train.epochs]\n"}, {}, False),
    "toml": ({"dvc.yaml": "metrics: [m.toml]\n", "m.toml": "a = 1\n"}, {"m.toml": "a = 2\n"}, False),
    "params of a Python file": ({"dvc.yaml": "params: [p.py]\n", "p.py": "A = 1\n"}, {"p.py": "A = 2\n"}, False),
    "a folder of plots": ({"dvc.yaml": "plots: [eval]\n"}, {}, False),
    "a picture": ({"dvc.yaml": "plots: [p.svg]\n", "p.svg": "<svg/>"}, {}, False),
    "several dvc.yaml": (
        {"dvc.yaml": Q, "a/dvc.yaml": "metrics: [m.json]\n", "a/m.json": '{"z": 1}'}, {"a/m.json": '{"z": 2}'}, False,
    ),
    "a missing metrics file": ({"dvc.yaml": Q}, {"eval/metrics.json": None}, False),
    "a broken metrics file": ({"dvc.yaml": Q}, {"eval/metrics.json": "{"}, False),
    "a broken dvc.yaml": ({"dvc.yaml": Q}, {"dvc.yaml": "metrics: [\n"}, False),
    "a key that DVC refuses": ({"dvc.yaml": f"{Q}metric: []\n"}, {}, False),
    "params that are a list": ({"dvc.yaml": Q, "params.yaml": "[1, 2]\n"}, {}, False),
    "a key in a list": ({"dvc.yaml": "stages:\n  s: {cmd: x, params: [{other.yaml: [d.0]}]}\n"}, {}, False),
    "a field that is missing": ({"dvc.yaml": "plots:\n  - eval/curve.csv: {y: nothing}\n"}, {}, False),
    "no head": (
        {"dvc.yaml": "stages:\n  s: {cmd: x, plots: [{eval/curve.csv: {cache: false, header: false}}]}\n"}, {}, False,
    ),
    "dvcignore": ({"dvc.yaml": Q, ".dvcignore": "eval\n"}, {}, False),
    "gitignore": ({"dvc.yaml": Q, ".gitignore": "dvc.yaml\n"}, {}, False),
    "line endings": ({"dvc.yaml": Q, "eval/metrics.json": '{"a":\r\n 1}'}, {}, False),
    "ignored params": ({"dvc.yaml": Q, "params.yaml": None}, {".gitignore": "params.yaml\n", "params.yaml": "a: 1\n"}, False),
    "ignored .dvcignore": (
        {"dvc.yaml": Q, ".dvcignore": None}, {".gitignore": ".dvcignore\n", ".dvcignore": "dvc.yaml\n"}, False,
    ),
    "a stage without a name": ({"dvc.yaml": f"{Q}stages:\n  1:\n    cmd: x\n"}, {}, False),
    "an output's own remote": (
        {"dvc.yaml": f"{Q}stages:\n  s:\n    cmd: x\n    outs: [{{o: {{remote: nowhere}}}}]\n"}, {}, False,
    ),
    "a remote without an address": ({"dvc.yaml": Q, ".dvc/config": "['remote \"s\"']\n    region = eu\n"}, {}, False),
    "a remote of no known kind": ({"dvc.yaml": Q, ".dvc/config": "['remote \"s\"']\n    url = foo://b/x\n"}, {}, False),
    "a folder with settings of S3": (
        {"dvc.yaml": Q, ".dvc/config": "['remote \"s\"']\n    url = /x\n    region = eu\n"}, {}, False,
    ),
    "a remote told in two files": (
        {"dvc.yaml": Q, ".dvc/config": "['remote \"s\"']\n    url = s3://b/x\n"},
        {".dvc/config.local": "['remote \"s\"']\n    region = eu\n"}, True,
    ),
    "a remote of another kind": ({"dvc.yaml": Q, ".dvc/config": "['remote \"s\"']\n    url = gs://b/x\n"}, {}, True),
    "settings that can't be read": ({"dvc.yaml": Q}, {".dvc/config.local/x": "1"}, False),
    "other settings": ({"dvc.yaml": Q, ".dvc/config": "[feature]\n    x = 1\n"}, {}, False),
}  # fmt: skip


def write(git: Git, files: Mapping[str, str | None]) -> None:
    for name, text in files.items():
        path = git.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            path.unlink()
        else:
            path.write_bytes(text.encode())


def made(folder: Path, files: Mapping[str, str | None]) -> Git:
    """Make a repository with one commit of BASE and `files`."""
    git = Git(folder / "work")
    process.run(["git", "init", "--quiet", "--initial-branch=main", git.directory])
    write(git, {name: text for name, text in {**BASE, **files}.items() if text is not None})
    git.run("add", "--all", "--force")
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
    git.run(*who, "commit", "--quiet", "-m", "base")
    return git


def told(values: Values) -> Any:
    """Return values with their order, which is that of the report's rows."""
    return (
        repr({one: list(some.items()) for one, some in values.of.items()}),
        values.unread,
        values.problems,
    )


def drawn(matched: Any) -> list[Any]:
    return [
        (one.renderer.name, one.renderer.properties.get("title"), one.renderer.TYPE, one.source_errors,
         one.definition_errors, json.dumps(one.renderer.get_filled_template(), default=str))
        for one in matched
    ]  # fmt: skip


def of_dvc(git: Git, folder: Path, names: Mapping[str, str]) -> Any:
    def content(revision: str, file: Path) -> str | None:
        path = os.path.relpath(file, git.directory.resolve())
        commit = None if revision == WORKSPACE else revision
        return None if path.startswith("..") else project_files.read_file(git, path, commit)

    with dvc_report.open_project(folder, content) as opened:
        shown = {WORKSPACE: "candidate"} | dict(names)
        metrics, params = opened.metrics(names), opened.params(names)
        return told(metrics), told(params), drawn(opened.plots(shown))


def of_plain(git: Git, folder: Path, names: Mapping[str, str]) -> Any:
    project = plain_report.Project(git, folder)
    shown = {WORKSPACE: "candidate"} | dict(names)
    return told(project.metrics(names)), told(project.params(names)), drawn(project.plots(shown))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_plain_project_is_read_as_dvc_reads_it_and_any_other_is_left_to_dvc(
    shape: str, tmp_path: Path
) -> None:
    files, changes, is_plain = SHAPES[shape]
    git = made(tmp_path, files)
    write(git, changes)
    names = {git.run("rev-parse", "HEAD").strip(): "main", WORKSPACE: "candidate"}
    with contextlib.chdir(git.directory):
        if not is_plain:
            with pytest.raises(NotPlain):
                of_plain(git, git.directory, names)
            return
        assert of_plain(git, git.directory, names) == of_dvc(git, git.directory, names)


def test_of_a_larger_project_only_the_folders_own_are_shown(tmp_path: Path) -> None:
    model = "metrics: [m.json]\nparams: [params.yaml]\nplots: [{c.csv: {x: epoch, y: loss}}]\n"
    files = {
        f"models/{one}/{name}": text
        for one in "ab"
        for name, text in {
            "dvc.yaml": model, "m.json": f'{{"{one}": 1}}', "params.yaml": f"{one}: 1\n", "c.csv": CSV,
        }.items()
    }  # fmt: skip
    git = made(tmp_path, files)
    write(git, {"models/a/m.json": '{"a": 2}'})
    folder = git.directory / "models" / "a"
    names = {git.run("rev-parse", "HEAD").strip(): "main", WORKSPACE: "candidate"}
    with contextlib.chdir(git.directory):
        found = of_plain(git, folder, names)
        assert found == of_dvc(git, folder, names)
        assert "'a'" in found[0][0] and "'b'" not in found[0][0]
