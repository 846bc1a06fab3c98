"""Champion against candidate: what is recorded, what differs, what is judged."""

from __future__ import annotations

import json
from typing import Any

import pytest

from model_gitops.core.flow.champions import Champion
from model_gitops.core.flow.champions import parse as parse_champion
from model_gitops.core.verify import champion
from model_gitops.core.verify.champion import Answer, Pair
from model_gitops.core.verify.row import Row
from model_gitops.errors import InputError

ASKED = Champion("r.jsonl", answers=0.05, tolerance=0.1)


def answer(value: float = 150.0, seconds: float = 0.02, status: int = 200, **more: Any) -> Answer:
    body = json.dumps({"predictions": [value], **more}).encode()
    return Answer(status, body, seconds)


def judged(pairs: list[Pair], *, expected: bool = True) -> dict[str, tuple[str, bool | None]]:
    report = champion.judge(ASKED, pairs, expected=expected)
    return {one.check: (one.measured, one.passed) for one in report.rows}


def test_the_same_answers_as_quickly_pass() -> None:
    pairs = [Pair(n, answer(model="a"), answer(160, model="b")) for n in range(100)]
    assert judged(pairs) == {
        "champion: errors": ("0 % (0 of 100)", True),
        "champion: answers": ("0 % (0 of 100)", True),
        "champion: p50": ("1 times (20 ms, the champion 20 ms)", True),
        "champion: p95": ("1 times (20 ms, the champion 20 ms)", True),
    }


@pytest.mark.parametrize(("wrong", "passed"), [(5, True), (6, False)])
def test_so_many_answers_may_differ(wrong: int, passed: bool) -> None:
    pairs = [Pair(n, answer(), answer(98.0 if n <= wrong else 150)) for n in range(1, 101)]
    told = f"{wrong} % ({wrong} of 100; line 1: $.predictions[0]: 98.0, not 150.0)"
    assert judged(pairs)["champion: answers"] == (told, passed)


def test_errors_of_the_candidate_alone_count() -> None:
    down = Answer(0, problem="the connection is refused")
    pairs = [
        Pair(1, answer(), answer(status=500)),
        Pair(2, down, down),
        Pair(3, answer(), answer()),
    ]
    found = judged(pairs)
    assert found["champion: errors"] == ("50 % (1 of 2; line 1: status 500)", False)
    assert found["champion: answers"] == ("0 % (0 of 1)", True)
    assert found["champion: there"] == ("2 of 3 (line 2: the connection is refused)", None)
    nothing = judged([Pair(1, answer(), down)])
    assert nothing == {
        "champion: errors": ("100 % (1 of 1; line 1: the connection is refused)", False)
    }


@pytest.mark.parametrize(
    ("old", "new", "passed"),
    [(0.020, 0.030, True), (0.020, 0.031, False), (0.001, 0.0059, True), (0.001, 0.0061, False)],
)
def test_slower_is_what_people_notice(old: float, new: float, passed: bool) -> None:
    pairs = [Pair(n, answer(seconds=old), answer(seconds=new)) for n in range(20)]
    found = judged(pairs)
    assert (found["champion: p50"][1], found["champion: p95"][1]) == (passed, passed)


def test_a_slow_tenth_breaks_p95_alone() -> None:
    pairs = [Pair(n, answer(), answer(seconds=0.2 if n % 10 == 0 else 0.02)) for n in range(100)]
    found = judged(pairs)
    assert found["champion: p50"][1] is True
    assert found["champion: p95"] == ("10 times (200 ms, the champion 20 ms)", False)


@pytest.mark.parametrize(("answered", "passed"), [(5, None), (4, False)])
def test_a_champion_that_answers_less_than_half_is_nothing_to_compare_with(
    answered: int, passed: bool | None
) -> None:
    pairs = [Pair(n, answer(status=200 if n <= answered else 422), answer()) for n in range(1, 11)]
    report = champion.judge(ASKED, pairs, expected=True)
    told = f"{answered} of 10 (line {answered + 1}: status 422)"
    assert judged(pairs)["champion: there"] == (told, passed)
    assert report.passed is (passed is None)
    assert report.pairs == 10
    assert report.rows[0].asked == "a champion that answers at least half"


