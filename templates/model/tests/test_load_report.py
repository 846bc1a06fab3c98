from __future__ import annotations

import json
from pathlib import Path

import pytest
from load import report
from load.report import Asked, Measured, judged, problem

ASKED = Asked(users=5, rate=5, seconds=2, warm_up=0, failures=0.01, p95=200, p99=None)


def measured(*times: float, failed: int = 0) -> Measured:
    found = Measured()
    found.add(9999, "of the warm-up")
    found.start()
    for place, value in enumerate(times):
        found.add(value, "status 500" if place < failed else "")
    found.end()
    return found


def test_each_time_counts_as_it_was():
    """locust rounds 204 ms to 200."""
    found = judged(ASKED, measured(*range(1, 101)), "http://x", [])
    assert (found["p50"], found["p95"], found["p99"], found["max"]) == (50, 95, 99, 100)
    assert (found["requests"], found["failures"], found["broken"]) == (100, 0, [])
    assert judged(ASKED, measured(204.0), "", [])["broken"] == [
        "p95: 204.0 ms, and 200 ms are allowed"
    ]


def test_failures_are_a_share():
    assert judged(ASKED, measured(*[1] * 100, failed=1), "", [])["broken"] == []
    (told,) = judged(ASKED, measured(*[1] * 100, failed=2), "", [])["broken"]
    assert told == "failures: 2.00% (2 of 100), and 1.00% are allowed; most often: status 500"


def test_no_request_and_a_broken_test_are_failures():
    found = judged(ASKED, measured(), "", [])
    assert (found["broken"], found["p95"], found["failed"]) == (
        ["requests: there was none"],
        None,
        None,
    )
    assert judged(ASKED, measured(1), "", ["the load test itself: x"])["broken"]
    assert judged(ASKED, Measured(), "", [])["seconds"] == 0


@pytest.mark.parametrize(
    ("status", "body", "wrong"),
    [
        (200, {"predictions": [150.5]}, ""),
        (200, {"predictions": [150]}, ""),
        (500, {"predictions": [150.5]}, "status 500"),
        (0, None, "no answer"),
        (200, {"predictions": []}, "0 predictions for 1 instances"),
        (200, {"predictions": [1e9]}, "no number from -200 to 600"),
        (200, {"predictions": [float("nan")]}, "no number from"),
        (200, {"predictions": [True]}, "no number from"),
        (200, {"predictions": ["150"]}, "without predictions"),
        (200, {"predictions": None}, "without predictions"),
        (200, {"error": {}}, "without predictions"),
        (200, [], "without predictions"),
    ],
)
def test_answers_are_looked_at(status: int, body: object, wrong: str):
    found = problem(status, None if body is None else json.dumps(body), 1, -200, 600)
    assert (wrong in found) if wrong else found == ""
    assert problem(200, "[" * 100_000, 1, 0, 1)


def test_what_is_asked_is_in_the_environment():
    told = {"LOAD_USERS": "20", "LOAD_TIME": "1.5", "LOAD_P95": "200", "LOAD_P99": ""}
    assert Asked.of(told) == Asked(20, 5, 1.5, 5, 0.01, 200, None)


def test_the_report_is_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    found = judged(ASKED, measured(1, 2, failed=1), "http://x", [])
    report.write(found, str(tmp_path / "made" / "report.json"))
    assert json.loads((tmp_path / "made" / "report.json").read_text()) == found
    assert "2 requests" in capsys.readouterr().out


def test_the_recorded_requests_are_what_the_model_takes(model: Path):
    from diabetes import serve

    recorded = (Path(__file__).parent / "recorded-requests.jsonl").read_text().splitlines()
    instances = [json.loads(line)["instance"] for line in recorded]
    client = serve.create_app(model).test_client()
    answer = client.post("/predict", json={"instances": instances})
    assert problem(answer.status_code, answer.text, len(recorded), -200, 600) == ""
