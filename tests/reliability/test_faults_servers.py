"""Servers that fail, cut or hang: they are asked again, or it is exit 4, and nothing is doubled."""

from __future__ import annotations

import re
import time
from collections import Counter
from pathlib import Path

import pytest
from faults import (
    API_FAULTS,
    DEPLOY,
    KUSTOMIZATION,
    MODEL,
    SERVER_FAULTS,
    SHORT,
    TOKEN,
    bump,
    commits,
    heads,
    overlay,
    report,
    tag_names,
)
from kills import FULL, Step

from model_gitops.adapters import git as git_adapter
from model_gitops.adapters import github_client
from model_gitops.adapters.git import Git
from model_gitops.adapters.git_credentials import token_credentials
from model_gitops.core import retry
from model_gitops.options import variable
from model_gitops_local.forge import Forge

pytestmark = pytest.mark.usefixtures("clean_environment")


@pytest.mark.parametrize("kind", SERVER_FAULTS)
def test_a_git_server_that_fails_is_asked_again(
    tmp_path: Path, forge: Forge, monkeypatch: pytest.MonkeyPatch, survived: Counter[str], kind: str
) -> None:
    step = bump(tmp_path, repository=DEPLOY, token=TOKEN)
    for method, path in (("GET", "info/refs"), ("POST", "upload-pack"), ("POST", "receive-pack")):
        SERVER_FAULTS[kind](forge, method, path, 2)
    code, outputs = step.run(monkeypatch)
    assert (code, outputs["operation"] in ("pushed", "none")) == (0, True)
    assert forge.faults == []
    assert overlay(tmp_path) == KUSTOMIZATION.replace("v1", "v2")
    assert commits(tmp_path) == 2
    survived["of servers"] += 6


@pytest.mark.parametrize("kind", SERVER_FAULTS if FULL else SHORT)
def test_a_registration_survives_its_server(
    tmp_path: Path, forge: Forge, monkeypatch: pytest.MonkeyPatch, survived: Counter[str], kind: str
) -> None:
    """The answer to a push may be lost: the tags are there, and are not made twice."""
    git = Git(tmp_path / "model")
    credentials = token_credentials(forge.url, TOKEN).settings
    git.run("config", *credentials[1])
    git.run("remote", "set-url", "origin", f"{forge.url}/{MODEL}")
    for method, path in (("GET", "info/refs"), ("POST", "upload-pack"), ("POST", "receive-pack")):
        SERVER_FAULTS[kind](forge, method, path, 2)
    inputs = {"model": "m", "stage": "dev"}
    code, outputs = Step(tmp_path, git.directory, "gto-register-stage", inputs).run(monkeypatch)
    assert (code, outputs["version"], outputs["stage-tag"]) == (0, "v0.0.1", "m#dev#1")
    assert forge.faults == []
    assert tag_names(Git(tmp_path / "model.git")) == {"m@v0.0.1", "m#dev#1"}
    assert tag_names(git) == {"m@v0.0.1", "m#dev#1"}
    survived["of servers"] += 6


@pytest.mark.parametrize(
    ("kind", "cause"),
    [("500", "500"), ("502", "502"), ("429", "429"), ("cut before", "Empty reply from server")],
)
def test_a_git_server_that_stays_away_is_exit_4(
    tmp_path: Path,
    forge: Forge,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    kind: str,
    cause: str,
) -> None:
    SERVER_FAULTS[kind](forge, "*", r"\.git/|/info/refs|-pack", 10_000)
    (fault,) = forge.faults
    code, outputs = bump(tmp_path, repository=DEPLOY, token=TOKEN).run(monkeypatch)
    told = capfd.readouterr().err
    assert (code, outputs) == (4, {})
    assert cause in told
    assert "Traceback" not in told
    assert TOKEN not in told
    assert retry.ATTEMPTS <= 10_000 - fault.times <= 2 * retry.ATTEMPTS
    assert commits(tmp_path) == 1


