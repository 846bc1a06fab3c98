"""Run a served model as the deploy template does, and ask it."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from typing import Any

from model_gitops.errors import ExternalError
from model_gitops_local.engine import Engine


def ask(engine: Engine, image: str, request: bytes, *, timeout: float = 60) -> Any:
    """Start `image` with production's restrictions, POST `request` to /predict, stop it.

    Returns the parsed answer. Raises ExternalError, with the container's log, where there is none
    within `timeout` seconds.
    """
    started = engine.docker(
        "run", "--detach", "--read-only", "--tmpfs", "/tmp", "--user", "10001:10001",  # noqa: S108
        "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
        "--publish", "127.0.0.1::8080", image,
    )  # fmt: skip
    container = started.stdout.strip()
    try:
        address = engine.docker("port", container, "8080/tcp").stdout.split()[0]
        end = time.monotonic() + timeout
        while True:
            try:
                return _post(f"http://{address}/predict", request)
            except (OSError, ValueError) as error:
                if time.monotonic() > end:
                    log = engine.docker("logs", container, check=False)
                    raise ExternalError(
                        f"{image} gave no answer in {timeout:.0f} s ({error}):\n{log.stdout}{log.stderr}"
                    ) from error
                time.sleep(0.3)
    finally:
        engine.docker("rm", "--force", container, check=False)


def _post(url: str, body: bytes) -> Any:
    call = urllib.request.Request(  # noqa: S310 - our own loopback address
        url, data=body, headers={"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(call, timeout=10) as answer:  # noqa: S310
        return json.load(answer)
