from __future__ import annotations

import csv
import gzip
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import collect
import pytest

from diabetes import serve

NOW = datetime(2026, 11, 30, tzinfo=UTC)
NAME = "diabetes"
HEAD = "time,id,version,age,bmi,prediction,label\n"


def entry(number: int = 1, **change: Any) -> dict[str, Any]:
    return {
        "time": f"2026-11-23T10:00:{number:02}.123456Z",
        "id": f"r{number}",
        "model": {"name": NAME, "version": "v0.0.1", "hash": "x"},
        "instance": {"age": 59, "bmi": 32.5},
        "prediction": 151.25,
        **change,
    }


def line(data: Any) -> bytes:
    return json.dumps(data).encode()


def write(folder: Path, name: str, *entries: Any) -> None:
    folder.mkdir(exist_ok=True)
    text = b"".join(one if isinstance(one, bytes) else line(one) + b"\n" for one in entries)
    (folder / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)


def run(folder: Path) -> Counter[str]:
    return collect.collect(folder / "windows", folder / "logs", folder / "logs", NAME, NOW)


def weeks(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted((folder / "windows").iterdir())}


def test_a_line_is_a_row_of_its_iso_week(tmp_path: Path):
    write(tmp_path / "logs", "a.jsonl", entry(1), entry(2, time="2027-01-01T00:00:00+01:00"))
    write(tmp_path / "logs", "b.jsonl", entry(3, time="2026-11-30T12:00:00Z"))
    run(tmp_path)
    assert weeks(tmp_path) == {
        "2026-W48.csv": HEAD + "2026-11-23T10:00:01Z,r1,v0.0.1,59,32.5,151.25,\n",
        "2026-W49.csv": HEAD + "2026-11-30T12:00:00Z,r3,v0.0.1,59,32.5,151.25,\n",
    }


def test_what_the_service_logs_is_read(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("REQUEST_LOG", str(tmp_path / "logs" / "requests.jsonl"))
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    client = serve.create_app(model).test_client()
    rows = [
        [59, 2, 32.1, 101, 157, 93.2, 38, 4, 4.9, 87],
        [48, 1, 21.6, 87, 183, 103.2, 70, 3, 3.9, 69],
    ]
    answer = client.post("/predict", json={"instances": rows})
    now = datetime.now(UTC)
    counts = collect.collect(tmp_path / "windows", tmp_path / "logs", None, NAME, now)
    assert (counts["lines"], counts["rows"]) == (2, 2)
    (text,) = weeks(tmp_path).values()
    head, first, _ = csv.reader(text.splitlines())
    row = dict(zip(head, first, strict=True))
    assert row["id"].startswith(answer.headers["X-Request-ID"])
    assert float(row["prediction"]) == answer.json["predictions"][0]
    assert float(row["bmi"]) == pytest.approx(32.1)
    assert row["version"] == answer.json["model"]["hash"]


def test_again_and_over_a_log_that_overlaps_nothing_is_doubled_or_lost(tmp_path: Path):
    write(tmp_path / "logs", "a.jsonl", entry(1), entry(2))
    first = run(tmp_path)
    before = weeks(tmp_path)
    assert run(tmp_path) == first
    assert weeks(tmp_path) == before
    # The log turns over: the first line is in no file any more, the second in two.
    write(tmp_path / "logs", "a.jsonl", entry(3))
    write(tmp_path / "logs", "a.jsonl.1.gz", entry(2))
    run(tmp_path)
    (text,) = weeks(tmp_path).values()
    assert [one.split(",")[1] for one in text.splitlines()] == ["id", "r1", "r2", "r3"]


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        (b'{"half', "no JSON"),
        (b"\xff\xfe\x00", "no JSON"),
        (b"[" * 50_000, "no JSON"),
        (b'127.0.0.1 - - "GET /predict" 200', "no JSON"),
        (b"x" * 70_000, "too long"),
        (line([1]), "no request"),
        (line({"error": {"code": 400}}), "no request"),
        (line(entry(instance=[1, 2])), "no request"),
        (line(entry(model=None)), "another model"),
        (line(entry(model={"name": "glucose", "version": "v0.0.1"})), "another model"),
        (line(entry(model={"name": NAME})), "no version"),
        (line(entry(time=None)), "no time"),
        (line(entry(time="2026-99-23T10:00:00Z")), "no time"),
        (line(entry(time="now")), "no time"),
        (line(entry(time="9999-12-31T23:59:59-23:59")), "no time"),
        (line(entry(time="9999-01-01T00:00:00Z")), "a time that is to come"),
        (line(entry(instance={"label": 1})), "no names of columns"),
        (line(entry(instance={"=1+1": 1})), "no names of columns"),
        (line(entry(instance={"a\nb": 1})), "no names of columns"),
        (line(entry(instance={"a" * 65: 1})), "no names of columns"),
        (line(entry(instance={str(number): 1 for number in range(501)})), "no names of columns"),
        (line(entry(instance={})), "no names of columns"),
    ],
)
def test_what_is_no_line_of_this_model_is_counted_and_left_out(
    tmp_path: Path, odd: bytes, why: str
):
    write(tmp_path / "logs", "a.jsonl", entry(1), odd + b"\n", entry(2))
    counts = run(tmp_path)
    assert counts[f"left out: {why}"] == 1
    assert (counts["lines"], counts["requests"], counts["rows"]) == (3, 2, 2)
    assert [text.count("\n") for text in weeks(tmp_path).values()] == [3]


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (1, "1"), (0.1, "0.1"), (True, "true"), ("a", "a"), (None, ""), (float("nan"), ""),
        (1e400, ""), (10**400, ""), ([1], ""), ({"a": 1}, ""),
        ("a\n::error::x\x1b[2J", "a::error::x[2J"),
        (" x ", "x"), ("y" * 100, "y" * 64), (2**60, repr(float(2**60))),
    ],
)  # fmt: skip
def test_values_are_finite_numbers_or_short_texts(value: Any, cell: str):
    assert collect.cell(value) == cell


