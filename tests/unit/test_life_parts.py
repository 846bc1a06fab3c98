"""The story's parts: what an overlay wants to run, and people who ask."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import mean
from xml.etree import ElementTree

import pytest

from model_gitops.errors import ExternalError
from model_gitops_local.life import deployer, page, pictures, traffic
from model_gitops_local.life.traffic import Patient

RENDERED = """\
apiVersion: v1
kind: Service
metadata: {name: diabetes}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: diabetes}
spec:
  replicas: 3
  template:
    spec:
      containers:
      - name: diabetes
        image: r.example/diabetes:v1@sha256:aa
        command: [/opt/run]
        env: [{name: IMAGE, value: "r.example/diabetes:v1@sha256:aa"}]
"""
PATIENTS = [Patient({"age": 40.0 + n, "bmi": 20.0 + n % 7}, 100.0 + n) for n in range(50)]


def test_what_an_overlay_wants_to_run() -> None:
    assert deployer.pod_of(RENDERED) == deployer.Pod(
        "r.example/diabetes:v1@sha256:aa",
        (("IMAGE", "r.example/diabetes:v1@sha256:aa"),),
        ("/opt/run",),
    )


def test_before_the_first_deployment_nothing_runs() -> None:
    assert deployer.pod_of(RENDERED.replace("replicas: 3", "replicas: 0")) is None


def test_what_is_no_deployment_is_said() -> None:
    with pytest.raises(ExternalError, match="has 0 Deployments"):
        deployer.pod_of(RENDERED.partition("---")[0])


def test_the_weeks_drift_and_are_the_same_each_time() -> None:
    as_it_was = traffic.week_of(PATIENTS, 200, drifted=False, seed=1)
    drifted = traffic.week_of(PATIENTS, 200, drifted=True, seed=1)
    assert traffic.week_of(PATIENTS, 200, drifted=True, seed=1) == drifted

    def bmi(week: list[Patient]) -> float:
        return mean(one.measurements["bmi"] for one in week)

    assert 4 < bmi(drifted) - bmi(as_it_was) < 6
    assert (
        mean(one.progression for one in drifted) > mean(one.progression for one in as_it_was) + 30
    )


def test_a_log_is_dated_and_its_labels_are_found(tmp_path: Path) -> None:
    week = traffic.week_of(PATIENTS, 5, drifted=True, seed=3)
    log = tmp_path / "requests.jsonl"
    lines = [
        {"time": "2026-01-01T00:00:00Z", "id": f"r-{n}", "instance": dict(one.measurements)}
        for n, one in enumerate(week)
    ]
    log.write_text("".join(f"{json.dumps(one)}\n" for one in lines), "utf-8")
    dated = traffic.dated(log, 2, tmp_path / "logs" / "week.jsonl")
    weeks = {datetime.fromisoformat(one["time"]).isocalendar()[:2] for one in dated}
    assert weeks == {(datetime.now(UTC) - timedelta(weeks=2)).isocalendar()[:2]}
    assert [one["id"] for one in dated] == [one["id"] for one in lines]
    assert traffic.write_labels(dated, week, tmp_path / "labels" / "week.csv") == 5
    with (tmp_path / "labels" / "week.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["id"] for row in rows] == [f"r-{n}" for n in range(5)]
    assert float(rows[0]["label"]) == pytest.approx(week[0].progression, abs=0.001)


def test_the_page_is_whole_and_escapes_what_it_shows() -> None:
    hop = {
        "title": "<b>", "outcome": "drifted", "said": "a & b", "seconds": 3.0, "runs": [], "report": "",
        "pictures": [], "commit": "", "diff": "",
    }  # fmt: skip
    found = page.html(
        {
            "seconds": 600.0,
            "hops": [hop],
            "ran": [{"after": 1.0, "version": "v1", "image": "sha256:<", "commit": "c" * 40}],
            "pictures": [{"title": "health", "file": "a.svg"}],
        }
    ).decode()
    assert "All of it in 10 min 0 s" in found
    assert "&lt;b&gt;" in found
    assert "sha256:&lt;" in found
    assert '<li class="drifted">' in found
    assert "http" not in found.partition("<body>")[2]


def test_pictures_are_whole_and_red_is_what_is_too_long() -> None:
    weeks = pictures.histograms({"<a>": [1.0, 2.0, 2.0], "b": [3.0]}, "kg")
    assert "&lt;a&gt;" in "".join(ElementTree.tostring(ElementTree.fromstring(weeks), "unicode"))
    drawn = pictures.bars([("fast", 13.0), ("slow", 3328.0)], 250, "ms")
    ElementTree.fromstring(drawn)
    assert drawn.count('class="bad"') == drawn.count('class="bar"') == 1
