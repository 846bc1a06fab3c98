"""A stand-in for Kubeflow Pipelines' API v2beta1, held to the models of its published client.

It runs in the environment of requirements/pipeline.txt, which brings kfp-server-api:
    python kubeflow_server.py TOKEN     prints its port
What a request has that the model has not is refused with 400, as is a run that no pipeline is in.
`/control` sets how runs end (`ends`), which answers come before the next ones (`faults`: statuses), and
tells what was asked.
"""

from __future__ import annotations

import itertools
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import kfp_server_api as api
from kfp_server_api.api_client import ApiClient

TOP = "/apis/v2beta1/"
LISTED = {"namespace", "experiment_id", "page_token", "page_size", "sort_by", "filter"}
client = ApiClient()
lock = threading.Lock()
runs: dict[str, api.V2beta1Run] = {}
experiments: dict[str, api.V2beta1Experiment] = {}
control: dict[str, Any] = {"ends": "SUCCEEDED", "faults": [], "asked": [], "bodies": []}
numbers = itertools.count(1)


class Refused(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def model(kind: Any, data: Any) -> Any:
    """An instance of a published model; Refused for a key that it has not, or an enum's other value."""
    unknown = set(data) - set(kind.attribute_map.values())
    if unknown:
        raise Refused(400, f"unknown field {sorted(unknown)} of {kind.__name__}")
    try:
        return client._ApiClient__deserialize(data, kind)
    except (ValueError, TypeError) as error:
        raise Refused(400, str(error)) from error


def predicate(query: dict[str, str]) -> Any:
    text = query.get("filter")
    if not text:
        return lambda one: True
    data = json.loads(text)
    model(api.V2beta1Filter, data)
    (only,) = data["predicates"]
    model(api.V2beta1Predicate, only)
    assert only["operation"] == "EQUALS" and only["key"] == "display_name"
    return lambda one: one.display_name == only["string_value"]


def page(name: str, found: list[Any], query: dict[str, str]) -> dict[str, Any]:
    start, size = int(query.get("page_token") or 0), int(query.get("page_size") or 20)
    after = start + size
    listed = {name: [client.sanitize_for_serialization(one) for one in found[start:after]]}
    if after < len(found):
        listed["next_page_token"] = str(after)
    # Kubeflow leaves out an empty list.
    return {key: value for key, value in listed.items() if value}


def moved(run: api.V2beta1Run) -> api.V2beta1Run:
    """A run goes on by a step each time that somebody looks at it."""
    if run.state == "PENDING":
        run.state = "RUNNING"
    elif run.state == "RUNNING" and control["ends"]:
        run.state = control["ends"]
        failed = run.state == "FAILED"
        names = {"fetch": "SUCCEEDED", "fetch-driver": "SUCCEEDED", "root": run.state}
        names["train"] = "FAILED" if failed else "SUCCEEDED"
        details = [
            api.V2beta1PipelineTaskDetail(
                run_id=run.run_id, display_name=name, state=state,
                error=api.GoogleRpcStatus(code=2, message="exit code 1")
                if failed and name == "train" else None,
            )
            for name, state in names.items()
        ]  # fmt: skip
        run.run_details = api.V2beta1RunDetails(task_details=details)
    return run


def answered(method: str, path: str, query: dict[str, str], body: Any) -> Any:
    kind, _, rest = path.partition("/")
    unknown = set(query) - LISTED
    if unknown:
        raise Refused(400, f"unknown parameter {sorted(unknown)}")
    if kind == "healthz":
        return {"multi_user": True}
    if kind == "experiments" and method == "GET":
        mine = [
            one for one in experiments.values()
            if one.namespace == query.get("namespace") and predicate(query)(one)
        ]  # fmt: skip
        return page(kind, mine, query)
    if kind == "experiments" and method == "POST":
        made = model(api.V2beta1Experiment, body)
        if any(one.display_name == made.display_name for one in experiments.values()):
            raise Refused(409, "already exist")
        made.experiment_id = f"e{next(numbers)}"
        experiments[made.experiment_id] = made
        return client.sanitize_for_serialization(made)
    if kind == "runs" and method == "GET" and not rest:
        mine = [
            one for one in runs.values()
            if one.experiment_id == query.get("experiment_id") and predicate(query)(one)
        ]  # fmt: skip
        return page(kind, mine[::-1], query)
    if kind == "runs" and method == "POST" and not rest:
        made = model(api.V2beta1Run, body)
        if made.experiment_id not in experiments:
            raise Refused(404, "no such experiment")
        if not made.display_name or not made.pipeline_spec or not made.runtime_config:
            raise Refused(400, "the run has no name, no pipeline or no runtime config")
        number = next(numbers)
        made.run_id, made.state = f"r{number}", "PENDING"
        made.created_at = f"2026-11-30T10:{number // 60:02}:{number % 60:02}Z"
        runs[made.run_id] = made
        control["bodies"].append(body)
        return client.sanitize_for_serialization(made)
    run_id, _, verb = rest.partition(":")
    if kind == "runs" and run_id in runs:
        if method == "POST" and verb == "terminate":
            runs[run_id].state = "CANCELED"
            return {}
        if method == "GET" and not verb:
            return client.sanitize_for_serialization(moved(runs[run_id]))
    raise Refused(404, f"{method} {path}: not found")


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        """Say nothing."""

    def answer(self) -> None:
        parts = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length) or b"null") if length else None
        status, found = 200, None
        with lock:
            try:
                if parts.path == "/control":
                    control.update(body or {})
                    found = {
                        **control,
                        "runs": [client.sanitize_for_serialization(r) for r in runs.values()],
                    }
                elif self.headers.get("Authorization") != f"Bearer {sys.argv[1]}":
                    raise Refused(401, "Unauthenticated")
                else:
                    control["asked"].append(f"{self.command} {parts.path}")
                    if control["faults"]:
                        raise Refused(control["faults"].pop(0), "try again")
                    found = answered(self.command, parts.path.removeprefix(TOP), query, body)
            except Refused as error:
                status, found = error.status, {"code": error.status, "message": str(error)}
        text = json.dumps(found).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = answer  # noqa: N815 (http.server's names)


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()
