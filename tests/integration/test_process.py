"""Children that hang are stopped, with all that they started."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from model_gitops.adapters import process, scratch


def is_running(file: Path) -> bool:
    """Whether the process whose number is in `file` is there, and no zombie."""
    stat = Path(f"/proc/{file.read_text().strip()}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def gone(file: Path) -> bool:
    end = time.monotonic() + 5
    while is_running(file) and time.monotonic() < end:
        time.sleep(0.05)
    return not is_running(file)


def test_a_timeout_stops_the_grandchildren_too(tmp_path: Path) -> None:
    script = 'sleep 60 & echo $! > "$0"; wait'
    with pytest.raises(process.TimedOutError, match="`sh -c` did not end within 1 seconds"):
        process.run(["sh", "-c", script, tmp_path / "pid"], timeout=1)
    assert gone(tmp_path / "pid")


def test_a_silence_stops_a_streamed_program(tmp_path: Path) -> None:
    heard: list[str] = []
    script = 'echo one; sleep 60 & echo $! > "$0"; wait'
    with pytest.raises(process.TimedOutError, match="said nothing for 1 seconds"):
        process.run(
            ["sh", "-c", script, tmp_path / "pid"],
            timeout=None,
            on_line=heard.append,
            patience=lambda: 1.0 if heard else None,
        )
    assert heard == ["one\n"]
    assert gone(tmp_path / "pid")


def test_a_program_that_speaks_may_take_its_time() -> None:
    lines: list[str] = []
    script = "for i in 1 2 3 4; do echo $i; sleep 0.5; done"
    process.run(["sh", "-c", script], timeout=None, on_line=lines.append, patience=lambda: 1.5)
    assert len(lines) == 4


def test_a_folder_whose_owner_lives_is_not_swept(tmp_path: Path) -> None:
    with scratch.folder("x-", tmp_path) as first, scratch.folder("x-", tmp_path) as second:
        (first / "key").write_text("secret")
        with scratch.folder("x-", tmp_path):
            assert (first / "key").read_text() == "secret"
            assert second.is_dir()
    assert list(tmp_path.iterdir()) == []