@pytest.mark.parametrize(
    ("expected", "passed", "told"),
    [
        (True, False, "no request was answered well: no such host"),
        (False, None, "none yet (no such host)"),
    ],
)
def test_without_a_champion_it_is_said(expected: bool, passed: bool | None, told: str) -> None:
    pairs = [Pair(1, Answer(0, problem="no such host"), answer())]
    report = champion.judge(ASKED, pairs, expected=expected)
    row = Row("champion: there", "a champion to compare with", told, passed)
    assert (report.rows, report.pairs, report.passed) == ((row,), 1, not expected)
    (row,) = champion.judge(ASKED, [], expected=expected).rows
    assert "nobody was asked" in row.measured
    nobody = champion.without_champion()
    told = "none: no later environment has an address"
    assert nobody.rows == (Row("champion: there", "a champion to compare with", told, None),)
    assert nobody.passed


def test_each_row_says_what_was_asked() -> None:
    report = champion.judge(
        ASKED, [Pair(1, answer(seconds=0), answer(seconds=0.005))], expected=True
    )
    assert [one.asked for one in report.rows] == [
        "at most 0 % of what the champion answers",
        "at most 5 % differ by more than 10 %",
        "at most 1.5 times the champion's",
        "at most 1.5 times the champion's",
    ]
    # Five milliseconds are noticed, and nothing can be divided by zero.
    assert report.rows[2].measured == "longer (5 ms, the champion 0 ms)"
    assert report.rows[2].passed is False


@pytest.mark.parametrize(("failed", "passed"), [(1, True), (2, False)])
def test_so_many_may_fail(failed: int, passed: bool) -> None:
    pairs = [Pair(n, answer(), answer(status=500 if n < failed else 200)) for n in range(10)]
    report = champion.judge(Champion("r", errors=0.1), pairs, expected=True)
    assert report.rows[0].passed is passed
    assert report.rows[0].check == "champion: errors"


def test_answers_that_are_no_json_are_compared_as_text() -> None:
    def compared(old: bytes, new: bytes) -> bool | None:
        pair = Pair(1, Answer(200, old), Answer(200, new))
        return champion.judge(ASKED, [pair], expected=True).rows[1].passed

    assert compared(b"\xff a", b"\xff a") is True
    assert compared("é".encode(), "è".encode()) is False
    assert compared(b"[" * 100_000, b"[" * 100_000) is True


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ({"a": 100}, {"a": 109.9}, ""),
        ({"a": 100}, {"a": 112}, "$.a: 112, not 100"),
        ({"a": -1.0}, {"a": 1.0}, "$.a: 1.0, not -1.0"),
        ({"a": 0}, {"a": 0.0}, ""),
        ({"a": 0}, {"a": 1e-6}, "$.a: 1e-06, not 0"),
        ({"a": 1}, {"a": True}, "$.a: true, not 1"),
        ({"a": None}, {"a": None}, ""),
        ({"a": None}, {"a": 0}, "$.a: 0, not null"),
        ({"a": "x"}, {"a": "y"}, '$.a: "y", not "x"'),
        ({"a": 1}, {}, "$: only one has a"),
        ({}, {"b": 1}, "$: only one has b"),
        ({"model": 1}, {}, ""),
        ({"x": [{"model": 1}]}, {"x": [{"model": 2}]}, ""),
        ([1, 2], [1], "$: 1 values, not 2"),
        ([[1], [2]], [[1], [3]], "$[1][0]: 3, not 2"),
        ({"a": 1}, [1], "$: [1], not "),
        ({"a": [1, 2], "b": 3}, {"a": [1, 2], "b": 9}, "$.b: 9, not 3"),
        ([{"a": 1}, 2, 3], [{"a": 1}, 2, 9], "$[2]: 9, not 3"),
        ({"a": 1e-13}, {"a": 0}, ""),
        (10**400, 1.5, "$: 1.5, not 1000"),
        (float("nan"), float("nan"), "$: NaN, not NaN"),
        ("plain text", "plain text", ""),
    ],
)
def test_differences(old: Any, new: Any, told: str) -> None:
    found = champion.difference(old, new, 0.1, ["model"])
    assert found.startswith(told)
    assert bool(found) == bool(told)


