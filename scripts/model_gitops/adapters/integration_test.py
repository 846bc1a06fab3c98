"""The integration test: a smoke test's requests, sent to the service where it is deployed."""

from __future__ import annotations

import time

from model_gitops import runner
from model_gitops.adapters import web_client
from model_gitops.core.image import smoke
from model_gitops.core.verify.row import Row
from model_gitops.core.verify.running import words

_PROBE_SECONDS = 0.5
# A gateway that has just learnt of a new Pod may answer so for a moment.
_AGAIN = (502, 503, 504)
_ATTEMPTS = 3


def run(test: smoke.SmokeTest, url: str) -> list[Row]:
    """Ask the service at `url` until it is healthy, then send each request; return a row for each.

    What of the description starts a container (port, env, command and such) has no meaning here.
    """
    if test.health and (problem := _until_healthy(test, url)):
        return [Row("integration: healthy", f"{test.health} answers 2xx", problem, passed=False)]
    requests = test.requests or [smoke.Request(path=test.health or "/")]
    return [_row(number, one, test.timeout, url) for number, one in enumerate(requests, 1)]


def _until_healthy(test: smoke.SmokeTest, url: str) -> str:
    """Wait for the health path; return what is wrong, or an empty string."""
    deadline = time.monotonic() + test.timeout
    last = "it was not asked"
    while (left := deadline - time.monotonic()) > 0:
        try:
            answer = web_client.ask(f"{url}{test.health}", seconds=min(left, 10.0))
        except web_client.NoAnswer as error:
            last = str(error)
        else:
            if 200 <= answer.status < 300:
                return ""
            last = f"status {answer.status}"
        time.sleep(min(_PROBE_SECONDS, max(deadline - time.monotonic(), 0)))
    return f"not healthy after {test.timeout:.0f} s: {last}"


def _row(number: int, request: smoke.Request, seconds: float, url: str) -> Row:
    """Send one request and return its row."""
    check = words(f"integration {number}: {request.method} {request.path}", longest=100)
    asked = _asked(request.expect)
    try:
        answer = _ask(request, seconds, url)
    except web_client.NoAnswer as error:
        return Row(check, asked, f"no answer: {error}", passed=False)
    took = f"{answer.seconds * 1000:.0f} ms"
    problems = smoke.compare(request.expect, answer.status, answer.body)
    if not problems:
        return Row(check, asked, f"as expected, in {took}", passed=True)
    with runner.group(f"answer to {check}"):
        runner.say(answer.body[:4096].decode("utf-8", errors="replace"))
    return Row(check, asked, words(f"{'; '.join(problems)}, in {took}"), passed=False)


def _ask(request: smoke.Request, seconds: float, url: str) -> web_client.Answer:
    for attempt in range(_ATTEMPTS):
        answer = web_client.ask(
            f"{url}{request.path}",
            method=request.method,
            headers=request.headers,
            body=request.body,
            seconds=seconds,
        )
        # What is expected may be a 503 itself.
        if answer.status not in _AGAIN or answer.status == request.expect.status:
            break
        if attempt < _ATTEMPTS - 1:
            time.sleep(_PROBE_SECONDS)
    return answer


def _asked(expect: smoke.Expect) -> str:
    """Return in words what is expected."""
    parts = [f"status {expect.status}"]
    if expect.json is not smoke.Unset.UNSET:
        parts.append("this JSON")
    if expect.json_contains is not smoke.Unset.UNSET:
        parts.append("JSON with these values")
    if expect.body_contains:
        parts.append(f"{expect.body_contains!r} in the body")
    if expect.body_matches:
        parts.append(f"a body that matches /{expect.body_matches}/")
    return words(", ".join(parts))
