"""Rendering the templates: no name of the example is left, and what was put in is never changed again.

A template may name branches and environments only in the forms that `core.scaffold.render` knows. Where
`test_nothing_of_the_example_is_left` finds a line, write that line in one of these forms, or without the
name ("the first environment").
"""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from ruamel.yaml import YAML

from model_gitops.adapters import template_files
from model_gitops.core.scaffold import answers, record, render
from model_gitops.core.scaffold.render import File

ALL = {name: template_files.read(name) for name in record.TEMPLATES}
OWN = answers.new(name="diabetes", owner="acme", branches=render.BRANCHES)
# What these words mean elsewhere: Python's, nginx' and Argo's own, our repository's branch, the one branch of the
# deploy repository.
ELSEWHERE = re.compile(
    r"def main\b|main\(\)|__main__|/dev/null|/dev/stdout|model-gitops/(blob|tree)/main|load_diabetes"
    r"|targetRevision: main|branches: \[main\]$|^MAIN = \"main\"",
    re.MULTILINE,
)


def made(branches: str, environments: str = "", **given: str) -> answers.Answers:
    return answers.new(
        **{"name": "churn", "owner": "newco", **given},
        branches=branches.split(","),
        environments=environments.split(",") if environments else (),
    )


def every(found: answers.Answers) -> dict[str, File]:
    return {
        f"{name}/{path}": file
        for name, files in ALL.items()
        for path, file in render.render(files, found).items()
    }


def text(files: dict[str, File], path: str) -> str:
    return files[path].content.decode()


def test_with_its_own_names_a_template_is_what_it_was() -> None:
    for files in ALL.values():
        assert render.render(files, OWN) == files


@pytest.mark.parametrize(
    ("branches", "environments"),
    [
        ("trunk", "live"),
        ("trunk,release", "qa,live"),
        ("trunk,pre/prod,release", "qa,uat,live"),
        ("trunk,a.b,c_d,release", "qa,uat,pre-live,live"),
    ],
)
def test_nothing_of_the_example_is_left(branches: str, environments: str) -> None:
    left = [
        f"{path}: {line}"
        for path, file in every(made(branches, environments)).items()
        for line in [path, *ELSEWHERE.sub("", file.content.decode()).splitlines()]
        if re.search(r"diabetes|acme", line, re.IGNORECASE)
        or re.search(r"\b(main|dev|staging|production)\b", line)
    ]
    assert left == []


@pytest.mark.parametrize(
    ("branches", "environments", "expected"),
    [
        ("live", "live", [("live", "live", "pull-request")]),
        ("main,live", "dev,live", [("dev", "main", "push"), ("live", "live", "pull-request")]),
        (
            "a,b,c,d",
            "e,f,g,h",
            [
                ("e", "a", "push"),
                ("f", "b", "push"),
                ("g", "c", "push"),
                ("h", "d", "pull-request"),
            ],
        ),
    ],
)
def test_as_many_environments_as_there_are_branches(
    branches: str, environments: str, expected: list[tuple[str, str, str]]
) -> None:
    files = every(made(branches, environments))
    flow = YAML(typ="safe").load(text(files, "model/promotion.yaml"))
    assert [
        (one["name"], one["branch"], one.get("deploy", "push")) for one in flow["environments"]
    ] == expected
    for workflow in ("deploy", "promote", "fork"):
        on = YAML(typ="safe").load(text(files, f"model/.github/workflows/{workflow}.yml"))["on"]
        assert on["push" if workflow == "deploy" else "pull_request"]["branches"] == branches.split(
            ","
        )
    for name in environments.split(","):
        application = YAML(typ="safe").load(text(files, f"deploy/argocd/{name}.yaml"))
        assert application["spec"]["source"]["path"] == f"overlays/{name}"
        assert application["spec"]["destination"]["namespace"] == f"churn-{name}"
        assert f"deploy/overlays/{name}/kustomization.yaml" in files
    project = YAML(typ="safe").load(text(files, "deploy/argocd/project.yaml"))
    assert [one["namespace"] for one in project["spec"]["destinations"]] == [
        *(f"churn-{name}" for name in environments.split(",")),
        "churn-training-*",
    ]
    overlays = [one for one in files if re.fullmatch(r"deploy/overlays/.*tion\.yaml", one)]
    assert len(overlays) == len(expected)
    # The first of several environments has no training of its own.
    trained = environments.split(",")[1:] or environments.split(",")
    for name in trained:
        text(files, f"deploy/training/overlays/{name}/kustomization.yaml")
        text(files, f"deploy/argocd/training/{name}.yaml")
    assert len([one for one in files if one.startswith("deploy/training/overlays/")]) == len(
        trained
    )


