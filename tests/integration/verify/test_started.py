"""stages.yml's step that starts verify.yml: what the server is asked for, and what an answer comes to."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from verify_site import Server

from model_gitops_local.forge.api.answers import Answer
from model_gitops_local.forge.api.routing import Route
from model_gitops_local.forge.openapi import OpenApi

WORKFLOWS = Path(__file__).parents[3] / "templates/model/.github/workflows"
DISPATCHES = "/api/repos/acme/churn/actions/workflows/verify.yml/dispatches"
# No name of a branch or an environment is a part of the program.
BRANCH = 'production/"$(id)"\'`id`'


def load(name: str) -> Any:
    return YAML(typ="safe").load(WORKFLOWS / name)


def start(server: str) -> subprocess.CompletedProcess[str]:
    """Run the step as GitHub does on Linux."""
    (step,) = load("stages.yml")["jobs"]["verify"]["steps"]
    values = {"TOKEN": "t0ken", "BRANCH": BRANCH, "ENVIRONMENT": "@live", "CONFIG": "models/m"}
    assert set(values) == set(step["env"])
    return subprocess.run(
        ["bash", "-e", "-c", step["run"]],
        env={
            "PATH": os.environ["PATH"],
            "GITHUB_API_URL": f"{server}/api",
            "GITHUB_REPOSITORY": "acme/churn",
            **values,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("status", [200, 204, 403, 422, 500])
def test_verify_is_started_on_the_branch_that_status_names(
    server: Server, github_description: OpenApi, status: int
) -> None:
    bodies = []

    def answer(request: Any) -> tuple[int, bytes]:
        bodies.append(json.loads(request.body))
        return status, b"" if status == 204 else b'{"message": "why"}'

    server.answers[DISPATCHES] = answer
    done = start(server.url)
    assert (done.returncode == 0) == (status < 300), done.stderr
    assert ("why" in done.stdout) == (status != 204)
    assert server.asked == [(DISPATCHES, "Bearer t0ken")]
    inputs = {"environment": "@live", "config": "models/m", "again": "false"}
    assert bodies == [{"ref": BRANCH, "inputs": inputs}]
    template = "/repos/{owner}/{repo}/actions/workflows/{workflow_id}/dispatches"
    route = Route("POST", template, ("actions:write",), lambda _: Answer(204))
    body = json.dumps(bodies[0]).encode()
    assert github_description.check(route, {}, body, Answer(204)) == []
    found = load("verify.yml")
    assert set(inputs) == set((found.get("on") or found[True])["workflow_dispatch"]["inputs"])
