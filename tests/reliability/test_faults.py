"""Kills at every step, servers that fail, cut or hang, full disks: a rerun completes, nothing doubled.

The long form (`MODEL_GITOPS_RELIABILITY=full`) kills before and after every single git command; the
short one around the commands that write or talk.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from model_gitops.__main__ import main
from model_gitops.adapters import git as git_adapter
from model_gitops.adapters import github, process
from model_gitops.adapters.git import Git
from model_gitops.adapters.github import GitHub
from model_gitops.core import retry
from model_gitops.local.forge import Forge
from model_gitops.local.forge.openapi import strict_forge
from model_gitops.options import variable

FULL = os.environ.get("MODEL_GITOPS_RELIABILITY") == "full"
SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
DEPLOY, MODEL, TOKEN = "acme/deploy", "acme/model", "writer-secret-token"
OVERLAY = "overlays/dev"
KUSTOMIZATION = "images:\n- name: app # ours\n  newTag: v1\n"
PROJECT = {
    "dvc.yaml": "stages:\n  train: {cmd: x, outs: [m.bin]}\n"
    "artifacts:\n  m: {path: m.bin, type: model}\n",
    "dvc.lock": "schema: '2.0'\nstages:\n  train:\n    cmd: x\n    outs:\n"
    f"    - {{path: m.bin, hash: md5, md5: {'a' * 32}, size: 5}}\n",
}
# Counts the git commands that it is asked for, and ends the whole step at the chosen one.
SHIM = """\
#!/bin/bash
count=$(($(cat "$KILL_FOLDER/count") + 1))
echo "$count" > "$KILL_FOLDER/count"
echo "$1" >> "$KILL_FOLDER/verbs"
[ "$count.before" = "$KILL_AT" ] && kill -9 0
"$KILL_GIT" "$@"
status=$?
[ "$count.after" = "$KILL_AT" ] && kill -9 0
exit $status
"""
WRITING = ("fetch", "hash-object", "commit-tree", "mktag", "push", "update-ref")

Numbers = Callable[[str], None]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("GITHUB_", "MODEL_GITOPS_", "GIT_")):
            monkeypatch.delenv(name)
    # A library's log handler of an earlier test may hold a stream that is closed.
    monkeypatch.setattr(logging, "raiseExceptions", False)


@pytest.fixture(scope="module")
def survived(numbers: Numbers) -> Iterator[Counter[str]]:
    """Counts what was injected and survived: a test that fails adds nothing."""
    counts: Counter[str] = Counter()
    yield counts
    parts = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    numbers(f"faults: {counts.total()} injected and survived: {parts}")


def repository(folder: Path, name: str, files: Mapping[str, str]) -> Git:
    """Make a bare repository with `files` on main, and a clone of it."""
    bare = folder / f"{name}.git"
    process.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", bare])
    process.run(["git", "clone", "--quiet", bare.as_uri(), folder / name])
    git = Git(folder / name)
    git.run("config", "user.name", "Ada")
    git.run("config", "user.email", "ada@example.com")
    for path, text in files.items():
        (folder / name / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / name / path).write_text(text, encoding="utf-8")
    git.run("add", "--all")
    git.run("commit", "--quiet", "-m", "first")
    git.run("push", "--quiet", "origin", "HEAD:refs/heads/main")
    return git


class Step:
    """One action with its inputs, run as a step runs it."""

    def __init__(self, folder: Path, cwd: Path, action: str, inputs: Mapping[str, str]) -> None:
        self.folder, self.cwd, self.action = folder, cwd, action
        self.inputs = {variable(name): value for name, value in inputs.items()}

    def killed_at(self, moment: str) -> list[str]:
        """Run it until `moment` (such as `3.before`); return the git commands that it came to."""
        tools = self.folder / "shim"
        tools.mkdir(exist_ok=True)
        (tools / "git").write_text(SHIM)
        (tools / "git").chmod(0o755)
        (tools / "count").write_text("0")
        (tools / "verbs").write_text("")
        temporary = self.folder / "temporary"
        temporary.mkdir(exist_ok=True)
        real = shutil.which("git")
        assert real is not None
        environment = process.environment(
            self.inputs
            | {
                "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
                "KILL_FOLDER": str(tools),
                "KILL_GIT": real,
                "KILL_AT": moment,
                "TMPDIR": str(temporary),
                "GITHUB_OUTPUT": str(self.folder / "output"),
            }
        )
        done = subprocess.run(
            [sys.executable, "-I", str(SCRIPTS), self.action], cwd=self.cwd, env=environment,
            capture_output=True, text=True, check=False, start_new_session=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == (-signal.SIGKILL if moment else 0), done.stderr
        return (tools / "verbs").read_text().split()

    def run(self, monkeypatch: pytest.MonkeyPatch) -> tuple[int, dict[str, str]]:
        """Run it to its end in this process; return the exit code and the outputs."""
        output = self.folder / "output"
        output.unlink(missing_ok=True)
        with monkeypatch.context() as patch:
            patch.chdir(self.cwd)
            patch.setenv("GITHUB_OUTPUT", str(output))
            for name, value in self.inputs.items():
                patch.setenv(name, value)
            code = main([self.action])
        text = output.read_text("utf-8") if output.exists() else ""
        found = re.findall(r"^([a-z-]+)<<(\S+)\n(.*?)\n?\2$", text, re.MULTILINE | re.DOTALL)
        return code, {name: value for name, _, value in found}


def bump(folder: Path, **more: str) -> Step:
    inputs = {"repository": str(folder / "deploy.git"), "path": OVERLAY, "images": "app=:v2"}
    place = folder / "elsewhere"
    place.mkdir()
    return Step(folder, place, "bump-kustomize-tag", inputs | more)


def overlay(folder: Path) -> str | None:
    return Git(folder / "deploy.git").file_at("main", f"{OVERLAY}/kustomization.yaml")


def commits(folder: Path) -> int:
    return int(Git(folder / "deploy.git").run("rev-list", "--count", "main"))


def tag_names(git: Git) -> set[str]:
    return set(git.run("for-each-ref", "--format=%(refname:strip=2)", "refs/tags").split())


def moments(verbs: list[str]) -> list[str]:
    """When to kill: around each git command, or in the short form each that writes or talks."""
    chosen = [at for at, verb in enumerate(verbs, 1) if FULL or verb in WRITING]
    return [f"{at}.{side}" for at in chosen for side in ("before", "after")]


# --- killed ------------------------------------------------------------------------------------------


def test_a_killed_bump_is_completed_by_a_rerun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, survived: Counter[str]
) -> None:
    def fresh(name: str) -> Step:
        (tmp_path / name).mkdir()
        repository(tmp_path / name, "deploy", {f"{OVERLAY}/kustomization.yaml": KUSTOMIZATION})
        return bump(tmp_path / name)

    times = moments(fresh("whole").killed_at(""))
    assert len(times) >= 6
    for time in times:
        step = fresh(time)
        step.killed_at(time)
        assert overlay(step.folder) in (KUSTOMIZATION, KUSTOMIZATION.replace("v1", "v2"))
        code, outputs = step.run(monkeypatch)
        assert (code, outputs["operation"] in ("pushed", "none")) == (0, True), time
        assert overlay(step.folder) == KUSTOMIZATION.replace("v1", "v2")
        assert commits(step.folder) == 2, f"doubled after a kill at {time}"
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
    assert len(times) >= 6
    for time in times:
        step = fresh(time)
        step.killed_at(time)
        remote = Git(step.folder / "model.git")
        assert tag_names(remote) in (set(), expected), f"half a decision after a kill at {time}"
        assert tag_names(Git(step.cwd)) <= tag_names(remote), f"an orphan after a kill at {time}"
        code, outputs = step.run(monkeypatch)
        assert (code, outputs["version"], outputs["stage-tag"]) == (0, "v0.0.1", "m#dev#1"), time
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


@pytest.mark.parametrize("kind", SERVER_FAULTS)
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
    ("kind", "cause"), [("500", "500"), ("502", "502"), ("429", "429"), ("cut before", "")]
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
    code, outputs = bump(tmp_path, repository=DEPLOY, token=TOKEN).run(monkeypatch)
    told = capfd.readouterr().err
    assert (code, outputs) == (4, {})
    assert cause in told
    assert "Traceback" not in told
    assert TOKEN not in told
    assert len(forge.requests()) <= 2 * retry.ATTEMPTS
    assert commits(tmp_path) == 1


def test_a_git_server_that_hangs_is_asked_again(
    tmp_path: Path, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git_adapter, "_STALLED_SECONDS", 1)
    forge.delay_next("GET", "info/refs", 5)
    code, outputs = bump(tmp_path, repository=DEPLOY, token=TOKEN).run(monkeypatch)
    assert (code, outputs["operation"]) == (0, "pushed")
    # One more than the three (where, fetch, push) that a bump takes.
    asked = [one for one in forge.requests() if one["path"].endswith("info/refs")]
    assert len(asked) >= 3


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
    tmp_path: Path, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(github, "_TIMEOUT_SECONDS", 1)
    forge.delay_next("GET", "/pulls", 4)
    step = bump(tmp_path, repository=DEPLOY, mode="pull-request", token=TOKEN)
    code, outputs = step.run(monkeypatch)
    assert (code, outputs["operation"]) == (0, "opened")


@pytest.mark.parametrize("kind", API_FAULTS)
def test_a_report_is_one_comment_whatever_the_api_does(
    tmp_path: Path, forge: Forge, monkeypatch: pytest.MonkeyPatch, survived: Counter[str], kind: str
) -> None:
    git = Git(tmp_path / "model")
    git.run("switch", "--quiet", "-c", "better")
    git.run("commit", "--quiet", "--allow-empty", "-m", "better")
    git.run("push", "--quiet", "origin", "HEAD:refs/heads/better")
    api = GitHub(MODEL, TOKEN, api_url=forge.api_url)
    pull = api.open_pull_request(head="better", base="main", title="Better", body="")
    (tmp_path / "event.json").write_text(
        json.dumps(forge.event("pull_request", MODEL, pull.number))
    )
    (tmp_path / "runner").mkdir()
    for name, value in {
        "GITHUB_REPOSITORY": MODEL,
        "GITHUB_EVENT_NAME": "pull_request",
        "GITHUB_EVENT_PATH": str(tmp_path / "event.json"),
        "RUNNER_TEMP": str(tmp_path / "runner"),
    }.items():
        monkeypatch.setenv(name, value)
    body = git.directory / "body.md"
    step = Step(tmp_path, git.directory, "cml-report", {"body": "body.md", "token": TOKEN})
    body.write_text("one\n")
    API_FAULTS[kind](forge, "POST", r"/issues/\d+/comments$", 2)
    code, outputs = step.run(monkeypatch)
    assert (code, outputs["operation"] in ("created", "updated", "none")) == (0, True)
    body.write_text("two\n")
    API_FAULTS[kind](forge, "PATCH", "/issues/comments/", 2)
    assert step.run(monkeypatch)[0] == 0
    assert forge.faults == []
    (one,) = api.list_comments(pull.number)
    assert "two" in one.body
    survived["of servers"] += 4


# --- disks -------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    options = ["-t", "tmpfs", "-o", "size=1m", "tmpfs"]
    mounted = process.run(["mount", *options, place], check=False)
    if mounted.returncode != 0:
        pytest.skip("this account can't mount")
    yield place
    process.run(["umount", "--lazy", place])


def test_a_full_disk_keeps_the_good_model(
    small_disk: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    survived: Counter[str],
) -> None:
    def dvc(*words: str) -> None:
        process.run([Path(sys.executable).with_name("dvc"), *words, "--quiet"], cwd=git.directory)

    git = repository(tmp_path, "model", {"readme": "1"})
    dvc("init")
    dvc("remote", "add", "--default", "store", str(tmp_path / "store"))
    model = git.directory / "m.bin"
    for content in (b"small", os.urandom(4_000_000)):
        model.write_bytes(content)
        dvc("add", "m.bin")
        git.run("add", "--all")
        git.run("commit", "--quiet", "-m", "model")
        dvc("push")
    git.run("push", "--quiet", "origin", "HEAD:refs/heads/main")

    work = small_disk / "work"
    process.run(["git", "clone", "--quiet", (tmp_path / "model.git").as_uri(), work])
    step = Step(tmp_path, work, "dvc-pull-model", {"model": "m.bin", "revision": "HEAD~1"})
    assert step.run(monkeypatch)[0] == 0
    assert (work / "m.bin").read_bytes() == b"small"
    # In a process of its own, with all that DVC says on the way.
    words = ["dvc-pull-model", "--model", "m.bin"]
    done = process.run([sys.executable, "-I", SCRIPTS, *words], cwd=work, check=False)
    told = done.stderr
    assert done.returncode == 4
    assert "No space left on device" in told
    assert "Traceback" not in told
    assert (work / "m.bin").read_bytes() == b"small"
    assert {file.name for file in work.iterdir()} == {
        ".dvc",
        ".dvcignore",
        ".git",
        ".gitignore",
        "m.bin",
        "m.bin.dvc",
        "readme",
    }
    survived["full disks"] += 1