def test_each_yaml_file_is_read_as_before() -> None:
    files = every(made("trunk,release", "qa,live", name="my-model", owner="NewCo"))
    for path, file in files.items():
        if path.endswith((".yml", ".yaml")):
            assert all(YAML(typ="safe").load_all(file.content.decode())), path


def test_the_names_are_where_they_belong() -> None:
    files = every(
        made("main,production", name="my-model", owner="NewCo", host="git.example.org:3000")
    )
    assert "model/src/my_model/train.py" in files
    assert "module = my_model.serve:create_app()" in text(files, "model/serving/uwsgi.ini")
    assert "/app/my_model/\n" in text(files, "model/Dockerfile")
    assert "--from=model my-model.onnx /app/my-model.onnx" in text(files, "model/Dockerfile")
    assert "https://git.example.org:3000/NewCo/my-model " in text(files, "model/Dockerfile")
    assert "from my_model import prepare, train" in text(files, "model/tests/conftest.py")
    flow = YAML(typ="safe").load(text(files, "model/promotion.yaml"))
    assert (flow["model"], flow["image"]) == ("my-model", "git.example.org:3000/newco/my-model")
    assert flow["deploy"]["repository"] == "NewCo/my-model-deploy"
    assert "@NewCo/model-owners" in text(files, "model/.github/CODEOWNERS")
    assert "newName: git.example.org:3000/newco/my-model" in text(
        files, "deploy/overlays/dev/kustomization.yaml"
    )
    assert "uses: model-gitops/model-gitops/actions/" in text(
        files, "model/.github/workflows/deploy.yml"
    )


@pytest.mark.parametrize("name", ["main", "dev", "staging", "production", "model", "acme-x", "a"])
def test_what_was_put_in_is_not_changed_again(name: str) -> None:
    files = every(
        made("staging,production,main", "production,dev,staging", name=name, owner="main")
    )
    flow = YAML(typ="safe").load(text(files, "model/promotion.yaml"))
    assert (flow["model"], flow["image"]) == (name, f"ghcr.io/main/{name}")
    assert [(one["name"], one["branch"]) for one in flow["environments"]] == [
        ("production", "staging"), ("dev", "production"), ("staging", "main"),
    ]  # fmt: skip
    assert f"namespace: {name}-dev\n" in text(files, "deploy/overlays/dev/kustomization.yaml")


def test_what_is_no_text_and_what_may_be_run_stays_as_it_is() -> None:
    binary = b"diabetes\xff\0", b"diabetes\0"
    files = {
        "a.bin": File(binary[0]),
        "src/diabetes/b.bin": File(binary[1], executable=True),
        "run.sh": File(b"#!/bin/sh\r\necho diabetes", executable=True),
        "empty": File(b""),
    }
    assert render.render(files, made("main")) == {
        "a.bin": File(binary[0]),
        "src/churn/b.bin": File(binary[1], executable=True),
        "run.sh": File(b"#!/bin/sh\r\necho churn", executable=True),
        "empty": File(b""),
    }


@pytest.mark.parametrize("folder", ["training/overlays/qa", "training/overlays/live", "events"])
def test_the_component_deploy_keeps_its_entry_whatever_the_deploy_repository_is_called(
    folder: str,
) -> None:
    """Its image is called as the deploy repository of the example is; the two have names of their own."""
    found = replace(made("trunk,pre,release", "dev,qa,live"), deploy_repository="newco/gitops")
    rendered = render.render(ALL["deploy"], found)
    yaml = YAML(typ="safe")
    entries = {
        one["name"]: one["newName"]
        for one in yaml.load(text(rendered, f"{folder}/kustomization.yaml"))["images"]
    }
    assert entries["churn-deploy"] == "ghcr.io/newco/churn-deploy"
    base = "events" if folder == "events" else "training/base"
    asked = set(re.findall(r"image: (churn-[a-z]+)$", text(rendered, f"{base}/workflowtemplate.yaml"), re.MULTILINE))  # fmt: skip
    assert "churn-deploy" in asked
    assert asked <= set(entries)
    assert "newco/gitops" in text(rendered, "argocd/training/qa.yaml")