def test_deep_answers_of_strangers_end() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert champion.difference(deep, deep, 0.1, []) == ""


def test_both_forms_of_a_recorded_request() -> None:
    text = "\n".join(
        [
            '{"time": "x", "id": "y-0", "model": {}, "instance": {"age": 1}, "prediction": 2}',
            "",
            '{"time": "2026-',
            '{"time":"x","client":"1.2.3.4","method":"POST","path":"/predict","request_id":"a"}',
            '{"path": "/healthz"}',
            '{"path": "/v2/models/m/infer", "json": {"a": 1}, "headers": {"Accept": "x"}}',
        ]
    )
    first, second, third = champion.parse(text, "r.jsonl")
    assert (first.line, first.method, first.path) == (1, "POST", "/predict")
    assert first.headers == {"Content-Type": "application/json"}
    assert first.body and json.loads(first.body) == {"instances": [{"age": 1}]}
    assert (second.line, second.method, second.path, second.body) == (5, "GET", "/healthz", None)
    headers = {"Content-Type": "application/json", "Accept": "x"}
    assert third == champion.Recorded(6, "POST", "/v2/models/m/infer", headers, b'{"a": 1}')
    assert second.headers == {}
    # An instance beside a `request_id` is one of another service's log; without a path it is /predict.
    for text in ('{"request_id": "a", "instance": [1]}', '{"json": {"instances": [[1]]}}'):
        (one,) = champion.parse(text, "r.jsonl")
        assert (one.method, one.path, one.body) == ("POST", "/predict", b'{"instances": [[1]]}')
    (put,) = champion.parse('{"path": "/a", "method": "PUT", "headers": {"a": "b"}}', "r")
    assert put == champion.Recorded(1, "PUT", "/a", {"a": "b"}, None)
    assert len(champion.parse('{"path": "/"}\n' * 2000, "r")) == 1000
    assert [champion.rounds(n) for n in (1, 40, 100, 1000)] == [100, 3, 1, 1]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "has no recorded request"),
        ("{", "has no recorded request"),
        ("[" * 100_000, "has no recorded request"),
        ("[1]", "r.jsonl, line 1: it is no JSON object"),
        ('\n{"path": "predict"}', "line 2: `path` is 'predict'"),
        ('{"path": "/a b"}', "`path`"),
        ('{"path": "/%s"}' % ("a" * 4000), "`path`"),
        ('{"path": "/a\\r\\nX: y"}', "`path`"),
        ('{"path": 1}', "`path`"),
        ('{"path": "/", "method": "DELETE"}', "it is none of GET, POST, PUT"),
        ('{"path": "/", "headers": {"a": 1}}', "`headers`"),
        ('{"path": "/", "headers": {"a": "b\\r\\nc: d"}}', "`headers`"),
    ],
)
def test_a_file_that_can_not_be_used(text: str, told: str) -> None:
    with pytest.raises(InputError) as raised:
        champion.parse(text, "r.jsonl")
    assert told in str(raised.value)
    assert raised.value.fix


def test_defaults_and_values_of_promotion_yaml() -> None:
    assert parse_champion({"requests": "r.jsonl"}, "x", "m") == Champion("m/r.jsonl")
    said = {
        "requests": "r.jsonl", "answers": "5%", "tolerance": "10%", "errors": "0.5 %", "slower": 2,
        "ignore": [], "url": "http://x",
    }  # fmt: skip
    found = parse_champion(said, "x", "")
    assert found == Champion("r.jsonl", 0.05, "http://x", 0.1, 0.005, 2.0, ())
