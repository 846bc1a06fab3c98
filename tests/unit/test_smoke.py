"""The smoke test's description, and what counts as the expected answer."""

from __future__ import annotations

import json

import pytest

from model_gitops.core.image import smoke
from model_gitops.errors import InputError

FULL = """
port: 9000
health: /readyz
timeout: 30
env: {WORKERS: 1}
read-only: false
tmpfs: [/tmp, /run]
command: [python3, serve.py]
request:
  path: /predict
  json: {rows: [[1, 2]]}
expect: {status: 200, json-contains: {predictions: [3.5]}}
requests:
  - {path: /healthz, expect: {body-matches: '^ok$'}}
  - {method: PUT, path: /x, body: raw, headers: {X-One: 1}, expect: {status: 405}}
  - {path: /file, body-file: sample.json}
"""


def test_all_keys() -> None:
    test = smoke.parse(FULL)
    assert (test.port, test.health, test.timeout, test.read_only) == (9000, "/readyz", 30.0, False)
    assert test.env == {"WORKERS": "1"}
    assert list(test.tmpfs) == ["/tmp", "/run"]
    assert list(test.command) == ["python3", "serve.py"]
    first, second, third, fourth = test.requests
    assert (first.method, first.path) == ("POST", "/predict")
    assert json.loads(first.body or b"") == {"rows": [[1, 2]]}
    assert first.headers == {"Content-Type": "application/json"}
    assert first.expect == smoke.Expect(json_contains={"predictions": [3.5]})
    assert (second.method, second.body) == ("GET", None)
    assert (third.method, third.body, third.headers) == ("PUT", b"raw", {"X-One": "1"})
    assert third.expect.status == 405
    assert (fourth.method, fourth.body_file) == ("POST", "sample.json")


def test_defaults_are_strict() -> None:
    test = smoke.parse("{}")
    assert test == smoke.SmokeTest()
    assert test.read_only
    assert (test.port, list(test.tmpfs)) == (8080, ["/tmp"])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("tests/smoke.yaml", False),
        ("smoke test.yaml", False),
        ('{"port": 80}', True),
        ("port: 80", True),
        ("port: 80\nhealth: /", True),
    ],
)
def test_text_or_path(value: str, text: bool) -> None:
    assert smoke.is_text(value) is text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("prot: 80", "write `port`"),
        ("port: true", "`port`: it is true"),
        ("port: 70000", "a number from 1 to 65535"),
        ("timeout: 0", "seconds"),
        ("health: readyz", "starts with `/`"),
        ('health: "/a b\\r\\nX: y"', "starts with `/`"),
        ("read-only: 'no'", "true or false"),
        ("env: {A: true}", "quote true and false"),
        ("tmpfs: [tmp]", "absolute"),
        ("request: {json: {}, body: x}", "only one of"),
        ("request: {method: get}", "one of GET"),
        ("request: {expect: {stauts: 200}}", "write `status`"),
        ("request: {headers: {'a b': c}}", "no header"),
        ('request: {headers: {a: "x\\r\\ny: z"}}', "no header"),
        ("request: {expect: {body-matches: '('}}", "no regular expression"),
        ("request: [1]", "keys with values"),
        ("requests: {}", "a list of requests"),
        ("expect: {status: 200}", "there is none"),
        ("- a", "keys with values"),
        ("a: [", "not valid YAML"),
    ],
)
def test_a_mistake_is_named(text: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        smoke.parse(text)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("expect", "body"),
    [
        (smoke.Expect(), b""),
        (smoke.Expect(json={"a": [1, 2.0]}), b'{"a": [1.0000000001, 2]}'),
        (smoke.Expect(json_contains={"a": {"b": "c"}}), b'{"a": {"b": "c", "d": 1}, "e": null}'),
        (smoke.Expect(json_contains={"a": [{"b": 1}]}), b'{"a": [{"b": 1, "c": 2}]}'),
        (smoke.Expect(json=None), b"null"),
        (smoke.Expect(json=10**400), b"1" + b"0" * 400),
        (smoke.Expect(body_contains="ok"), b"all ok here"),
        (smoke.Expect(body_matches=r"^\d+$"), b"42"),
    ],
)
def test_expected_answers(expect: smoke.Expect, body: bytes) -> None:
    assert smoke.compare(expect, 200, body) == []


@pytest.mark.parametrize(
    ("expect", "status", "body", "says"),
    [
        (smoke.Expect(), 500, b"", "the status is 500, not 200"),
        (smoke.Expect(json=None), 200, b"{}", "$ is {}, not null"),
        (smoke.Expect(json_contains={"a": None}), 200, b'{"a": 1}', "$.a is 1, not null"),
        (smoke.parse("request: {expect: {json: null}}").requests[0].expect, 200, b"1", "not null"),
        (smoke.Expect(json=1.5), 200, b"1" + b"0" * 400, "$ is 10000"),
        (smoke.Expect(json={"a": 1}), 200, b'{"a": 1, "b": 2}', "$.b is not expected"),
        (smoke.Expect(json_contains={"a": {"b": 1}}), 200, b'{"a": {}}', "$.a.b is missing"),
        (smoke.Expect(json_contains={"a": [1.0]}), 200, b'{"a": [1.1]}', "$.a[0] is 1.1, not 1.0"),
        (
            smoke.Expect(json_contains={"a": [1]}),
            200,
            b'{"a": [1, 2]}',
            "$.a has 2 elements, not 1",
        ),
        (smoke.Expect(json_contains={"a": 1}), 200, b'{"a": true}', "$.a is true, not 1"),
        (smoke.Expect(json_contains={"a": "1"}), 200, b'{"a": 1}', '$.a is 1, not "1"'),
        (smoke.Expect(json={}), 200, b"<html>", "the body is not JSON"),
        (smoke.Expect(body_contains="ok"), 200, b"\xff", "does not contain 'ok'"),
        (smoke.Expect(body_matches="^ok$"), 200, b"no", "does not match"),
    ],
)
def test_other_answers(expect: smoke.Expect, status: int, body: bytes, says: str) -> None:
    assert says in "; ".join(smoke.compare(expect, status, body))


def test_a_test_is_known_by_all_that_it_asks() -> None:
    asked = smoke.parse("request: {path: /predict, json: {rows: [1]}}\nexpect: {json: {a: 1}}")
    same = smoke.parse("expect: {json: {a: 1}}\nrequest: {json: {rows: [1]}, path: /predict}")
    assert smoke.identity(asked) == smoke.identity(same)
    for other in (
        "request: {path: /predict, json: {rows: [1]}}\nexpect: {json: {a: 2}}",
        "request: {path: /predict, json: {rows: [2]}}\nexpect: {json: {a: 1}}",
        "request: {path: /predict, json: {rows: [1]}}\nexpect: {json: {a: 1}}\ntimeout: 5",
    ):
        assert smoke.identity(smoke.parse(other)) != smoke.identity(asked)
