"""Serve the model over HTTP: a Flask application for uWSGI behind Nginx.

`POST /predict` takes `{"instances": [...]}`, each instance either a list of the measurements in
the model's order or an object by their names, and answers `{"predictions": [...], "model": {...}}`.
`/healthz` says that the process lives, `/readyz` that the model is loaded, `/version` which model
and image this is; `/metrics` is for Prometheus. Every error is JSON:
`{"error": {"code": 400, "message": "..."}}`. What was asked and answered goes to the request log.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import re
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

# Before onnxruntime starts: since 1.29 its Linux builds report use to Microsoft by default.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime
import prometheus_client
from flask import Flask, Response, current_app, g, request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, multiprocess, values
from werkzeug.exceptions import BadRequest, HTTPException, ServiceUnavailable, UnsupportedMediaType

from diabetes.request_log import RequestLog

MAX_BODY = 1024 * 1024  # bytes; serving/nginx.conf has the same limit
MAX_INSTANCES = 1000  # in one request
PROBES = frozenset({"healthz", "readyz", "version", "metrics", "static"})
# Upper ends of the histogram of predictions, in units of the target: what it spans in training.
PREDICTION_BUCKETS = (0, 50, 100, 150, 200, 250, 300, 350)

log = logging.getLogger("diabetes.serve")
MODEL_PATH = "models/diabetes.onnx"


@dataclass(frozen=True)
class Model:
    """A loaded model: the session, its feature names in order, and what it is."""

    session: onnxruntime.InferenceSession
    features: tuple[str, ...]
    about: dict[str, str | None]

    @classmethod
    def load(cls, path: Path, version: str | None = None) -> Model:
        """Load an ONNX file. The hash is the file's MD5, as DVC and the registry write it."""
        content = path.read_bytes()
        options = onnxruntime.SessionOptions()
        # One thread: uWSGI's processes are the parallelism.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        features = json.loads(session.get_modelmeta().custom_metadata_map["features"])
        digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
        return cls(
            session, tuple(features), {"name": path.stem, "version": version, "hash": digest}
        )

    def predict(self, rows: np.ndarray) -> list[float]:
        """One prediction for each of `rows`, float32, shape (n, features)."""
        (predictions,) = self.session.run(None, {self.session.get_inputs()[0].name: rows})
        return [float(value) for value in predictions.ravel()]


class Metrics:
    """What Prometheus reads. With several uWSGI processes each writes a file of its own in
    `PROMETHEUS_MULTIPROC_DIR`, and any of them answers for all.
    """

    def __init__(self) -> None:
        self.folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
        self.registry = CollectorRegistry()
        if self.folder:
            Path(self.folder).mkdir(parents=True, exist_ok=True)
            import uwsgi  # exists inside uWSGI only

            # The worker's number, not its process id: a worker that was replaced goes on in the
            # same file, so files don't pile up.
            values.ValueClass = values.MultiProcessValue(process_identifier=uwsgi.worker_id)
        self.requests = Counter(
            "http_requests", "Requests by route, method and status.",
            ["route", "method", "status"], registry=self.registry,
        )  # fmt: skip
        self.seconds = Histogram(
            "http_request_duration_seconds", "Time to answer a request.",
            ["route"], registry=self.registry,
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
        )  # fmt: skip
        self.predictions = Counter("model_predictions", "Predictions made.", registry=self.registry)
        self.values = Histogram(
            "model_prediction_value", "What was predicted, in units of the target.",
            registry=self.registry, buckets=PREDICTION_BUCKETS,
        )  # fmt: skip
        self.logged = Counter(
            "request_log_lines", "Lines of the request log: written, or lost.",
            ["result"], registry=self.registry,
        )  # fmt: skip
        self.info = Gauge(
            "model_info", "The loaded model; always 1.", ["name", "version", "hash"],
            registry=self.registry, multiprocess_mode="max",
        )  # fmt: skip

    def exposition(self) -> bytes:
        """All processes' numbers, in Prometheus' text format."""
        registry = self.registry
        if self.folder:
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry, path=self.folder)
        return prometheus_client.generate_latest(registry)


def parse_instances(body: Any, features: tuple[str, ...]) -> list[list[float]]:
    """The request's instances, shape (n, features); `BadRequest` says what is wrong."""
    if not isinstance(body, dict) or not isinstance(body.get("instances"), list):
        raise BadRequest('The body must be an object like {"instances": [[...], ...]}.')
    instances = body["instances"]
    if not 1 <= len(instances) <= MAX_INSTANCES:
        raise BadRequest(f"There must be 1 to {MAX_INSTANCES} instances, not {len(instances)}.")
    return [parse_instance(number, instance, features) for number, instance in enumerate(instances)]


