"""Kills at every step, servers that fail, cut or hang, full disks: a rerun completes, nothing doubled.

The long form (`MODEL_GITOPS_RELIABILITY=full`) kills before and after every single git command; the
short one around the commands that write or talk.
"""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest
from kills import FULL, Step, fill, left_behind, moments, repository

from model_gitops.adapters import git as git_adapter
from model_gitops.adapters import github, process, report_branch
from model_gitops.adapters.git import Git
from model_gitops.adapters.github import GitHub
from model_gitops.core import retry
from model_gitops.options import variable
from model_gitops_local.forge import Forge
from model_gitops_local.forge.openapi import strict_forge

pytestmark = pytest.mark.usefixtures("clean_environment")

DEPLOY, MODEL, TOKEN = "acme/deploy", "acme/model", "writer-secret-token"
OVERLAY = "overlays/dev"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)
MOST_MOMENTS = 200
Side = Literal["before", "after"]
SIDES: tuple[Side, Side] = ("before", "after")
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


# --- killed ------------------------------------------------------------------------------------------


def test_a_killed_bump_is_completed_by_a_rerun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, survived: Counter[str]
) -> None:
    def fresh(name: str) -> Step:
        (tmp_path / name).mkdir()
        repository(tmp_path / name, "deploy", {f"{OVERLAY}/kustomization.yaml": KUSTOMIZATION})
        return bump(tmp_path / name)

    times = moments(fresh("whole").killed_at(""))
    assert len(times) >= 4
    for moment in times:
        step = fresh(moment)
        step.killed_at(moment)
        assert overlay(step.folder) in (KUSTOMIZATION, KUSTOMIZATION.replace("v1", "v2"))
        code, outputs = step.run(monkeypatch)
        assert (code, outputs["operation"] in ("pushed", "none")) == (0, True), moment
        assert overlay(step.folder) == KUSTOMIZATION.replace("v1", "v2")
        assert commits(step.folder) == 2, f"doubled after a kill at {moment}"
        assert step.run(monkeypatch)[1]["operation"] == "none"
    survived["kills"] += len(times)


def test_a_killed_registration_is_completed_by_a_rerun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, survived: Counter[str]
) -> None:
    def fresh(name: str) -> Step:
        (tmp_path / name).mkdir()
        git = repository(tmp_path / name, "model", PROJECT)
        inputs = {"model": "m", "stage": "dev"}
        return Step(tmp_path / name, git.directory, "gto-register-stage", inputs)

    expected = {"m@v0.0.1", "m#dev#1"}
    times = moments(fresh("whole").killed_at(""))
    assert len(times) >= 4
    for moment in times:
        step = fresh(moment)
        step.killed_at(moment)
        remote = Git(step.folder / "model.git")
        assert tag_names(remote) in (set(), expected), f"half a decision after a kill at {moment}"
        assert tag_names(Git(step.cwd)) <= tag_names(remote), f"an orphan after a kill at {moment}"
        code, outputs = step.run(monkeypatch)
        assert (code, outputs["version"], outputs["stage-tag"]) == (0, "v0.0.1", "m#dev#1"), moment
        assert tag_names(remote) == tag_names(Git(step.cwd)) == expected
        assert step.run(monkeypatch)[1]["operation"] == "none"
    survived["kills"] += len(times)


# --- servers -----------------------------------------------------------------------------------------


@pytest.fixture
def forge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Forge]:
    """A forge with a deploy and a model repository; nobody waits long in these tests."""
    repository(tmp_path, "deploy", {f"{OVERLAY}/kustomization.yaml": KUSTOMIZATION})
    repository(tmp_path, "model", PROJECT)
    monkeypatch.setattr(retry, "pause", lambda attempt, jitter: 0.0)
    monkeypatch.setattr("urllib3.util.retry.Retry.sleep", lambda self, response=None: None)
    with strict_forge(tmp_path / "forge") as made:
        made.add_repository(DEPLOY, tmp_path / "deploy.git")
        made.add_repository(MODEL, tmp_path / "model.git")
        made.add_token(TOKEN, "github-actions[bot]")
        monkeypatch.setenv("GITHUB_SERVER_URL", made.url)
        monkeypatch.setenv("GITHUB_API_URL", made.api_url)
        yield made


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
    credentials = git_adapter.token_credentials(forge.url, TOKEN).env
    git.run("config", credentials["GIT_CONFIG_KEY_1"], credentials["GIT_CONFIG_VALUE_1"])
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
    monkeypatch.setattr(github, "_TIMEOUT_SECONDS", 1)
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
    monkeypatch.setattr(github, "_TIMEOUT_SECONDS", 1)
    monkeypatch.setattr(github, "_ATTEMPTS", 2)
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


