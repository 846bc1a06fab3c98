from __future__ import annotations

import errno
import json
import multiprocessing
import os
import time
from pathlib import Path

import pytest

from diabetes import request_log
from diabetes.request_log import RequestLog

NAME = "diabetes"
MODEL = {"name": NAME, "version": "v1.2.3", "hash": "0" * 32}
FEATURES = ("age", "bmi")
ONE = ("a" * 32, MODEL, FEATURES, [[59, 32.1]], [152.5])


def configured(**settings: object) -> RequestLog:
    return RequestLog.configured({key: str(value) for key, value in settings.items()}, FEATURES)


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_says_what_was_asked_and_answered(tmp_path: Path):
    path = tmp_path / "made" / "requests.jsonl"
    asked = configured(REQUEST_LOG=path)
    rows = [[59, 32.1], [1, 2]]
    assert asked.write("a" * 32, MODEL, FEATURES, rows, [152.5, 1.0]) == {"written": 2, "lost": 0}
    first, second = lines(path)
    assert first.pop("time").endswith("Z")
    assert first == {
        "id": "a" * 32 + "-0",
        "model": MODEL,
        "instance": {"age": 59, "bmi": 32.1},
        "prediction": 152.5,
    }
    assert second["id"] == "a" * 32 + "-1"


def test_without_a_target_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert configured().write(*ONE) == {}
    assert list(tmp_path.iterdir()) == []


def test_standard_output_gets_whole_lines(capfd: pytest.CaptureFixture[str]):
    rows = [[number, 1.5] for number in range(1000)]
    asked = configured(REQUEST_LOG="-")
    assert asked.write("a" * 32, MODEL, FEATURES, rows, [1.0] * 1000)["written"] == 1000
    said = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [one["instance"]["age"] for one in said] == list(range(1000))


def test_dropped_fields_are_nowhere(tmp_path: Path):
    path = tmp_path / "log"
    configured(REQUEST_LOG=path, REQUEST_LOG_DROP=" age, id,").write(*ONE)
    (line,) = lines(path)
    assert line["instance"] == {"bmi": 32.1}
    assert set(line) == {"time", "model", "instance", "prediction"}


@pytest.mark.parametrize(
    ("drop", "kept"),
    [
        ("blood pressure", {"blood", "age, years"}),
        ("blood, blood pressure", {"age, years"}),
        ("age, years blood", {"blood pressure"}),
        ("blood\tage, years\nblood pressure", set()),
    ],
)
def test_a_feature_with_a_space_in_its_name_can_be_dropped(
    tmp_path: Path, drop: str, kept: set[str]
):
    features = ("blood", "blood pressure", "age, years")
    settings = {"REQUEST_LOG": str(tmp_path / "log"), "REQUEST_LOG_DROP": drop}
    RequestLog.configured(settings, features).write("a" * 32, MODEL, features, [[1, 2, 3]], [4.0])
    (line,) = lines(tmp_path / "log")
    assert set(line["instance"]) == kept


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"REQUEST_LOG_DROP": "age bmi index"}, "names index"),
        ({"REQUEST_LOG_DROP": "Age"}, "names Age"),
        ({"REQUEST_LOG_DROP": "aeg"}, "names aeg"),
        ({"REQUEST_LOG_SAMPLE": "some"}, "'some'"),
        ({"REQUEST_LOG_SAMPLE": "nan"}, "'nan'"),
        ({"REQUEST_LOG_SAMPLE": "1.1"}, "'1.1'"),
        ({"REQUEST_LOG_BYTES": "10"}, "'10'"),
        ({"REQUEST_LOG_BYTES": "16M"}, "'16M'"),
    ],
)
def test_a_wrong_setting_turns_it_off(
    tmp_path: Path, settings: dict[str, str], told: str, caplog: pytest.LogCaptureFixture
):
    """A field that was to be kept out is then kept out."""
    assert configured(REQUEST_LOG=tmp_path / "log", **settings).write(*ONE) == {}
    assert not (tmp_path / "log").exists()
    assert "The request log is off" in caplog.text
    assert told in caplog.text


def test_a_sample_is_about_that_share(tmp_path: Path):
    asked = configured(REQUEST_LOG=tmp_path / "log", REQUEST_LOG_SAMPLE=0.25)
    rows = [[1, 2]] * 4000
    written = asked.write("a" * 32, MODEL, FEATURES, rows, [1.0] * 4000)["written"]
    assert 800 < written < 1200
    assert len(lines(tmp_path / "log")) == written
    none = configured(REQUEST_LOG=tmp_path / "none", REQUEST_LOG_SAMPLE=0)
    assert none.write(*ONE) == {"written": 0, "lost": 0}