def parse_instance(number: int, instance: Any, features: tuple[str, ...]) -> list[float]:
    """One instance's values in the model's order."""
    if isinstance(instance, dict):
        missing = [name for name in features if name not in instance]
        unknown = [name for name in instance if name not in features]
        if missing or unknown:
            raise BadRequest(
                f"Instance {number}: missing features {missing}, unknown features {unknown[:10]}."
            )
        row = [instance[name] for name in features]
    elif isinstance(instance, list):
        row = instance
    else:
        raise BadRequest(f"Instance {number} is neither a list nor an object.")
    if len(row) != len(features):
        raise BadRequest(
            f"Instance {number} has {len(row)} values; the model takes {len(features)}: "
            f"{', '.join(features)}."
        )
    limit = float(np.finfo(np.float32).max)
    for name, value in zip(features, row, strict=True):
        # JSON has true and false, which Python counts as integers; Python's reader takes NaN.
        number_like = isinstance(value, int | float) and not isinstance(value, bool)
        if not number_like or not abs(value) <= limit:
            raise BadRequest(f"Instance {number}: {name} must be a finite number.")
    return row


def create_app(model_path: str | Path | None = None) -> Flask:
    """Make the application, with the model at `model_path` (else `MODEL_PATH`).

    If the model can't be loaded the application runs, says so on `/readyz` and in the log, and
    answers predictions with 503.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    metrics = Metrics()
    path = Path(model_path or os.environ.get("MODEL_PATH", MODEL_PATH))
    model: Model | None = None
    try:
        model = Model.load(path, os.environ.get("MODEL_VERSION") or None)
    except Exception:
        log.exception("The model %s can't be loaded", path)
    else:
        metrics.info.labels(**{key: value or "" for key, value in model.about.items()}).set(1)
        log.info("Loaded %s", model.about)
    request_log = RequestLog.configured(os.environ, model.features if model else ())
    image = os.environ.get("IMAGE") or None

    @app.before_request
    def start_clock() -> None:
        g.start = time.perf_counter()
        # Nginx gives it one, which a stranger can't choose.
        given = request.headers.get("X-Request-ID", "")
        g.id = given if re.fullmatch(r"[0-9a-f]{32}", given) else uuid.uuid4().hex

    @app.after_request
    def count(response: Response) -> Response:
        if request.endpoint not in PROBES:
            # The route, never the path: a stranger must not choose the label.
            route = str(request.url_rule) if request.url_rule else "none"
            metrics.requests.labels(route, known_method(request.method), response.status_code).inc()
            metrics.seconds.labels(route).observe(time.perf_counter() - g.start)
        response.headers["X-Request-ID"] = g.id
        return response

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> tuple[dict[str, Any], int, list[tuple[str, str]]]:
        headers = [(k, v) for k, v in error.get_headers() if k not in ("Content-Type",)]
        body = {"error": {"code": error.code, "message": error.description}}
        return body, error.code or 500, headers

    @app.errorhandler(Exception)
    def failure(error: Exception) -> tuple[dict[str, Any], int]:
        # The cause goes to the log only: a stranger must not read it.
        current_app.logger.error("Failed: %s", request.path, exc_info=error)
        return {"error": {"code": 500, "message": "Internal error; the log has its cause."}}, 500

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz")
    def readyz() -> dict[str, Any]:
        if model is None:
            raise ServiceUnavailable("The model is not loaded; the log has the cause.")
        return {"status": "ready", "model": model.about}

    @app.get("/version")
    def version() -> dict[str, Any]:
        if model is None:
            raise ServiceUnavailable("The model is not loaded; the log has the cause.")
        # An image can't know its own digest: the deployment says what it was told to run.
        digest = re.search(r"@(sha256:[0-9a-f]{64})$", image or "")
        return model.about | {"image": image, "digest": digest[1] if digest else None}

    @app.get("/metrics", endpoint="metrics")
    def show_metrics() -> Response:
        return Response(metrics.exposition(), content_type=prometheus_client.CONTENT_TYPE_LATEST)

    @app.post("/predict")
    def predict() -> dict[str, Any]:
        if model is None:
            raise ServiceUnavailable("The model is not loaded; the log has the cause.")
        if not request.is_json:
            raise UnsupportedMediaType("Send JSON, with the header Content-Type: application/json.")
        try:
            body = json.loads(request.get_data())
        except (ValueError, RecursionError):
            raise BadRequest("The body is not valid JSON.") from None
        rows = parse_instances(body, model.features)
        predictions = model.predict(np.array(rows, dtype=np.float32))
        if not all(math.isfinite(value) for value in predictions):
            raise BadRequest("The instances are so far out of range that no prediction is finite.")
        metrics.predictions.inc(len(predictions))
        for value in predictions:
            metrics.values.observe(value)
        lines = request_log.write(g.id, model.about, model.features, rows, predictions)
        for result, number in lines.items():
            metrics.logged.labels(result).inc(number)
        return {"predictions": predictions, "model": model.about}

    return app


def known_method(method: str) -> str:
    """The method, or `other`: a stranger must not choose the label."""
    return method if method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} else "other"
