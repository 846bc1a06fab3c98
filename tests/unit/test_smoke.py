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
        (" {}", True),
        ("port\n80", True),
        ("a{b}", False),
        ("port: 80\nhealth: /", True),
    ],
)
def test_text_or_path(value: str, text: bool) -> None:
    assert smoke.is_text(value) is text


SHAPE = "{port: 8080, health: /readyz, request: {path: /predict, json: {…}}}"
KEYS = "port, health, timeout, request, requests, expect, env, read-only, tmpfs, command"
PORT = "a number from 1 to 65535"
PATH = "a path that starts with `/`"


@pytest.mark.parametrize(
    ("text", "message", "fix"),
    [
        ("prot: 80", ": the key 'prot' is not known", "write `port`"),
        ("xyzzy: 80", ": the key 'xyzzy' is not known", f"use one of {KEYS}"),
        (f"{'x' * 101}: 80", f": the key '{'x' * 100}' is not known", f"use one of {KEYS}"),
        ("port: true", f": `port`: it is true, not {PORT}", "correct `port`"),
        ("port: é", f': `port`: it is "é", not {PORT}', "correct `port`"),
        ("port: 2030-01-02", f': `port`: it is "2030-01-02", not {PORT}', "correct `port`"),
        (f"port: {'x' * 198}", f': `port`: it is "{"x" * 198}", not {PORT}', "correct `port`"),
        (f"port: {'x' * 199}", f': `port`: it is "{"x" * 199}…, not {PORT}', "correct `port`"),
        ("timeout: 0", ": `timeout`: it is 0, not seconds, from 1 to 3600", "correct `timeout`"),
        ("health: readyz", f': `health`: it is "readyz", not {PATH}', "correct `health`"),
        ('health: "/a b"', f': `health`: it is "/a b", not {PATH}', "correct `health`"),
        ('health: "/a\\r\\nX"', f': `health`: it is "/a\\r\\nX", not {PATH}', "correct `health`"),
        ("health: 1", f": `health`: it is 1, not {PATH}", "correct `health`"),
        ("read-only: 'no'", ': `read-only`: it is "no", not true or false', "correct `read-only`"),
        ("env: {A: true}", ": `env`: each value must be text or a number (quote true and false)",
         "correct `env`"),
        ("env: {A: []}", ": `env`: each value must be text or a number (quote true and false)",
         "correct `env`"),
        ("env: []", ": `env`: it is [], not names with values", "correct `env`"),
        ("tmpfs: [tmp]", ': `tmpfs`: it is ["tmp"], not a list of absolute paths', "correct `tmpfs`"),
        ("tmpfs: /tmp", ': `tmpfs`: it is "/tmp", not a list of absolute paths', "correct `tmpfs`"),
        ("command: x", ': `command`: it is "x", not a list of words', "correct `command`"),
        ("command: [1]", ": `command`: it is [1], not a list of words", "correct `command`"),
        ("requests: {}", ": `requests`: it is {}, not a list of requests", "correct `requests`"),
        ("expect: {status: 200}", ": `expect`: it belongs to a `request`, and there is none",
         "correct `expect`"),
        ("request: {json: {}, body: x}",
         ", request 1: `body`: only one of `json` and `body` can be sent", "correct `body`"),
        ("request: {method: get}", ', request 1: `method`: it is "get", not one of GET, HEAD, POST,'
         " PUT, PATCH, DELETE, OPTIONS", "correct `method`"),
        ("request: {path: x}", f', request 1: `path`: it is "x", not {PATH}', "correct `path`"),
        ("request: {body: 3}", ", request 1: `body`: it is 3, not text", "correct `body`"),
        ("request: {body-file: 3}", ", request 1: `body-file`: it is 3, not the path of a file",
         "correct `body-file`"),
        ("request: {headers: []}", ", request 1: `headers`: it is [], not names with values",
         "correct `headers`"),
        ("request: {headers: {'a b': c}}", ", request 1: `headers`: 'a b' is no header",
         "correct `headers`"),
        ('request: {headers: {a: "x\\ny: z"}}', ", request 1: `headers`: 'a' is no header",
         "correct `headers`"),
        ('request: {headers: {a: "x\\ry: z"}}', ", request 1: `headers`: 'a' is no header",
         "correct `headers`"),
        ("request: {xyzzy: 1}", ", request 1: the key 'xyzzy' is not known",
         "use one of method, path, headers, json, body, body-file, expect"),
        ("request: 3\nexpect: {}", ", request 1 must be keys with values, not 3", SHAPE),
        ("requests: [{}, {expect: {stauts: 1}}]", ", request 2, expect: the key 'stauts' is not known",
         "write `status`"),
        ("request: {expect: {xyzzy: 1}}", ", request 1, expect: the key 'xyzzy' is not known",
         "use one of status, json, json-contains, body-contains, body-matches"),
        ("request: {expect: {status: 99}}",
         ", request 1, expect: `status`: it is 99, not a number from 100 to 599", "correct `status`"),
        ("request: {expect: {body-contains: 3}}",
         ", request 1, expect: `body-contains`: it is 3, not text", "correct `body-contains`"),
        ("request: {expect: {body-matches: 3}}",
         ", request 1, expect: `body-matches`: it is 3, not a regular expression",
         "correct `body-matches`"),
        ("request: {expect: {body-matches: '('}}", ", request 1, expect: `body-matches`: it is no"
         " regular expression: missing ), unterminated subpattern at position 0",
         "correct `body-matches`"),
        ("request: [1]", ", request 1 must be keys with values, not [1]", SHAPE),
        ("- a", ' must be keys with values, not ["a"]', SHAPE),
    ],
)  # fmt: skip
def test_a_mistake_is_named(text: str, message: str, fix: str) -> None:
    with pytest.raises(InputError) as caught:
        smoke.parse(text)
    assert (caught.value.message, caught.value.fix) == (f"input `smoke-test`{message}", fix)