def test_both_files_together_stay_below_the_bound(tmp_path: Path):
    asked = configured(REQUEST_LOG=tmp_path / "log", REQUEST_LOG_BYTES=40_000)
    for number in range(1000):
        asked.write(f"{number:032x}", MODEL, FEATURES, [[number, 2]], [1.0])
        sizes = [file.stat().st_size for file in tmp_path.iterdir()]
        assert sum(sizes) <= 40_000
    assert sorted(file.name for file in tmp_path.iterdir()) == ["log", "log.1", "log.lock"]
    kept = [line["instance"]["age"] for line in lines(tmp_path / "log.1") + lines(tmp_path / "log")]
    assert kept == list(range(1000 - len(kept), 1000))
    # One request alone may be larger than a file is.
    asked.write("f" * 32, MODEL, FEATURES, [[7, 2]] * 1000, [1.0] * 1000)
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 40_000


def test_a_line_that_is_too_long_is_lost_and_counted(tmp_path: Path):
    features = tuple(f"feature_{number}" for number in range(2000))
    asked = RequestLog.configured({"REQUEST_LOG": str(tmp_path / "log")}, features)
    assert asked.write("a" * 32, MODEL, features, [[1.0] * 2000], [1.0]) == {
        "written": 0,
        "lost": 1,
    }


def write_many(path: str, first: int) -> None:
    asked = configured(REQUEST_LOG=path, REQUEST_LOG_BYTES=10_000_000)
    for number in range(first, first + 200):
        rows = [[number, place] for place in range(5)]
        counted = asked.write(f"{number:032x}", MODEL, FEATURES, rows, [1.0] * 5)
        assert counted["written"] == 5, counted


def test_processes_write_whole_lines_into_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(request_log, "PATIENCE", 30)
    work = multiprocessing.get_context("fork")
    path = str(tmp_path / "log")
    workers = [work.Process(target=write_many, args=(path, 1000 * n)) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 4
    ids = {line["id"] for line in lines(tmp_path / "log")}
    assert len(ids) == len(lines(tmp_path / "log")) == 4 * 200 * 5


def test_a_line_that_was_cut_off_spoils_no_other(tmp_path: Path):
    (tmp_path / "log").write_bytes(b'{"time":"2026-')
    configured(REQUEST_LOG=tmp_path / "log").write(*ONE)
    cut, whole = (tmp_path / "log").read_text().splitlines()
    assert cut == '{"time":"2026-'
    assert json.loads(whole)["model"] == MODEL


def test_a_full_disk_takes_nothing_of_it_and_fails_no_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    real, calls = os.write, []

    def write(file: int, data: bytes) -> int:
        calls.append(data)
        if len(calls) % 2:
            return real(file, data[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    asked = configured(REQUEST_LOG=tmp_path / "log")
    asked.write(*ONE)
    before = (tmp_path / "log").read_bytes()
    monkeypatch.setattr(request_log, "_told", {"at": -60.0})
    monkeypatch.setattr(os, "write", write)
    for _ in range(3):
        assert asked.write(*ONE) == {"written": 0, "lost": 1}
    monkeypatch.undo()
    assert (tmp_path / "log").read_bytes() == before
    assert caplog.text.count("No space left on device") == 1  # and not once a request


def test_a_device_that_is_really_full():
    with pytest.raises(OSError, match="No space left"):
        request_log._append(Path(os.devnull).with_name("full"), b"x\n")


def test_a_folder_that_can_not_be_made_fails_no_request(tmp_path: Path):
    (tmp_path / "file").write_text("")
    asked = configured(REQUEST_LOG=tmp_path / "file" / "log")
    assert asked.write(*ONE) == {"written": 0, "lost": 1}


def test_a_lock_that_another_keeps_fails_no_request(tmp_path: Path):
    asked = configured(REQUEST_LOG=tmp_path / "log")
    with request_log._locked(tmp_path / "log.lock"):
        start = time.monotonic()
        assert asked.write(*ONE) == {"written": 0, "lost": 1}
        assert time.monotonic() - start < 1
    assert asked.write(*ONE) == {"written": 1, "lost": 0}
