"""The template's image as it is deployed: uWSGI's workers behind Nginx, nothing but /tmp to write to.

Built by the demo, and looked at there.
"""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from model_gitops_local.engine import Engine

DIGEST = "sha256:" + "5" * 64
IMAGE = f"ghcr.io/acme/diabetes:v1@{DIGEST}"
ROW = [59, 2, 32.1, 101, 157, 93.2, 38, 4, 4.8598, 87]


class Service:
    """A container of the image, with production's restrictions."""

    def __init__(self, engine: Engine, image: str, *more: str) -> None:
        self.engine = engine
        self.container = engine.docker(
            "run", "--detach", "--read-only", "--tmpfs", "/tmp", "--user", "10001:10001",
            "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
            "--publish", "127.0.0.1::8080", "--env", f"IMAGE={IMAGE}", *more, image,
        ).stdout.strip()  # fmt: skip
        port = engine.docker("port", self.container, "8080/tcp").stdout.split()[0]
        self.url = f"http://{port}"
        for _ in range(200):
            try:
                self.get("/readyz")
                return
            except OSError:
                time.sleep(0.2)
        raise AssertionError(engine.docker("logs", self.container).stderr)

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return answer.read().decode()

    def predict(self, *rows: list[float]) -> tuple[Any, list[str]]:
        """Return the answer, and each of its headers X-Request-ID."""
        body = json.dumps({"instances": rows}).encode()
        told = {"Content-Type": "application/json", "X-Request-ID": "mine"}
        call = urllib.request.Request(f"{self.url}/predict", body, told)
        with urllib.request.urlopen(call, timeout=20) as answer:
            return json.loads(answer.read()), answer.headers.get_all("X-Request-ID")

    def inside(self, *words: str) -> str:
        return self.engine.docker("exec", self.container, *words).stdout

    def stop(self) -> None:
        self.engine.docker("rm", "--force", self.container, check=False)


def all_workers_write_one_request_log(engine: Engine, image: str) -> None:
    """Also `/version`, and the metrics of both."""
    service = Service(engine, image)
    try:
        assert json.loads(service.get("/version"))["digest"] == DIGEST
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda n: service.predict([n, *ROW[1:]], ROW), range(200)))
        text = service.inside("cat", "/tmp/requests/requests.jsonl")
        lines = [json.loads(line) for line in text.splitlines()]
        assert len(lines) == 400
        # One header, and one id an instance, by which a label finds its line.
        logged = {line["id"]: line["prediction"] for line in lines}
        for answer, (sent,) in answers:
            assert re.fullmatch("[0-9a-f]{32}", sent)
            assert [logged[f"{sent}-{n}"] for n in (0, 1)] == answer["predictions"]
        assert {line["instance"]["age"] for line in lines} == set(range(200))
        metrics = service.get("/metrics")
        assert 'request_log_lines_total{result="written"} 400.0' in metrics
        assert "model_prediction_value_count 400.0" in metrics
        assert 'http_requests_total{method="POST",route="/predict",status="200"} 200.0' in metrics
        # Both workers answered: each has files of its own.
        assert len(set(re.findall(r"counter_(\w+)\.db", service.inside("ls", "/tmp/metrics")))) == 2
    finally:
        service.stop()


def a_full_disk_breaks_no_answer(engine: Engine, image: str) -> None:
    """A file system of 64 KiB."""
    small = ["--tmpfs", "/log:size=64k,mode=1777", "--env", "REQUEST_LOG=/log/requests.jsonl"]
    made = Service(engine, image, *small)
    try:
        for _ in range(4):
            answer, _ = made.predict(*[ROW] * 200)
            assert len(answer["predictions"]) == 200
        assert 'request_log_lines_total{result="lost"}' in made.get("/metrics")
        for line in made.inside("cat", "/log/requests.jsonl").splitlines():
            assert json.loads(line)["prediction"]
        said = engine.docker("logs", made.container)
        assert "No space left on device" in said.stdout + said.stderr
    finally:
        made.stop()


def standard_output_is_the_containers(engine: Engine, image: str) -> None:
    """And no field that is dropped is in it."""
    dropped = ["--env", "REQUEST_LOG=-", "--env", "REQUEST_LOG_DROP=age,sex"]
    made = Service(engine, image, *dropped)
    try:
        made.predict(*[ROW] * 100)
        said = engine.docker("logs", made.container)
        lines = [line for line in (said.stdout + said.stderr).splitlines() if '"instance"' in line]
        assert len(lines) == 100
        assert set(json.loads(lines[0])["instance"]) == {
            "bmi",
            "bp",
            *(f"s{n}" for n in range(1, 7)),
        }
        assert "requests" not in made.inside("ls", "/tmp")
    finally:
        made.stop()