def test_a_feature_that_the_log_leaves_out_is_an_empty_cell(tmp_path: Path):
    bare = entry(2, instance={"age": 60})
    del bare["id"], bare["prediction"]
    write(tmp_path / "logs", "a.jsonl", entry(1), bare)
    run(tmp_path)
    last = weeks(tmp_path)["2026-W48.csv"].splitlines()[-1].split(",")
    assert last[3:] == ["60", "", "", ""]
    assert len(last[1]) == 32
    # Without an id its line is its name: again it is the same row.
    run(tmp_path)
    assert weeks(tmp_path)["2026-W48.csv"].count("\n") == 3


def test_labels_come_later_and_may_be_corrected(tmp_path: Path):
    write(tmp_path / "logs", "a.jsonl", entry(1), entry(2))
    assert run(tmp_path)["labels"] == 0
    (tmp_path / "logs" / "l1.csv").write_text('id,label\nr1,150\nr9,7\nr2,\n"open\nr2,1\n')
    counts = run(tmp_path)
    assert counts["labels"] == 2
    assert counts["labels without a row"] == 1
    assert counts["labels left out"] == 2
    (tmp_path / "logs" / "l2.csv").write_text("id,label\nr1,160\n")
    (tmp_path / "logs" / "a.jsonl").unlink()
    run(tmp_path)
    (text,) = weeks(tmp_path).values()
    assert [one.split(",")[-1] for one in text.splitlines()] == ["label", "160", "1"]


def test_a_file_that_ends_early_gives_what_it_has(tmp_path: Path):
    many = [entry(number % 60, id=f"r{number}") for number in range(3000)]
    write(tmp_path / "logs", "a.jsonl.gz", *many)
    whole = (tmp_path / "logs" / "a.jsonl.gz").read_bytes()
    (tmp_path / "logs" / "a.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "logs" / "b.jsonl.gz").write_bytes(b"no gzip")
    counts = run(tmp_path)
    assert counts["files that end early"] == 2
    assert 0 < counts["rows"] < 3000


def test_of_a_large_week_the_same_rows_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(collect, "MOST_ROWS", 5)
    write(tmp_path / "logs", "a.jsonl", *(entry(number) for number in range(20)))
    run(tmp_path)
    before = weeks(tmp_path)
    assert before["2026-W48.csv"].count("\n") == 6
    run(tmp_path)
    assert weeks(tmp_path) == before


def test_without_a_log_there_is_no_week(tmp_path: Path):
    assert collect.collect(tmp_path / "windows", None, None, NAME, NOW) == Counter()
    assert list((tmp_path / "windows").iterdir()) == []
    assert run(tmp_path) == Counter({"labels": 0})  # the folder is not there yet