def test_what_is_no_yaml_is_told_by_its_source() -> None:
    with pytest.raises(InputError, match=r"smoke\.yaml is not valid YAML"):
        smoke.parse("a: [", source="smoke.yaml")


@pytest.mark.parametrize(
    ("key", "good", "bad"),
    [
        ("port", ["1", "65535"], ["0", "65536", "80.5", "true"]),
        ("timeout", ["1", "0x10", "3600", "1.5"], ["0.9", "3600.1", "-1", "true", "x"]),
        ("status", ["100", "599"], ["99", "600", "200.5", "true"]),
    ],
)
def test_numbers_have_bounds(key: str, good: list[str], bad: list[str]) -> None:
    text = "request: {expect: {status: %s}}" if key == "status" else f"{key}: %s"
    for value in good:
        smoke.parse(text % value)
    for value in bad:
        with pytest.raises(InputError, match=f"`{key}`: it is"):
            smoke.parse(text % value)


def test_what_is_sent() -> None:
    test = smoke.parse(
        "request: {json: {day: 2030-01-02}, headers: {content-TYPE: text/x}, method: PUT}\n"
        "expect: {status: 201}\nrequests: [{body: ''}, {path: /x, expect: {status: 204}}, {json: null}]"
    )
    first, second, third, fourth = test.requests
    assert (first.method, first.body) == ("PUT", b'{"day": "2030-01-02"}')
    assert first.headers == {"content-TYPE": "text/x"}
    assert first.expect == smoke.Expect(status=201)
    assert second == smoke.Request(method="POST", body=b"")
    assert third == smoke.Request(path="/x", expect=smoke.Expect(status=204))
    assert (fourth.body, fourth.headers) == (b"null", {"Content-Type": "application/json"})


@pytest.mark.parametrize(
    ("expect", "body"),
    [
        (smoke.Expect(), b""),
        (smoke.Expect(json={"a": [1, 2.0]}), b'{"a": [1.0000000001, 2]}'),
        (smoke.Expect(json_contains={"a": {"b": "c"}}), b'{"a": {"b": "c", "d": 1}, "e": null}'),
        (smoke.Expect(json_contains={"a": [{"b": 1}]}), b'{"a": [{"b": 1, "c": 2}]}'),
        (smoke.Expect(json=None), b"null"),
        (smoke.Expect(json=10**400), b"1" + b"0" * 400),
        (smoke.Expect(json=[1.0, 0]), b"[1.0000009, 0.0000000009]"),
        (smoke.Expect(json=[True, None, "a"]), b'[true, null, "a"]'),
        (smoke.Expect(body_contains="ok"), b"all ok here"),
        (smoke.Expect(body_contains="a\ufffdb"), b"a\xffb"),
        (smoke.Expect(body_matches=r"^\d+$"), b"42"),
    ],
)
def test_expected_answers(expect: smoke.Expect, body: bytes) -> None:
    assert smoke.compare(expect, 200, body) == []


