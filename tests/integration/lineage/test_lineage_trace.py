"""trace-model: an environment, an image and a version, each traced to its data."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import jsonschema
import pytest
from world import (
    ENVIRONMENTS,
    MODEL,
    RAW,
    READER,
    SCRIPTS,
    TOKEN,
    World,
    links,
    schema,
)

from model_gitops.adapters import git_settings, process
from model_gitops.adapters.git import Git
from model_gitops.adapters.git_credentials import token_credentials
from model_gitops.options import variable

pytestmark = pytest.mark.docker


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_an_environment_is_traced_to_its_data(whole: World, name: str) -> None:
    told, found = whole.trace(name)
    assert told.code == 0, told.log
    jsonschema.validate(found, schema("trace"), format_checker=jsonschema.FormatChecker())
    assert found["verified"] is True
    expected = [
        "overlay → deploy commit",
        "overlay → registry",
        "image → model",
        "image → build commit",
        "deploy commit → image",
        "image → source commit",
        "deploy commit → source commit",
        "deploy commit → model",
        "branch → source commit",
        "version → model",
        "stage → version",
        "model → data",
        "source commit → pull request",
        "pull request → hop",
        "pull request → approvals",
    ]
    if name != "dev":
        expected.append("overlay → environment before")
    if name == "production":
        expected.append("deploy commit → deploy pull request")
    assert links(found) == dict.fromkeys(expected, "verified")
    assert found["data"] == [{"path": "data.csv", "hash": RAW}]
    assert [one["path"] for one in found["code"]] == ["train.py"]
    assert found["params"] == {"params.yaml": {"train.epochs": 60}}
    assert found["version"]["name"] == "v0.0.1"
    assert found["pull_request"]["approved_by"] == ["grace"]
    branches = ["experiment/better", *ENVIRONMENTS.values()]
    assert found["pull_request"]["head"] == branches[list(ENVIRONMENTS).index(name)]
    branch = ENVIRONMENTS[name]
    assert found["source"]["commit"] == whole.work.commit_of(f"origin/{branch}")
    assert found["built_from"]["commit"] == whole.work.commit_of("origin/experiment/better")


def test_the_time_is_when_the_deploy_pull_request_was_merged(whole: World) -> None:
    deploy = Git(whole.top / "deploy.git")
    _, found = whole.trace("production")
    merge_commit = deploy.run("log", "-1", "--format=%ct %P", "main").split()
    assert len(merge_commit) == 3, "the last commit is the merge"
    assert found["deployment"]["commit"] == merge_commit[2]
    from datetime import datetime

    assert datetime.fromisoformat(found["deployment"]["since"]).timestamp() == int(merge_commit[0])


def test_an_image_and_a_version_are_traced_by_what_runs_them(whole: World) -> None:
    staging = whole.work.commit_of("origin/staging")
    _, found = whole.trace(f"{whole.image}:{staging}")
    assert (found["environment"], found["verified"]) == ("staging", True)
    digest = found["image"]["digest"]
    _, found = whole.trace("diabetes#dev")
    assert (found["environment"], found["verified"]) == ("dev", True)
    for subject in (f"{whole.image}@{digest}", "v0.0.1", "diabetes@v0.0.1"):
        told, found = whole.trace(subject)
        assert told.code == 0, told.log
        assert (found["environment"], found["verified"]) == ("production", True)
        assert found["data"] == [{"path": "data.csv", "hash": RAW}]


def test_text_is_for_people_and_json_alone_for_programs(whole: World) -> None:
    plain = whole.run("trace-model", subject="production", token=READER)
    assert plain.code == 0, plain.log
    assert plain.answer.startswith("diabetes in production: ")
    assert f"data.csv, MD5 {RAW}" in plain.answer
    assert "✓ version → model" in plain.answer
    assert "? source commit → pull request" in plain.answer
    words = [sys.executable, "-I", SCRIPTS, "trace-model", "--json", "--subject", "production"]
    env = {**whole.env, variable("token"): READER}
    done = process.run(words, cwd=whole.work.directory, env=env)
    assert json.loads(done.stdout)["subject"] == "production"


def test_a_shallow_checkout_without_tags_is_enough(whole: World, tmp_path: Path) -> None:
    """As actions/checkout leaves it: one commit of another branch, no tags."""
    url = f"{whole.forge.url}/{MODEL}.git"
    credentials = token_credentials(url, TOKEN).settings
    words = ["clone", "--quiet", "--depth=1", "--no-tags", "--branch=staging", url, "shallow"]
    process.run(["git", *words], cwd=tmp_path, env=git_settings.environment(credentials))
    git = Git(tmp_path / "shallow")
    git.run("config", *credentials[1])
    asked = whole.run(
        "trace-model", git.directory, subject="production", json="true", token=READER,
        source_token=READER,
    )  # fmt: skip
    assert asked.code == 0, asked.log
    assert set(links(json.loads(asked.answer)).values()) == {"verified"}
    assert git.is_shallow()


def test_a_step_gets_outputs_and_a_summary(whole: World, tmp_path: Path) -> None:
    files = {"GITHUB_OUTPUT": str(tmp_path / "out"), "GITHUB_STEP_SUMMARY": str(tmp_path / "sum")}
    whole.env.update(files)
    try:
        told = whole.run("trace-model", subject="dev", token=READER)
    finally:
        for name in files:
            del whole.env[name]
    assert (told.code, told.answer) == (0, ""), told.log
    written = (tmp_path / "out").read_text("utf-8")
    for name in ("verified", "version", "digest", "model-hash", "source-commit", "deploy-commit"):
        assert f"\n{name}<<" in f"\n{written}"
    assert "\ntrue\n" in written
    summary = (tmp_path / "sum").read_text("utf-8")
    assert "```mermaid\nflowchart LR\n" in summary
    assert "| ✅ | model → data |" in summary


# --- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("subject", "code", "said"),
    [
        ("", 2, "subject: one of dev, staging, production, empty"),
        ("produktion", 2, "no environment (dev, staging, production, empty)"),
        ("v9.9.9", 2, "no version of diabetes (v0.0.1)"),
        ("diabetes@v9.9.9", 2, "no version of diabetes (v0.0.1)"),
        ("diabetes@sha256:123", 2, "no image with a tag or digest"),
        ("empty", 2, "empty runs nothing yet"),
        ("--upload-pack=x", 2, "no environment"),
        ("127.0.0.1:9/no/such:tag", 4, "127.0.0.1:9"),
    ],
)
def test_what_can_not_be_traced(whole: World, subject: str, code: int, said: str) -> None:
    told, found = whole.trace(subject)
    assert (told.code, found) == (code, None), told.log
    assert said in told.log
    assert "Traceback" not in told.log


def test_a_wrong_token_is_said(whole: World) -> None:
    told, _ = whole.trace("production", token="wrong-token")
    assert told.code == 4
    assert "wrong-token" not in told.log + told.answer
    assert "Fix: " in told.log
    # The deploy repository can be read, and the pull requests can't: that is no broken link.
    told, found = whole.trace("production", source_token="wrong-token")
    assert told.code == 0, told.log
    assert links(found)["source commit → pull request"] == "unknown"