def test_the_lock_of_a_killed_git_is_removed_and_that_of_a_living_one_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, survived: Counter[str]
) -> None:
    git = repository(tmp_path, "model", PROJECT)
    inputs = {"model": "m", "stage": "dev"}
    step = Step(tmp_path, git.directory, "gto-register-stage", inputs)
    locks = [
        git.directory / ".git" / name for name in ("refs/tags/m@v0.0.1.lock", "packed-refs.lock")
    ]
    for lock in locks:
        lock.parent.mkdir(exist_ok=True)
        lock.touch()
        os.utime(lock, (time.time() - 600,) * 2)
    # A pack of refs wants its lock, as the deletion of a ref does.
    git.run("update-ref", "refs/tags/old", "HEAD")
    code, outputs = step.run(monkeypatch)
    assert (code, outputs["version"]) == (0, "v0.0.1")
    assert not locks[0].exists()
    assert tag_names(git) >= {"m@v0.0.1", "m#dev#1"}
    young = git.directory / ".git/refs/tags/m#dev#2.lock"
    young.touch()
    threading.Timer(1, young.unlink).start()
    (git.directory / "m.txt").write_text("2")
    git.run("add", "m.txt")
    git.run("commit", "--quiet", "-m", "two")
    step.inputs[variable("version")] = "v0.0.2"
    lock_file = PROJECT["dvc.lock"].replace("a" * 32, "b" * 32)
    (git.directory / "dvc.lock").write_text(lock_file)
    git.run("commit", "--quiet", "--all", "-m", "three")
    code, outputs = step.run(monkeypatch)
    assert (code, outputs["stage-tag"]) == (0, "m#dev#2")
    assert not young.exists()
    survived["locks"] += 2


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


# --- killed, with a forge ----------------------------------------------------------------------------


def killed_at(forge: Forge, step: Step, moment: str | tuple[str, str, Side]) -> None:
    """Kill the step around a command, or when its request comes: before or after the server's work."""
    if isinstance(moment, str):
        step.killed_at(moment)
        return
    method, path, side = moment
    step.killed_by(lambda kill: forge.drop_next(method, path, when=side, then=kill))
    assert forge.faults == [], f"there was no {method} {path}"


@pytest.mark.parametrize("operation", ["opened", "updated"])
def test_a_killed_proposal_is_completed_by_a_rerun(
    tmp_path: Path,
    forge: Forge,
    monkeypatch: pytest.MonkeyPatch,
    survived: Counter[str],
    operation: str,
) -> None:
    git = Git(tmp_path / "deploy")
    for number in range(MOST_MOMENTS):
        file = git.directory / f"overlays/{number}/kustomization.yaml"
        file.parent.mkdir()
        file.write_text(KUSTOMIZATION)
    git.run("add", "--all")
    git.run("commit", "--quiet", "-m", "overlays")
    git.run("push", "--quiet", "origin", "HEAD:refs/heads/main")
    (remote, state), before = (Git(tmp_path / "deploy.git"), forge.state.find(DEPLOY)), "app=:v2"
    assert state is not None
    step = bump(tmp_path, repository=DEPLOY, mode="pull-request", token=TOKEN)
    step.runner = {"GITHUB_SERVER_URL": forge.url, "GITHUB_API_URL": forge.api_url}

    def prepare(number: int) -> None:
        """A folder of its own for each moment: each has its own branch and pull request."""
        step.inputs |= {variable("path"): f"overlays/{number}", variable("images"): before}
        if operation == "updated":
            assert step.run(monkeypatch)[1]["operation"] == "opened"
        step.inputs[variable("images")] = "app=:v3"

    prepare(0)
    write = ("POST", "/pulls$") if operation == "opened" else ("PATCH", r"/pulls/\d+$")
    times = [*moments(step.killed_at(""), ("push",)), *((*write, side) for side in SIDES)]
    assert 4 <= len(times) < MOST_MOMENTS
    for number, moment in enumerate(times, 1):
        prepare(number)
        killed_at(forge, step, moment)
        code, outputs = step.run(monkeypatch)
        assert (code, outputs["operation"] in (operation, "updated", "none")) == (0, True), moment
        (pull,) = [one for one in state.issues if one.number == number + 1]
        assert len(state.issues) == number + 1, f"doubled after a kill at {moment}"
        assert "v3" in pull.title or "v3" in pull.body
        assert pull.pull is not None
        head = pull.pull.head
        wanted = KUSTOMIZATION.replace("v1", "v3")
        assert remote.file_at(head, f"overlays/{number}/kustomization.yaml") == wanted
        assert remote.run("rev-list", "--count", f"main..{head}").strip() == "1"
        if FULL or number == len(times):
            assert step.run(monkeypatch)[1]["operation"] == "none"
        assert left_behind(step) == set()
    assert commits(tmp_path) == 2
    survived["kills"] += len(times)