def test_a_port_where_nobody_listens_is_tried_again_then_exit_4(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pauses: list[int] = []
    monkeypatch.setattr(retry, "pause", lambda attempt, jitter: pauses.append(attempt) or 0.0)
    monkeypatch.setenv("GITHUB_SERVER_URL", "http://127.0.0.1:1")
    code, outputs = bump(tmp_path, repository=DEPLOY, token=TOKEN).run(monkeypatch)
    assert (code, outputs) == (4, {})
    assert "Failed to connect to 127.0.0.1 port 1" in capfd.readouterr().err
    assert len(pauses) == retry.ATTEMPTS - 1


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Each request as it comes, `METHOD path`: the forge's own log is written with the answer."""
    seen: list[str] = []
    real = Forge.take_fault

    def take(self: Forge, method: str, path: str) -> object:
        seen.append(f"{method} {path}")
        return real(self, method, path)

    monkeypatch.setattr(Forge, "take_fault", take)
    return seen


def test_a_git_server_that_hangs_is_asked_again(
    tmp_path: Path, forge: Forge, monkeypatch: pytest.MonkeyPatch, asked: list[str]
) -> None:
    monkeypatch.setattr(git_adapter, "_STALLED_SECONDS", 1)
    forge.delay_next("GET", "info/refs", 120)
    start = time.monotonic()
    code, outputs = bump(tmp_path, repository=DEPLOY, token=TOKEN).run(monkeypatch)
    assert (code, outputs["operation"]) == (0, "pushed")
    assert time.monotonic() - start < 60, "the hanging request was waited for"
    # One more than the three (where, fetch, push) that a bump takes.
    assert len([one for one in asked if one.endswith("info/refs")]) >= 4


@pytest.mark.parametrize("kind", API_FAULTS)
def test_an_api_that_fails_gets_one_pull_request(
    tmp_path: Path, forge: Forge, monkeypatch: pytest.MonkeyPatch, survived: Counter[str], kind: str
) -> None:
    step = bump(tmp_path, repository=DEPLOY, mode="pull-request", token=TOKEN)
    API_FAULTS[kind](forge, "GET", "/pulls", 2)
    API_FAULTS[kind](forge, "POST", "/pulls$", 2)
    code, outputs = step.run(monkeypatch)
    assert code == 0
    assert outputs["pull-request"]
    assert forge.faults == []
    step.inputs[variable("images")] = "app=:v3"
    API_FAULTS[kind](forge, "PATCH", "/pulls/", 2)
    code, outputs = step.run(monkeypatch)
    assert (code, outputs["operation"]) == (0, "updated")
    assert forge.faults == []
    state = forge.state.find(DEPLOY)
    assert state is not None
    assert len([issue for issue in state.issues if issue.pull]) == 1
    assert commits(tmp_path) == 1
    survived["of servers"] += 6


@pytest.mark.parametrize(
    ("kind", "cause"),
    [("500", "500"), ("502", "502"), ("429", "429"), ("secondary limit", "limit")],
)
def test_an_api_that_stays_away_is_exit_4(
    tmp_path: Path,
    forge: Forge,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    kind: str,
    cause: str,
) -> None:
    API_FAULTS[kind](forge, "*", "/pulls", 10_000)
    step = bump(tmp_path, repository=DEPLOY, mode="pull-request", token=TOKEN)
    code, outputs = step.run(monkeypatch)
    told = capfd.readouterr().err
    assert (code, outputs) == (4, {})
    assert cause in told
    assert "Traceback" not in told
    assert TOKEN not in told


def test_an_api_that_hangs_is_asked_again(
    tmp_path: Path, forge: Forge, monkeypatch: pytest.MonkeyPatch, asked: list[str]
) -> None:
    monkeypatch.setattr(github_client, "PATIENT", github_client.Patience(seconds=1))
    forge.delay_next("GET", "/pulls", 120)
    step = bump(tmp_path, repository=DEPLOY, mode="pull-request", token=TOKEN)
    start = time.monotonic()
    code, outputs = step.run(monkeypatch)
    assert (code, outputs["operation"]) == (0, "opened")
    assert time.monotonic() - start < 60, "the hanging request was waited for"
    # A bump lists the pull requests once.
    assert len([one for one in asked if re.match(r"GET .*/pulls$", one)]) == 2


def test_a_git_server_that_hangs_for_ever_is_exit_4(
    tmp_path: Path,
    forge: Forge,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    survived: Counter[str],
) -> None:
    """However many attempts there may be, no new one is made after so many seconds."""
    monkeypatch.setattr(git_adapter, "_STALLED_SECONDS", 1)
    monkeypatch.setattr(retry, "FAULT_SECONDS", 2.0)
    step = bump(tmp_path, repository=DEPLOY, token=TOKEN)
    for place in ("info/refs", "receive-pack", *["upload-pack"] * FULL):
        forge.delay_next("*", place, 60, times=10_000)
        start = time.monotonic()
        code, outputs = step.run(monkeypatch)
        told = capfd.readouterr().err
        assert (code, outputs) == (4, {}), place
        assert "Operation too slow" in told
        assert "Traceback" not in told
        assert time.monotonic() - start < 15
        assert commits(tmp_path) == 1
        forge.faults.clear()
        survived["of servers"] += 1


def test_an_api_that_hangs_for_ever_is_exit_4(
    tmp_path: Path,
    forge: Forge,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    survived: Counter[str],
) -> None:
    monkeypatch.setattr(github_client, "PATIENT", github_client.Patience(attempts=2, seconds=1))
    forge.delay_next("*", "/pulls", 60, times=10_000)
    step = bump(tmp_path, repository=DEPLOY, mode="pull-request", token=TOKEN)
    start = time.monotonic()
    code, outputs = step.run(monkeypatch)
    told = capfd.readouterr().err
    assert (code, outputs) == (4, {})
    assert "ReadTimeoutError" in told
    assert "Traceback" not in told
    assert time.monotonic() - start < 15
    assert heads(tmp_path) == {"main"}
    survived["of servers"] += 1


@pytest.mark.parametrize(("status", "header"), [(429, "7200"), (503, "7200"), (429, "400")])
def test_a_server_that_asks_to_wait_for_hours_is_exit_4(
    tmp_path: Path,
    forge: Forge,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    survived: Counter[str],
    status: int,
    header: str,
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(
        "urllib3.util.retry.Retry.sleep", lambda self, response=None: slept.append(1)
    )
    headers = {"Retry-After": header}
    forge.fail_next("*", "/pulls", status, headers=headers, times=10_000)
    step = bump(tmp_path, repository=DEPLOY, mode="pull-request", token=TOKEN)
    code, outputs = step.run(monkeypatch)
    told = capfd.readouterr().err
    assert (code, outputs) == (4, {})
    assert f"too many {status} error responses: it asks to wait {header} s" in told
    assert len(slept) == 900 // int(header)
    survived["of servers"] += 1


def test_a_blob_that_the_server_does_not_give_at_once(
    tmp_path: Path, forge: Forge, monkeypatch: pytest.MonkeyPatch, survived: Counter[str]
) -> None:
    """A bump fetches the one file that it needs by itself: that request is made again too."""
    seen: list[str] = []
    real = Forge.take_fault

    def take(self: Forge, method: str, path: str) -> object:
        # A fetch of protocol version 2 is two requests; the third is for the file.
        if method == "POST" and path.endswith("upload-pack"):
            seen.append(path)
            if len(seen) in (3, 4):
                self.fail_next(method, path, 502)
        return real(self, method, path)

    monkeypatch.setattr(Forge, "take_fault", take)
    code, outputs = bump(tmp_path, repository=DEPLOY, token=TOKEN).run(monkeypatch)
    assert (code, outputs["operation"]) == (0, "pushed")
    assert len(seen) >= 5
    assert forge.faults == []
    survived["of servers"] += 2


@pytest.mark.parametrize("kind", API_FAULTS if FULL else SHORT)
def test_a_report_is_one_comment_whatever_the_api_does(
    tmp_path: Path, forge: Forge, monkeypatch: pytest.MonkeyPatch, survived: Counter[str], kind: str
) -> None:
    step, api, number = report(tmp_path, forge, monkeypatch)
    body = step.cwd / "body.md"
    body.write_text("one\n")
    API_FAULTS[kind](forge, "POST", r"/issues/\d+/comments$", 2)
    code, outputs = step.run(monkeypatch)
    assert (code, outputs["operation"] in ("created", "updated", "none")) == (0, True)
    body.write_text("two\n")
    API_FAULTS[kind](forge, "PATCH", "/issues/comments/", 2)
    assert step.run(monkeypatch)[0] == 0
    assert forge.faults == []
    (one,) = api.list_comments(number)
    assert "two" in one.body
    survived["of servers"] += 4
