"""Full disks: nothing is half done, the message names the disk, and a rerun completes."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from faults import DEPLOY, PROJECT, TOKEN, bump, commits, heads, report, tag_names
from kills import Step, fill, repository

from model_gitops.adapters import process
from model_gitops.adapters.git import Git
from model_gitops_local.forge import Forge

pytestmark = pytest.mark.usefixtures("clean_environment")


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
