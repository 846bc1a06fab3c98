"""run-command: the project's own lines, run as a step of a workflow runs them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from model_gitops.adapters import git, process

SCRIPTS = Path(__file__).parents[2] / "scripts"
FLOW = {
    "model": "churn",
    "image": "ghcr.io/acme/churn",
    "environments": [{"name": "dev", "branch": "main"}],
}


@dataclass
class Project:
    folder: Path
    outputs: Path

    def write(self, commands: dict[str, object], makefile: str = "", folder: str = "") -> None:
        place = self.folder / folder
        place.mkdir(exist_ok=True)
        with (place / "promotion.yaml").open("w") as file:
            YAML().dump({**FLOW, "commands": commands}, file)
        if makefile:
            (place / "Makefile").write_text(makefile)

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME")}
        return kept | {"GITHUB_OUTPUT": str(self.outputs), "GITHUB_ACTIONS": "true"} | more

    def run(self, names: str, config: str = "promotion.yaml", **more: str) -> process.Completed:
        return process.run(
            [sys.executable, "-I", "-u", SCRIPTS, "run-command", "--command", names, "--config", config],
            cwd=self.folder, env=self.environment(**more), inherit=False, check=False,
        )  # fmt: skip

    def told(self) -> list[str]:
        """The values of `ran` and `skipped`."""
        return self.outputs.read_text().splitlines()[1::3]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    folder = tmp_path / "project"
    folder.mkdir()
    git.Git(folder).run("init", "--quiet", "--initial-branch", "main")
    return Project(folder, tmp_path / "outputs")


def test_it_runs_what_is_there_and_skips_what_is_not(project: Project) -> None:
    project.write(
        {"check": "echo ::error::as the runner reads it; printf 'no line break'", "smoke": False},
        "include more.mk\nlint:\n\techo no\n",
    )
    (project.folder / "more.mk").write_text("test: lint\n\t@echo tests of $(MAKE)\n")
    done = project.run("env check test smoke")
    assert done.returncode == 0, done.said
    assert project.told() == ["check test", "env smoke"]
    lines = done.stdout.splitlines()
    # Whole lines, so that the runner reads them: a group's end after a text without a line break too.
    assert "::error::as the runner reads it" in lines
    assert lines.count("::endgroup::") == 2
    assert "tests of make" in lines
    notices = [line for line in lines if line.startswith("::notice")]
    assert "no target in the Makefile" in notices[0]
    assert "promotion.yaml says `smoke: false`" in notices[1]
    assert "check: done in 0." in done.stderr


# What only make knows of a Makefile, with what `run-command test` says of it.
HIDDEN = "define HELP\ntest: runs them\nendef\nexport HELP\nall: ; @true\n"
COMPUTED = "T := check test\n$(T):\n\t@echo RUN $@\n"


@pytest.mark.parametrize(
    ("makefile", "status", "said"),
    [
        (COMPUTED, 0, "RUN test"),
        ("ifndef NO\n  test: ; @echo RUN\nendif\n", 0, "RUN"),
        (HIDDEN, 0, "no target in the Makefile"),
        ("ifdef NO\ntest: ; @echo RUN\nendif\nall: ; @true\n", 0, "no target in the Makefile"),
        ("all: ; @true\ntest: A = 1\n", 0, "no target in the Makefile"),
        (".PHONY: test\n", 0, "no target in the Makefile"),
        ("test\n  broken\n", 3, "missing separator"),
        ("test: ; @echo RUN\n", 0, "Fix: add the line `.PHONY: test`"),
        (".PHONY: test\ntest: ; @echo RUN\n", 0, "RUN"),
    ],
)
def test_a_makefile_is_read_by_make(
    project: Project, makefile: str, status: int, said: str
) -> None:
    project.write({}, makefile)
    if said.startswith("Fix: ") or ".PHONY: test\ntest" in makefile:
        (project.folder / "test").mkdir()
    done = project.run("test")
    assert done.returncode == status, done.said
    assert said in done.stdout + done.stderr
    assert ("\nRUN" in done.stdout) is said.startswith("RUN")


@pytest.mark.parametrize(
    ("line", "status", "why"),
    [
        ("false; echo not reached", 1, ""),
        ("exit 7", 7, ""),
        ("false | cat", 1, ""),
        ("echo $no_such_variable", 1, ""),
        ("-no-such-program", 127, "not on this runner"),
        ("kill -9 $$", 137, "no memory is left"),
    ],
)
def test_a_command_that_fails_ends_the_step(
    project: Project, line: str, status: int, why: str
) -> None:
    project.write({"check": line, "test": "echo after it"}, folder="churn")
    done = project.run("check test", "churn/promotion.yaml")
    assert done.returncode == 3
    assert f"the project's own `check` failed with status {status} after 0." in done.stdout
    assert why in done.stdout
    assert f"by hand: cd churn && {line}" in done.stdout
    assert "after it" not in done.stdout.splitlines()
    assert "not reached" not in done.stdout.splitlines()


def test_a_command_has_the_jobs_environment_and_nothing_of_ours(project: Project) -> None:
    project.write({"test": "env | sort"}, folder="churn")
    mine = {"MODEL_GITOPS_TOKEN": "secret", "UV_NO_CONFIG": "1", "VIRTUAL_ENV": "/ours"}
    job = {"MODEL_GITOPS_JOB_PYTHONPATH": "src", "MODEL_GITOPS_JOB_UV_OFFLINE": "1", "LANG": "fr"}
    job["MODEL_GITOPS_STORE"] = "/kept"
    done = project.run("test", "churn/promotion.yaml", **mine, **job)
    found = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    assert found["PYTHONPATH"] == "src"
    assert found["UV_OFFLINE"] == "1"
    assert found["LANG"] == "fr"
    assert found["PWD"] == str(project.folder / "churn")
    assert not [name for name in found if name.startswith("MODEL_GITOPS")][1:]
    assert found["MODEL_GITOPS_STORE"] == "/kept"
    assert not {"UV_NO_CONFIG", "VIRTUAL_ENV", "LC_ALL", "GIT_TERMINAL_PROMPT"} & set(found)


def test_run_sh_gives_back_what_it_takes_from_the_environment(project: Project) -> None:
    project.write({"test": 'echo "${PYTHONPATH} ${UV_LINK_MODE} ${VIRTUAL_ENV-none}"'})
    kept = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    done = process.run(
        [SCRIPTS / "run.sh", "run-command", "--command", "test"],
        cwd=project.folder,
        env=kept | {"PYTHONPATH": "src", "UV_LINK_MODE": "copy"},
        inherit=False,
    )
    assert "src copy none" in done.stdout.splitlines()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_cancelled_job_ends_the_command_and_what_it_started(
    project: Project, number: signal.Signals
) -> None:
    pid = project.folder / "pid"
    project.write({"test": "sleep 60 & echo $! > pid.new; mv pid.new pid; wait"})
    # What a shell starts in the background ignores it, and so would what is started here.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    started = subprocess.Popen(
        [sys.executable, "-I", SCRIPTS, "run-command", "--command", "test"],
        cwd=project.folder,
        env=project.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + 30
    while not pid.exists() and time.monotonic() < end:
        time.sleep(0.05)
    started.send_signal(number)
    assert started.wait(30) == 130
    child = Path(f"/proc/{pid.read_text().strip()}/stat")
    while child.exists() and time.monotonic() < end:
        if child.read_text().rpartition(")")[2].split()[0] in "ZX":
            break
        time.sleep(0.05)
    else:
        assert not child.exists()


def test_what_the_pipeline_wrote_is_committed_and_nothing_else(project: Project) -> None:
    repository = git.Git(project.folder)
    project.write({}, folder="churn")
    folder = project.folder / "churn"
    (folder / "dvc.yaml").write_text(
        "stages:\n  train:\n    cmd: train\n    outs:\n    - model.bin\n"
        "    metrics:\n    - metrics.json: {cache: false}\n"
    )
    (folder / "dvc.lock").write_text(
        "schema: '2.0'\nstages:\n  train:\n    cmd: train\n    outs:\n"
        f"    - {{path: model.bin, hash: md5, md5: {'a' * 32}, size: 1}}\n"
        f"    - {{path: metrics.json, hash: md5, md5: {'b' * 32}, size: 1}}\n"
    )
    for name in (".gitignore", "metrics.json", "notes.txt", "model.bin"):
        (folder / name).write_text("/model.bin\n")
    done = project.run("commit", "churn/promotion.yaml")
    assert done.returncode == 0, done.said
    said = repository.run("show", "--name-only", "--format=%cn: %s", "HEAD").split("\n")
    assert said[0] == "github-actions[bot]: Reproduce the pipeline"
    assert sorted(filter(None, said[1:])) == [
        "churn/.gitignore", "churn/dvc.lock", "churn/metrics.json",
    ]  # fmt: skip
    head = repository.commit_of("HEAD")
    assert project.run("commit", "churn/promotion.yaml").returncode == 0
    assert repository.commit_of("HEAD") == head


@pytest.mark.parametrize(("names", "said"), [("", "is empty"), ("check deploy", "none of env,")])
def test_what_is_no_command_is_refused_before_anything_runs(
    project: Project, names: str, said: str
) -> None:
    project.write({"check": "touch ran"})
    done = project.run(names)
    assert done.returncode == 2
    assert said in done.stdout
    assert not (project.folder / "ran").exists()


@pytest.mark.parametrize(
    "config", ["models/churn", "models/churn/", "./models/churn/promotion.yaml"]
)
def test_a_command_runs_in_the_folder_that_config_names(project: Project, config: str) -> None:
    (project.folder / "models").mkdir()
    project.write({"check": "test -f promotion.yaml"}, folder="models/churn")
    done = project.run("check", config=config)
    assert (done.returncode, project.told()) == (0, ["check", ""]), done.said
