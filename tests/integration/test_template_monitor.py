"""The template's monitoring with real DVC: from a request log and the lineage to gate-drift's verdict."""

from __future__ import annotations

import copy
import csv
import gzip
import json
import random
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from template_project import Project

from model_gitops.__main__ import main

pytestmark = pytest.mark.slow
WEEKS = {"2026-W44": "2026-10-26", "2026-W45": "2026-11-02", "2026-W46": "2026-11-09"}


class Monitored:
    """A trained project whose live version is an older commit, and the log of that version."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.top = project.folder.parent
        self.train = [
            {name: float(value) for name, value in row.items()}
            for row in csv.DictReader((project.folder / "data/train.csv").open())
        ]
        self.predictions = [
            (float(row["actual"]), float(row["predicted"]))
            for row in csv.DictReader((project.folder / "eval/plots/predictions.csv").open())
        ]
        self.live = project.run("git", "rev-parse", "HEAD").strip()
        self.model_hash = project.model_hash()

    @property
    def requests(self) -> Path:
        """The folder of the log, beside what the DVC remote keeps."""
        return self.top / "remote" / "requests"

    def lineage(self) -> str:
        """What trace-model says, as far as the reference reads it."""
        return json.dumps(
            {
                "source": {"commit": self.live, "known": True, "model_hash": self.model_hash},
                "version": {"tag": "diabetes@v0.0.1"},
            }
        )

    def log(
        self, week: str, *, shift: float = 0, odd: bytes = b"", version: str = "v0.0.1"
    ) -> None:
        """Write a week's log, and labels of a half of it; `shift` is added to `bmi`."""
        folder = self.requests
        folder.mkdir(exist_ok=True)
        draw = random.Random(week)
        lines, labels = [odd], ["id,label"]
        for number in range(300):
            *features, _ = draw.choice(self.train).items()
            actual, predicted = draw.choice(self.predictions)
            entry: dict[str, Any] = {
                "time": f"{WEEKS[week]}T09:{number // 60:02}:{number % 60:02}Z",
                "id": f"{week}-{number}",
                "model": {"name": "diabetes", "version": version, "hash": self.model_hash},
                "instance": dict(features),
                "prediction": predicted,
            }
            entry["instance"]["bmi"] += shift
            lines.append(json.dumps(entry).encode())
            if number % 2:
                labels.append(f"{week}-{number},{actual}")
        content = b"\n".join(lines) + b"\n"
        (folder / f"{week}.jsonl.gz").write_bytes(gzip.compress(content))
        (folder / f"{week}.csv").write_text("\n".join(labels) + "\n")

    def monitor(self, project: Project, *, live: bool = True) -> dict[str, Any]:
        """Run `make monitor`; what drift.json says, which must be as its schema says."""
        environment = project.environment
        project.environment = environment | {
            "MONITOR_LOGS": "remote://storage/requests",
            "MONITOR_LABELS": str(self.requests),
            "MONITOR_LIVE": self.lineage() if live else "",
        }
        try:
            self.said = project.make("monitor")
        finally:
            project.environment = environment
        found: dict[str, Any] = json.loads((project.folder / "monitor/drift.json").read_text())
        schema = json.loads((project.folder / "monitor/drift.schema.json").read_text())
        jsonschema.Draft202012Validator(schema).validate(found)
        return found


@pytest.fixture(scope="module")
def monitored(tmp_path_factory: pytest.TempPathFactory) -> Monitored:
    folder = tmp_path_factory.mktemp("monitor")
    project = Project(folder / "model", folder / "remote")
    project.make("reproduce", "push")
    project.commit("Train")
    found = Monitored(project)
    # The checkout moves on, to data that is nothing like what runs.
    for name in ("data/train.csv", "eval/plots/predictions.csv"):
        (project.folder / name).unlink()
    params = project.folder / "params.yaml"
    params.write_text(params.read_text().replace("test_share: 0.2 ", "test_share: 0.9 "))
    project.run("dvc", "repro", "prepare")
    project.run("git", "checkout", "--", "eval")
    project.commit("Train on less")
    return found


