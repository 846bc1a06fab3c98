from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from diabetes import evaluate, serve

MODEL = "diabetes"
ROW = [59, 2, 32.1, 101, 157, 93.2, 38, 4, 4.8598, 87]
NAMES = ["age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6"]


@pytest.fixture
def client(model: Path) -> FlaskClient:
    return serve.create_app(model).test_client()


@pytest.fixture
def client_without_model(tmp_path: Path) -> FlaskClient:
    return serve.create_app(tmp_path / "missing.onnx").test_client()


def predictions(client: FlaskClient, *instances: object) -> list[float]:
    answer = client.post("/predict", json={"instances": list(instances)})
    assert answer.status_code == 200, answer.text
    return answer.json["predictions"]


def counts(client: FlaskClient, name: str) -> dict[tuple[str, ...], float]:
    text = client.get("/metrics").text
    families = text_string_to_metric_families(text)
    samples = [sample for family in families for sample in family.samples]
    labels = ("route", "method", "status")
    return {
        tuple(s.labels[label] for label in labels if label in s.labels): s.value
        for s in samples
        if s.name == name
    }


def test_predicts_what_the_model_predicts(client: FlaskClient, model: Path):
    import numpy as np

    (prediction,) = predictions(client, ROW)
    assert prediction == pytest.approx(float(evaluate.predict(model, np.array([ROW]))[0]))


def test_lists_and_objects_may_be_mixed(client: FlaskClient):
    named = dict(zip(reversed(NAMES), reversed(ROW), strict=True))
    first, second = predictions(client, ROW, named)
    assert first == second


