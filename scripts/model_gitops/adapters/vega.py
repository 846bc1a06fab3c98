"""Vega-Lite drawn by a process of its own, which starts before the plots are known."""

from __future__ import annotations

import base64
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from model_gitops.adapters import vega_program
from model_gitops.adapters.process import Dialogue, NoAnswer

# A plot is a branch's: what draws it needs fonts and the time zone, and no secret.
_KEPT = re.compile(
    r"HOME|LANG|LANGUAGE|LC_.*|LD_LIBRARY_PATH|PATH|TMPDIR|TZ|TZDIR|XDG_.*|FONTCONFIG_.*"
)
# The most points that are drawn take some 10 seconds.
PATIENCE = 120.0
# After so many that ended or hung, the other plots are not tried.
_MOST_LOST = 3


class Vega:
    """Draws plots. Use as a context manager: leaving it ends the process."""

    def __init__(self) -> None:
        self._process: Dialogue | None = None
        self._lost = 0

    def __enter__(self) -> Vega:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def begin(self) -> Dialogue:
        """Start the process, where there is none, and return it. Raises NoAnswer."""
        if self._lost >= _MOST_LOST:
            raise NoAnswer(f"{_MOST_LOST} plots before it ended their process")
        if self._process is None:
            words = [sys.executable, "-I", vega_program.__file__]
            env = {name: value for name, value in os.environ.items() if _KEPT.fullmatch(name)}
            self._process = Dialogue(words, env=env)
        return self._process

    def draw(self, specifications: Sequence[Any]) -> Iterator[bytes | Exception]:
        """Yield the PNG of each, or why there is none; the process is at the next one meanwhile."""
        asked = [self._ask(one) for one in specifications[:1]]
        for number in range(len(specifications)):
            refused = asked[number]
            png = self._answer() if refused is None else refused
            asked += [self._ask(one) for one in specifications[number + 1 : number + 2]]
            yield png

    def _ask(self, specification: Any) -> Exception | None:
        try:
            line = json.dumps(specification)
            self.begin().ask(line, timeout=PATIENCE)
        except Exception as error:
            return self._failed(error)
        return None

    def _answer(self) -> bytes | Exception:
        try:
            answer = json.loads(self.begin().answer(timeout=PATIENCE))
        except NoAnswer as error:
            return self._failed(error)
        return ValueError(answer["error"]) if "error" in answer else base64.b64decode(answer["png"])

    def _failed(self, error: Exception) -> Exception:
        """Have the next plot drawn by a new process, where this one can't go on."""
        if isinstance(error, NoAnswer) and self._process:
            self._end()
            self._lost += 1
        return error

    def _end(self) -> None:
        if self._process:
            self._process.end()
        self._process = None