@pytest.mark.parametrize(
    ("expect", "status", "body", "says"),
    [
        (smoke.Expect(), 500, b"", ["the status is 500, not 200"]),
        (smoke.Expect(json=None), 200, b"{}", ["$ is {}, not null"]),
        (smoke.Expect(json_contains={"a": None}), 200, b'{"a": 1}', ["$.a is 1, not null"]),
        (smoke.Expect(json=1.5), 200, b"1" + b"0" * 400, [f"$ is 1{'0' * 199}…, not 1.5"]),
        (smoke.Expect(json=1), 200, b"1.000002", ["$ is 1.000002, not 1"]),
        (smoke.Expect(json=0), 200, b"0.00000001", ["$ is 1e-08, not 0"]),
        (smoke.Expect(json={"a": 1, "c": 3}), 200, b'{"a": 2, "b": 2}',
         ["$.c is missing", "$.b is not expected", "$.a is 2, not 1"]),
        (smoke.Expect(json={"a": [{"b": 1}]}), 200, b'{"a": [{"b": 1, "c": 1}]}',
         ["$.a[0].c is not expected"]),
        (smoke.Expect(json_contains={"a": {"b": 1}}), 200, b'{"a": {}}', ["$.a.b is missing"]),
        (smoke.Expect(json_contains={"a": [0, {"b": 1.0}]}), 200, b'{"a": [0, {"b": 1.1}]}',
         ["$.a[1].b is 1.1, not 1.0"]),
        (smoke.Expect(json_contains={"a": [1]}), 200, b'{"a": [1, 2]}',
         ["$.a has 2 elements, not 1"]),
        (smoke.Expect(json_contains={"a": 1}), 200, b'{"a": true}', ["$.a is true, not 1"]),
        (smoke.Expect(json=[False, 1]), 200, b"[0, true]",
         ["$[0] is 0, not false", "$[1] is true, not 1"]),
        (smoke.Expect(json_contains={"a": "1"}), 200, b'{"a": 1}', ['$.a is 1, not "1"']),
        (smoke.Expect(json=[1]), 200, b'{"a": 1}', ['$ is {"a": 1}, not [1]']),
        (smoke.Expect(json={}), 200, b"<html>", ["the body is not JSON"]),
        (smoke.Expect(json={}), 200, b"[" * 100_000, ["the body is not JSON"]),
        (smoke.Expect(json=1, json_contains=2), 201, b"3",
         ["the status is 201, not 200", "$ is 3, not 1", "$ is 3, not 2"]),
        (smoke.Expect(json="a"), 200, b'"b"', ['$ is "b", not "a"']),
        (smoke.Expect(body_contains="ok"), 200, b"\xff", ["the body does not contain 'ok'"]),
        (smoke.Expect(status=404, body_matches="^ok$"), 200, b"no",
         ["the status is 200, not 404", "the body does not match /^ok$/"]),
    ],
)  # fmt: skip
def test_other_answers(expect: smoke.Expect, status: int, body: bytes, says: list[str]) -> None:
    assert smoke.compare(expect, status, body) == says


def test_each_key_of_expect_is_asked_for() -> None:
    text = "request: {expect: {status: 201, json: 1, json-contains: 2, body-contains: c, body-matches: '^m'}}"
    (request,) = smoke.parse(text).requests
    assert request.expect == smoke.Expect(201, 1, 2, "c", "^m")


def test_null_can_be_expected() -> None:
    asked = smoke.parse("requests: [{expect: {json: null}}, {expect: {json-contains: null}}]")
    for one in asked.requests:
        assert smoke.compare(one.expect, 200, b"1") == ["$ is 1, not null"]


def test_a_test_is_known_by_all_that_it_asks() -> None:
    asked = smoke.parse("request: {path: /predict, json: {rows: [1]}}\nexpect: {json: {a: 1}}")
    same = smoke.parse("expect: {json: {a: 1}}\nrequest: {json: {rows: [1]}, path: /predict}")
    assert smoke.identity(asked) == smoke.identity(same)
    # The value is held: images carry it in a label.
    assert (
        smoke.identity(asked) == "06581f05c7f4b78cfc7f5e3058f739545be6517f64a4ccf4828640cf348d9bdf"
    )
    for other in (
        "request: {path: /predict, json: {rows: [1]}}\nexpect: {json: {a: 2}}",
        "request: {path: /predict, json: {rows: [2]}}\nexpect: {json: {a: 1}}",
        "request: {path: /predict, json: {rows: [1]}}\nexpect: {json: {a: 1}}\ntimeout: 5",
    ):
        assert smoke.identity(smoke.parse(other)) != smoke.identity(asked)
