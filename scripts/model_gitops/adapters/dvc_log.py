"""What DVC tells nobody but its log."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def heard() -> Iterator[list[str]]:
    """Collect the reasons of failed downloads, which DVC tells nobody but its log."""
    causes: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.exc_info and (cause := record.exc_info[1]) is not None:
                said = str(cause).strip().splitlines()
                causes.append(f"{type(cause).__name__}: {said[0] if said else ''}".rstrip(": "))

    log, ear = logging.getLogger("dvc_data"), Ear()
    propagates, log.propagate = log.propagate, False
    log.addHandler(ear)
    try:
        yield causes
    finally:
        log.removeHandler(ear)
        log.propagate = propagates
