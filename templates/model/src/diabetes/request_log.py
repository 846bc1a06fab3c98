"""The request log: what the model was asked and what it answered, one line of JSON an instance.

    {"time": "2026-11-30T09:15:02.123456Z", "id": "4f1c…-0", "model": {"name", "version", "hash"},
     "instance": {"age": 59, …}, "prediction": 152.3}

`id` is the answer's header X-Request-ID and the instance's place in the request: a label that
arrives later finds its line by it. Several processes write one file: each holds a lock while it
writes whole lines. Nothing here fails a request: what can't be written is left out, and counted.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import random
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

log = logging.getLogger("diabetes.request_log")

LARGEST_LINE = 16 * 1024  # bytes; container engines split longer ones
PIPE = 4096  # bytes that a pipe takes as a whole, so that no other process writes between them
MAX_BYTES = 16 * 1024 * 1024  # of both files together
PATIENCE = 0.1  # seconds that a request waits for another process to finish its lines
STDOUT = "-"
# Beside the features, what REQUEST_LOG_DROP may name.
OTHER_FIELDS = frozenset({"id", "prediction"})


class SettingError(ValueError):
    """A setting that is wrong: nothing is logged, as it may be one that keeps a field out."""


@dataclass(frozen=True)
class RequestLog:
    """Where lines go, how many, and what they leave out; `target` empty: nowhere."""

    target: str = ""
    sample: float = 1.0
    max_bytes: int = MAX_BYTES
    dropped: frozenset[str] = frozenset()

    @classmethod
    def configured(cls, env: Mapping[str, str], features: Sequence[str]) -> RequestLog:
        """Read REQUEST_LOG and its settings. A wrong one is told in the log, and turns it off."""
        try:
            return cls._read(env, features)
        except SettingError as error:
            log.error("The request log is off: %s", error)
            return cls()

    @classmethod
    def _read(cls, env: Mapping[str, str], features: Sequence[str]) -> RequestLog:
        sample, size = env.get("REQUEST_LOG_SAMPLE") or "1", env.get("REQUEST_LOG_BYTES")
        try:
            share = float(sample)
        except ValueError:
            share = -1.0
        if not 0 <= share <= 1:
            raise SettingError(f"REQUEST_LOG_SAMPLE is {sample!r}, and no number from 0 to 1")
        if size and not (size.isascii() and size.isdigit() and int(size) >= 2 * LARGEST_LINE):
            raise SettingError(
                f"REQUEST_LOG_BYTES is {size!r}, and no whole number from {2 * LARGEST_LINE} on"
            )
        known = OTHER_FIELDS.union(features)
        dropped = frozenset(_names(env.get("REQUEST_LOG_DROP", ""), known))
        if unknown := sorted(dropped - known):
            raise SettingError(
                f"REQUEST_LOG_DROP names {', '.join(unknown)}, which the model does not have: "
                f"it has {', '.join(features)}"
            )
        return cls(env.get("REQUEST_LOG", ""), share, int(size or MAX_BYTES), dropped)

    def write(
        self,
        request_id: str,
        model: Mapping[str, Any],
        features: Sequence[str],
        rows: Sequence[Sequence[float]],
        predictions: Sequence[float],
    ) -> dict[str, int]:
        """Log a request's instances; how many lines were `written`, and how many `lost`."""
        if not self.target:
            return {}
        lines, lost = [], 0
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        for place, (row, prediction) in enumerate(zip(rows, predictions, strict=True)):
            if random.random() >= self.sample:
                continue
            instance = {
                name: value
                for name, value in zip(features, row, strict=True)
                if name not in self.dropped
            }
            entry = {
                "time": now,
                "id": f"{request_id}-{place}",
                "model": model,
                "instance": instance,
                "prediction": prediction,
            }
            kept = {key: entry[key] for key in entry if key not in self.dropped & OTHER_FIELDS}
            line = json.dumps(kept, separators=(",", ":")).encode() + b"\n"
            if len(line) > LARGEST_LINE:
                lost += 1
            else:
                lines.append(line)
        try:
            written = self._to_stdout(lines) if self.target == STDOUT else self._to_file(lines)
        except OSError as error:
            _tell_seldom(f"The request log can't be written: {error}")
            written = 0
        return {"written": written, "lost": lost + len(lines) - written}

    def _to_stdout(self, lines: list[bytes]) -> int:
        for chunk in _chunks(lines, PIPE):
            os.write(1, chunk)
        return len(lines)

    def _to_file(self, lines: list[bytes]) -> int:
        """Append whole lines; a file that is full becomes FILE.1, in place of the one before."""
        if not lines:
            return 0
        path = Path(self.target)
        path.parent.mkdir(parents=True, exist_ok=True)
        half, written = self.max_bytes // 2, 0
        with _locked(path.with_name(path.name + ".lock")):
            for chunk in _chunks(lines, half):
                if path.exists() and path.stat().st_size + len(chunk) > half:
                    path.replace(path.with_name(path.name + ".1"))
                _append(path, chunk)
                written += chunk.count(b"\n")
        return written


def _names(text: str, known: Iterable[str]) -> Iterator[str]:
    """Yield the names of a list with commas or spaces between them; a known one may hold both."""
    # The longest first: `blood pressure` is one name, though the model may have `blood` too.
    names = "|".join(re.escape(one) for one in sorted(known, key=len, reverse=True))
    yield from re.findall(rf"(?:{names})(?=[\s,]|$)|[^\s,]+", text)


def _append(path: Path, chunk: bytes) -> None:
    """Write all of `chunk` at the end, or nothing of it: a full disk takes a part."""
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        size = os.fstat(file).st_size
        if size and os.pread(file, 1, size - 1) != b"\n":
            # A process was killed within its line: the next one starts on its own.
            chunk = b"\n" + chunk
        done = 0
        try:
            while done < len(chunk):
                done += os.write(file, chunk[done:])
        except OSError:
            with suppress(OSError):
                os.ftruncate(file, size)
            raise
    finally:
        os.close(file)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file. Raises TimeoutError, an OSError, where others keep it too long."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TimeoutError("another process keeps its lock") from None
                time.sleep(0.001)
        yield
    finally:
        os.close(file)  # and with it the lock


def _chunks(lines: list[bytes], size: int) -> Iterator[bytes]:
    """Join lines to pieces of at most `size` bytes; a longer line is a piece of its own."""
    chunk: list[bytes] = []
    length = 0
    for line in lines:
        if chunk and length + len(line) > size:
            yield b"".join(chunk)
            chunk, length = [], 0
        chunk.append(line)
        length += len(line)
    if chunk:
        yield b"".join(chunk)


_told = {"at": -60.0}


def _tell_seldom(text: str) -> None:
    """Log an error at most once a minute: a full disk stays full."""
    now = time.monotonic()
    if now - _told["at"] >= 60:
        _told["at"] = now
        log.error("%s", text)
