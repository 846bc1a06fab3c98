"""F19: what a runner gives wrong is said as that: no bug of ours, and no input's fault."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from model_gitops.adapters import process

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture
def work(tmp_path: Path) -> Path:
    process.run(["git", "init", "--quiet", "-b", "main", tmp_path / "work"])
    return tmp_path / "work"


def run(
    cwd: Path, action: str, env: Mapping[str, str], *words: str
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-I", SCRIPTS, action, *words],
        cwd=cwd, env={"PATH": os.environ["PATH"], "HOME": str(cwd), **env},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert "a bug in model-gitops" not in done.stderr, done.stderr
    return done


@pytest.mark.parametrize("kind", ["a folder", "in no folder"])
@pytest.mark.parametrize("action", ["cml-report", "check-promotion", "gto-register-stage"])
def test_outputs_that_can_not_be_written_are_said_before_anything_is_done(
    work: Path, tmp_path: Path, kind: str, action: str
) -> None:
    place = tmp_path if kind == "a folder" else tmp_path / "gone" / "output"
    done = run(work, action, {"GITHUB_OUTPUT": str(place)})
    assert done.returncode == 4, done.stderr
    assert f"the runner's file for outputs, GITHUB_OUTPUT={place}, can't be written" in done.stderr


@pytest.mark.parametrize("kind", ["a folder", "in no folder"])
def test_a_summary_that_can_not_be_written_is_a_warning(
    work: Path, tmp_path: Path, kind: str
) -> None:
    place = tmp_path if kind == "a folder" else tmp_path / "gone" / "summary"
    done = run(work, "cml-report", {"GITHUB_STEP_SUMMARY": str(place)})
    assert done.returncode == 0, done.stderr
    assert f"warning: the summary is left out: GITHUB_STEP_SUMMARY={place}" in done.stderr


def test_a_missing_temporary_folder_is_made(work: Path, tmp_path: Path) -> None:
    done = run(work, "cml-report", {"RUNNER_TEMP": str(tmp_path / "gone" / "temp")})
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "gone" / "temp" / "model-gitops-reports").is_dir()


def test_a_temporary_folder_that_is_a_file_is_named(work: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        done = run(work, "cml-report", {"RUNNER_TEMP": str(place)})
        assert done.returncode == 4, done.stderr
        assert f"RUNNER_TEMP={place}, can't be used" in done.stderr


def test_a_working_directory_that_is_gone_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    words = f"cd {folder} && rmdir {folder} && exec {sys.executable} -I {SCRIPTS} cml-report"
    done = subprocess.run(
        ["sh", "-c", words], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 4, done.stderr
    assert "the working directory is gone" in done.stderr


@pytest.mark.parametrize(
    ("text", "says"), [("{", "can't be read as JSON"), ("[]", "holds no mapping")]
)
@pytest.mark.parametrize("action", ["cml-report", "check-promotion", "bump-kustomize-tag"])
def test_an_event_file_that_is_no_event_is_named(
    work: Path, tmp_path: Path, text: str, says: str, action: str
) -> None:
    (tmp_path / "event.json").write_text(text, "utf-8")
    done = run(work, action, {"GITHUB_EVENT_PATH": str(tmp_path / "event.json")})
    assert done.returncode == 2, done.stderr
    assert f"GITHUB_EVENT_PATH='{tmp_path / 'event.json'}', {says}" in done.stderr


def test_a_missing_event_file_is_named_where_it_is_needed(work: Path, tmp_path: Path) -> None:
    env = {"GITHUB_EVENT_PATH": str(tmp_path / "gone"), "GITHUB_EVENT_NAME": "pull_request"}
    done = run(work, "check-promotion", env)
    assert done.returncode == 2, done.stderr
    assert "is not there: only it says what a pull_request is about" in done.stderr
    assert run(work, "cml-report", env | {"GITHUB_EVENT_NAME": "push"}).returncode == 0
