"""Both repositories of a flow on a stand-in, and `protect` as a person starts it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from model_gitops import __main__ as program
from model_gitops_local.forge import Forge
from model_gitops_local.forge.state import Guard

TEMPLATES = Path(__file__).parents[3] / "templates"
MODEL, DEPLOY = "acme/diabetes", "acme/diabetes-deploy"
# What a person who administers both has, and what a scheduled check needs.
ADMIN = {
    "administration": "write", "actions": "read", "contents": "read", "secrets": "read",
    "environments": "read", "members": "read",
}  # fmt: skip
READER = {
    "administration": "read", "actions": "read", "contents": "read", "secrets": "read",
    "environments": "read",
}  # fmt: skip
Run = Callable[..., tuple[int, str]]


def serve(forge: Forge, bares: dict[str, Path]) -> None:
    for name, bare in bares.items():
        forge.add_repository(name, bare)
    forge.add_token("admin", "alice", ADMIN)
    forge.add_token("reader", "alice", READER)


def runner(
    forge: Forge, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    def start(*words: str, repository: str = MODEL, token: str = "admin") -> tuple[int, str]:
        monkeypatch.setenv("GITHUB_SERVER_URL", forge.url)
        monkeypatch.setenv("GITHUB_API_URL", forge.api_url)
        monkeypatch.setenv("MODEL_GITOPS_TOKEN", token)
        capsys.readouterr()
        code = program.main(["protect", repository, *words])
        said = capsys.readouterr()
        return code, said.out + said.err

    return start


def guard(forge: Forge, name: str = MODEL) -> Guard:
    found = forge.state.find(name)
    assert found is not None
    return found.guard


def writes(forge: Forge) -> list[str]:
    return [f"{one['method']} {one['path']}" for one in forge.requests() if one["method"] != "GET"]


def rule(forge: Forge, ruleset: str, kind: str, repository: str = MODEL) -> dict[str, Any]:
    found = next(one for one in guard(forge, repository).rulesets if one["name"] == ruleset)
    rule: dict[str, Any] = next(one for one in found["rules"] if one["type"] == kind)
    return rule
