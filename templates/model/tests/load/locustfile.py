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
import zlib
from pathlib import Path
from typing import Any

import gevent
from locust import FastHttpUser, constant_throughput, events, task
from locust.contrib.fasthttp import FAILURE_EXCEPTIONS
from report import Asked, Measured, judged, problem, write

# What the target can be: the training data has 25 to 346.
LOWEST, HIGHEST = -200, 600
TIMEOUT = 10  # seconds; what takes longer, from the request to the whole answer, has failed
LARGEST = 1024 * 1024  # bytes of an answer
EACH_SECOND = 5  # requests of one user, where the service is quick enough
RECORDED = Path(__file__).parents[1] / "recorded-requests.jsonl"

asked = Asked.of(os.environ)
measured = Measured()
instances = [json.loads(line)["instance"] for line in RECORDED.read_text().splitlines()]


class Caller(FastHttpUser):
    """Asks for one prediction after the other."""

    wait_time = constant_throughput(EACH_SECOND)
    # Of one read each, so that a byte a second has no end: `predict` bounds the whole.
    connection_timeout = network_timeout = TIMEOUT + 1
    insecure = False  # certificates are checked

    @task
    def predict(self) -> None:
        """Ask for one instance, and count the answer, or what came in its place."""
        body = {"instances": [random.choice(instances)]}
        wrong, began = "", time.perf_counter()
        with gevent.Timeout(TIMEOUT, False):
            wrong = self.ask(body)
        seconds = time.perf_counter() - began
        if seconds >= TIMEOUT:
            wrong = f"no whole answer in {TIMEOUT} s"
            self.client.client.close()  # and with it what is still to come
        self.environment.events.request.fire(
            request_type="POST",
            name="/predict",
            response_time=seconds * 1000,
            response_length=0,
            exception=RuntimeError(wrong) if wrong else None,
            context={},
        )

    def ask(self, body: dict[str, Any]) -> str:
        """Ask once; what is wrong with the answer, empty where it is right.

        A redirect is no answer: it would be another service that is measured.
        """
        try:
            answer = self.client.post(
                "/predict",
                json=body,
                headers={"Accept-Encoding": "gzip"},
                catch_response=True,  # `predict` counts it
                allow_redirects=False,
                stream=True,
            )
            if not answer.status_code:
                return f"no answer ({type(answer.error).__name__})"
            if answer.status_code != 200:
                answer.release()  # locust has read an error's body
                return problem(answer.status_code, "", 1, LOWEST, HIGHEST)
            content = b""
            while chunk := answer.read(64 * 1024):
                content += chunk
                if len(content) > LARGEST:
                    answer.release()
                    return f"an answer of more than {LARGEST} bytes"
            if len(content) < int(answer.headers.get("Content-Length") or 0):
                return "an answer that ends too early"
            if answer.headers.get("Content-Encoding") == "gzip":
                content = zlib.decompressobj(31).decompress(content, LARGEST)
        except (*FAILURE_EXCEPTIONS, ValueError, zlib.error) as error:
            return f"no whole answer ({type(error).__name__})"
        text = content.decode("utf-8", errors="replace")
        return problem(answer.status_code, text, 1, LOWEST, HIGHEST)


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
