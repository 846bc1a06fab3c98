"""The load test: users who ask `/predict` for recorded instances, and look at each answer.

`make load URL=http://localhost:8080` runs it, with LOAD_USERS, LOAD_RATE (users who start in a
second), LOAD_TIME and LOAD_WARM_UP (seconds), LOAD_FAILURES (a share), LOAD_P95 and LOAD_P99 (ms).
It ends with status 1 where a threshold was broken, and writes its report to LOAD_REPORT.

The clock is this file's: `--run-time` counts from before this file is imported, so that a slow
import alone can end a run before its first request, with status 0.
"""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path
from typing import Any

import gevent
from locust import FastHttpUser, constant_throughput, events, task
from report import Asked, Measured, judged, problem, write

# What the target can be: the training data has 25 to 346.
LOWEST, HIGHEST = -200, 600
TIMEOUT = 10  # seconds; what takes longer has failed
EACH_SECOND = 5  # requests of one user, where the service is quick enough
RECORDED = Path(__file__).parents[1] / "recorded-requests.jsonl"

asked = Asked.of(os.environ)
measured = Measured()
instances = [json.loads(line)["instance"] for line in RECORDED.read_text().splitlines()]


class Caller(FastHttpUser):
    """Asks for one prediction after the other."""

    wait_time = constant_throughput(EACH_SECOND)
    connection_timeout = TIMEOUT
    network_timeout = TIMEOUT
    insecure = False  # certificates are checked

    @task
    def predict(self) -> None:
        """Ask for one instance, and look at the answer."""
        body = {"instances": [random.choice(instances)]}
        with self.client.post("/predict", json=body, catch_response=True) as answer:
            if wrong := problem(answer.status_code, answer.text, 1, LOWEST, HIGHEST):
                answer.failure(wrong)
            else:
                answer.success()


@events.request.add_listener
def count(response_time: float, exception: Any, **_: Any) -> None:
    """Keep each answer's time, and what was wrong with it."""
    measured.add(response_time, "" if exception is None else str(exception) or "no answer")


@events.test_start.add_listener
def start(environment: Any, **_: Any) -> None:
    """Run the clock beside the users."""
    gevent.spawn(course, environment.runner)


def course(runner: Any) -> None:
    """Wait for all users and for the warm-up, measure, and end the test."""
    deadline = time.monotonic() + asked.users / asked.rate + 10
    while runner.user_count < asked.users and time.monotonic() < deadline:
        gevent.sleep(0.02)
    gevent.sleep(asked.warm_up)
    measured.start()
    gevent.sleep(asked.seconds)
    measured.end()
    runner.quit()


@events.quitting.add_listener
def judge(environment: Any, **_: Any) -> None:
    """Judge in the process, when all answers are in: the CSV lacks the last second."""
    raised = environment.runner.exceptions.values() if environment.runner else []
    problems = [f"the load test itself: {one['msg']}" for one in raised][:5]
    report = judged(asked, measured, environment.host or "", problems)
    write(report, os.environ.get("LOAD_REPORT", ""))
    environment.process_exit_code = 1 if report["broken"] else 0