def test_says_which_model_answers(model: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MODEL_VERSION", "v1.2.3")
    client = serve.create_app(model).test_client()
    about = client.post("/predict", json={"instances": [ROW]}).json["model"]
    digest = hashlib.md5(model.read_bytes()).hexdigest()
    assert about == {"name": MODEL, "version": "v1.2.3", "hash": digest}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "not valid JSON"),
        (b"\xff", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b"[]", "must be an object"),
        (b'{"instances": 1}', "must be an object"),
        (b'{"instances": []}', "1 to 1000 instances"),
        (b'{"instances": [1]}', "neither a list nor an object"),
        (b'{"instances": [[1, 2]]}', "has 2 values; the model takes 10: age, sex"),
        (b'{"instances": [{"age": 1, "colour": 2}]}', "unknown features ['colour']"),
        (json.dumps({"instances": [[*ROW[:-1], "87"]]}).encode(), "s6 must be a finite number"),
        (json.dumps({"instances": [[True, *ROW[1:]]]}).encode(), "age must be a finite number"),
        (json.dumps({"instances": [[None, *ROW[1:]]]}).encode(), "age must be a finite number"),
        (json.dumps({"instances": [[float("nan"), *ROW[1:]]]}).encode(), "must be a finite"),
        (json.dumps({"instances": [[1e300, *ROW[1:]]]}).encode(), "must be a finite number"),
        (json.dumps({"instances": [[10**400, *ROW[1:]]]}).encode(), "must be a finite number"),
        (json.dumps({"instances": [ROW] * 1001}).encode(), "not 1001"),
    ],
)
def test_a_bad_request_says_what_is_wrong(client: FlaskClient, body: bytes, message: str):
    answer = client.post("/predict", data=body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json["error"]["code"] == 400
    assert message in answer.json["error"]["message"]


@pytest.mark.parametrize(
    ("method", "path", "kwargs", "code"),
    [
        ("POST", "/predict", {"data": "a=1"}, 415),
        ("POST", "/predict", {"data": b" " * (1024 * 1024 + 1)}, 413),
        ("GET", "/predict", {}, 405),
        ("GET", "/nothing", {}, 404),
    ],
)
def test_other_errors_are_json_too(
    client: FlaskClient, method: str, path: str, kwargs: dict, code: int
):
    if code == 413:
        kwargs = kwargs | {"content_type": "application/json"}
    answer = client.open(path, method=method, **kwargs)
    assert answer.status_code == code
    assert answer.json["error"]["code"] == code
    assert answer.json["error"]["message"]


def test_the_allowed_method_is_named(client: FlaskClient):
    assert "POST" in client.get("/predict").headers["Allow"]


def test_a_failure_keeps_its_cause_to_the_log(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def fail(*_: object) -> None:
        raise RuntimeError("the secret cause")

    monkeypatch.setattr(serve.Model, "predict", fail)
    answer = client.post("/predict", json={"instances": [ROW]})
    assert answer.status_code == 500
    assert answer.json["error"]["code"] == 500
    assert "secret" not in answer.text
    assert "the secret cause" in caplog.text


def test_probes(client: FlaskClient):
    assert client.get("/healthz").json == {"status": "ok"}
    assert client.get("/readyz").json["model"]["name"] == MODEL


def test_without_a_model_it_lives_but_is_not_ready(client_without_model: FlaskClient):
    client = client_without_model
    assert client.get("/healthz").status_code == 200
    predict = client.post("/predict", json={"instances": [ROW]})
    for answer in (client.get("/readyz"), client.get("/version"), predict):
        assert answer.status_code == 503
        assert "not loaded" in answer.json["error"]["message"]


IMAGE = "ghcr.io/acme/diabetes:v1.2.3"
DIGEST = "sha256:" + "5" * 64


@pytest.mark.parametrize(
    ("image", "said", "digest"),
    [(f"{IMAGE}@{DIGEST}", f"{IMAGE}@{DIGEST}", DIGEST), (IMAGE, IMAGE, None), ("", None, None)],
)
def test_says_which_image_it_was_started_from(
    model: Path, monkeypatch: pytest.MonkeyPatch, image: str, said: str | None, digest: str | None
):
    monkeypatch.setenv("MODEL_VERSION", "v1.2.3")
    monkeypatch.setenv("IMAGE", image)
    client = serve.create_app(model).test_client()
    assert client.get("/version").json == {
        "name": MODEL,
        "version": "v1.2.3",
        "hash": hashlib.md5(model.read_bytes()).hexdigest(),
        "image": said,
        "digest": digest,
    }
    assert counts(client, "http_requests_total") == {}


def test_each_instance_is_logged_under_the_id_of_its_answer(
    model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("REQUEST_LOG", str(tmp_path / "log"))
    client = serve.create_app(model).test_client()
    named = dict(zip(NAMES, ROW, strict=True))
    body = {"instances": [ROW, named | {"age": 20}]}
    answer = client.post("/predict", json=body)
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    sent = answer.headers["X-Request-ID"]
    assert [line["id"] for line in lines] == [f"{sent}-0", f"{sent}-1"]
    assert [line["prediction"] for line in lines] == answer.json["predictions"]
    assert lines[1]["instance"] == named | {"age": 20}
    assert lines[0]["model"] == answer.json["model"]
    client.post("/predict", json={"instances": [[1]]})
    client.get("/version")
    assert len((tmp_path / "log").read_text().splitlines()) == 2
    assert 'request_log_lines_total{result="written"} 2.0' in client.get("/metrics").text


def test_a_stranger_does_not_choose_the_id(client: FlaskClient):
    given = {"X-Request-ID": "mine"}
    first = client.get("/healthz", headers=given).headers["X-Request-ID"]
    assert first != "mine"
    assert client.get("/healthz", headers={"X-Request-ID": first}).headers["X-Request-ID"] == first


def test_a_log_that_can_not_be_written_breaks_no_answer(
    model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("REQUEST_LOG", str(tmp_path / "file" / "log"))
    client = serve.create_app(model).test_client()
    assert len(predictions(client, ROW, ROW)) == 2
    assert 'request_log_lines_total{result="lost"} 2.0' in client.get("/metrics").text


def test_metrics_show_how_predictions_are_spread(client: FlaskClient):
    (value,) = predictions(client, ROW)
    text = client.get("/metrics").text
    assert f"model_prediction_value_sum {value}" in text
    assert 'model_prediction_value_bucket{le="0.0"} 0.0' in text
    assert 'model_prediction_value_bucket{le="350.0"} 1.0' in text


def test_metrics_count_requests_and_predictions(client: FlaskClient):
    predictions(client, ROW, ROW, ROW)
    client.post("/predict", json={})
    client.get("/nothing/of/the/sort")
    client.open("/predict", method="STRANGE")
    assert counts(client, "model_predictions_total") == {(): 3}
    assert counts(client, "http_requests_total") == {
        ("/predict", "POST", "200"): 1,
        ("/predict", "POST", "400"): 1,
        ("none", "GET", "404"): 1,
        ("none", "other", "405"): 1,
    }
    assert list(counts(client, "model_info").values()) == [1]


def test_the_smoke_request_is_answered(client: FlaskClient):
    body = json.loads((Path(__file__).parent / "smoke-request.json").read_text())
    assert len(predictions(client, *body["instances"])) == len(body["instances"])
