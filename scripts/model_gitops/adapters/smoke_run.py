"""The smoke test: start an image, wait until it is healthy, and ask it."""

from __future__ import annotations

import http.client
import time

from model_gitops import runner
from model_gitops.adapters.container_engine import Container, Engine
from model_gitops.core.image import smoke
from model_gitops.errors import RefusedError

# Often enough to be quick, seldom enough to leave the processor to the model that loads.
_PROBE_SECONDS = 0.25


def try_image(engine: Engine, reference: str, test: smoke.SmokeTest, unchanged: str) -> None:
    """Start an image that the engine has, and ask it. Raises RefusedError with what is wrong."""
    with engine.start(reference, test) as container:
        problem = _until_healthy(container, test) or _answers(container, test)
        if problem:
            with runner.group("log of the container"):
                runner.say(container.log() or "(the container wrote nothing)")
            raise RefusedError(
                f"the smoke test failed: {problem}; {unchanged}",
                fix="read the container's log above; the same test runs on your machine with `push: false`",
            )
    runner.say(
        f"the smoke test passed: {max(len(test.requests), 1)} request(s) answered as expected"
    )


def _until_healthy(container: Container, test: smoke.SmokeTest) -> str:
    """Wait for the image to be healthy; return what is wrong, or an empty string."""
    probe = smoke.Request(path=test.health or "/")
    deadline = time.monotonic() + test.timeout
    last = "no answer"
    while time.monotonic() < deadline:
        state, health = container.state()
        if state not in ("running", "restarting"):
            return f"the container {state if state != 'created' else 'could not be started'}"
        if not test.health and health:
            if health == "healthy":
                return ""
            if health == "unhealthy":
                return "its HEALTHCHECK says unhealthy"
            last = f"its HEALTHCHECK says {health}"
        else:
            try:
                status, _ = container.ask(probe, timeout=5)
            except (OSError, http.client.HTTPException) as error:
                last = str(error) or type(error).__name__
            else:
                # Without a health path any answer shows that the server is up.
                if not test.health or 200 <= status < 300:
                    return ""
                last = f"status {status}"
        time.sleep(_PROBE_SECONDS)
    asked = f"{probe.path} on port {test.port}"
    return f"not healthy after {test.timeout:.0f} seconds ({asked}: {last})"


def _answers(container: Container, test: smoke.SmokeTest) -> str:
    """Send the requests in order; return what is wrong with the first bad answer, or nothing."""
    for request in test.requests:
        asked = f"{request.method} {request.path}"
        try:
            status, body = container.ask(request, timeout=test.timeout)
        except (OSError, http.client.HTTPException) as error:
            return f"{asked}: no answer ({error or type(error).__name__})"
        if problems := smoke.compare(request.expect, status, body):
            with runner.group(f"answer to {asked}"):
                runner.say(body[:4096].decode("utf-8", errors="replace"))
            return f"{asked}: {'; '.join(problems)}"
    return ""