def gate(project: Project, monkeypatch: pytest.MonkeyPatch, output: Path) -> dict[str, str]:
    """Judge drift.json as the step of monitor.yml does."""
    monkeypatch.chdir(project.folder)
    monkeypatch.setenv("GITHUB_OUTPUT", str(output))
    output.unlink(missing_ok=True)
    assert main(["gate-drift"]) == 0
    text = output.read_text()
    return {key: text.partition(f"{key}<<")[2].split("\n")[1] for key in ("drift", "columns")}


def test_without_a_log_it_ends_well_and_says_so(monitored: Monitored) -> None:
    project = monitored.project
    said = project.make("monitor")
    assert "no request log is named" in said
    assert "there is no week to compare yet" in said
    assert json.loads((project.folder / "monitor/drift.json").read_text())["windows"] == []
    assert project.changed() == ["?? monitor/dvc.lock"]


def test_from_the_log_to_the_alarm(
    monitored: Monitored, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    project = monitored.project
    odd = b'{"half\n\xff\xfe\n127.0.0.1 - "GET /"\n' + b"[" * 60_000 + b"\n" + b"x" * 200_000
    monitored.log("2026-W44", odd=odd)
    monitored.log("2026-W45", shift=4.5)
    first = monitored.monitor(project)
    assert first["reference"]["commit"] == monitored.live
    assert first["reference"]["rows"] == 353
    assert first["collected"]["left out: no JSON"] == 4
    assert first["collected"]["left out: too long"] == 1
    assert [one["drift"] for one in first["windows"]] == [False, True]
    told = [name for name, one in first["windows"][1]["columns"].items() if one["drift"]]
    assert told == ["bmi"]
    assert first["windows"][0]["performance"]["rows"] == 150
    assert not first["windows"][0]["performance"]["drift"]
    # One bad week does nothing.
    assert gate(project, monkeypatch, tmp_path / "output")["drift"] == "false"

    # Again: nothing is another.
    names = [*(project.folder / "monitor/windows").iterdir(), project.folder / "monitor/dvc.lock"]
    before = {path: path.read_bytes() for path in names}
    assert monitored.monitor(project) == first
    assert {path: path.read_bytes() for path in names} == before

    # The second bad week is an alarm; and the log has turned over since.
    (monitored.requests / "2026-W44.jsonl.gz").unlink()
    monitored.log("2026-W46", shift=4.5)
    second = monitored.monitor(project)
    assert second["windows"][:2] == first["windows"]
    assert [one["drift"] for one in second["windows"]] == [False, True, True]
    found = gate(project, monkeypatch, tmp_path / "output")
    assert found == {"drift": "true", "columns": '["bmi"]'}
    assert "2026-W46: drift" in (project.folder / "monitor/drift.html").read_text()


def test_a_log_that_can_not_be_read_is_a_failure(monitored: Monitored) -> None:
    project = copy.copy(monitored.project)
    project.environment = project.environment | {"MONITOR_LOGS": "remote://storage/nowhere"}
    with pytest.raises(AssertionError, match="DVC can't read 'remote://storage/nowhere'"):
        project.make("collect")


def test_a_fresh_clone_has_the_weeks_that_a_commit_names(monitored: Monitored) -> None:
    """As retraining commits them: what the log has no more comes from the DVC remote."""
    project = monitored.project
    project.run("dvc", "push", "monitor/dvc.yaml:collect")
    with pytest.raises(
        AssertionError, match=r"data/train\.csv of that commit is neither in Git nor on"
    ):
        monitored.monitor(project.clone("too-early"), live=False)
    project.run("dvc", "push", "prepare")
    project.commit("Keep the weeks")
    clone = project.clone("fresh")
    for path in monitored.requests.glob("*.gz"):
        path.unlink()
    found = monitored.monitor(clone)
    assert [one["window"] for one in found["windows"]] == list(WEEKS)
    # Its own commit's data, where nobody says what is live: other than what is live.
    alone = monitored.monitor(clone, live=False)
    assert alone["reference"]["rows"] < 100
