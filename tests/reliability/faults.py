"""A deploy and a model repository, the steps that write to them, and the ways in which servers fail."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from kills import Step

from model_gitops.adapters.git import Git
from model_gitops.adapters.github import GitHub
from model_gitops_local.forge import Forge

DEPLOY, MODEL, TOKEN = "acme/deploy", "acme/model", "writer-secret-token"
OVERLAY = "overlays/dev"
KUSTOMIZATION = "images:\n- name: app # ours\n  newTag: v1\n"
PROJECT = {
    "dvc.yaml": "stages:\n  train: {cmd: x, outs: [m.bin]}\n"
    "artifacts:\n  m: {path: m.bin, type: model}\n",
    "dvc.lock": "schema: '2.0'\nstages:\n  train:\n    cmd: x\n    outs:\n"
    f"    - {{path: m.bin, hash: md5, md5: {'a' * 32}, size: 5}}\n",
}


def bump(folder: Path, **more: str) -> Step:
    inputs = {"repository": str(folder / "deploy.git"), "path": OVERLAY, "images": "app=:v2"}
    place = folder / "elsewhere"
    place.mkdir()
    return Step(folder, place, "bump-kustomize-tag", inputs | more)


def overlay(folder: Path) -> str | None:
    return Git(folder / "deploy.git").file_at("main", f"{OVERLAY}/kustomization.yaml")


def heads(folder: Path) -> set[str]:
    listing = Git(folder / "deploy.git").run(
        "for-each-ref", "--format=%(refname:strip=2)", "refs/heads"
    )
    return set(listing.split())


def commits(folder: Path) -> int:
    return int(Git(folder / "deploy.git").run("rev-list", "--count", "main"))


def tag_names(git: Git) -> set[str]:
    return set(git.run("for-each-ref", "--format=%(refname:strip=2)", "refs/tags").split())


def report(
    tmp_path: Path, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> tuple[Step, GitHub, int]:
    """A step that reports body.md on a pull request, the API, and the pull request's number."""
    git = Git(tmp_path / "model")
    for file in PROJECT:
        git.run("rm", "--quiet", file)  # the report is the body alone
    git.run("switch", "--quiet", "-c", "better")
    git.run("commit", "--quiet", "-m", "better")
    git.run("push", "--quiet", "origin", "HEAD:refs/heads/better")
    api = GitHub(MODEL, TOKEN, api_url=forge.api_url)
    pull = api.open_pull_request(head="better", base="main", title="Better", body="")
    event = tmp_path / "event.json"
    event.write_text(json.dumps(forge.event("pull_request", MODEL, pull.number)))
    runner = {
        "GITHUB_SERVER_URL": forge.url,
        "GITHUB_API_URL": forge.api_url,
        "GITHUB_REPOSITORY": MODEL,
        "GITHUB_EVENT_NAME": "pull_request",
        "GITHUB_EVENT_PATH": str(event),
    }
    inputs = {"body": "body.md", "token": TOKEN}
    return Step(tmp_path, git.directory, "cml-report", inputs, runner), api, pull.number


Fault = Callable[[Forge, str, str, int], None]
SECONDARY = {
    "message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try"
    " again.",
    "documentation_url": "https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api",
}
SERVER_FAULTS: dict[str, Fault] = {
    "500": lambda forge, method, path, times: forge.fail_next(method, path, 500, times=times),
    "502": lambda forge, method, path, times: forge.fail_next(method, path, 502, times=times),
    "429": lambda forge, method, path, times: forge.fail_next(
        method, path, 429, headers={"Retry-After": "1"}, times=times
    ),
    "cut before": lambda forge, method, path, times: forge.drop_next(method, path, times=times),
    "cut after": lambda forge, method, path, times: forge.drop_next(
        method, path, when="after", times=times
    ),
}
API_FAULTS: dict[str, Fault] = SERVER_FAULTS | {
    "secondary limit": lambda forge, method, path, times: forge.fail_next(
        method, path, 403, headers={"Retry-After": "1"}, body=SECONDARY, times=times
    ),
}
SHORT = ("500", "429", "cut after")
