"""Logins and build secrets are used, and leave no trace."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest
from image_project import CANARY, DOCKERFILE, SMOKE, Project

from model_gitops.adapters import process

pytestmark = pytest.mark.docker


def test_a_login_leaves_no_trace(locked: Project, argv: Path, tmp_path: Path) -> None:
    config = Path(os.environ["DOCKER_CONFIG"])
    before = sorted(path.name for path in config.iterdir())
    result = locked.deployed(username="ada", password=CANARY, tag="one", smoke_test=SMOKE)
    assert locked.run(username="ada", password=CANARY, tag="two").outputs["operation"] == "reused"
    assert CANARY not in result.log + json.dumps(result.outputs)
    assert CANARY not in argv.read_text()
    assert "--password-stdin" in argv.read_text()
    assert sorted(path.name for path in config.iterdir()) == before
    for folder in (tmp_path, config):
        found = process.run(["grep", "-rlF", CANARY, str(folder)], check=False).stdout
        assert found == ""


def test_a_credential_helper_is_asked_where_no_password_is_given(
    locked: Project, tmp_path: Path
) -> None:
    users, own = Path(os.environ["DOCKER_CONFIG"]), tmp_path / "docker"
    own.mkdir()
    for entry in users.iterdir():
        if entry.name != "config.json":
            (own / entry.name).symlink_to(entry)
    (own / "config.json").write_text(json.dumps({"credHelpers": {locked.registry: "canary"}}))
    helper = tmp_path / "helpers" / "docker-credential-canary"
    helper.parent.mkdir()
    helper.write_text(f'#!/bin/sh\necho \'{{"Username": "ada", "Secret": "{CANARY}"}}\'\n')
    helper.chmod(0o755)
    locked.env |= {
        "DOCKER_CONFIG": str(own),
        "PATH": f"{helper.parent}:{os.environ['PATH']}",
    }
    result = locked.run(tag="one")
    assert result.status == 0, result.log
    # A login is kept from the helper, which would store it.
    helper.write_text("#!/bin/sh\necho asked >&2\nexit 1\n")
    assert locked.run(tag="two", username="ada", password=CANARY).status == 0


@pytest.mark.parametrize(
    ("inputs", "status", "says"),
    [
        ({"username": "ada", "password": "wrong"}, 4, "login to 127.0.0.1"),
        ({}, 4, "give `username` and `password` of an account that may push"),
        ({"username": "ada"}, 2, "`password` is not"),
        ({"password": "x"}, 2, "`username` is not"),
    ],
)
def test_no_login_no_push(locked: Project, inputs: dict[str, str], status: int, says: str) -> None:
    result = locked.run(**inputs)
    assert (result.status, result.outputs) == (status, {}), result.log
    assert says in result.log


def test_a_build_secret_is_used_and_not_kept(project: Project, buildkit: str, argv: Path) -> None:
    use = "RUN --mount=type=secret,id=token sha256sum /run/secrets/token > /sum\n"
    project.write("Dockerfile", DOCKERFILE + use + 'CMD ["cat", "/sum"]\n')
    result = project.run(secrets=f"token={CANARY}", provenance="mode=max")
    assert result.status == 0, result.log
    assert CANARY not in argv.read_text() + result.log + json.dumps(result.outputs)
    assert CANARY not in json.dumps(project.config(result.outputs["tag"]))
    shown = process.run(["docker", "run", "--rm", "--pull=always", result.outputs["image"]]).stdout
    assert shown.startswith(hashlib.sha256(CANARY.encode()).hexdigest())
    process.run(["docker", "rmi", result.outputs["image"]])


def test_a_secret_of_several_lines_is_refused_and_not_shown(project: Project) -> None:
    project.env["GITHUB_ACTIONS"] = "true"
    lines = ["{", f'"key": "{CANARY}==",', f"# {CANARY}#", "}"]
    result = project.run(secrets="key=" + "\n".join(lines), tag="x")
    assert (result.status, result.outputs) == (2, {}), result.log
    masks = [line for line in result.log.splitlines() if line.startswith("::add-mask::")]
    assert {line.removeprefix("::add-mask::") for line in masks} >= {"key={", *lines[:-1]}
    assert CANARY not in "".join(line for line in result.log.splitlines() if line not in masks)
    assert "input `secrets`: entry 2" in result.log