def test_a_killed_report_is_completed_by_a_rerun(
    tmp_path: Path, forge: Forge, monkeypatch: pytest.MonkeyPatch, survived: Counter[str]
) -> None:
    step, api, number_of_pull = report(tmp_path, forge, monkeypatch)
    body, remote = step.cwd / "body.md", Git(tmp_path / "model.git")

    def write(word: str) -> None:
        (step.cwd / "picture.png").write_bytes(PNG + word.encode())
        body.write_text(f"{word}\n\n![plot](picture.png)\n")

    # At first there is no branch of the pictures, then one with others in it.
    write("new branch")
    new = moments(step.killed_at(""), ("push",))
    write("old branch")
    old = moments(step.killed_at(""), ("push",))
    posts: list[str | tuple[str, str, Side]] = [("POST", r"/comments$", side) for side in SIDES]
    patches: list[str | tuple[str, str, Side]]
    patches = [("PATCH", "/issues/comments/", side) for side in SIDES]
    times = [*new, *posts, *old, *patches]
    for number, moment in enumerate(times):
        if number < len(new):
            remote.run("update-ref", "-d", f"refs/heads/{report_branch.BRANCH}")
        if moment in posts:
            for one in api.list_comments(number_of_pull):
                api.delete_comment(one)
        word = f"report {number}"
        write(word)
        killed_at(forge, step, moment)
        code, outputs = step.run(monkeypatch)
        assert (code, outputs["operation"] in ("created", "updated", "none")) == (0, True), moment
        (one,) = api.list_comments(number_of_pull)
        picture = re.search(r"/raw/(\w{40})/(\w+\.png)", one.body)
        assert picture, one.body
        # Of another text than UTF-8, so it is asked for by its length only.
        size = remote.run("cat-file", "-s", f"{picture[1]}:{picture[2]}").strip()
        assert size == str(len(PNG + word.encode()))
        assert Path(outputs["report"]).read_text("utf-8").count(word) >= 1
        if FULL or number + 1 == len(times):
            assert step.run(monkeypatch)[1]["operation"] == "none"
        assert left_behind(step) <= {"model-gitops-reports"}
    survived["kills"] += len(times)


# --- disks -------------------------------------------------------------------------------------------


def assert_full(
    step: Step, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """It fails for the disk, says so, and calls it no bug."""
    code, outputs = step.run(monkeypatch)
    told = capfd.readouterr().err
    assert (code, outputs) == (4, {}), told
    assert re.search("No space left on device|the disk of .* is full", told)
    assert "Traceback" not in told
    assert "bug" not in told


def test_a_full_disk_registers_nothing(
    small_disk: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    survived: Counter[str],
) -> None:
    git = repository(tmp_path, "model", PROJECT)
    work = small_disk / "work"
    process.run(["git", "clone", "--quiet", (tmp_path / "model.git").as_uri(), work])
    step = Step(tmp_path, work, "gto-register-stage", {"model": "m", "stage": "dev"})
    fill(small_disk)
    assert_full(step, monkeypatch, capfd)
    assert tag_names(Git(tmp_path / "model.git")) == tag_names(Git(work)) == set()
    (small_disk / "filler").unlink()
    assert step.run(monkeypatch)[0] == 0
    assert tag_names(Git(tmp_path / "model.git")) == {"m@v0.0.1", "m#dev#1"}
    assert git.commit_of("HEAD")
    survived["full disks"] += 1


@pytest.mark.parametrize("mode", ["push", "pull-request"])
def test_a_full_disk_bumps_nothing(
    small_disk: Path,
    tmp_path: Path,
    forge: Forge,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    survived: Counter[str],
    mode: str,
) -> None:
    step = bump(tmp_path, repository=DEPLOY, mode=mode, token=TOKEN)
    step.temporary = small_disk
    # Python looks for another place where there is no room at all.
    fill(small_disk, but=4096)
    assert_full(step, monkeypatch, capfd)
    assert (commits(tmp_path), heads(tmp_path)) == (1, {"main"})
    assert [file.name for file in small_disk.iterdir()] == ["filler"]
    (small_disk / "filler").unlink()
    assert step.run(monkeypatch)[0] == 0
    survived["full disks"] += 1


def test_a_full_disk_keeps_the_good_report(
    small_disk: Path,
    tmp_path: Path,
    forge: Forge,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    survived: Counter[str],
) -> None:
    step, api, number = report(tmp_path, forge, monkeypatch)
    step.temporary = small_disk
    body = step.cwd / "body.md"
    body.write_text("one\n")
    code, outputs = step.run(monkeypatch)
    assert code == 0
    good = Path(outputs["report"]).read_bytes()
    body.write_text("two\n")
    fill(small_disk)
    assert_full(step, monkeypatch, capfd)
    assert Path(outputs["report"]).read_bytes() == good
    (one,) = api.list_comments(number)
    assert "one" in one.body
    (small_disk / "filler").unlink()
    assert step.run(monkeypatch)[1]["operation"] == "updated"
    survived["full disks"] += 1
